// unattended.test.js - clients that leave streams of providers that bill in full anyway
// (on_cancel = "finish", R45): read to the end for the real usage, so many at once, within
// the upstream's deadlines and the stop's; nothing new begins for who has left.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { audit, chat, metric, moongate, nanos, ownKey, record, rss, sanitized, settled } from './checks.js';
import { chunk, completion, loads, startGateway, startUpstream, until } from './gateway.js';

const usage = { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000 };
const rest = chunk({ content: ' and the rest' }) + chunk({}, 'stop', { usage }) + 'data: [DONE]\n\n';
const half = chunk({ role: 'assistant', content: 'half of it' });
let asked = [], behave;
const begin = (one, res) => { if (one.json.stream) { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.write(half); } };
const up = await startUpstream((one, res) => {
  res.on('error', () => {});
  Object.assign(one, { res, at: /^\/([a-z]+)/.exec(one.url)[1] });
  asked.push(one);
  behave(one, res);
});
const start = (behaviour = begin) => { asked = []; behave = behaviour; };

const dir = mkdtempSync(join(tmpdir(), 'moongate-unattended-'));
writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "planning" } } } }\n');
writeFileSync(join(dir, 'planning.lua'), `return policy { name = "planning", api = 1, version = "1.0.0",
  plan = function(req) if req.model == "acme/two" then return { hedge = { after_ms = 50 } } end end,
  on_error = function(req, err) if req.model == "acme/again" then return act.retry(1500) end end }\n`);
loads(dir, 'planning');
const provider = (name, more) => `["${name}"] = { dialect = "openai", base_url = "${up.url}/${name}", api_key = "k", ${more} },`;
const model = (name, ...list) => `["acme/${name}"] = { max_output = 2000, endpoints = { ${list.map((p) => `{ provider = "${p}", model = "m", price = { input = 1, output = 2 } }`).join(', ')} } },`;
const names = ['full', 'passed', 'plain', 'said', 'idle', 'total', 'again', 'line'];
const config = (limits = '') => `
  workers = 2, policy = { bundle = "${dir}" }, limits = { hedge_percent = 100, ${limits} },
  providers = { ${provider('full', 'on_cancel = "finish"')} ${provider('passed', 'on_cancel = "finish", quirks = { pass_through = true }')}
    ${provider('plain', '')} ${provider('said', 'on_cancel = "abort"')} ${provider('other', 'on_cancel = "finish"')} ${provider('again', 'on_cancel = "finish"')}
    ${provider('idle', 'on_cancel = "finish", timeouts = { idle = "400ms" }')} ${provider('total', 'on_cancel = "finish", timeouts = { total = "1500ms" }')}
    ${provider('line', 'on_cancel = "finish", max_in_flight = 1')} },
  models = { ${names.map((n) => model(n, n)).join(' ')} ${model('two', 'full', 'other')} ${model('pair', 'full', 'other')} },`;
const g = await startGateway(config('unattended = 2'));
const key = await g.newKey();

const unattended = (gw = g) => metric(gw, 'moongate_upstream_unattended');
const quiet = (gw = g) => until('nothing to be in flight', async () => await metric(gw, 'moongate_upstream_in_flight') === 0 && await metric(gw, 'moongate_http_requests_in_flight') <= 1);
const spent = async (gw = g, k = key) => nanos((await ownKey(gw, k)).usage);
const goneAtFirst = (m, gw = g, k = key) => chat(gw, k, { model: `acme/${m}`, stream: true }, { onData: (d, req) => req.destroy() });
// Leaves when the upstream was asked n times, before anything is answered.
const goneWhen = (m, n, more = {}) => chat(g, key, { model: `acme/${m}`, stream: true, ...more }, { onStart: (req) => until('it to arrive', () => asked.length === n).then(() => req.destroy()) });
const closed = (one) => until('the upstream to be closed', () => one.closed, 1000);
const counted = async (fn) => {	// generations that ended while fn ran, and what the key paid
  const before = [await metric(g, 'moongate_generations_total'), await spent()];
  const value = await fn();
  await quiet();
  return { value, n: await metric(g, 'moongate_generations_total') - before[0], paid: await spent() - before[1] };
};

for (const m of ['full', 'passed'])
  test(`${m}: a client leaves in mid-stream: the usage of the end is charged, one record, cancelled`, async () => {
    start();
    const { value: r, n, paid } = await counted(async () => {
      const left = await goneAtFirst(m);
      await until('it to go on', async () => await unattended() === 1);
      eq([left.cut, asked[0].closed, await metric(g, 'moongate_upstream_in_flight')], [true, false, 1]);
      asked[0].res.end(rest);
      return left;
    });
    eq([n, paid, asked.length, await unattended()], [1, 3000000n, 1, 0]);
    const rec = await record(g, key, r.headers['x-generation-id']);
    eq([rec.cancelled, rec.native_tokens_prompt, rec.native_tokens_completion, rec.usage, rec.finish_reason, rec.streamed], [true, 1000, 1000, 0.003, 'stop', true]);
    ok(/"outcome":"cancelled"/.test(g.log), 'the log says so');
  });

for (const m of ['plain', 'said'])
  test(`${m}: elsewhere the upstream is closed within a second, and what was produced is charged`, async () => {
    start();
    const { value: r, n, paid } = await counted(async () => { const left = await goneAtFirst(m); await closed(asked[0]); return left; });
    const rec = await record(g, key, r.headers['x-generation-id']);
    eq([n, rec.cancelled, rec.native_tokens_completion, rec.finish_reason, nanos(rec.usage)], [1, true, 3, null, paid]);
    ok(paid > 0n && paid < 1000000n, `${paid}`);
  });

test('no more than limits.unattended at once; who is above that is closed as before, and a place that is free is taken again', async () => {
  start();
  const { n, paid } = await counted(async () => {
    for (let i = 0; i < 2; i++) await goneAtFirst('full');
    await until('two to go on', async () => await unattended() === 2);
    for (let i = 0; i < 4; i++) { await goneAtFirst('full'); await closed(asked[2 + i]); }
    eq([asked[0].closed, asked[1].closed, await unattended()], [false, false, 2]);
    asked[0].res.end(rest);
    await until('a place', async () => await unattended() === 1);
    await goneAtFirst('full');
    await until('it to be taken', async () => await unattended() === 2);
    asked[1].res.end(rest);
    asked[6].res.end(rest);
  });
  eq([n, paid > 9000000n && paid < 9200000n], [7, true], `${paid}`);
});

test('limits.unattended = 0: none', async () => {
  const none = await startGateway(config('unattended = 0')), k = await none.newKey();
  start();
  await goneAtFirst('full', none, k);
  await closed(asked[0]);
  eq(await none.stop(), { code: 0, signal: null });
});

test('what comes is dropped: memory stays, also of a reader that had stopped before it left', async () => {
  const size = 48 * 1024 * 1024, piece = chunk({ content: 'y'.repeat(16000) });
  let written = 0, held;
  const room = (res) => new Promise((go) => { const on = () => { res.off('drain', on); res.off('close', on); go(); }; res.on('drain', on); res.on('close', on); });
  start(async (one, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    for (; written < size && !one.closed; written += piece.length) if (!res.write(piece)) await room(res);
    res.end(rest);
  });
  const before = rss(g);
  const { n, paid } = await counted(async () => {
    const over = chat(g, key, { model: 'acme/full', stream: true }, { onData: (d, req, res) => { if (!held) { held = req; res.pause(); } } });
    let last = -1;
    await until('the upstream to wait', async () => { const now = written; await new Promise((go) => setTimeout(go, 150)); const still = held && now === last && now === written; last = written; return still; });
    ok(written < size / 2, `${written} written`);
    held.destroy();
    await over;
  });
  eq([n, paid, written >= size], [1, 3000000n, true]);
  ok(sanitized || rss(g) - before < size / 3, `grew by ${rss(g) - before}`);
});

test('before the first token: it was sent, so it goes on', async () => {
  start(() => {});
  const { n, paid } = await counted(async () => {
    await goneWhen('full', 1);
    await until('it to go on', async () => await unattended() === 1);
    asked[0].res.writeHead(200, { 'content-type': 'text/event-stream' });
    asked[0].res.end(half + rest);
  });
  eq([n, paid, asked.length], [1, 3000000n, 1]);
});

test('one that fails then: no other attempt, nothing is charged', async () => {
  start(() => {});
  const { n, paid } = await counted(async () => {
    await goneWhen('pair', 1, { provider: { order: ['full', 'other'] } });
    await until('it to go on', async () => await unattended() === 1);
    behave = begin;
    asked[0].res.writeHead(500, { 'content-type': 'application/json' });
    asked[0].res.end('{"error":{"message":"down"}}');
  });
  eq([n, paid, asked.length], [1, 0n, 1]);
});

test('between retries: no other attempt', async () => {
  start((one, res) => { res.writeHead(500, { 'content-type': 'application/json' }); res.end('{"error":{"message":"down"}}'); });
  const { n, paid } = await counted(async () => {
    await chat(g, key, { model: 'acme/again', stream: true }, { onStart: (req) => until('the failure', async () => asked[0]?.closed && await metric(g, 'moongate_upstream_in_flight') === 0).then(() => req.destroy()) });
    await quiet();
    await new Promise((go) => setTimeout(go, 1700));
  });
  eq([n, paid, asked.length], [1, 0n, 1]);
});

test('in line for a place: it was not sent, and never is', async () => {
  start();
  const { n } = await counted(async () => {
    const first = chat(g, key, { model: 'acme/line', stream: true });
    await until('the first', () => asked.length === 1);
    const second = chat(g, key, { model: 'acme/line', stream: true }, { onStart: (req) => until('the line', async () => await metric(g, 'moongate_upstream_waiting') === 1).then(() => req.destroy()) });
    await second;
    await until('its end', async () => await metric(g, 'moongate_upstream_waiting') === 0);
    asked[0].res.end(rest);
    await first;
  });
  eq([n, asked.length], [2, 1]);
});

test('a race under way: one goes on, the other is closed', async () => {
  start(() => {});
  const { n, paid } = await counted(async () => {
    await goneWhen('two', 2, { provider: { order: ['full', 'other'] } });
    await closed(asked[1]);
    eq([asked[0].closed, asked[0].at, await unattended()], [false, 'full', 1]);
    asked[0].res.writeHead(200, { 'content-type': 'text/event-stream' });
    asked[0].res.end(half + rest);
  });
  eq([n, paid, asked.length], [1, 3000000n, 2]);
});

test('a race whose one that goes on fails: that is the end', async () => {
  start(() => {});
  const { n, paid } = await counted(async () => {
    await goneWhen('two', 2, { provider: { order: ['full', 'other'] } });
    await closed(asked[1]);
    asked[0].res.destroy();
  });
  eq([n, paid, asked.length], [1, 0n, 2]);
});

for (const [m, what] of [['idle', 'is silent for too long'], ['total', 'takes longer than a request may']])
  test(`an upstream that ${what}: closed, and what was produced is charged`, async () => {
    start((one, res) => { begin(one, res); if (m === 'total') { const t = setInterval(() => res.write(half), 100); res.on('close', () => clearInterval(t)); } });
    const { value: r, n, paid } = await counted(async () => {
      const left = await goneAtFirst(m);
      await until('it to go on', async () => await unattended() === 1);
      await until('it to be closed', () => asked[0].closed, 10000);
      return left;
    });
    const rec = await record(g, key, r.headers['x-generation-id']);
    eq([n, rec.cancelled, rec.finish_reason, nanos(rec.usage)], [1, true, 'error', paid]);
    ok(rec.native_tokens_completion >= (m === 'idle' ? 3 : 12) && paid > 0n && paid < 1000000n, JSON.stringify(rec));
  });

test('clients that leave at random: the ledger is whole', async () => {
  start((one, res) => { begin(one, res); setTimeout(() => res.end(rest), Math.random() * 60); });
  await Promise.all(Array.from({ length: 100 }, (_, i) => chat(g, key, { model: `acme/${['full', 'passed', 'two'][i % 3]}`, stream: true },
    { onStart: (req) => setTimeout(() => (i % 2 ? req.destroy() : req.socket?.resetAndDestroy()), Math.random() * 150) })));
  await quiet();
  eq(await unattended(), 0);
  await settled(g);
});

// ---------------------------------------------- the end of the process

const home = () => mkdtempSync(join(tmpdir(), 'moongate-unattended-'));
async function withOneLeft(drain, fn) {
  const at = home();
  start();
  const gw = await startGateway(config(), { dir: at, args: ['--drain', drain] });
  const k = await gw.newKey(), r = await goneAtFirst('full', gw, k);
  await until('it to go on', async () => await unattended(gw) === 1);
  await fn(gw);
  const next = await startGateway(config(), { dir: at });
  const a = await audit(next), paid = await spent(next, k);
  eq([a.code, a.open], [0, 0], a.text);
  const rec = paid ? await record(next, k, r.headers['x-generation-id']) : null;
  eq(await next.stop(), { code: 0, signal: null });
  rmSync(at, { recursive: true, force: true });
  return { paid, rec };
}

test('SIGTERM waits for it like for others', async () => {
  const { paid, rec } = await withOneLeft('2m', async (gw) => {
    gw.child.kill('SIGTERM');
    await until('it to be refused', () => fetch(gw.url + '/livez').then(() => false, () => true));
    await new Promise((go) => setTimeout(go, 300));
    eq([gw.exit, asked[0].closed], [undefined, false]);
    asked[0].res.end(rest);
    eq(await gw.exited, { code: 0, signal: null }, gw.log);
  });
  eq([paid, rec.cancelled, rec.native_tokens_completion], [3000000n, true, 1000]);
});

test('after the time to drain it is closed, and what was produced is charged', async () => {
  const { paid, rec } = await withOneLeft('500ms', async (gw) => {
    const t = Date.now();
    gw.child.kill('SIGTERM');
    eq(await gw.exited, { code: 0, signal: null }, gw.log);
    ok(Date.now() - t < 20000, `${Date.now() - t} ms`);	// a minute and a half, else
    await closed(asked[0]);
  });
  eq([rec.cancelled, rec.native_tokens_completion, nanos(rec.usage)], [true, 3, paid]);
});

test('after the time to drain an unstreamed one that goes on for nobody is closed, too', async () => {
  const gw = await startGateway(config(), { args: ['--drain', '500ms'] }), k = await gw.newKey(), t = Date.now();
  start(() => {});
  await chat(gw, k, { model: 'acme/plain' }, { onStart: (req) => until('it to arrive', () => asked.length).then(() => req.destroy()) });
  eq(await gw.stop(), { code: 0, signal: null }, gw.log);
  ok(Date.now() - t < 20000, `${Date.now() - t} ms`);
});

test('kill -9 meanwhile: the next start settles it', async () => {
  await withOneLeft('30s', (gw) => gw.kill());
});

// ---------------------------------------------- where it is said

test('a row of the catalogue may say it; another word is named', async () => {
  const at = home(), said = `providers = { acme = { api_key = "k" } }, models = { ["acme/full"] = { endpoints = { { provider = "acme", model = "m", price = { input = 1, output = 2 } } } } },`;
  const row = (word) => {
    mkdirSync(join(at, 'state/data/catalog'), { recursive: true });
    writeFileSync(join(at, 'state/data/catalog/providers.json'), JSON.stringify({ acme: { name: 'Acme', dialect: 'openai', base_url: `${up.url}/full`, on_cancel: word } }));
  };
  row('finish');
  start();
  const gw = await startGateway(said, { dir: at }), k = await gw.newKey(), left = await goneAtFirst('full', gw, k);
  await until('it to go on', async () => await unattended(gw) === 1);
  asked[0].res.end(rest);
  eq((await record(gw, k, left.headers['x-generation-id'])).usage, 0.003);
  eq(await gw.stop(), { code: 0, signal: null });
  for (const [word, shown] of [['drain', 'drain'], [true, 'no text']]) {
    row(word);
    const r = await moongate(gw, ['config', 'check']);
    ok(r.code === 3 && r.err.includes(`providers.acme.on_cancel: '${shown}' is unknown here`) && r.err.includes('one of abort finish'), r.err);
  }
  rmSync(at, { recursive: true, force: true });
});

test('an unstreamed client that leaves is as before: it runs to its end, whatever is said', async () => {
  for (const m of ['full', 'said']) {
    start(() => {});
    const { n, paid } = await counted(async () => {
      await chat(g, key, { model: `acme/${m}` }, { onStart: (req) => until('it to arrive', () => asked.length).then(() => req.destroy()) });
      asked[0].res.writeHead(200, { 'content-type': 'application/json' });
      asked[0].res.end(JSON.stringify(completion('late', usage)));
    });
    eq([n, paid, await unattended()], [1, 3000000n, 0], m);
  }
});

run(async () => {
  await settled(g);
  const exit = await g.stop();
  await up.stop();
  rmSync(dir, { recursive: true, force: true });
  eq(exit, { code: 0, signal: null }, 'the gateway ends cleanly');
});
