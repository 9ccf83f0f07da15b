// drain.test.js - SIGTERM with streams under way (R91): all finish, or are told
// that they do not; nothing new is let in; exit 0; the ledger is whole.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { audit, bearer, call, chat, events, metric, nanos, ownKey, pool, terminals } from './checks.js';
import { chunk, startGateway, startUpstream, until } from './gateway.js';

const held = [];	// what waits for release(); `endless` is never answered further
const up = await startUpstream((req, res) => {
  res.on('error', () => {});
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write(chunk({ role: 'assistant', content: 'wait' }));
  if (req.json.model === 'held') held.push(res);
});
const usage = { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const release = () => { for (const res of held.splice(0)) res.end(chunk({}, 'stop', usage) + 'data: [DONE]\n\n'); };
const config = `
  workers = 2,
  providers = {
    sim = { dialect = "sim", base_url = "sim:" },
    up = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream" },
  },
  models = {
    ["acme/slow"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 1, output = 1 }, options = { words = 40, tokens_per_s = 60 } } } },
    ["acme/quick"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 1, output = 1 } } } },
    ["acme/held"] = { endpoints = { { provider = "up", model = "held", price = { input = 1, output = 1 } } } },
    ["acme/endless"] = { endpoints = { { provider = "up", model = "m", price = { input = 1, output = 1 } } } },
  },`;

// Within moments each new connection is refused; until then it is answered: none hangs.
const refused = (g) => until('connections to be refused', async () => {
  const r = await call(g, '/livez', { onStart: (req) => req.setTimeout(20000, () => req.destroy(Object.assign(new Error('hangs'), { code: 'HANGS' }))) });
  if (r.error === 'ECONNREFUSED') return true;
  if (r.error !== 'ECONNRESET') eq([r.error, r.status], [undefined, 200], 'a connection beside the end');	// reset: it came as the socket closed
  return false;
}, 1000);

const dir = () => mkdtempSync(join(tmpdir(), 'moongate-drain-'));
async function inFlight(g, n) {
  await until(`${n} streams`, async () => await metric(g, 'moongate_http_requests_in_flight') > n);
}

// After the end: the same data, audited by itself and by a gateway that starts on it.
async function ledger(home, key, text, shown) {
  const g = await startGateway(text, { dir: home });
  const a = await audit(g);
  eq([a.code, a.open], [0, 0], a.text);
  eq(nanos((await ownKey(g, key)).usage), shown, 'what clients were told and what the key spent');
  await g.stop();
}

const costs = (all) => all.reduce((sum, r) => sum + nanos(events(r.text).find((e) => e.usage)?.usage.cost || 0), 0n);

test('200 streams and SIGTERM: all come to their end, exit 0', async () => {
  const home = dir();
  const g = await startGateway(`${config}\n  logging = { file = "${home}/log" },`, { dir: home, args: ['--drain', '2m'] });	// nobody is to be hurried
  const key = await g.newKey();
  let begun = 0;
  const all = Array.from({ length: 200 }, () => chat(g, key, { model: 'acme/slow', stream: true }, { onData: (d, req, res) => { if (!res.begun) { res.begun = true; begun++; } } }));
  await until('the streams', () => begun === 200);
  g.child.kill('SIGTERM');
  await refused(g);
  const answers = await Promise.all(all);
  for (const r of answers) eq([r.cut, terminals(events(r.text))], [false, { ends: 1, usages: 1, done: 1 }]);
  eq(answers.filter((r) => r.text.includes('"error"')).length, 0, 'errors');
  eq(await g.exited, { code: 0, signal: null }, g.log);
  const lines = readFileSync(join(home, 'log'), 'utf8').trim().split('\n').map((l) => JSON.parse(l));
  eq([lines.filter((l) => l.event === 'generation').length, lines.at(-1).event], [200, 'stop'], 'a line for each, and the last is that of the end');
  await ledger(home, key, config, costs(answers));
  rmSync(home, { recursive: true, force: true });
});

test('200 streams without an end: an error event and [DONE] at the deadline, exit 0', async () => {
  const home = dir();
  const g = await startGateway(config, { dir: home, args: ['--drain', '1s'] });
  const key = await g.newKey();
  const all = Array.from({ length: 200 }, () => chat(g, key, { model: 'acme/endless', stream: true }));
  await until('the streams', () => up.asked.length >= 200);
  await inFlight(g, 199);
  g.child.kill('SIGTERM');
  const answers = await Promise.all(all);
  for (const r of answers) {
    const list = events(r.text);
    eq([r.cut, terminals(list)], [false, { ends: 1, usages: 1, done: 1 }], r.text);
    eq(list.find((e) => e.error).choices[0].finish_reason, 'error');
  }
  eq(await g.exited, { code: 0, signal: null }, g.log);
  await until('the upstream to be closed', () => up.asked.every((a) => a.closed));
  await ledger(home, key, config, costs(answers));
  rmSync(home, { recursive: true, force: true });
});

test('limits.drain is the deadline where the command line names none', async () => {
  const home = dir();
  const text = `${config} limits = { drain = "300ms" },`;
  const g = await startGateway(text, { dir: home });
  const key = await g.newKey();
  const one = chat(g, key, { model: 'acme/endless', stream: true });
  await inFlight(g, 1);
  const t = Date.now();
  g.child.kill('SIGTERM');
  eq(events((await one).text).at(-1), '[DONE]');
  eq(await g.exited, { code: 0, signal: null });
  ok(Date.now() - t < 20000, `ended in ${Date.now() - t} ms`);	// thirty seconds, else
  rmSync(home, { recursive: true, force: true });
});

test('a kept-alive connection is told to close; unready before the end', async () => {
  const g = await startGateway(config);
  const key = await g.newKey(), agent = pool(1), slow = chat(g, key, { model: 'acme/held', stream: true });
  ok((await call(g, '/livez', { agent })).headers.connection !== 'close', 'kept alive');
  await inFlight(g, 1);
  g.child.kill('SIGTERM');
  await refused(g);
  const r = await call(g, '/readyz', { agent });
  if (!r.error) eq([r.status, r.headers.connection], [503, 'close']);
  release();
  eq(terminals(events((await slow).text)), { ends: 1, usages: 1, done: 1 });
  eq(await g.exited, { code: 0, signal: null });
  agent.destroy();
});

test('the second signal ends it at once; the next start finds all', async () => {
  const home = dir();
  const g = await startGateway(config, { dir: home });
  const key = await g.newKey();
  const all = Array.from({ length: 20 }, () => chat(g, key, { model: 'acme/endless', stream: true }));
  await inFlight(g, 20);
  g.child.kill('SIGTERM');
  await refused(g);
  const again = Date.now();
  g.status = 130;
  g.child.kill('SIGTERM');
  eq((await g.exited).code, 130);
  ok(Date.now() - again < 15000, `${Date.now() - again} ms after the second signal`);	// thirty seconds, else
  await Promise.all(all);
  const next = await startGateway(config, { dir: home });
  const a = await audit(next);
  eq([a.code, a.open], [0, 0], a.text);
  eq((await call(next, '/api/v1/key', { headers: bearer(key) })).status, 200);
  eq(await next.stop(), { code: 0, signal: null });
  rmSync(home, { recursive: true, force: true });
});

test('limits.drain_delay: unready at once, but serving, so that a load balancer can look away', async () => {
  const g = await startGateway(`${config} limits = { drain_delay = "4s" },`);
  const key = await g.newKey(), agent = pool(1), t = Date.now();
  g.child.kill('SIGTERM');
  await until('it to be unready', async () => (await call(g, '/readyz')).status === 503, 500);
  eq((await call(g, '/livez')).status, 200);
  eq((await chat(g, key, { model: 'acme/quick' }, { agent })).status, 200);
  eq(await g.exited, { code: 0, signal: null });
  ok(Date.now() - t >= 4000, `ended after ${Date.now() - t} ms`);
  agent.destroy();
});

test('a second signal ends a delayed stop, too', async () => {
  const g = await startGateway(`${config} limits = { drain_delay = "20s" },`);
  g.child.kill('SIGTERM');
  await until('it to be unready', async () => (await call(g, '/readyz')).status === 503, 500);
  const t = Date.now();
  g.status = 130;
  g.child.kill('SIGTERM');
  eq((await g.exited).code, 130);
  ok(Date.now() - t < 15000, 'at once');
});

test('a unix socket: refused, too, its file is gone', async () => {
  const home = dir(), path = join(home, 'api.sock');
  const g = await startGateway(config, { dir: home, listen: `"127.0.0.1:0", "unix:${path}"` });
  const key = await g.newKey(), slow = chat(g, key, { model: 'acme/held', stream: true });
  const ask = () => new Promise((done) => { get({ socketPath: path, path: '/livez', agent: false }, (res) => { res.resume(); done(res.statusCode); }).on('error', (e) => done(e.code)); });
  eq(await ask(), 200);
  await inFlight(g, 1);
  g.child.kill('SIGTERM');
  await until('it to be refused', async () => (await ask()) === 'ENOENT', 500);
  release();
  eq(terminals(events((await slow).text)), { ends: 1, usages: 1, done: 1 });
  eq(await g.exited, { code: 0, signal: null });
  rmSync(home, { recursive: true, force: true });
});

run(async () => { await up.stop(); });
