// responses.test.js - the Responses API behind the chat surface: OpenAI's own, and Azure's.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { eq, ok, run, skip, test } from './tap.js';
import { completion, sendJson, startGateway, startUpstream } from './gateway.js';
import { ask, talk, thoughts, tools } from './talk.js';

// What the model says: thoughts and calls take turns.
const thought = (id, text, secret) => ({ type: 'reasoning', id, summary: text ? [{ type: 'summary_text', text }] : [], encrypted_content: secret });
const call = (n, name) => ({ type: 'function_call', id: `fc_${n}`, call_id: `call_${n}`, name, arguments: `{"city":"Paris","n":1.${n}0}`, status: 'completed' });
const message = (text, annotations = []) => ({ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations }] });
const cited = { type: 'url_citation', url: 'https://x.example/', title: 't', start_index: 0, end_index: 3 };
const output = (n) => n === 1 ? [thought('rs_1', 'Two calls, é.', 'ENC1'), call(1, 'weather'), thought('rs_2', '', 'ENC2'), call(2, 'people')] : [message('All fine.', [cited])];
const usage = { input_tokens: 120, input_tokens_details: { cached_tokens: 100 }, output_tokens: 30, output_tokens_details: { reasoning_tokens: 10 }, total_tokens: 150 };
const whole = (n) => ({ id: 'resp_1', object: 'response', model: 'm-up', status: 'completed', error: null, incomplete_details: null, output: output(n), usage });

function events(n) {
  let sequence_number = 0;
  const ev = (type, data) => `event: response.${type}\ndata: ${JSON.stringify({ type: `response.${type}`, sequence_number: sequence_number++, ...data })}\n\n`;
  const grows = (item, output_index) => {
    const half = (s, type) => [s.slice(0, 4), s.slice(4)].map((delta) => ev(type, { output_index, item_id: item.id, summary_index: 0, content_index: 0, delta }));
    if (item.type === 'message') return [...half(item.content[0].text, 'output_text.delta'), ...item.content[0].annotations.map((annotation) => ev('output_text.annotation.added', { output_index, annotation }))];
    if (item.type === 'function_call') return half(item.arguments, 'function_call_arguments.delta');
    return item.summary.flatMap((s) => half(s.text, 'reasoning_summary_text.delta'));
  };
  const empty = (i) => i.type === 'message' ? { ...i, content: [] } : i.type === 'function_call' ? { ...i, arguments: '' } : { ...i, summary: [], encrypted_content: null };
  return [ev('created', { response: { ...whole(n), status: 'in_progress', output: [] } }), ...output(n).flatMap((item, output_index) =>
    [ev('output_item.added', { output_index, item: empty(item) }), ...grows(item, output_index), ev('output_item.done', { output_index, item })]), ev('completed', { response: whole(n) })];
}

let serve;
function usual(req, res) {
  const n = req.json.input.some((i) => i.type === 'function_call_output') ? 2 : 1;
  if (!req.json.stream) return sendJson(res, 200, whole(n));
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.end(events(n).join(''));
}
const up = await startUpstream((req, res) => req.url.includes('/chat/completions') ? sendJson(res, 200, completion('hi')) :
  req.url.includes('/oauth2/') ? sendJson(res, 200, { access_token: 'tok-1', expires_in: 3599, token_type: 'Bearer' }) : serve(req, res));
const price = 'price = { input = 1, output = 1, cache_read = 1 }';
const g = await startGateway(`
  providers = {
    openai = { dialect = "responses", base_url = "${up.url}/v1", api_key = env "KEY", models = false },
    azure = { dialect = "responses", base_url = "${up.url}/openai/v1", api_key = env "KEY", models = false, quirks = { auth = "api-key" } },
    entra = { dialect = "responses", base_url = "${up.url}/openai/v1", models = false, quirks = { auth = "entra" },
      entra = { tenant_id = "t-1", client_id = "c-1", client_secret = env "KEY", authority = "${up.url}" } },
    classic = { dialect = "openai", base_url = "${up.url}/openai", api_key = env "KEY", options = { api_version = "2024-10-21" },
      quirks = { auth = "api-key", path = "/deployments/{model}/chat/completions?api-version={api_version}" } },
  },
  models = {
    ["o/m"] = { endpoints = { { provider = "openai", model = "m-up", ${price} } } },
    ["a/m"] = { endpoints = { { provider = "azure", model = "my deployment", ${price} } } },
    ["a/entra"] = { endpoints = { { provider = "entra", model = "m-up", ${price} } } },
    ["a/classic"] = { endpoints = { { provider = "classic", model = "my deployment", ${price} } } },
  },`, { env: { KEY: 'sk-CANARY' } });
const key = await g.newKey();
const fresh = () => { up.asked.length = 0; serve = usual; };
const more = { reasoning: { effort: 'low' } };
const answers = {};

for (const streamed of [false, true]) {
  const how = streamed ? 'streamed' : 'whole';
  test(`${how}: a conversation with tools keeps thoughts, ids, arguments and order`, async () => {
    fresh();
    const t = answers[how] = await talk(g, key, 'o/m', { stream: streamed, more });
    eq(t.first.finish, 'tool_calls');
    eq(t.first.message.tool_calls.map((c) => [c.id, c.function.name, c.function.arguments]), [['call_1', 'weather', '{"city":"Paris","n":1.10}'], ['call_2', 'people', '{"city":"Paris","n":1.20}']]);
    eq([t.second.finish, t.second.message.content], ['stop', 'All fine.']);
    eq(t.second.message.annotations, [{ type: 'url_citation', url_citation: { url: cited.url, title: 't', start_index: 0, end_index: 3 } }]);
    eq([t.first.usage.prompt_tokens, t.first.usage.prompt_tokens_details.cached_tokens, t.first.usage.completion_tokens, t.first.usage.completion_tokens_details.reasoning_tokens], [120, 100, 30, 10]);
    const [one, two] = up.asked;
    eq([one.url, one.headers.authorization], ['/v1/responses', 'Bearer sk-CANARY']);
    eq([one.json.model, one.json.instructions, one.json.store, one.json.include, one.json.reasoning], ['m-up', 'be brief', false, ['reasoning.encrypted_content'], { effort: 'low', summary: 'auto' }]);
    eq(one.json.tools, tools.map((t) => ({ type: 'function', ...t.function, strict: false })));
    eq(two.json.input.slice(1, 5), output(1).map(({ status, id, ...i }) => i.type === 'function_call' ? i : { ...i, id }), 'what the model said');
    eq(two.json.input.slice(5), [1, 2].map((n) => ({ type: 'function_call_output', call_id: `call_${n}`, output: `${['weather', 'people'][n - 1]} is fine` })));
  });
}

test('a stream put together is the whole answer', () => {
  const { whole: a, streamed: b } = answers;
  eq(thoughts(b.first.message.reasoning_details), thoughts(a.first.message.reasoning_details), 'thoughts');
  for (const turn of ['first', 'second']) {
    const calls = (m) => (m.tool_calls ?? []).map((c) => [c.id, c.function]);
    eq(calls(b[turn].message), calls(a[turn].message), 'calls');
    eq(b[turn].message.content || null, a[turn].message.content || null, 'content');
    eq(b[turn].usage, a[turn].usage, 'usage');
  }
});

test('Azure: the deployment\'s name, the key in its own header, and thoughts that are its own', async () => {
  fresh();
  const t = await talk(g, key, 'a/m', { stream: true, more });
  const [one, two] = up.asked;
  eq([one.url, one.headers['api-key'], one.headers.authorization, one.json.model], ['/openai/v1/responses', 'sk-CANARY', undefined, 'my deployment']);
  eq(new Set(t.first.message.reasoning_details.map((d) => d.format)), new Set(['azure-openai-responses-v1']));
  eq(two.json.input.filter((i) => i.type === 'reasoning').map((i) => i.encrypted_content), ['ENC1', 'ENC2']);
  fresh();
  await ask(g, key, { model: 'o/m', messages: t.messages, tools });
  eq(up.asked[0].json.input.filter((i) => i.type === 'reasoning'), [], 'elsewhere they could not be read');
});

test('Azure with an Entra token in place of a key', async () => {
  fresh();
  const a = await ask(g, key, { model: 'a/entra', messages: [{ role: 'user', content: 'x' }] });
  eq([a.status, up.asked.length], [200, 2]);
  eq([up.asked[0].url, new URLSearchParams(up.asked[0].text).get('scope')], ['/t-1/oauth2/v2.0/token', 'https://cognitiveservices.azure.com/.default']);
  eq([up.asked[1].headers.authorization, up.asked[1].headers['api-key']], ['Bearer tok-1', undefined]);
});

test('Azure\'s older addresses', async () => {
  fresh();
  const a = await ask(g, key, { model: 'a/classic', messages: [{ role: 'user', content: 'x' }] });
  eq([a.status, up.asked[0].url, up.asked[0].headers['api-key']], [200, '/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21', 'sk-CANARY']);
});

const failing = [
  ['a failure behind the first words', (res) => { res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.end(events(2).slice(0, 3).join('') + 'event: response.failed\ndata: {"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"broke"}}}\n\n'); }, (a) => eq([a.status, a.message.content, a.finish], [200, 'All ', 'error'])],
  ['a stream cut short', (res) => { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.end(events(2).slice(0, 4).join('')); }, (a) => eq([a.status, a.message.content, a.finish], [200, 'All fine.', 'error'])],
  ['HTTP 429', (res) => sendJson(res, 429, { error: { message: 'slow', code: 'rate_limit_exceeded' } }), (a) => eq(a.status, 429)],
  ['a filtered prompt', (res) => sendJson(res, 400, { error: { code: 'content_filter', message: 'filtered', innererror: { code: 'ResponsibleAIPolicyViolation' } } }), (a) => { ok(a.status === 400 || a.status === 403, a.status); eq(up.asked.length, 1, 'attempts'); }],
];
for (const [name, reply, check] of failing) {
  test(name, async () => {
    fresh();
    serve = (req, res) => reply(res);
    check(await ask(g, key, { model: 'o/m', stream: true, messages: [{ role: 'user', content: 'x' }] }));
  });
}

// The last event of a recorded stream is the whole answer: both give the client the same.
const recordings = process.env.MOONGATE_FIXTURES || '../shared/fixtures';
for (const folder of ['openai-responses', 'azure-responses']) {
  test(`recorded ${folder}: a stream put together is the whole answer`, async () => {
    if (!existsSync(`${recordings}/${folder}`)) skip('no recordings here');
    let seen = 0;
    for (const file of readdirSync(`${recordings}/${folder}`)) {
      const { chunks } = JSON.parse(readFileSync(`${recordings}/${folder}/${file}`)).response;
      if (!chunks) continue;
      const got = [];
      for (const stream of [false, true]) {
        fresh();
        serve = (req, res) => {
          if (!stream) return sendJson(res, 200, JSON.parse(chunks.at(-1).split('data: ')[1]).response);
          res.writeHead(200, { 'content-type': 'text/event-stream' });
          res.end(chunks.join(''));
        };
        got.push(await ask(g, key, { model: 'o/m', stream, messages: [{ role: 'user', content: 'x' }] }));
      }
      const [a, b] = got.map((x) => [x.status, x.finish, x.message.content || null, x.message.annotations ?? [], thoughts(x.message.reasoning_details ?? []), x.usage]);
      eq(b, a, file);
      seen++;
    }
    ok(seen, 'there is a stream');
  });
}

await run(async () => { await g.stop(); await up.stop(); });
