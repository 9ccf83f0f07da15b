// leak.test.js - requests of every kind, mixed: well answered ones, refused ones, ones
// whose client leaves, ones whose upstream fails, with keys and reloads between.  Then
// memory and descriptors are where they were.
// MOONGATE_REQUESTS: how many; leak_test.sh says how to run it under valgrind.
import { eq, ok, run, test } from './tap.js';
import { bearer, call, chat, events, fds, management, metric, pool, rss, sanitized, settled, terminals } from './checks.js';
import { clay } from './clients_world.js';
import { chunk, completion, sendJson, startGateway, startUpstream, until } from './gateway.js';
import { readFileSync } from 'node:fs';

const count = Number(process.env.MOONGATE_REQUESTS || 1000);
const slow = !!process.env.MOONGATE_UNDER;
const usage = { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const stream = [chunk({ role: 'assistant', content: 'hel' }), chunk({ content: 'lo' }), chunk({}, 'stop', usage), 'data: [DONE]\n\n'];

// What the upstream does stands in its model's name.
const deeds = {
  well(req, res) {
    if (!req.json.stream) return sendJson(res, 200, completion('hello'));
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    return res.end(stream.join(''));
  },
  clay,
  limited: (req, res) => sendJson(res, 429, { error: { message: 'slow down', type: 'rate_limit_error' } }, { 'retry-after': '0' }),
  broken: (req, res) => sendJson(res, 500, { error: { message: 'oh' } }),
  nonsense: (req, res) => { res.writeHead(200, { 'content-type': 'application/json' }); res.end('{"choices":['); },
  cut(req, res) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(stream[0]);
    setTimeout(() => res.destroy(), 2);
  },
  endless(req, res) {
    res.on('error', () => {});
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => res.write(stream[1]), 3);
    res.on('close', () => clearInterval(timer));
  },
};
const up = await startUpstream((req, res) => deeds[req.json.model](req, res));
const price = 'price = { input = "1", output = "2" }';
const model = (name, provider = 'up') => `["acme/${name}"] = { endpoints = { { provider = "${provider}", model = "${name}", ${price} } } },`;
const g = await startGateway(`
  workers = 2,
  providers = {
    sim = { dialect = "sim", base_url = "sim:" },
    up = { dialect = "openai", base_url = "${up.url}", api_key = "sk-upstream" },
    bad = { dialect = "openai", base_url = "${up.url}", api_key = "sk-upstream" },
    clay = { dialect = "anthropic", base_url = "${up.url}", api_key = "sk-upstream" },
    gone = { dialect = "openai", base_url = "http://127.0.0.1:1", api_key = "sk-upstream", timeouts = { connect = "1s" } },
  },
  models = {
    ${['well', 'endless'].map((n) => model(n)).join('\n    ')}
    ${['limited', 'broken', 'nonsense', 'cut'].map((n) => model(n, 'bad')).join('\n    ')}
    ${model('clay', 'clay')} ${model('gone', 'gone')}
    ["acme/sim"] = { endpoints = { { provider = "sim", model = "echo", ${price}, options = { words = 12, ttft_ms = 2, tokens_per_s = 4000 } } } },
    ["acme/over"] = { endpoints = { { provider = "gone", model = "gone", ${price} }, { provider = "bad", model = "broken", ${price} }, { provider = "up", model = "well", ${price} } } },
  },`);
const key = await g.newKey();
const agent = pool(16);

const ask = (body, more = {}) => chat(g, key, body, { agent, ...more });
async function answered(body, status = 200) {
  const r = await ask(body);
  eq([r.status, r.cut], [status, false], `${JSON.stringify(body).slice(0, 200)}: ${r.text.slice(0, 300)}`);
  if (status === 200 && body.stream) eq(terminals(events(r.text)), { ends: 1, usages: 1, done: 1 }, r.text);
  return r;
}
const failed = async (body) => { const r = await ask(body); ok(r.status >= 400 || events(r.text).some((e) => e.error), `${r.status} ${r.text.slice(0, 300)}`); };
const leave = (body, ms) => ask(body, { agent: false, onStart: (req) => { const t = setTimeout(() => req.destroy(), ms); req.on('close', () => clearTimeout(t)); } });
const get = async (path, status = 200) => eq((await call(g, '/api/v1' + path, { headers: bearer(key), agent })).status, status, path);
const post = async (body, status, headers = bearer(key)) => eq((await call(g, '/api/v1/chat/completions', { method: 'POST', headers, body, agent })).status, status);
const tools = { tools: [{ type: 'function', function: { name: 'get_weather', description: 'The weather of a city', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }] };
const said = (content) => ({ messages: [{ role: 'user', content }] });

const kinds = [
  () => answered({ model: 'acme/sim' }),
  () => answered({ model: 'acme/sim', stream: true }),
  () => answered({ model: 'acme/sim', ...tools, ...said('What is the weather in Paris?') }),
  () => answered({ model: 'acme/well' }),			// pass-through
  () => answered({ model: 'acme/well', stream: true }),
  () => answered({ model: 'acme/clay', ...said('Hi'), stream: true }),	// translated
  () => answered({ model: 'acme/clay', ...said('Hi') }),
  () => answered({ model: 'acme/over' }),			// fails over twice
  () => answered({ models: ['acme/broken', 'acme/well'], stream: true }),
  (i) => leave({ model: 'acme/endless', stream: true }, i % 30),
  (i) => leave({ model: 'acme/sim', stream: i % 2 === 0 }, i % 7),
  () => failed({ model: 'acme/limited' }),
  () => failed({ model: 'acme/broken', stream: true }),
  () => failed({ model: 'acme/nonsense' }),
  () => failed({ model: 'acme/cut', stream: true }),
  () => failed({ model: 'acme/gone' }),
  () => answered({ model: 'acme/none' }, 400),
  () => post({ model: 'acme/sim', messages: 'none' }, 400),
  () => post({ model: 'acme/sim' }, 401, { 'content-type': 'application/json', authorization: 'Bearer sk-or-v1-none' }),
  () => get('/models'),
  () => get('/key'),
  () => get('/generation?id=gen-1-abcdefghijklmnopqrst', 404),
  () => get('/nowhere', 404),
  async () => { const r = await answered({ model: 'acme/sim' }); await until('the record', async () => (await call(g, `/api/v1/generation?id=${JSON.parse(r.text).id}`, { headers: bearer(key), agent })).status === 200); },
  async () => {
    const made = await management(g, '/keys', 'POST', { name: 'short', limit: 5 });
    eq((await chat(g, made.key, { model: 'acme/sim' }, { agent })).status, 200);
    await management(g, `/keys/${made.data.hash}`, 'PATCH', { limit: 6 });
    await management(g, `/keys/${made.data.hash}`, 'DELETE');
  },
];

// So many of all kinds, some at a time; a reload now and then.
async function mixed(n) {
  let i = 0;
  const every = Math.max(50, Math.floor(n / 20));
  await Promise.all(Array.from({ length: 12 }, async () => {
    for (;;) {
      const at = i++;
      if (at >= n) return;
      if (at % every === every - 1) g.child.kill('SIGHUP');
      await kinds[at % kinds.length](at);
    }
  }));
  await until('nothing to be in flight', async () => await metric(g, 'moongate_http_requests_in_flight') <= 1 && await metric(g, 'moongate_upstream_in_flight') === 0, 60000);
}

// Without the connections that are kept for the next call, at either end.
async function descriptors() {
  const hex = up.port.toString(16).toUpperCase().padStart(4, '0');
  const kept = readFileSync('/proc/net/tcp', 'utf8').split('\n').filter((l) => new RegExp(`^ *\\d+: \\S+ 0100007F:${hex} (01|08)`).test(l)).length;
  return await fds(g) - kept;
}

let before, open;
test('a first round, after which all is in its place', async () => {
  await mixed(slow ? 100 : Math.max(400, count / 5));
  agent.destroy();
  before = rss(g);
  open = await descriptors();
});

// In parts, because one test has a minute.
const part = slow ? 200 : 2000;
for (let done = 0; done < count; done += part) {
  const n = Math.min(part, count - done);
  test(`${n} mixed requests, from ${done} on`, () => mixed(n));
}

test('descriptors and memory are where they were', async () => {
  agent.destroy();
  await until('the descriptors', async () => await descriptors() <= open).catch(async (e) => { throw new Error(`${e.message}: ${await descriptors()}, before ${open}`); });
  let grown = rss(g) - before, n = count;
  // A heap reaches its size sooner or later, by who ran beside whom; what is lost grows with each round.
  for (let round = 0; round < 3 && !sanitized && !slow && grown >= 4 * 1024 * 1024 + n * 64; round++) {
    const from = rss(g);
    console.log(`# ${grown} bytes more, once again`);
    await mixed(n = Math.min(count, 1000));
    grown = rss(g) - from;
  }
  console.log(`# ${count} requests: ${open} descriptors, ${before} bytes, then ${await descriptors()} and ${grown} bytes more`);
  if (!sanitized && !slow) ok(grown < 4 * 1024 * 1024 + n * 64, `${grown} bytes more`);
});

test('the books are right', () => settled(g));

run(async () => {
  const exit = await g.stop();
  await up.stop();
  eq(exit, { code: 0, signal: null }, `the gateway ends cleanly\n${g.log.slice(-6000)}`);
});
