// comments.test.js - SSE comments (R18, R24, A5): a stream that is silent shows that it
// lives; before the first output only where `limits.early_comments` asks for it.
import { eq, ok, run, test } from './tap.js';
import { chat, events, record, settled, terminals } from './checks.js';
import { chunk, sendJson, startGateway, startUpstream, until } from './gateway.js';

const COMMENT = ': OPENROUTER PROCESSING\n\n';
let behave;
const up = await startUpstream((req, res) => behave(req, res));
const config = (limits) => `
  limits = { ${limits} },
  providers = { up = { dialect = "openai", base_url = "${up.url}", api_key = "k", timeouts = { first_output = "100s", idle = "100s" } } },
  models = { ["acme/up"] = { endpoints = { { provider = "up", model = "m", price = { input = "1", output = "2" } } } } },`;
const early = await startGateway(config('early_comments = "50ms", keep_alive = "100ms"'));
const late = await startGateway(config('keep_alive = "100ms"'));
const keys = new Map([[early, await early.newKey()], [late, await late.newKey()]]);
const usage = { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const sse = (res) => { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.on('error', () => {}); };
const rest = chunk({ content: 'lo' }) + chunk({}, 'stop', usage) + 'data: [DONE]\n\n';
const stream = (g, more) => chat(g, keys.get(g), { model: 'acme/up', stream: true }, more);
const comments = (text) => text.split(COMMENT).length - 1;
const content = (list) => list.map((e) => e.choices?.[0]?.delta?.content || '').join('');

// Lets the upstream go on once the client has seen n comments.
function whenSeen(n, go) {
  let text = '', went = false;
  return { onData: (d) => { text += d; if (!went && comments(text) >= n) { went = true; go(); } } };
}

test('before the first output: comments, then the answer as ever', async () => {
  let held;
  behave = (req, res) => { held = res; };
  const r = await stream(early, whenSeen(3, () => { sse(held); held.end(chunk({ role: 'assistant', content: 'hel' }) + rest); }));
  const list = events(r.text);
  eq([r.status, r.headers['content-type'], content(list), r.text.startsWith(COMMENT)], [200, 'text/event-stream', 'hello', true]);
  eq(r.headers['x-generation-id'], list[0].id);
  eq(terminals(list), { ends: 1, usages: 1, done: 1 });
  ok(r.text.indexOf('data: ') > r.text.lastIndexOf(COMMENT), 'none stands between quick chunks');
});

test('a failure behind an early comment goes in band, and is the record', async () => {
  let held;
  behave = (req, res) => { held = res; };
  const r = await stream(early, whenSeen(1, () => sendJson(held, 500, { error: { message: 'it broke', type: 'server_error' } })));
  const list = events(r.text);
  eq([r.status, list.at(-1), list.filter((e) => e.error).length, r.cut], [200, '[DONE]', 1, false], r.text);
  eq(list[0].error.code, 502, r.text);
  eq(terminals(list), { ends: 1, usages: 1, done: 1 });
  eq((await record(early, keys.get(early), r.headers['x-generation-id'])).usage, 0);
});

test('one that leaves behind an early comment: the upstream is closed within a second', async () => {
  let asked;
  behave = (req) => { asked = req; };
  await stream(early, { onData: (d, req) => req.destroy() });
  await until('the upstream to be closed', () => asked.closed, 1000);
});

test('without early comments a slow refusal keeps its status', async () => {
  behave = (req, res) => setTimeout(() => sendJson(res, 500, { error: { message: 'it broke' } }), 300);
  const r = await stream(late);
  eq([r.status, comments(r.text)], [502, 0], r.text);
});

test('a stream that falls silent in the middle: comments until it goes on', async () => {
  let held;
  behave = (req, res) => { held = res; sse(res); res.write(chunk({ role: 'assistant', content: 'hel' })); };
  const r = await stream(late, whenSeen(2, () => held.end(rest)));
  const list = events(r.text);
  eq([content(list), terminals(list)], ['hello', { ends: 1, usages: 1, done: 1 }]);
  ok(r.text.indexOf(COMMENT) > r.text.indexOf('hel'), 'behind the first chunk');
});

test('an answer in one piece has none', async () => {
  behave = (req, res) => setTimeout(() => sendJson(res, 200, { id: 'x', object: 'chat.completion', created: 1, model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: 'whole' }, finish_reason: 'stop' }], ...usage }), 300);
  const r = await chat(early, keys.get(early), { model: 'acme/up' });
  eq([r.status, JSON.parse(r.text).choices[0].message.content], [200, 'whole']);
});

test('the books are right', () => settled(early));

run(async () => {
  const exits = [await early.stop(), await late.stop()];
  await up.stop();
  eq(exits, Array(2).fill({ code: 0, signal: null }), 'the gateways end cleanly');
});
