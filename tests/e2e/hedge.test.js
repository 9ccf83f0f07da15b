// hedge.test.js - a first output that is late: another endpoint is asked beside the
// first, who speaks first answers, the loser is cancelled at once and its cost is our
// own loss.  How often, how dear, of whom and when not; and what every end of it leaves.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eq, ok, run, test } from './tap.js';
import { audit, call, chat, events, metric, nanos, ownKey, record, settled, terminals } from './checks.js';
import { binary, chunk, loads, managementKey, startGateway, startUpstream, until } from './gateway.js';

const usage = { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000 };
const named = (type, o) => `event: ${type}\ndata: ${JSON.stringify({ type, ...o })}\n\n`;
// Each test says what the upstreams do by their name: a function of the request and the answer.
let does = {};
const held = [];
const hold = (one, res) => { res.on('error', () => {}); held.push({ one, res }); };
const openAnswer = (text) => (one, res) => {
  res.on('error', () => {});
  if (one.json.stream) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.end(chunk({ role: 'assistant', content: text }) + chunk({}, 'stop', { usage }) + 'data: [DONE]\n\n');
  } else {
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }], usage }));
  }
};
const after = (ms, then) => (one, res) => { res.on('error', () => {}); setTimeout(() => { if (!one.closed) then(one, res); }, ms); };
// When something has happened, however long that takes here.
const when = (what, probe, then) => (one, res) => { res.on('error', () => {}); until(what, probe).then(() => { if (!one.closed) then(one, res); }, () => res.destroy()); };
const behind = (name, then) => when(`${name} to be asked`, () => asked(name).length, then);
const counted = (result, n, then) => when(`the ${n}th ${result}`, async () => await hedges(result) >= n, then);
const down = (one, res) => { res.writeHead(500, { 'content-type': 'application/json' }); res.end('{"error":{"message":"down"}}'); };
const up = await startUpstream((one, res) => { one.at = /^\/([\w-]+)/.exec(one.url)[1]; return (does[one.at] || openAnswer(one.at))(one, res); });
const asked = (name) => up.asked.filter((o) => o.at === name);
const release = () => { for (const { one, res } of held.splice(0)) if (!one.closed) openAnswer('late')(one, res); };

const deafTo = [];	// takes connections, and reads nothing
const deaf = createServer({ pauseOnConnect: true }, (s) => { s.on('error', () => {}); deafTo.push(s); });
await new Promise((go) => deaf.listen(0, '127.0.0.1', go));

const dir = mkdtempSync(join(tmpdir(), 'moongate-hedge-'));
loads(dir, 'hedging');
writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "hedging" } } } }\n');
writeFileSync(join(dir, 'hedging.lua'), `return policy { name = "hedging", api = 1, version = "1.0.0",
  plan = function(req, eps)
    if req.model == "acme/three" then return { hedge = { after_ms = 100, max_extra = 99 } } end
    if req.model == "acme/plain" then return nil end
    if req.model == "acme/early" then return { hedge = { after_ms = 60000 } } end
    return { hedge = { after_ms = 100 } }
  end,
  observe = function(req, o) log.info("observed hedged=" .. tostring(o.hedged) .. " " .. req.model .. " by=" .. (o.endpoint and o.endpoint.provider or "nobody")) end,
}\n`);
const price = 'price = { input = 1, output = 1 }', dear = 'price = { input = 10, output = 10 }';
const provider = (name, more = '') => `["${name}"] = { dialect = "openai", base_url = "${up.url}/${name}", api_key = "k-${name}", ${more} },`;
const model = (name, ...list) => `["acme/${name}"] = { max_output = 2000, endpoints = { ${list.map(([p, pr = price, more = '']) => `{ provider = "${p}", ${pr}, ${more} }`).join(', ')} } },`;
const settings = (limits) => `
  workers = 1, policy = { bundle = "${dir}" }, limits = { ${limits} }, fetch = { allow = { "${up.url}" } },
  providers = { ${provider('a')} ${provider('b')} ${provider('c')} ${provider('full', 'max_in_flight = 1')}
    ${provider('limited')} ${provider('passed', 'quirks = { pass_through = true }')}
    ${provider('bytes', 'quirks = { urls = false }')}
    deaf = { dialect = "openai", base_url = "http://127.0.0.1:${deaf.address().port}", api_key = "k" },
    claude = { dialect = "anthropic", base_url = "${up.url}/claude", api_key = "k" },
    sim = { dialect = "sim", base_url = "sim:" } },
  models = { ${model('two', ['a'], ['b'])} ${model('three', ['a'], ['b'], ['c'])} ${model('same', ['a', price, 'region = "eu"'], ['a', price, 'region = "us"'], ['b'])}
    ${model('regions', ['a', price, 'region = "eu"'], ['a', price, 'region = "us"'])} ${model('dear', ['a'], ['b', dear])} ${model('full', ['a'], ['full'])} ${model('limited', ['a'], ['limited'])}
    ${model('passed', ['a'], ['passed'])} ${model('claude', ['claude'], ['b'])} ${model('plain', ['a'], ['b'])} ${model('early', ['a'], ['b'])} ${model('full-alone', ['full'])} ${model('one', ['a'])} ${model('deaf', ['deaf'], ['b'])} ${model('bytes', ['a'], ['bytes'])}
    ["acme/sim"] = { endpoints = { { provider = "sim", model = "echo", ${price}, options = { ttft_ms = 60000 } }, { provider = "b", ${price} } } } },`;
const g = await startGateway(settings('hedge_percent = 100'));
const key = await g.newKey();
const order = (...list) => ({ provider: { order: list } });
const text = (r, stream) => (stream ? events(r.text).map((e) => e.choices?.[0]?.delta?.content || '').join('') : JSON.parse(r.text).choices[0].message.content);
const costOf = (r, stream) => (stream ? events(r.text).find((e) => e.usage) : JSON.parse(r.text)).usage.cost;
const hedges = async (result, gw = g) => {
  const line = (await call(gw, '/metrics')).text.split('\n').find((l) => l.startsWith(`moongate_hedges_total{result="${result}"}`));
  return line ? Number(line.split(' ')[1]) : 0;
};
const command = async (gw, ...words) => JSON.parse((await promisify(execFile)(binary, [...words, '--config', gw.file, '--json'],
  { env: { PATH: process.env.PATH, HOME: gw.home, MOONGATE_MANAGEMENT_KEY: managementKey } })).stdout);
const losses = async (gw = g) => { const { total } = await command(gw, 'usage'); return nanos(total.upstream_cost) - nanos(total.usage); };
const marks = (rec) => rec.provider_responses.map((p) => `${p.endpoint_id.split('@')[1]} ${p.status}${p.hedge ? ' hedge' : ''}${p.lost ? ' lost' : ''}`);
const health = async (m, tag) => JSON.parse((await call(g, `/api/v1/models/acme/${m}/endpoints`)).text).data.endpoints.find((e) => e.tag === tag);
const quiet = async (gw = g) => {
  await until('the end of all', async () => await metric(gw, 'moongate_upstream_in_flight') === 0);
  await settled(gw);
};
const start = (behaviour) => { does = behaviour; up.asked.length = 0; held.length = 0; };
const prompt = { messages: [{ role: 'user', content: 'word '.repeat(40) }] };

for (const stream of [true, false])
  test(`the slow first loses: its connection is closed, the winner alone is charged (${stream ? 'streamed' : 'whole'})`, async () => {
    start({ a: hold });
    const won = await hedges('won'), spent = nanos((await ownKey(g, key)).usage), lost = await losses();
    const r = await chat(g, key, { model: 'acme/two', stream, ...prompt, ...order('a', 'b') }, {});
    eq([r.status, text(r, stream), r.headers['x-moongate-provider'], r.headers['x-moongate-attempts']], [200, 'b', 'b', '2'], r.text);
    if (stream) eq(terminals(events(r.text)), { ends: 1, usages: 1, done: 1 });
    await until('the loser to be closed', () => asked('a')[0].closed, 1000);
    eq([asked('a').length, asked('b').length, costOf(r, stream)], [1, 1, 0.002]);
    eq(nanos((await ownKey(g, key)).usage) - spent, 2000000n, 'the key');
    const id = r.headers['x-generation-id'], rec = await record(g, key, id);
    eq([rec.total_cost, rec.provider_name, marks(rec)], [0.002, 'b', ['a null lost', 'b 200 hedge']]);
    eq(await hedges('won'), won + 1);
    await quiet();
    const cost = await losses() - lost;
    ok(cost > 40000n && cost < 400000n, `the prompt at the loser, estimated: ${cost} nUSD`);
    const told = (await command(g, 'policy', 'explain', id)).data;
    const notes = told.notes.filter((n) => n.hook === 'hedge');
    ok(/^began \d+ ms behind acme\/two@a$/.test(notes[0].text) && notes[0].by === 'acme/two@b', JSON.stringify(notes));
    eq([notes[1].by, notes[1].text], ['acme/two@a', `lost: acme/two@b goes on; it cost ${cost} nUSD, estimated`]);
    ok(told.plan.hedge_after_ms === 100, JSON.stringify(told.plan));
    await until('observe', () => g.log.includes('observed hedged=true acme/two by=b'));
    ok(g.log.includes('"event":"upstream_hedge"'), 'the log');
    eq((await health('two', 'a')).uptime_last_5m, null, 'cancelled is not failed');
  });

test('the metadata that a client asked for names both', async () => {
  start({ a: hold });
  const r = await chat(g, key, { model: 'acme/two', ...order('a', 'b') }, { headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-openrouter-metadata': 'enabled' } });
  const m = JSON.parse(r.text).openrouter_metadata;
  eq([m.attempt, m.attempts.map((t) => `${t.provider} ${t.status}`), m.endpoints.available.filter((e) => e.selected).map((e) => e.provider)], [2, ['a 0', 'b 200'], ['b']]);
});

test('a first that answers before its time is alone', async () => {
  start({});
  const r = await chat(g, key, { model: 'acme/early', stream: true, ...order('a', 'b') });
  eq([text(r, true), r.headers['x-moongate-attempts'], up.asked.length], ['a', '1', 1]);
  await until('observe', () => g.log.includes('observed hedged=false acme/early by=a'));
});

for (const stream of [true, false])
  test(`the first that still answers before its hedge wins (${stream ? 'streamed' : 'whole'})`, async () => {
    start({ a: behind('b', openAnswer('a')), b: hold });
    const lost = await hedges('lost');
    const r = await chat(g, key, { model: 'acme/two', stream, ...order('a', 'b') });
    eq([text(r, stream), asked('b').length, costOf(r, stream)], ['a', 1, 0.002]);
    await until('the hedge to be closed', () => asked('b')[0].closed, 1000);
    eq(await hedges('lost'), lost + 1);
    eq(marks(await record(g, key, r.headers['x-generation-id'])), ['b null hedge lost', 'a 200']);
    await quiet();
  });

test('both answer at once: one answer, one charge', async () => {
  const spent = nanos((await ownKey(g, key)).usage);
  for (let i = 0; i < 20; i++) {
    const both = [];
    const meet = (name) => (one, res) => { res.on('error', () => {}); both.push(() => openAnswer(name)(one, res)); if (both.length === 2) for (const go of i % 2 ? both : both.reverse()) go(); };
    start({ a: meet('a'), b: meet('b') });
    const r = await chat(g, key, { model: 'acme/two', stream: i % 4 < 2, ...order('a', 'b') });
    ok(['a', 'b'].includes(text(r, i % 4 < 2)), r.text);
    eq(costOf(r, i % 4 < 2), 0.002);
  }
  eq(nanos((await ownKey(g, key)).usage) - spent, 40000000n);
  await quiet();
});

test('a hedge that fails: the first goes on', async () => {
  const failed = await hedges('failed');
  start({ a: counted('failed', failed + 1, openAnswer('a')), b: down });
  const r = await chat(g, key, { model: 'acme/two', stream: true, ...order('a', 'b') });
  eq([r.status, text(r, true), await hedges('failed') - failed], [200, 'a', 1]);
  eq(marks(await record(g, key, r.headers['x-generation-id'])), ['b 500 hedge', 'a 200']);
});

test('a first that fails behind its hedge: the hedge goes on, and nobody else is asked', async () => {
  start({ a: behind('b', down), b: when('the end of a', async () => asked('a')[0].closed && await metric(g, 'moongate_upstream_in_flight') === 1, openAnswer('b')) });
  const r = await chat(g, key, { model: 'acme/two', ...order('a', 'b') });
  eq([r.status, text(r, false), up.asked.length], [200, 'b', 2]);
  eq(marks(await record(g, key, r.headers['x-generation-id'])), ['a 500', 'b 200 hedge']);
});

for (const stream of [true, false])
  test(`both fail: on_error decides as ever, the next one answers (${stream ? 'streamed' : 'whole'})`, async () => {
    start({ a: behind('b', down), b: down });
    const r = await chat(g, key, { model: 'acme/three', stream, ...order('a', 'b', 'c') });
    eq([r.status, text(r, stream), up.asked.map((o) => o.at).sort()], [200, 'c', ['a', 'b', 'c']]);
    const gone = await chat(g, key, { model: 'acme/two', stream, ...order('a', 'b') });
    eq([gone.status, gone.headers['x-moongate-attempts']], [502, '2'], gone.text);
    await quiet();
  });

test('max_extra is two at most, whatever the plan says; each comes after_ms behind the one before', async () => {
  start({ a: hold, b: hold, c: after(50, openAnswer('c')) });
  const r = await chat(g, key, { model: 'acme/three', stream: true, ...order('a', 'b', 'c') });
  eq([text(r, true), up.asked.map((o) => o.at)], ['c', ['a', 'b', 'c']]);
  await until('both losers to be closed', () => asked('a')[0].closed && asked('b')[0].closed, 1000);
  eq(marks(await record(g, key, r.headers['x-generation-id'])).at(-1), 'c 200 hedge');
  await quiet();
});

test('another provider comes before another endpoint of the same, which comes before none', async () => {
  start({ a: hold });
  eq(text(await chat(g, key, { model: 'acme/same', ...order('a/eu', 'a/us', 'b') }), false), 'b');
  eq(up.asked.map((o) => o.at), ['a', 'b']);
  start({ a: (one, res) => (asked('a').length === 1 ? hold(one, res) : openAnswer('second')(one, res)) });
  eq(text(await chat(g, key, { model: 'acme/regions', ...order('a/eu', 'a/us') }), false), 'second');
});

test('nobody else, no plan, no order: none begins', async () => {
  const nobody = await hedges('nobody');
  start({ a: counted('nobody', nobody + 1, openAnswer('a')) });
  eq(text(await chat(g, key, { model: 'acme/one' }), false), 'a');
  does.a = after(300, openAnswer('a'));
  eq(await hedges('nobody'), nobody + 1);
  eq(text(await chat(g, key, { model: 'acme/plain', ...order('a', 'b') }), false), 'a');
  eq(text(await chat(g, key, { model: 'acme/two', provider: { only: ['a'] } }), false), 'a');
  eq(up.asked.map((o) => o.at), ['a', 'a', 'a'], 'a provider that the request excludes is never a hedge');
});

test('a hedge that is dearer than it may be does not begin', async () => {
  const n = await hedges('price');
  start({ a: counted('price', n + 1, openAnswer('a')) });
  eq([text(await chat(g, key, { model: 'acme/dear', ...order('a', 'b') }), false), up.asked.length], ['a', 1]);
  eq(await hedges('price'), n + 1);
});

test('an upstream that is full, or says 429, is not asked for more', async () => {
  const n = await hedges('busy');
  start({ a: counted('busy', n + 1, openAnswer('a')), full: hold });
  const first = chat(g, key, { model: 'acme/full-alone' });
  await until('it to be inside', () => held.length === 1);
  eq([text(await chat(g, key, { model: 'acme/full', ...order('a', 'full') }), false), asked('full').length], ['a', 1]);
  eq(await hedges('busy'), n + 1);
  release();
  await first;
  start({ a: counted('busy', n + 2, openAnswer('a')), limited: (one, res) => { res.writeHead(429, { 'content-type': 'application/json' }); res.end('{"error":{"message":"slow down"}}'); } });
  eq((await chat(g, key, { model: 'acme/limited', provider: { only: ['limited'] } })).status, 429);
  await new Promise((go) => setTimeout(go, 600));	// rates are added up twice a second
  start({ ...does });
  eq([text(await chat(g, key, { model: 'acme/limited', ...order('a', 'limited') }), false), asked('limited').length], ['a', 0]);
  eq(await hedges('busy'), n + 2);
});

test('a budget that cannot hold both refuses the hedge, not the request', async () => {
  const n = await hedges('budget');
  start({ a: counted('budget', n + 1, openAnswer('a')) });
  const poor = await g.newKey({ limit: 0.003 });
  const r = await chat(g, poor, { model: 'acme/two', max_tokens: 1900, ...order('a', 'b') });
  eq([r.status, text(r, false), up.asked.length, await hedges('budget')], [200, 'a', 1, n + 1], r.text);
  const rich = await g.newKey({ limit: 0.005 });
  start({ a: hold });
  eq(text(await chat(g, rich, { model: 'acme/two', max_tokens: 1900, ...order('a', 'b') }), false), 'b');
  eq((await ownKey(g, rich)).usage, 0.002);
});

test('an endpoint that no hedge may ask is still the fallback', async () => {
  const n = await hedges('budget'), poor = await g.newKey({ limit: 0.003 });
  start({ a: counted('budget', n + 1, down) });
  const r = await chat(g, poor, { model: 'acme/two', max_tokens: 1900, ...order('a', 'b') });
  eq([r.status, up.asked.map((o) => o.at), await hedges('budget')], [200, ['a', 'b'], n + 1], r.text);
  eq(text(r, false), 'b');
});

for (const stream of [true, false])
  test(`pass-through, and a loser that told its usage (${stream ? 'streamed' : 'whole'})`, async () => {
    start({ a: hold });
    eq(text(await chat(g, key, { model: 'acme/passed', stream, ...order('a', 'passed') }), stream), 'passed');
    start({ passed: hold });
    eq(text(await chat(g, key, { model: 'acme/passed', stream, ...order('passed', 'a') }), stream), 'a');
    await quiet();
    if (!stream) return;
    const before = await losses();
    start({ claude: (one, res) => {
      res.on('error', () => {});
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(named('message_start', { message: { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null, usage: { input_tokens: 123456, output_tokens: 1 } } }));
    } });
    const r = await chat(g, key, { model: 'acme/claude', stream, ...order('claude', 'b') });
    eq([text(r, true), costOf(r, true)], ['b', 0.002], 'what one said of its usage is not the other\'s');
    await until('the loser to be closed', () => asked('claude')[0].closed, 1000);
    await quiet();
    eq(await losses() - before, 123457000n, 'as reported');
  });

test('a loser inside the process', async () => {
  start({});
  const r = await chat(g, key, { model: 'acme/sim', stream: true, ...order('sim', 'b') });
  eq([text(r, true), costOf(r, true)], ['b', 0.002]);
  await quiet();
});

test('a large prompt that is still being sent to the loser', async () => {
  start({});
  const r = await chat(g, key, { model: 'acme/deaf', stream: true, messages: [{ role: 'user', content: 'x'.repeat(8 << 20) }], max_tokens: 10, ...order('deaf', 'b') });
  eq([r.status, text(r, true), deafTo.length], [200, 'b', 1], r.text.slice(0, 300));
  let closed = false;
  deafTo[0].on('close', () => { closed = true; }).resume();
  await until('the loser to be closed', () => closed, 1000);
  ok(deafTo[0].bytesRead < 8 << 20, 'it had not been sent whole');
  await quiet();
});

const png = (one, res) => { res.on('error', () => {}); res.writeHead(200, { 'content-type': 'image/png' }); res.end('\x89PNG\r\n\x1a\n and so on', 'latin1'); };
const picture = () => ({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: `${up.url}/picture/${Math.random()}.png` } }] }] });

test('a hedge whose endpoint takes bytes alone waits for the picture; it is not fetched for who has won', async () => {
  start({ a: hold, picture: after(100, png) });
  const r = await chat(g, key, { model: 'acme/bytes', ...picture(), ...order('a', 'bytes') });
  eq([text(r, false), up.asked.map((o) => o.at)], ['bytes', ['a', 'picture', 'bytes']], r.text);
  ok(asked('bytes')[0].text.includes('data:image/png;base64,iVBORw'), 'the bytes');
  start({ a: behind('picture', openAnswer('a')), picture: hold });
  eq([text(await chat(g, key, { model: 'acme/bytes', ...picture(), ...order('a', 'bytes') }), false), up.asked.map((o) => o.at)], ['a', ['a', 'picture']]);
  await until('the fetch to be closed', () => asked('picture')[0].closed, 1000);
  start({ a: behind('picture', down), picture: after(300, png) });
  eq([text(await chat(g, key, { model: 'acme/bytes', ...picture(), ...order('a', 'bytes') }), false), up.asked.map((o) => o.at)], ['bytes', ['a', 'picture', 'bytes']]);
  await quiet();
});

test('early comments and the echo of what was sent go on beside a race', async () => {
  const early = await startGateway(settings('hedge_percent = 100, early_comments = "20ms"')), k = await early.newKey();
  start({ a: hold, b: after(100, openAnswer('b')) });
  for (const echo of [false, true]) {
    const r = await chat(early, k, { model: 'acme/two', stream: true, debug: { echo_upstream_body: echo }, ...order('a', 'b'), messages: [{ role: 'user', content: 'x'.repeat(echo ? 300000 : 1) }] });
    const list = events(r.text);
    eq([r.status, text(r, true), terminals(list), list.filter((e) => e.debug).length], [200, 'b', { ends: 1, usages: 1, done: 1 }, echo ? 2 : 0], r.text.slice(0, 2000));
    ok(echo || r.text.includes(': OPENROUTER PROCESSING'), 'comments');
  }
  await quiet(early);
  await early.stop();
});

test('a client that leaves: both are closed, nothing is charged', async () => {
  start({ a: hold, b: hold });
  const n = await hedges('cancelled'), spent = nanos((await ownKey(g, key)).usage);
  let req;
  const gone = chat(g, key, { model: 'acme/two', stream: true, ...order('a', 'b') }, { onStart: (q) => { req = q; } });
  await until('both', () => held.length === 2);
  req.destroy();
  await gone;
  await until('both to be closed', () => up.asked.every((o) => o.closed), 1000);
  await quiet();
  eq([await hedges('cancelled') - n, nanos((await ownKey(g, key)).usage) - spent], [1, 0n]);
});

test('an unstreamed client that leaves: one runs to its end, the other is closed', async () => {
  start({ a: hold, b: hold });
  const spent = nanos((await ownKey(g, key)).usage);
  let req;
  const gone = chat(g, key, { model: 'acme/two', ...order('a', 'b') }, { onStart: (q) => { req = q; } });
  await until('both', () => held.length === 2);
  req.destroy();
  await gone;
  await until('the hedge to be closed', () => asked('b')[0].closed, 1000);
  ok(!asked('a')[0].closed, 'the first runs on');
  release();
  await quiet();
  eq(nanos((await ownKey(g, key)).usage) - spent, 2000000n);
});

test('a hundred at once, of either kind, with clients that leave: the ledger is whole', async () => {
  start({ a: (one, res) => after(Math.random() * 300, Math.random() < 0.2 ? down : openAnswer('a'))(one, res), b: (one, res) => after(Math.random() * 200, Math.random() < 0.2 ? down : openAnswer('b'))(one, res) });
  const spent = nanos((await ownKey(g, key)).usage);
  const all = await Promise.all(Array.from({ length: 100 }, (_, i) => chat(g, key, { model: 'acme/two', stream: i % 2 === 0, ...order('a', 'b') },
    i % 10 === 0 ? { onStart: (req) => setTimeout(() => req.destroy(), Math.random() * 300) } : {})));
  await quiet();
  const good = all.filter((r, i) => r.status === 200 && i % 10);
  ok(good.length > 50, `${good.length} answers`);
  for (const r of good) eq(terminals(r.text.startsWith('data:') ? events(r.text) : [{ choices: [{ finish_reason: 'x' }] }, { usage: 1 }, '[DONE]']), { ends: 1, usages: 1, done: 1 });
  ok(nanos((await ownKey(g, key)).usage) - spent >= BigInt(good.length) * 2000000n, 'each was charged');
});

test('the share: of a hundred late requests five are hedged, exactly', async () => {
  const few = await startGateway(settings('')), k = await few.newKey();
  const others = until('all to be late', async () => await hedges('share', few) + asked('b').length === 100);
  start({ a: (one, res) => { res.on('error', () => {}); others.then(() => { if (!one.closed) openAnswer('a')(one, res); }, () => res.destroy()); }, b: openAnswer('b') });
  const all = await Promise.all(Array.from({ length: 100 }, () => chat(few, k, { model: 'acme/two', ...order('a', 'b') })));
  eq([all.filter((r) => r.status === 200).length, asked('b').length], [100, 5]);
  await quiet(few);
  await few.stop();
  const none = await startGateway(settings('hedge_percent = 0'));
  start({ a: after(200, openAnswer('a')) });
  eq([text(await chat(none, await none.newKey(), { model: 'acme/two', ...order('a', 'b') }), false), up.asked.length], ['a', 1]);
  await none.stop();
});

test('a drain during a race: it is ended, both are closed, exit 0', async () => {
  const home = mkdtempSync(join(tmpdir(), 'moongate-hedge-')), two = await startGateway(settings('hedge_percent = 100'), { dir: home, args: ['--drain', '1s'] }), k = await two.newKey();
  start({ a: hold, b: hold });
  const all = [true, false].map((stream) => chat(two, k, { model: 'acme/two', stream, ...order('a', 'b') }));
  await until('all', () => held.length === 4);
  two.child.kill('SIGTERM');
  for (const r of await Promise.all(all)) eq(r.status, 502, r.text);
  eq(await two.exited, { code: 0, signal: null }, two.log);
  await until('all to be closed', () => up.asked.every((o) => o.closed));
  const again = await startGateway(settings(''), { dir: home });
  const a = await audit(again);
  eq([a.code, a.open, (await ownKey(again, k)).usage], [0, 0, 0], a.text);
  await again.stop();
  rmSync(home, { recursive: true, force: true });
});

test('kill -9 during a race: one record, no charge, the hold of both is our loss', async () => {
  const home = mkdtempSync(join(tmpdir(), 'moongate-hedge-'));
  let two = await startGateway(settings('hedge_percent = 100'), { dir: home });
  const k = await two.newKey();
  start({ a: hold, b: hold });
  const gone = chat(two, k, { model: 'acme/two', stream: true, max_tokens: 1000, ...order('a', 'b') });
  await until('both', () => held.length === 2);
  await two.kill();
  await gone;
  two = await startGateway(settings(''), { dir: home });
  const a = await audit(two);
  eq([a.code, a.open, (await ownKey(two, k)).usage], [0, 0, 0], a.text);
  const { total } = await command(two, 'usage'), loss = nanos(total.upstream_cost);
  eq(total.requests, 1);
  ok(loss >= 2000000n && loss < 2200000n, `1000 tokens of output and the prompt, at both: ${loss}`);
  eq(await two.stop(), { code: 0, signal: null });
  rmSync(home, { recursive: true, force: true });
});

test('the ledger is whole, no hold is left', async () => {
  await quiet();
  ok(!/k-[ab]\b/.test(g.log), 'no credential in the log');
});

run(async () => {
  eq(await g.stop(), { code: 0, signal: null });
  await up.stop();
  deaf.close();
  rmSync(dir, { recursive: true, force: true });
});
