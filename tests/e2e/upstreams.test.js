// upstreams.test.js - how upstreams are treated: no more inside than they bear
// (R36), few retries (R33), no herd where one is ill (R34).
import { existsSync } from 'node:fs';
import { eq, ok, run, test } from './tap.js';
import { call, chat, events, metric, settled } from './checks.js';
import { chunk, completion, retried, sendJson, startGateway, startUpstream, until } from './gateway.js';

// What it does is the test's; how many are inside at once it sees itself.
const upstream = async () => {
  const u = { inside: 0, most: 0, behave: null };
  Object.assign(u, await startUpstream(async (req, res) => {
    u.most = Math.max(u.most, ++u.inside);
    let out = false;
    const leave = () => { if (!out) { out = true; u.inside--; } };
    res.on('close', leave);
    await u.behave(req, res);
  }));
  u.clear = async () => {
    await until('nobody to be inside', () => u.inside === 0);
    u.asked.length = u.most = 0;
  };
  return u;
};
const [a, b] = [await upstream(), await upstream()];
const held = [];
const hold = (req, res) => { held.push(() => sendJson(res, 200, completion('held'))); };
const answer = (req, res) => sendJson(res, 200, completion('fine'));
const release = () => { while (held.length) held.shift()(); };
const price = 'price = { input = 1, output = 1 }';
const tries = [1, 2, 3];	// of what is a matter of time; each with a provider of its own
const provider = (u, more = '') => `{ dialect = "openai", base_url = "${u.url}/v1", api_key = "secret-of-upstream", ${more} }`;
const g = await startGateway(`
  workers = 2,
  providers = {
    two = ${provider(a, 'max_in_flight = 2')}, one = ${provider(a, 'max_in_flight = 1')},
    brief = ${provider(a, 'max_in_flight = 1, timeouts = { first_output = "200ms" }')},
    ill = ${provider(a)}, ${tries.map((n) => `sick${n} = ${provider(a)},`).join(' ')} late = ${provider(a, 'timeouts = { slow = "20ms" }')}, well = ${provider(b)},
  },
  models = {
    ["acme/two"] = { endpoints = { { provider = "two", ${price} } } },
    ["acme/one"] = { endpoints = { { provider = "one", ${price} } } },
    ["acme/brief"] = { endpoints = { { provider = "brief", ${price} } } },
    ["acme/either"] = { endpoints = { { provider = "one", ${price} }, { provider = "well", ${price} } } },
    ["acme/ill"] = { endpoints = { { provider = "ill", ${price} }, { provider = "ill", region = "eu", ${price} }, { provider = "ill", region = "us", ${price} } } },
    ${tries.map((n) => `["acme/sick${n}"] = { endpoints = { { provider = "sick${n}", ${price} }, { provider = "well", ${price} } } },`).join('\n    ')}
    ["acme/late"] = { endpoints = { { provider = "late", ${price} }, { provider = "well", ${price} } } },
  },`);
const key = await g.newKey();
const many = (n, body, more) => Array.from({ length: n }, () => chat(g, key, body, more));
const error = (r) => JSON.parse(r.text).error;
const inFlight = (name) => metricOf('moongate_upstream_in_flight', `provider="${name}"`);
async function metricOf(name, labels) {
  const line = (await call(g, '/metrics')).text.split('\n').find((l) => l.startsWith(name + '{') && l.includes(labels));
  return line ? Number(line.slice(line.lastIndexOf(' ') + 1)) : null;
}
const health = async (model, tag) => JSON.parse((await call(g, `/api/v1/models/${model}/endpoints`)).text).data.endpoints.find((e) => e.tag === tag);

test('max_in_flight: no more at once, the others wait their turn and are answered', async () => {
  a.behave = hold;
  const all = many(8, { model: 'acme/two' });
  await until('two of them', () => a.inside === 2);
  eq(await inFlight('two'), 2);
  eq(await metricOf('moongate_upstream_limit', 'provider="two"'), 2);
  for (let i = 0; i < 8; i++) {
    await until('the next', () => held.length);
    held.shift()();
  }
  eq((await Promise.all(all)).map((r) => r.status), Array(8).fill(200));
  eq(a.most, 2);
  eq(await inFlight('two'), 0);
});

test('an upstream that is full is passed over while another has a place', async () => {
  await a.clear();
  a.behave = hold;
  b.behave = answer;
  const first = chat(g, key, { model: 'acme/one' });
  await until('it to be inside', () => held.length === 1);
  for (let i = 0; i < 4; i++)
    eq(JSON.parse((await chat(g, key, { model: 'acme/either', provider: { order: ['one', 'well'] } })).text).provider, 'well');
  release();
  eq((await first).status, 200);
  a.behave = answer;
  eq(JSON.parse((await chat(g, key, { model: 'acme/either', provider: { order: ['one', 'well'] } })).text).provider, 'one');
});

test('the line is bounded: who finds it full is told to come again, the others are served', async () => {
  await a.clear();
  a.behave = hold;
  const all = many(25, { model: 'acme/one' });
  const refused = [], served = [];
  for (const one of all) one.then((r) => (r.status === 429 ? refused : served).push(r));
  await until('those it has no place for', () => refused.length === 8);
  eq(error(refused[0]).availability.code, 'capacity_exhausted');
  eq(error(refused[0]).metadata.error_type, 'rate_limit_exceeded');
  eq(refused[0].headers['retry-after'], '1');
  eq(a.asked.length, 1);
  a.behave = answer;
  release();
  await Promise.all(all);
  eq([served.length, served.filter((r) => r.status === 200).length, a.most], [17, 17, 1]);
});

for (const stream of [true, false])
  test(`a client that leaves the line, ${stream ? 'streamed' : 'unstreamed'}: nothing is sent for it, nothing is charged`, async () => {
    await a.clear();
    a.behave = hold;
    const first = chat(g, key, { model: 'acme/one' });
    await until('it to be inside', () => held.length === 1);
    let leaving;
    const gone = chat(g, key, { model: 'acme/one', stream }, { onStart: (req) => { leaving = req; } });
    await until('it to be in line', async () => (await metricOf('moongate_upstream_waiting', 'provider="one"')) === 1);
    leaving.destroy();
    await gone;
    await until('it to be out of the line', async () => (await metricOf('moongate_upstream_waiting', 'provider="one"')) === 0);
    release();
    eq((await first).status, 200);
    a.behave = answer;
    eq((await chat(g, key, { model: 'acme/one' })).status, 200);
    eq([a.asked.length, a.most], [2, 1]);
    await settled(g);
  });

test('who waits too long is told so; the upstream was not asked, its health is as before', async () => {
  await a.clear();
  // A stream that has begun keeps the one place; what the others wait for is first output.
  a.behave = (req, res) => { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.write(chunk({ content: 'x' })); held.push(() => res.end(chunk({}, 'stop') + 'data: [DONE]\n\n')); };
  let begun = false;
  const first = chat(g, key, { model: 'acme/brief', stream: true }, { onData: () => { begun = true; } });
  await until('it to begin', () => begun);
  const late = await Promise.all(many(12, { model: 'acme/brief' }));
  ok(late.every((r) => r.status === 429), `statuses ${late.map((r) => r.status)}`);
  eq(a.asked.length, 1);
  release();
  eq((await first).status, 200);
  const e = await health('acme/brief', 'brief');
  eq([e.status, e.uptime_last_5m, e.uptime_last_1d], [0, 100, 100]);
});

test('an upstream that is down is not hammered: retries are a tenth; once it is well, all succeed', async () => {
  await a.clear();
  a.behave = (req, res) => sendJson(res, 503, { error: { message: 'down' } });
  const down = [];
  for (let i = 0; i < 10; i++) down.push(...await Promise.all(many(20, { model: 'acme/ill' })));
  eq(down.filter((r) => r.status !== 503).length, 0, 'answers that are not 503');
  ok(a.asked.length >= 200 && a.asked.length <= 240, `${a.asked.length} tries of 200 requests`);
  a.behave = answer;
  const up = [];
  for (let i = 0; i < 5; i++) up.push(...await Promise.all(many(20, { model: 'acme/ill' })));
  eq(up.filter((r) => r.status === 200).length, 100);
});

test('a breaker opens; half open it lets one of many through, and that one closes it', () => retried(async (n) => {	// it is open for five seconds
  const sick = `sick${n}`, order = { model: `acme/${sick}`, provider: { order: [sick, 'well'] } };
  await Promise.all([a.clear(), b.clear()]);
  a.behave = (req, res) => sendJson(res, 500, { error: { message: 'down' } });
  b.behave = answer;
  eq((await Promise.all(many(10, order))).map((r) => r.status), Array(10).fill(200));
  eq((await health(order.model, sick)).status, -2);
  eq(await metricOf('moongate_circuit_state', `provider="${sick}",model="${order.model}"`), 2);
  await a.clear();
  eq((await Promise.all(many(10, order))).filter((r) => r.status === 200).length, 10);
  eq(a.asked.length, 0, 'tries while it is open');
  await until('its cool-down', async () => (await health(order.model, sick)).status === -1);
  eq(await metricOf('moongate_circuit_state', `provider="${sick}",model="${order.model}"`), 1);
  a.behave = hold;
  await b.clear();
  const herd = many(10, order);
  await until('the probe', () => held.length);
  await until('the others', () => b.asked.length === 9 && b.inside === 0);
  eq([a.asked.length, held.length], [1, 1], 'probes');
  a.behave = answer;
  release();
  eq((await Promise.all(herd)).filter((r) => r.status === 200).length, 10);
  eq((await health(order.model, sick)).status, 0);
}, tries.length));

test('answers that begin late open it, too', async () => {
  const order = { model: 'acme/late', stream: true, provider: { order: ['late', 'well'] } };
  const say = (res) => { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.end(chunk({ content: 'x' }) + chunk({}, 'stop') + 'data: [DONE]\n\n'); };
  a.behave = (req, res) => setTimeout(say, 40, res);
  b.behave = (req, res) => say(res);
  const by = async () => events((await chat(g, key, order)).text)[0].provider;
  const open = async () => (await health('acme/late', 'late')).status === -2;
  let late = 0;		// five of them; more where the count is halved meanwhile, as it is every 10 s
  for (let i = 0; i < 15 && !await open(); i++) late += await by() === 'late';
  ok(late >= 5 && late <= 9, `${late} late answers`);
  ok(await open());
  eq(await by(), 'well');
});

test('ready means that the first key is there', async () => {
  const first = await startGateway(`providers = { sim = { dialect = "sim", base_url = "sim:" } },
    models = { ["acme/echo"] = { endpoints = { { provider = "sim", model = "echo", ${price} } } } },`, { args: ['--first-key'] });
  ok(existsSync(`${first.home}/state/data/first.key`), 'the file');
  await first.stop();
});

test('the ledger is whole, nothing is in flight', async () => {
  eq(await metric(g, 'moongate_upstream_in_flight'), 0);
  await settled(g);
});

await run(async () => { await g.stop(); await a.stop(); await b.stop(); });
