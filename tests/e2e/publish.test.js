// publish.test.js - policies go live: by command, by signal, or not at all; what
// is live, who said so, and the way back.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { call, chat, metric, moongate } from './checks.js';
import { chunk, managementKey, startGateway, startUpstream, until } from './gateway.js';
import { eq, ok, run, test } from './tap.js';
import { admin, decision, files, folder, live, provider, sighup, world, write } from './policies_world.js';

const dir = folder(files('alpha'));
// Streams that are under way until release().
const held = [];
const up = await startUpstream((req, res) => {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write(chunk({ role: 'assistant', content: 'wait' }));
  held.push(res);
});
const release = () => { for (const res of held.splice(0)) res.end(chunk({}, 'stop', { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }) + 'data: [DONE]\n\n'); };
const g = await startGateway(world(dir, '', up.url));
const key = await g.newKey();
const failing = { ...files('beta'), 'pick_test.lua': 'local P = use("pick")\ntest("never", function(t)\n  t.eq(P.name, "other")\nend)\n' };
const publish = (at, ...more) => moongate(g, ['policy', 'publish', at, ...more]);
const send = (all, more = {}) => admin(g, '/policies/publish', 'POST', { files: all, from: 'here', ...more });
const first = (await live(g)).version;

test('at the start the configured folder is live, as a version that is kept', async () => {
  const v = await live(g);
  eq(v.how, 'start');
  eq(v.from, dir);
  eq(await provider(g, key), 'alpha');
  const kept = join(g.home, 'state/data/policies', v.version);
  eq(readFileSync(join(kept, 'pick.lua'), 'utf8'), files('alpha')['pick.lua']);
  ok(readdirSync(join(kept, 'base')).includes('or_eligibility.lua'), 'the base is kept with it');
});

test('a bundle whose test fails is refused by the command: file and line, nothing is asked or changed', async () => {
  const r = await publish(folder(failing));
  eq(r.code, 8);
  ok(/pick_test\.lua:3: /.test(r.err), r.err);
  eq((await live(g)).version, first);
});

test('and by the gateway, which trusts no command: answer, log, metric, GET', async () => {
  const r = await send(failing);
  eq(r.status, 400);
  ok(/pick_test\.lua:3: /.test(r.error.message), JSON.stringify(r));
  ok(/"event":"bundle_refused".*pick_test\.lua:3: /.test(g.log), 'the log says why');
  ok(/policy_reloads_total\{how="publish",result="refused"\} 1\n/.test((await call(g, '/metrics')).text), 'the metric');
  const all = await admin(g, '/policies');
  ok(/pick_test\.lua:3: /.test(all.last_failure.message), JSON.stringify(all.last_failure));
  eq(all.last_failure.from, 'here');
  eq((await live(g)).version, first);
  eq(await provider(g, key), 'alpha');
});

for (const [what, all, want] of [
  ['that does not compile', { ...files('beta'), 'pick.lua': '\nreturn policy {' }, /^pick\.lua:2: /],
  ['that names what there is not', { ...files('beta'), 'pick.lua': files('beta')['pick.lua'].replace('rank.by', 'rnak.by') }, /pick\.lua:4: .*rnak/],
  ['without a test', { ...files('beta'), 'more.lua': 'return policy { name = "more", api = 1 }' }, /more\.lua has no more_test\.lua/],
  ['with a file that is none of its own', { '../../x.lua': '' }, /is no name of a policy's file/],
  ['without bundle.lua', { 'pick.lua': '' }, /no bundle\.lua/],
]) {
  test(`a bundle ${what} is refused`, async () => {
    const r = await send(all);
    eq(r.status, 400);
    ok(want.test(r.error.message), r.error.message);
    eq((await live(g)).version, first);
  });
}

test('a body that is no bundle is refused, and says which member', async () => {
  for (const [body, want] of [[[], /JSON object/], [{}, /^files: /], [{ files: { 'a.lua': 1 } }, /^files\.a\.lua: /], [{ files: {}, fiels: 1 }, /'fiels'/],
    [{ files: {}, drop_guards: 'yes' }, /^drop_guards: /], [{ files: {}, from: 'x'.repeat(300) }, /^from: /]]) {
    const r = await admin(g, '/policies/publish', 'POST', body);
    eq(r.status, 400, JSON.stringify(body));
    ok(want.test(r.error.message), r.error.message);
  }
});

test('only management keys see and change what is live', async () => {
  for (const [method, path] of [['GET', '/policies'], ['POST', '/policies/publish'], ['POST', '/policies/rollback']]) {
    eq((await admin(g, path, method, method === 'POST' ? {} : undefined, key)).status, 403, path);
    eq((await call(g, '/api/admin' + path, { method })).status, 401, path);
  }
});

let second;
test('publish: the next request is routed by it; who, how and from where are kept', async () => {
  const at = folder(files('beta'));
  const r = await publish(at);
  eq(r.code, 0, r.err);
  second = r.out.trim();
  eq(await provider(g, key), 'beta');
  const v = await live(g);
  eq(v.version, second);
  eq(v.how, 'publish');
  eq(v.from, at);
  ok(v.by.includes('(') && !v.by.includes(managementKey), v.by);
  ok(/"event":"bundle_loaded"[^\n]*"how":"publish"/.test(g.log), 'the log says so');
  ok(/"event":"audit"[^\n]*"policy_publish"/.test(g.log), 'the audit line');
  eq((await publish(at)).out.trim(), second, 'the same once more is no change');
  eq((await admin(g, '/policies')).data.length, 2);
});

test('a signal takes the folder again only when its files have changed', async () => {
  await sighup(g);
  eq((await live(g)).version, second, 'what was published stays');
  write(dir, files('alpha', { extra: 'edited' }));
  await sighup(g);
  eq(await provider(g, key), 'alpha');
  eq((await live(g)).how, 'reload');
});

test('a folder whose test fails changes nothing on SIGHUP: log, metric, readiness, GET', async () => {
  const before = (await live(g)).version;
  write(dir, failing);
  await sighup(g);
  eq(await metric(g, 'moongate_config_last_reload_successful'), 0);
  ok(/"event":"config_refused".*pick_test\.lua:3: /.test(g.log), 'the log says where');
  const ready = JSON.parse((await call(g, '/readyz?verbose')).text);
  eq(ready.status, 'ok');
  eq(ready.policy.version, before);
  ok(/pick_test\.lua:3: /.test(ready.policy.last_failure), JSON.stringify(ready));
  eq((await live(g)).version, before);
  eq(await provider(g, key), 'alpha');
  write(dir, files('beta', { extra: 'edited again' }));
  await sighup(g);
  eq(await metric(g, 'moongate_config_last_reload_successful'), 1);
  eq(await provider(g, key), 'beta');
  eq(JSON.parse((await call(g, '/readyz?verbose')).text).policy.last_failure, null);
});

test('rollback: to the one before, to a version by its beginning; the folder is not taken back unasked', async () => {
  const [now, before] = (await admin(g, '/policies')).data.map((v) => v.version);
  const r = await moongate(g, ['policy', 'rollback']);
  eq(r.code, 0, r.err);
  eq(r.out.trim(), before);
  eq(await provider(g, key), 'alpha');
  await sighup(g);
  eq((await live(g)).version, before, 'a reload leaves it');
  eq((await moongate(g, ['policy', 'rollback', now.slice(0, 8)])).out.trim(), now);
  eq(await provider(g, key), 'beta');
  eq((await moongate(g, ['policy', 'rollback', now])).code, 7, 'it is live');
  eq((await moongate(g, ['policy', 'rollback', 'ffffffff'])).code, 6, 'there is none');
  eq((await moongate(g, ['policy', 'rollback', now.slice(0, 3)])).code, 6, 'too short to mean one');
});

test('publish and rollback as JSON: the version, since when; nothing beside it, and errors are JSON, too', async () => {
  const at = folder(files('alpha', { extra: 'as JSON' })), before = (await live(g)).version;
  const p = await publish(at, '--json'), now = (await live(g)).version;
  eq([p.code, JSON.parse(p.out)], [0, { data: { version: now, live: 'now' } }], p.err);
  ok(now !== before, now);
  const r = await moongate(g, ['policy', 'rollback', before.slice(0, 10), '--json']);
  eq([r.code, JSON.parse(r.out), r.err], [0, { data: { version: before, live: 'now' } }, '']);
  const none = await moongate(g, ['policy', 'rollback', 'ffffffff', '--json']), bad = await publish(folder(failing), '--json');
  eq([none.code, none.out, bad.code, bad.out], [6, '', 8, '']);
  eq(JSON.parse(none.err).error.code, 'not_found');
  ok(/pick_test\.lua:3: /.test(JSON.parse(bad.err).error.message), bad.err);
});

test('list: a table with the one that is live, and what last failed', async () => {
  const r = await moongate(g, ['policy', 'list']);
  eq(r.code, 0);
  ok(/^VERSION +LIVE +SINCE +UNTIL +HOW +BY +FROM +FAILED/.test(r.out), r.out);
  const rows = r.out.trim().split('\n').slice(1);
  eq(rows.filter((l) => / yes /.test(l)).length, 1);
  ok(/^last failed attempt: 20[^ ]*Z version [0-9a-f]{12} is live$/m.test(r.err), r.err);
  eq(JSON.parse((await moongate(g, ['policy', 'list', '--json'])).out).data.length, rows.length);
});

test('a stream that spans the change ends by the version it began with; no request sees two', async () => {
  const begun = (await live(g)).version, other = folder(files('alpha', { extra: 'during a stream' }));
  let published;
  const stream = chat(g, key, { model: 'acme/slow', stream: true }, { onData: () => { published ??= publish(other); } });
  await until('the first chunk', () => published);
  const r = await published;
  eq(r.code, 0, r.err);
  const states = (await call(g, '/metrics')).text.match(/^moongate_policy_states\{.*$/gm);
  eq(states.length, 2, states.join(' '));
  eq(await provider(g, key), 'alpha');
  release();
  const text = (await stream).text;
  ok(text.endsWith('data: [DONE]\n\n'), 'the stream came to its end');
  const d = await decision(g, /"id":"(gen-[^"]+)"/.exec(text)[1]);
  eq(d.bundle, begun.slice(0, d.bundle.length));
  const after = await decision(g, JSON.parse((await chat(g, key, { model: 'acme/one' })).text).id);
  eq(after.bundle, r.out.trim().slice(0, after.bundle.length));
  await until('the old state to go', async () => (await call(g, '/metrics')).text.match(/^moongate_policy_states\{.*$/gm).length === 1);
  eq(await metric(g, 'moongate_policy_states'), 2, 'one for each worker');
  ok(await metric(g, 'moongate_policy_active_age_seconds') < 60);
});

test('more than three versions in use are told', async () => {
  const streams = [];
  for (let i = 0; i < 4; i++) {
    let begun = false;
    streams.push(chat(g, key, { model: 'acme/slow', stream: true }, { onData: () => { begun = true; } }));
    await until('the first chunk', () => begun);
    eq((await publish(folder(files(i % 2 ? 'alpha' : 'beta', { extra: `crowd ${i}` })))).code, 0);
  }
  await until('the log line', () => /"event":"policy_versions"/.test(g.log));
  release();
  for (const s of streams) ok((await s).text.endsWith('data: [DONE]\n\n'), 'each stream ends well');
});

// ---- what clients sent in the last hour

const admitted = (n) => chat(g, key, { model: 'acme/one', messages: [{ role: 'user', content: 'x'.repeat(n) }] });

// Fails for a request that neither the probes of check nor its test know.
const failsFor = (what) => ({ ...files('alpha', { extra: what }), 'pick.lua': files('alpha')['pick.lua'].replace('rank = function(req, eps) return',
  `rank = function(req, eps)\n    if req.feat.user_chars == 3000 + 217 then ${what} end\n    return`) });

test('a bundle that fails for what clients sent in the last hour is refused, by command and by signal: file, line, a hint', async () => {
  eq((await publish(folder(failsFor('local x = nil + 1 return x')))).code, 0, 'nobody sent that');
  eq((await moongate(g, ['policy', 'rollback'])).code, 0);
  const before = (await live(g)).version, sent = await admitted(3217), id = JSON.parse(sent.text).id;
  await decision(g, id);
  for (const [what, want] of [['error(req.model)', /pick\.lua:5: rank fails for a decision of the last hour/], ['while true do end', /pick\.lua:4: rank fails \(it loops/]]) {
    const all = failsFor(what), r = await publish(folder(all));
    eq(r.code, 8, r.err);
    ok(want.test(r.err) && r.err.includes(`hint: 'moongate policy test --from ${id}'`), r.err);
    ok(!r.err.includes('acme'), 'not what was raised');
    write(dir, all);
    await sighup(g);
    eq(await metric(g, 'moongate_config_last_reload_successful'), 0);
    ok(want.test((await admin(g, '/policies')).last_failure.message));
    eq((await live(g)).version, before);
  }
  eq((await moongate(g, ['policy', 'test', folder(files('alpha')), '--from', id])).code, 0, 'the command of the hint');
  write(dir, files('beta', { extra: 'mended' }));
  await sighup(g);
  eq(await provider(g, key), 'beta', 'other decisions are no failure');
});

// ---- guards

test('guards: a bundle without one that is live is refused, by command, gateway and signal', async () => {
  eq((await publish(folder(files('alpha', { guard: 'seven' })))).code, 0);
  eq((await admitted(7)).status, 403);
  eq((await admitted(6)).status, 200);
  const r = await publish(folder(files('beta', { extra: 'unguarded' })));
  eq(r.code, 7);
  ok(/lacks guards that are live: seven/.test(r.err) && /--drop-guards/.test(r.err), r.err);
  write(dir, files('beta', { extra: 'an unguarded folder' }));
  await sighup(g);
  eq(await metric(g, 'moongate_config_last_reload_successful'), 0);
  eq((await admitted(7)).status, 403);
  eq(await provider(g, key), 'alpha');
});

test('going back never loses a guard: the older bundle runs behind the newer guards', async () => {
  const r = await moongate(g, ['policy', 'rollback', second.slice(0, 12)]);
  eq(r.code, 0, r.err);
  ok(r.out.trim() !== second, 'it is another version');
  eq(await provider(g, key), 'beta', 'the older bundle decides');
  eq((await admitted(7)).status, 403, 'the guard stays');
  eq((await live(g)).guards, ['seven']);
  ok(JSON.parse((await admitted(7)).text).error.message.includes('seven says no'));
  eq((await moongate(g, ['policy', 'rollback', second.slice(0, 12)])).code, 7, 'it is live, guarded');
  eq((await moongate(g, ['policy', 'rollback', first.slice(0, 12)])).code, 0, 'once more, from there');
  eq(await provider(g, key), 'alpha');
  eq((await admitted(7)).status, 403, 'still');
});

test('until an operator says so', async () => {
  eq((await publish(folder(files('beta', { extra: 'unguarded' })), '--drop-guards')).code, 0);
  eq((await admitted(7)).status, 200);
  eq(await provider(g, key), 'beta');
});

run(async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  await up.stop();
});
