// connections.test.js - connections to upstreams: used again, found dead (R32), closed when idle (R25).
import { eq, ok, run, test } from './tap.js';
import { chat, events, fds, metric, nanos, ownKey, record } from './checks.js';
import { chunk, completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

const usage = { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
// Answers the first request of a connection; while `end` is set, another one ends it instead.
function upstream() {
  const seen = new WeakMap();
  const u = { end: false, held: null, posts: [], sockets: new Set() };
  u.started = startUpstream((one, res) => {
    const s = res.socket, n = (seen.get(s) || 0) + 1;
    seen.set(s, n);
    u.sockets.add(s);
    s.once('close', () => u.sockets.delete(s));
    u.posts.push(one);
    if (u.end && n > 1) return s.resetAndDestroy();
    return u.held ? u.held.push(() => answer(one, res)) : answer(one, res);
  });
  const answer = (one, res) => {
    if (!one.json.stream) return sendJson(res, 200, completion('fine'));
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    return res.end(chunk({ role: 'assistant', content: 'fine' }) + chunk({}, 'stop', usage) + 'data: [DONE]\n\n');
  };
  return u;
}
const a = upstream(), b = upstream();
const [upA, upB] = await Promise.all([a.started, b.started]);
const price = 'price = { input = "1", output = "2" }';
const config = (idle) => `
  workers = 1,
  limits = { upstream_idle = "${idle}" },
  providers = {
    a = { dialect = "openai", base_url = "${upA.url}", api_key = "sk-CANARY-a" },
    b = { dialect = "openai", base_url = "${upB.url}", api_key = "sk-CANARY-b" },
  },
  models = {
    ["acme/one"] = { endpoints = { { provider = "a", model = "m", ${price} } } },
    ["acme/two"] = { endpoints = { { provider = "a", model = "m", ${price} }, { provider = "b", model = "m", ${price} } } },
  },`;
let g = await startGateway(config('5m')), key = await g.newKey();
const text = (r, stream) => (stream ? events(r.text).map((e) => e.choices?.[0]?.delta?.content || '').join('') : JSON.parse(r.text).choices[0].message.content);

for (const stream of [false, true]) {
  const what = stream ? 'streamed' : 'whole';
  test(`${what}: a kept connection ends instead of an answer: once more, as an attempt of its own`, async () => {
    eq((await chat(g, key, { model: 'acme/one', stream })).status, 200);
    a.posts.length = 0;
    a.end = true;
    const spent = nanos((await ownKey(g, key)).usage);
    const r = await chat(g, key, { model: 'acme/one', stream });
    eq([r.status, text(r, stream)], [200, 'fine']);
    eq(a.posts.length, 2, 'no third one by libcurl');
    const rec = await record(g, key, r.headers['x-generation-id']);
    eq(rec.provider_responses.map((p) => p.status).filter((s) => s === 200).length, 1);
    eq(rec.provider_responses.length, 2, JSON.stringify(rec.provider_responses));
    eq(nanos((await ownKey(g, key)).usage) - spent, nanos(rec.usage), 'paid once');
    a.end = false;
  });

  test(`${what}: where another endpoint serves the model, it is asked`, async () => {
    const order = { order: ['a', 'b'] };
    eq((await chat(g, key, { model: 'acme/one', stream })).status, 200);
    a.posts.length = b.posts.length = 0;
    a.end = true;
    const r = await chat(g, key, { model: 'acme/two', stream, provider: order });
    eq([r.status, text(r, stream)], [200, 'fine']);
    eq([a.posts.length, b.posts.length], [1, 1]);
    a.end = false;
  });
}

test('connections that nobody uses are closed, in burst and at rest', async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  g = await startGateway(config('2s'));
  key = await g.newKey();
  eq((await chat(g, key, { model: 'acme/one' })).status, 200);
  await until('the first to be closed', () => a.sockets.size + b.sockets.size === 0);
  const before = await fds(g);
  a.held = [];	// so that they are many at once, however slow this machine is
  const burst = Array.from({ length: 60 }, (_, i) => chat(g, key, { model: 'acme/one', stream: i % 2 === 0 }));
  await until('them to be there', () => a.held.length === 60);
  for (const answer of a.held.splice(0)) answer();
  a.held = null;
  eq((await Promise.all(burst)).filter((r) => r.status !== 200).length, 0);
  ok(a.sockets.size > 10, `${a.sockets.size} kept`);
  await until('all to be closed', () => a.sockets.size === 0);
  await until('the descriptors', async () => await fds(g) <= before + 2);
  eq((await chat(g, key, { model: 'acme/one' })).status, 200);
});

test('an upstream that closes what is idle: nobody notices', async () => {
  for (let i = 0; i < 5; i++) {
    eq((await chat(g, key, { model: 'acme/one' })).status, 200);
    for (const s of a.sockets) s.end();
    await until('the end', () => a.sockets.size === 0);
  }
  eq(await metric(g, 'moongate_upstream_in_flight'), 0);
  ok(!g.log.includes('CANARY'), 'no secret in the log');
});

run(async () => {
  const exit = await g.stop();
  await Promise.all([upA.stop(), upB.stop()]);
  eq(exit, { code: 0, signal: null }, 'the gateway ends cleanly');
});
