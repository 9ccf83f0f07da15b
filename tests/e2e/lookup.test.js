// lookup.test.js - policies that ask a service of the operator's: what it gets,
// what becomes of its answers, and that nobody else waits with the one who asks.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { eq, ok, run, test } from './tap.js';
import { chat } from './checks.js';
import { binary, loads, managementKey, retried, sendJson, startGateway, startUpstream, until } from './gateway.js';

// What it answers is the user's name, as a script.
const held = [];
const service = await startUpstream(async (req, res) => {
  const asked = req.json ?? new URL(req.url, 'http://x').searchParams.get('q');
  const what = asked.user ?? asked;
  if (what.startsWith('slow')) return held.push(() => sendJson(res, 200, 'acme/b'));
  if (what === 'half') { res.writeHead(200); res.write('"acme'); return held.push(() => res.end()); }
  if (what === 'cut') return res.socket.destroy();
  if (what === 'broken') return sendJson(res, 500, 'acme/b');
  if (what === 'moved') { res.writeHead(302, { location: '/ask' }); return res.end(); }
  if (what === 'text') return res.end('acme/b');
  if (what === 'huge') return res.end('"' + 'x'.repeat(3 << 20) + '"');
  return sendJson(res, 200, what === 'list' ? [{ model: 'acme/b' }] : what.startsWith('deny') ? 'no' : 'acme/b');
});
const dead = await startUpstream(() => {});
await dead.stop();

const dir = mkdtempSync(join(tmpdir(), 'moongate-lookup-'));
loads(dir, 'asks');
writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "asks" } } } }\n');
writeFileSync(join(dir, 'asks.lua'), `
return policy { name = "asks", api = 1, version = "1.0.0",
  admit = function(req)
    if req.key.user:starts("deny") and lookup("ask", { user = req.key.user }, "yes") == "no" then
      return deny { status = 403, code = "not_you", message = "not you" }
    end
    return true
  end,
  resolve = function(req)
    local who, name, n = req.key.user, "ask", 1
    if who == "" then return nil end
    if who:starts("kept") then name = "kept" elseif who == "dead" then name = "dead" elseif who:starts("q ") then name = "query" end
    if who == "two" then n = 2 elseif who == "three" then n = 3 end
    local got, why
    for i = 1, n do got, why = lookup(name, name == "query" and who or { user = who, i = i }, "acme/a") end
    if type(got) == "table" then got = got[1].model end
    note("got %s because %s", got, why)
    return { models = { got } }
  end }
`);
const g = await startGateway(`
  workers = 1,
  policy = { bundle = "${dir}", lookups = {
    ask = { url = "${service.url}/ask", headers = { ["X-Secret"] = env "LOOKUP_SECRET" }, timeout = "150ms" },
    kept = { url = "${service.url}/kept", ttl = "1m" },
    query = { url = "${service.url}/query?v=1", query = "q" },
    dead = { url = "${dead.url}/" },
  } },
  providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["acme/a"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 1, output = 1 } } } },
    ["acme/b"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 1, output = 1 } } } } },`,
{ env: { LOOKUP_SECRET: 'canary-of-lookups' } });
const key = await g.newKey();
const as = (user, more) => chat(g, key, { model: 'acme/a', user }, more);
const modelOf = (r) => (r.status === 200 ? JSON.parse(r.text).model : `${r.status} ${r.text}`);
// A service has a quarter of a second at most: on a machine that stands still for as long the fallback is
// right, so it is asked again, a few times.
const tried = (fn) => retried(fn, 20);
const served = (user) => tried(async () => eq(modelOf(await as(user)), 'acme/b'));
const release = () => { while (held.length) held.shift()(); };

test('the argument is the body, the configured header goes with it, the answer decides', async () => {
  await served('ann');
  const asked = service.asked.at(-1);
  eq(asked.json, { i: 1, user: 'ann' });
  eq([asked.method, asked.url, asked.headers['x-secret'], asked.headers['content-type']], ['POST', '/ask', 'canary-of-lookups', 'application/json']);
  await served('list');
});
test('a declared member of the query instead, encoded', async () => {
  await served('q a&b=ü/%');
  eq([service.asked.at(-1).method, service.asked.at(-1).url, service.asked.at(-1).text], ['GET', '/query?v=1&q=q%20a%26b%3D%C3%BC%2F%25', '']);
});
for (const [who, why] of [['slow', 'timeout'], ['half', 'timeout'], ['cut', 'unreachable'], ['broken', 'status'], ['moved', 'status'], ['text', 'json'], ['huge', 'too_large'], ['dead', 'unreachable']]) {
  test(`a service that is ${who}: the fallback, and the policy is told ${why}`, () => tried(async () => {
    const r = await as(who);
    eq(modelOf(r), 'acme/a');
    const id = JSON.parse(r.text).id;
    const text = await until('the decision', async () => {
      const said = await new Promise((done) => execFile(binary, ['policy', 'explain', id, '--config', g.file],
        { env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_MANAGEMENT_KEY: managementKey, LOOKUP_SECRET: 'canary-of-lookups' } }, (e, out, err) => done(e ? '' : out)));
      return said.includes('got ') && said;
    });
    ok(text.includes(`because ${why}`), text);
  }).finally(release));
}
test('an answer is kept for its time, for the same argument', () => tried(async (n) => {
  const before = service.asked.length;
  eq(modelOf(await as(`kept1 ${n}`)), 'acme/b');
  eq(modelOf(await as(`kept1 ${n}`)), 'acme/b');
  eq(service.asked.length, before + 1);
  eq(modelOf(await as(`kept2 ${n}`)), 'acme/b');
  eq(service.asked.length, before + 2);
}));
test('admit, too: a denial by what the service said', async () => {
  await tried(async () => {
    const r = await as('deny me');
    eq([r.status, r.text.includes('not you')], [403, true]);
  });
  await served('ann');
});
test('two lookups in one hook; a third fails the hook, and the request goes on', async () => {
  await tried(async () => {
    const before = service.asked.length;
    eq(modelOf(await as('two')), 'acme/b');
    eq(service.asked.slice(before).map((a) => a.json.i), [1, 2]);
  });
  await tried(async () => {
    const before = service.asked.length;
    eq(modelOf(await as('three')), 'acme/a');
    eq(service.asked.length, before + 2);
  });
  ok(g.log.includes('more than 2 in one hook'), g.log);
});
test('while one waits the only worker serves others, and its state, too', async () => {
  const slow = Array.from({ length: 20 }, (_, i) => as(`slow${i}`));
  await until('them to ask', () => held.length === 20);
  let others = 0;
  for (let i = 0; i < 10 && held.length === 20; i++) if (modelOf(await as('')) === 'acme/a') others++;
  const fast = held.length === 20;
  release();
  const all = (await Promise.all(slow)).map(modelOf);
  ok(others > 0, `${others} others`);
  ok(!fast || all.every((m) => m === 'acme/b' || m === 'acme/a'), all.join());
});
test('a client that leaves while a policy waits: the service is hung up on, the next one is served', async () => {
  const before = service.asked.length;
  let sent;
  const gone = as('slow leaver', { onStart: (req) => { sent = req; } });
  await until('the service to be asked', () => service.asked.length > before);
  const asked = service.asked.at(-1);
  sent.destroy();
  await gone;
  await until('the service to see the end', () => asked.closed);
  held.length = 0;
  await served('ann');
});
test('a reload while a policy waits: it goes on with its own bundle', async () => {
  const rules = readFileSync(join(dir, 'asks.lua'), 'utf8'), loaded = () => (g.log.match(/config_loaded|config\.loaded/g) || []).length;
  for (let round = 0; round < 4; round++) {
    const was = loaded(), waits = as('slow reload');
    await until('the service to be asked', () => held.length === 1);
    writeFileSync(join(dir, 'asks.lua'), rules.replace('local who, name', `-- ${round}\n    local who, name`));
    g.child.kill('SIGHUP');
    await until('the reload', () => loaded() > was, 30000);
    const late = held.length;
    release();
    const model = modelOf(await waits);
    ok(model === 'acme/b' || (model === 'acme/a' && late), model);
    await served('ann');
  }
});
test('a lookup that is wrong in the configuration is refused with its name', async () => {
  const text = readFileSync(g.file, 'utf8'), refused = () => (g.log.match(/config_refused|config\.refused/g) || []).length, was = refused();
  writeFileSync(g.file, text.replace(`${service.url}/kept`, 'ftp://x/'));
  g.child.kill('SIGHUP');
  await until('the refusal', () => refused() > was);
  ok(g.log.includes('policy.lookups.kept.url'), g.log.slice(-500));
  writeFileSync(g.file, text);
  await served('ann');
});
test('no secret of a lookup is in logs or in the configuration that is shown', async () => {
  ok(!g.log.includes('canary-of-lookups'), 'the log');
  const shown = await new Promise((done) => execFile(binary, ['config', 'show', '--config', g.file],
    { env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_MANAGEMENT_KEY: managementKey, LOOKUP_SECRET: 'canary-of-lookups' } }, (e, out, err) => done(out + err)));
  ok(shown.includes('/ask') && !shown.includes('canary-of-lookups'), shown.slice(0, 2000));
});

run(async () => {
  release();
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  await service.stop();
  rmSync(dir, { recursive: true });
});
