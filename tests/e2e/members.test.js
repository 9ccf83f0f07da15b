// members.test.js - every request member of B1.1 and B1.3: carried to an upstream of the same
// dialect as it was written, or meant for the gateway and kept from it; a bad one is named.
import { eq, ok, run, test } from './tap.js';
import { chat, record } from './checks.js';
import { completion, sendJson, startGateway, startUpstream } from './gateway.js';

const up = await startUpstream((req, res) => sendJson(res, 200, completion('fine')));
const g = await startGateway(`
  providers = { up = { dialect = "openai", base_url = "${up.url}", api_key = "k" } },
  models = { ["acme/up"] = { endpoints = { { provider = "up", model = "m", price = { input = "1", output = "2" } } } } },`);
const key = await g.newKey();
const ask = (more) => chat(g, key, { model: 'acme/up', ...more });
const text = [{ role: 'user', content: 'x' }];

const carried = {
  temperature: 0.5, top_p: 0.25, top_k: 3, min_p: 0.1, top_a: 0.2, frequency_penalty: -1.5, presence_penalty: 1, repetition_penalty: 1.1,
  seed: 7, stop: ['a', 'b'], logit_bias: { 50256: -100 }, top_logprobs: 2, logprobs: true, parallel_tool_calls: false,
  response_format: { type: 'json_schema', json_schema: { name: 'a-b_1', strict: true, schema: { type: 'object' } } },
  tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }],
  tool_choice: { type: 'function', function: { name: 'f' } },
  verbosity: 'low', prediction: { type: 'content', content: 'perhaps' }, image_config: { aspect_ratio: '1:1', steps: 3 },
  web_search_options: { search_context_size: 'low' }, x_search_filter: { handles: ['a'] }, prompt_cache_key: 'pk',
  prompt_cache_options: { mode: 'explicit' }, metadata: { team: 'blue' }, service_tier: 'default', modalities: ['text'], safe_prompt: true, raw_mode: { a: [1, 2.50] },
};
for (const [name, value] of Object.entries(carried))
  test(`${name} is carried`, async () => {
    const r = await ask({ [name]: value, ...(name === 'top_logprobs' ? { logprobs: true } : {}), ...(name === 'tool_choice' ? { tools: carried.tools } : {}) });
    eq(r.status, 200, r.text);
    eq(up.asked.at(-1).json[name], value);
  });

test('an upstream may tell end users apart, and not who they are', async () => {
  const sent = async (more, k = key) => {
    const r = await fetch(g.api + '/chat/completions', { method: 'POST', headers: { authorization: `Bearer ${k}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'acme/up', messages: [{ role: 'user', content: 'x' }], ...more }) });
    eq(r.status, 200, await r.text());
    return up.asked.at(-1).json;
  };
  for (const member of ['user', 'safety_identifier']) {
    const ann = (await sent({ [member]: 'ann@example.com' }))[member];
    ok(/^u-[0-9a-f]{32}$/.test(ann), ann);
    eq([(await sent({ [member]: 'ann@example.com' }))[member], (await sent({ [member]: 'bob' }))[member] === ann], [ann, false]);
    eq((await sent({ [member]: 'ann@example.com' }, await g.newKey({ workspace_id: 'ws_other' })))[member] === ann, false, 'nor across workspaces');
    eq([(await sent({ [member]: null }))[member], (await sent({ [member]: '' }))[member]], [null, '']);
  }
  const r = await fetch(g.api + '/chat/completions', { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'acme/up', user: 'ann@example.com', messages: [{ role: 'user', content: 'x' }] }) });
  eq((await record(g, key, (await r.json()).id)).external_user, 'ann@example.com', 'the record says who it was');
});

test('numbers keep their digits', async () => {
  const r = await fetch(g.api + '/chat/completions', { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: '{"model":"acme/up","temperature":0.10,"seed":9007199254740993,"messages":[{"role":"user","content":"x"}]}' });
  eq(r.status, 200, await r.text());
  ok(up.asked.at(-1).text.includes('"seed":9007199254740993') && up.asked.at(-1).text.includes('0.10'), up.asked.at(-1).text);
});

const ours = { provider: { allow_fallbacks: true }, route: 'fallback', models: ['acme/up'], usage: { include: true }, transforms: [],
  plugins: [{ id: 'x_none', any: [1] }], session_id: 's', trace: { trace_id: 't' }, debug: { echo_upstream_body: true }, include_reasoning: true, max_tool_calls: 3,
  stop_server_tools_when: [{ type: 'x' }] };
for (const [name, value] of Object.entries(ours))
  test(`${name} is the gateway's own: no upstream sees it`, async () => {
    const r = await ask({ [name]: value });
    eq(r.status, 200, r.text);
    eq(name in up.asked.at(-1).json, false, up.asked.at(-1).text);
  });

test('what is absent stays absent', async () => {
  await ask({});
  eq(Object.keys(up.asked.at(-1).json).sort(), ['messages', 'model']);
});

test('null is as good as absent', async () => {
  const r = await ask({ temperature: null, stop: null, tools: null, seed: null, max_tokens: null, response_format: null, tool_choice: null, preset: null,
    plugins: null, reasoning: { effort: null, max_tokens: null, exclude: null } });
  eq(r.status, 200, r.text);
  const of = await ask({ model: null, models: ['acme/up'] });
  eq([of.status, up.asked.at(-1).json.model], [200, 'm'], of.text);
});

const parts = [{ type: 'text', text: 'look' }, { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' } },
  { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
  { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
  { type: 'video_url', video_url: { url: 'https://example.com/a.mp4' } }];
test('content parts of every kind are carried in order', async () => {
  const r = await ask({ messages: [{ role: 'system', content: [parts[0]] }, { role: 'user', name: 'ann', content: parts },
    { role: 'assistant', content: null, tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }] },
    { role: 'tool', tool_call_id: 'c1', content: '42' }, { role: 'assistant', content: 'a prefill' }] });
  eq(r.status, 200, r.text);
  const sent = up.asked.at(-1).json.messages;
  eq(sent.map((m) => m.role), ['system', 'user', 'assistant', 'tool', 'assistant']);
  eq(sent[1].content, parts);
  eq([sent[1].name, sent[2].tool_calls[0].function.arguments, sent[3].tool_call_id], ['ann', '{"a":1}', 'c1']);
});

const bad = [
  ['temperature', { temperature: 'warm' }], ['temperature', { temperature: 2.5 }], ['top_p', { top_p: -1 }], ['seed', { seed: 1.5 }],
  ['max_tokens', { max_tokens: 0 }], ['max_tool_calls', { max_tool_calls: 31 }], ['stop_server_tools_when', { stop_server_tools_when: [] }],
  ['logit_bias', { logit_bias: [] }], ['image_config', { image_config: 'big' }], ['cache_control.type', { cache_control: { type: 'eternal' } }],
  ['cache_control.ttl', { cache_control: { type: 'ephemeral', ttl: '2h' } }], ['verbosity', { verbosity: 'loud' }], ['route', { route: 'north' }],
  ['service_tier', { service_tier: 'gold' }], ['reasoning_effort', { reasoning_effort: 'much' }], ['reasoning.effort', { reasoning: { effort: 'much' } }],
  ['reasoning_effort', { reasoning_effort: 'low', reasoning: { effort: 'high' } }], ['reasoning', { reasoning: { effort: 'low', max_tokens: 9 } }],
  ['response_format.type', { response_format: { type: 'xml' } }], ['response_format.json_schema', { response_format: { type: 'json_schema' } }],
  ['response_format.json_schema.name', { response_format: { type: 'json_schema', json_schema: { name: 'no spaces', schema: {} } } }],
  ['tool_choice', { tool_choice: 'some' }], ['prediction.type', { prediction: { type: 'guess' } }], ['metadata.team', { metadata: { team: 7 } }],
  ['metadata', { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => ['k' + i, 'v'])) }], ['metadata', { metadata: { 'a[0]': 'v' } }],
  ['preset', { preset: 'mail' }], ['plugins[0].id', { plugins: [{}] }], ['plugins[1]', { plugins: [{ id: 'web', enabled: false }, 'web'] }],
  ['plugins[0].enabled', { plugins: [{ id: 'web', enabled: 'no' }] }], ['stop[1]', { stop: ['a', 7] }], ['modalities[0]', { modalities: [['text']] }],
  ['transforms[0]', { transforms: [{}] }], ['stop_server_tools_when[0]', { stop_server_tools_when: ['x'] }],
  ['logit_bias.50256', { logit_bias: { 50256: 'x' } }], ['logit_bias.50256', { logit_bias: { 50256: 101 } }],
  ['reasoning.max_tokens', { reasoning: { max_tokens: 'many' } }], ['reasoning.exclude', { reasoning: { exclude: 1 } }],
  ['reasoning.enabled', { reasoning: { enabled: 'yes' } }], ['reasoning.summary', { reasoning: { summary: 'long' } }],
  ['reasoning.mode', { reasoning: { mode: 'amateur' } }], ['reasoning.effort', { reasoning: { effort: 5 } }],
  ['response_format.type', { response_format: {} }], ['tool_choice.type', { tool_choice: {} }],
  ['tool_choice.function.name', { tool_choice: { type: 'function' } }], ['prediction.content', { prediction: { type: 'content', content: 7 } }],
  ['audio.format', { audio: { voice: 'alloy', format: 1 } }], ['debug.echo_upstream_body', { debug: { echo_upstream_body: 'yes' } }],
  ['provider.options', { provider: { options: [] } }], ['max_tokens: must be between 1 and 1000000000', { max_tokens: 10 ** 10 }],
  ['tools[0].type', { tools: [{}] }], ['tools[0].function.name', { tools: [{ type: 'function' }] }], ['n', { n: 2 }],
  ['messages', { messages: [] }], ['messages[0].role', { messages: [{ role: 'king', content: '' }] }], ['messages[0].content', { messages: [{ role: 'user' }] }],
  ['messages[0].tool_call_id', { messages: [{ role: 'tool', content: 'x' }] }],
  ['messages[0].tool_calls[0]', { messages: [{ role: 'assistant', tool_calls: [{ id: 'x' }] }] }],
  ['messages[0].content[0]', { messages: [{ role: 'user', content: ['x'] }] }],
  ['messages[0].content[0].image_url.url', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] }],
  ['messages[0].content[0].input_audio.format', { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'x' } }] }] }],
  ['messages[0].content[0].video_url.url', { messages: [{ role: 'user', content: [{ type: 'video_url' }] }] }],
  ['messages[0].content[0].file', { messages: [{ role: 'user', content: [{ type: 'file', file: {} }] }] }],
];
for (const [name, more] of bad)
  test(`a bad ${name} is refused by its name: ${JSON.stringify(more).slice(0, 60)}`, async () => {
    const before = up.asked.length;
    const r = await ask({ messages: text, ...more });
    eq(r.status, 400, r.text);
    const { message } = JSON.parse(r.text).error;
    ok(message.startsWith(name.includes(': ') ? name : name + ':'), message);
    eq(up.asked.length, before, 'no upstream was asked');
  });

run(async () => {
  const exit = await g.stop();
  await up.stop();
  eq(exit, { code: 0, signal: null }, 'the gateway ends cleanly');
});
