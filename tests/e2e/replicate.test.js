// replicate.test.js - predictions: waited for, asked for again, streamed from another host.
import { eq, ok, run, test } from './tap.js';
import { retried, sendJson, startGateway, startUpstream } from './gateway.js';
import { ask } from './talk.js';

let polls = 0, slow = 0, stream = null;
const output = ['Hel', 'lo, ', 'é', '.'];
const prediction = (status, more = {}) => ({ id: 'p1', model: 'meta/llama-3', status, input: {}, error: null, logs: '', urls: { get: `${up.url}/v1/predictions/p1`, cancel: `${up.url}/v1/predictions/p1/cancel`, ...stream ? { stream } : {} }, ...more });
const done = (more = {}) => prediction('succeeded', { output, metrics: { predict_time: 0.7, input_token_count: 6, output_token_count: 4 }, ...more });
const up = await startUpstream((req, res) => {
  if (req.headers.authorization !== 'Bearer CANARY-key') return sendJson(res, 401, { title: 'Unauthenticated', detail: 'no', status: 401 });
  if (req.json?.input.prompt === 'fail') return sendJson(res, 201, prediction('failed', { error: 'CUDA out of memory', output: null }));
  if (req.method === 'POST') { polls = 0; return sendJson(res, 201, slow || stream ? prediction('starting', { output: null }) : done()); }
  polls++;
  return sendJson(res, 200, polls >= slow ? done() : prediction('processing', { output: output.slice(0, polls) }));
});
const events = await startUpstream((req, res) => {
  if (req.headers.authorization !== 'Bearer CANARY-key') return sendJson(res, 401, {});
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  const text = ': hi\n\n' + output.map((t, i) => `event: output\nid: ${i}\ndata: ${t}\n\n`).join('') + 'event: done\ndata: {}\n\n';
  const bytes = Buffer.from(text);
  for (let i = 0; i < bytes.length; i += 5) res.write(bytes.subarray(i, i + 5));
  res.end();
});
const g = await startGateway(`
  providers = { replicate = { base_url = "${up.url}/v1", api_key = "CANARY-key", quirks = { hosts = { "127.0.0.1:${events.port}" } } },
    hurried = { dialect = "replicate", base_url = "${up.url}/v1", api_key = "CANARY-key", timeouts = { total = "1800ms" } } },
  models = {
    ["acme/hurried"] = { max_output = 100, endpoints = { { provider = "hurried", model = "meta/llama-3", price = { input = 1, output = 1 } } } },
    ["meta/llama-3"] = { max_output = 100, endpoints = { { provider = "replicate", model = "meta/llama-3", price = { input = 1, output = 1 } } } },
  },`);
const key = await g.newKey();
const say = (content, more = {}) => ask(g, key, { model: 'meta/llama-3', messages: [{ role: 'user', content }], max_tokens: 9, ...more });
const fresh = (n, address = null) => { up.asked.length = events.asked.length = 0; slow = n; stream = address; };
const seen = (a) => [a.status, a.message?.content, a.finish, a.usage?.prompt_tokens, a.usage?.completion_tokens];
const whole = [200, 'Hello, é.', 'stop', 6, 4];

test('a prediction that is done at once', async () => {
  fresh(0);
  eq(seen(await say('Hi')), whole);
  const [one] = up.asked;
  eq([up.asked.length, one.url, one.json, one.headers.prefer], [1, '/v1/models/meta/llama-3/predictions', { input: { prompt: 'Hi', max_tokens: 9 } }, 'wait=60']);
});
for (const streamed of [false, true]) {
  test(`asked for again until it is done, ${streamed ? 'streamed' : 'whole'}`, async () => {
    fresh(3);
    eq(seen(await say('Hi', { stream: streamed })), whole);
    eq(up.asked.map((r) => `${r.method} ${r.url}`), ['POST /v1/models/meta/llama-3/predictions', ...[1, 2, 3].map(() => 'GET /v1/predictions/p1')]);
  });
}
test('the pause before it is asked again is not longer than the request may take', () => retried(async () => {
  fresh(1000);
  const began = Date.now(), a = await say('Hi', { model: 'acme/hurried' }), took = Date.now() - began;
  eq([a.status, took > 1700 && took < 3400], [504, true], `${took} ms`);	/* asked after 250, 500, 1000 and 2000 ms */
}));
test('a stream from a host that the row names, counted behind it', async () => {
  fresh(0, `${events.url}/v1/files/x`);
  eq(seen(await say('Hi', { stream: true })), whole);
  eq([events.asked.length, events.asked[0].url, up.asked.map((r) => r.method)], [1, '/v1/files/x', ['POST', 'GET']]);
});
test('a host that it does not name gets nothing, and no key', async () => {
  const other = await startUpstream((req, res) => sendJson(res, 200, {}));
  fresh(1, `${other.url}/v1/files/x`);
  eq(seen(await say('Hi', { stream: true })), whole);
  await other.stop();
  eq([other.asked.length, events.asked.length], [0, 0]);
});
test('a prediction that fails', async () => {
  fresh(0);
  const a = await say('fail');
  ok(a.status >= 500 && JSON.stringify(a.error).includes('CUDA out of memory'), JSON.stringify(a));
});
await run(async () => { await g.stop(); await up.stop(); await events.stop(); });
