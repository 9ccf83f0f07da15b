// large.test.js - 20 MB in a request: every byte of it arrives, in each dialect that sends
// it in pieces, and once more at the endpoint that is asked when the first one fails.
import { createHash } from 'node:crypto';
import { eq, ok, run, test } from './tap.js';
import { chat, events } from './checks.js';
import { completion, sendJson, startGateway, startUpstream } from './gateway.js';

const sha = (text) => createHash('sha256').update(text).digest('hex');
// No two blocks alike, so that a piece at another place, twice or not at all is seen.
function filler(length, seed) {
  const parts = [];
  let left = length;
  for (let i = 0; left > 0; i++, left -= 64) parts.push(sha(`${seed}${i}`).slice(0, Math.min(left, 64)));
  return parts.join('');
}
const words = filler(12e6, 'words'), escaped = filler(2e6, 'lines').replace(/0a/g, '\n"'), picture = filler(5999936, 'picture'), small = filler(70000, 'small');
const messages = [
  { role: 'developer', content: small },
  { role: 'user', content: words },
  { role: 'assistant', content: escaped },
  { role: 'user', content: [{ type: 'text', text: small }, { type: 'image_url', image_url: { url: `data:image/png;base64,${picture}` } }, { type: 'text', text: 'what is it?' }] },
];
const answers = {
  openai: completion('a picture'),
  anthropic: { id: 'm', type: 'message', role: 'assistant', model: 'up', content: [{ type: 'text', text: 'a picture' }], stop_reason: 'end_turn', usage: { input_tokens: 10, output_tokens: 5 } },
  gemini: { candidates: [{ content: { role: 'model', parts: [{ text: 'a picture' }] }, finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 5 } },
  responses: { id: 'r', object: 'response', status: 'completed', model: 'up', usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
    output: [{ type: 'message', id: 'i', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'a picture', annotations: [] }] }] },
};
const up = await startUpstream((req, res) => {
  const [, dialect, way] = /^\/(\w+)\/(\w+)/.exec(req.url);
  if (way === 'fails') return sendJson(res, 503, { error: { message: 'busy', type: 'server_error' } });
  if (req.json.stream) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    return res.end('data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
  }
  return sendJson(res, 200, answers[dialect]);
});
const names = Object.keys(answers);
const row = (d, way) => `["${d}-${way}"] = { dialect = "${d}", base_url = "${up.url}/${d}/${way}", api_key = "k" },`;
const g = await startGateway(`providers = {\n${names.flatMap((d) => [row(d, 'fails'), row(d, 'well')]).join('\n')}\n}, models = {\n${names.map((d) =>
  `["large/${d}"] = { endpoints = { { provider = "${d}-fails", model = "up", price = { input = 1, output = 2 } }, { provider = "${d}-well", model = "up", price = { input = 1, output = 2 } } } },`).join('\n')}\n},`);
const key = await g.newKey();

// Every string in a JSON value, in order.
function* strings(v) {
  if (typeof v === 'string') yield v;
  else if (v && typeof v === 'object') for (const one of Object.values(v)) yield* strings(one);
}
const bare = (s) => s.replace(/^data:image\/png;base64,/, '');
const large = (v) => [...strings(v)].map(bare).filter((s) => s.length >= 65536).map((s) => `${s.length} ${sha(s)}`).sort();

for (const dialect of names) {
  test(`${dialect}: 20 MB arrive as they were sent, at the first endpoint and at the second`, async () => {
    up.asked.length = 0;
    const r = await chat(g, key, { model: `large/${dialect}`, messages, max_tokens: 10, provider: { order: [`${dialect}-fails`, `${dialect}-well`] } });
    eq(r.status, 200, 'status');
    eq(JSON.parse(r.text).choices[0].message.content, 'a picture', 'the answer');
    eq(up.asked.map((a) => a.url.split('/')[2]), ['fails', 'well'], 'who was asked');
    for (const a of up.asked) {
      eq(a.headers['content-length'], String(Buffer.byteLength(a.text)), 'the length');
      eq(large(a.json), large(messages), 'the large texts');
    }
    eq(sha(up.asked[0].text), sha(up.asked[1].text), 'both requests');
  });
}

test('the echo of a body in pieces is the whole body', async () => {
  up.asked.length = 0;
  const r = await chat(g, key, { model: 'large/openai', stream: true, debug: { echo_upstream_body: true }, messages: [{ role: 'developer', content: 'x' }, { role: 'user', content: small }],
    provider: { only: ['openai-well'] } });
  const echoed = events(r.text).find((e) => e.debug)?.debug.echo_upstream_body;
  ok(echoed, 'an echo');
  eq(sha(JSON.stringify(echoed)), sha(JSON.stringify(up.asked[0].json)), 'the echo');
});

await run(async () => { await g.stop(); await up.stop(); });
