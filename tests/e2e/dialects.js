// dialects.js - upstreams that speak one dialect each: how a model's two turns look there, whole and
// streamed, and what a request of the third turn has to be, member by member.
//
//	whole(n), stream(n)	the answer of turn n: two calls behind a thought, then a text behind one
//	body(streamed)		the request that holds both turns and the next question
import { event, sendStream } from './eventstream.js';
import { tools } from './talk.js';

// 12345678901234567 is no double: the text of the number must stay.
export const big = '12345678901234567';
export const exact = (value) => JSON.stringify(value).replace(/12345678901234568/g, big);
export const calls = [['weather', '{"city":"Paris","n":12345678901234567}'], ['people', '{"city":"Zürich \\"é\\""}']];
export const thoughts = { 1: 'Two calls, é.', 2: 'Both are fine.' };
export const texts = { 1: 'Looking.', 2: 'All fine.' };
export const results = ['weather is fine', 'people is fine'];
const system = 'be brief', question = 'weather and people of Paris?', next = 'and then?';
const input = (i) => JSON.parse(calls[i][1]);
const halves = (s) => [s.slice(0, 5), s.slice(5)];
const user = (content) => ({ role: 'user', content });

const sse = (list) => list.map((e) => (e.type ? `event: ${e.type}\n` : '') + `data: ${typeof e === 'string' ? e : exact(e)}\n\n`).join('');
const send = (type) => (res, text) => {
  res.writeHead(200, { 'content-type': type });
  const bytes = Buffer.from(text);
  for (let i = 0; i < bytes.length; i += 11) res.write(bytes.subarray(i, i + 11));	// anywhere, also inside a character
  res.end();
};
const stream = send('text/event-stream');

// ------------------------------------------------------------ chat completions, and who differs from them

function openai({ ids, say, delta, more = {}, usage = true, limit = 'max_tokens' }) {
  const usage_ = { prompt_tokens: 50, completion_tokens: 20, total_tokens: 70 };
  const made = calls.map(([name, args], i) => ({ id: ids[i], type: 'function', function: { name, arguments: args } }));
  const end = (n) => n === 1 ? 'tool_calls' : 'stop';
  const chunk = (d, finish = null, u = {}) => ({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta: d, finish_reason: finish }], ...u });
  return {
    ids, path: /\/chat\/completions$/, turn: (j) => j.messages.filter((m) => m.role === 'tool').length ? 2 : 1,
    whole: (n) => ({ id: 'c1', object: 'chat.completion', created: 1, model: 'up', choices: [{ index: 0, finish_reason: end(n), message: { role: 'assistant', ...say(n), ...n === 1 ? { tool_calls: made } : {} } }], usage: usage_ }),
    stream: (res, n) => stream(res, sse([...delta(n).map((d) => chunk(d)),
      ...n === 1 ? made.flatMap((t, index) => [chunk({ tool_calls: [{ index, ...t, function: { name: t.function.name, arguments: '' } }] }), ...halves(t.function.arguments).map((a) => chunk({ tool_calls: [{ index, function: { arguments: a } }] }))]) : [],
      usage ? chunk({}, end(n)) : chunk({ content: '' }, end(n), { usage: usage_ }), ...usage ? [{ ...chunk({}), choices: [], usage: usage_ }] : [], '[DONE]'])),
    body: (streamed, said, { back = () => ({}) }) => ({ model: 'up', [limit]: 4000, tools, ...streamed ? { stream: true, ...usage ? { stream_options: { include_usage: true } } : {} } : { stream: false }, ...more,
      messages: [{ role: 'system', content: system }, user(question), { role: 'assistant', content: texts[1], tool_calls: made, ...back(1, said[1]) },
        ...results.map((content, i) => ({ role: 'tool', tool_call_id: ids[i], content })), { role: 'assistant', content: texts[2], ...back(2, said[2]) }, user(next)] }),
  };
}
const field = (name) => ({ say: (n) => ({ content: texts[n], [name]: thoughts[n] }),
  delta: (n) => [{ role: 'assistant', content: null }, ...halves(thoughts[n]).map((t) => ({ [name]: t })), ...halves(texts[n]).map((content) => ({ content }))] });
const detail = (n) => ({ type: 'reasoning.text', text: thoughts[n], signature: `SIG${n}`, format: 'anthropic-claude-v1', index: 0, id: null });
const chunks = (n) => ({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: thoughts[n] }] }, { type: 'text', text: texts[n] }] });

// ------------------------------------------------------------ Anthropic's messages

const claude = (n) => [{ type: 'thinking', thinking: thoughts[n], signature: `SIG${n}` }, ...n === 1 ? [{ type: 'redacted_thinking', data: 'SEALED' }] : [], { type: 'text', text: texts[n] },
  ...n === 1 ? calls.map(([name], i) => ({ type: 'tool_use', id: `toolu_${i}`, name, input: input(i) })) : []];
const claudeEvents = (n) => [{ type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'up', content: [], stop_reason: null, usage: { input_tokens: 50, output_tokens: 1 } } },
  ...claude(n).flatMap((b, index) => {
    const delta = (d) => ({ type: 'content_block_delta', index, delta: d });
    const empty = { thinking: { ...b, thinking: '', signature: '' }, text: { ...b, text: '' }, tool_use: { ...b, input: {} }, redacted_thinking: b }[b.type];
    const grows = { thinking: () => [...halves(b.thinking).map((t) => delta({ type: 'thinking_delta', thinking: t })), delta({ type: 'signature_delta', signature: b.signature })],
      text: () => halves(b.text).map((t) => delta({ type: 'text_delta', text: t })), redacted_thinking: () => [],
      tool_use: () => halves(exact(b.input)).map((t) => delta({ type: 'input_json_delta', partial_json: t })) }[b.type]();
    return [{ type: 'content_block_start', index, content_block: empty }, ...grows, { type: 'content_block_stop', index }];
  }), { type: 'message_delta', delta: { stop_reason: n === 1 ? 'tool_use' : 'end_turn', stop_sequence: null }, usage: { output_tokens: 20 } }, { type: 'message_stop' }];

// ------------------------------------------------------------ Gemini

const parts = (n) => [{ text: thoughts[n], thought: true }, { text: texts[n], ...n === 2 ? { thoughtSignature: 'U0lHMg==' } : {} },
  ...n === 1 ? calls.map(([name], i) => ({ functionCall: { id: `f${i}`, name, args: input(i) }, ...i ? {} : { thoughtSignature: 'U0lHMQ==' } })) : []];
const candidate = (list, more) => ({ candidates: [{ content: { role: 'model', parts: list }, index: 0, ...more }], usageMetadata: { promptTokenCount: 50, candidatesTokenCount: 10, thoughtsTokenCount: 10, totalTokenCount: 70 }, modelVersion: 'up', responseId: 'r1' });

// ------------------------------------------------------------ Bedrock's Converse

const blocks = (n) => [{ reasoningContent: { reasoningText: { text: thoughts[n], signature: `SIG${n}` } } }, ...n === 1 ? [{ reasoningContent: { redactedContent: 'U0VBTEVE' } }] : [], { text: texts[n] },
  ...n === 1 ? calls.map(([name], i) => ({ toolUse: { toolUseId: `tooluse_${i}`, name, input: input(i) } })) : []];
const converseUsage = { inputTokens: 50, outputTokens: 20, totalTokens: 70 };
const converseEvents = (n) => [event('messageStart', { role: 'assistant' }), ...blocks(n).flatMap((b, contentBlockIndex) => {
  const delta = (d) => event('contentBlockDelta', { contentBlockIndex, delta: d });
  const r = b.reasoningContent, stop = event('contentBlockStop', { contentBlockIndex });
  if (r?.reasoningText) return [...halves(r.reasoningText.text).map((text) => delta({ reasoningContent: { text } })), delta({ reasoningContent: { signature: r.reasoningText.signature } }), stop];
  if (r) return [delta({ reasoningContent: r }), stop];
  if (b.text) return [...halves(b.text).map((text) => delta({ text })), stop];
  return [event('contentBlockStart', { contentBlockIndex, start: { toolUse: { toolUseId: b.toolUse.toolUseId, name: b.toolUse.name } } }), ...halves(exact(b.toolUse.input)).map((t) => delta({ toolUse: { input: t } })), stop];
}), event('messageStop', { stopReason: n === 1 ? 'tool_use' : 'end_turn' }), event('metadata', { usage: converseUsage, metrics: { latencyMs: 1 } })];

// ------------------------------------------------------------ OpenAI's Responses

const asked = (text) => user([{ type: 'input_text', text }]);
const item = (type, id, more) => ({ type, id, ...more });
const items = (n) => [item('reasoning', `rs_${n}`, { summary: [{ type: 'summary_text', text: thoughts[n] }], encrypted_content: `ENC${n}` }),
  item('message', `msg_${n}`, { role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: texts[n], annotations: [] }] }),
  ...n === 1 ? calls.map(([name, args], i) => item('function_call', `fc_${i}`, { call_id: `call_${i}`, name, arguments: args, status: 'completed' })) : []];
const answered = (n) => ({ id: `resp_${n}`, object: 'response', model: 'up', status: 'completed', error: null, incomplete_details: null, output: items(n),
  usage: { input_tokens: 50, input_tokens_details: { cached_tokens: 0 }, output_tokens: 20, output_tokens_details: { reasoning_tokens: 10 }, total_tokens: 70 } });
function responseEvents(n) {
  let sequence_number = 0;
  const ev = (type, data) => ({ type: `response.${type}`, sequence_number: sequence_number++, ...data });
  const grows = (x, output_index) => {
    const half = (s, type) => halves(s).map((delta) => ev(type, { output_index, item_id: x.id, summary_index: 0, content_index: 0, delta }));
    return x.type === 'message' ? half(x.content[0].text, 'output_text.delta') : x.type === 'function_call' ? half(x.arguments, 'function_call_arguments.delta') : half(x.summary[0].text, 'reasoning_summary_text.delta');
  };
  const empty = (x) => x.type === 'message' ? { ...x, content: [] } : x.type === 'function_call' ? { ...x, arguments: '' } : { ...x, summary: [], encrypted_content: null };
  return [ev('created', { response: { ...answered(n), status: 'in_progress', output: [] } }), ...items(n).flatMap((x, i) =>
    [ev('output_item.added', { output_index: i, item: empty(x) }), ...grows(x, i), ev('output_item.done', { output_index: i, item: x })]), ev('completed', { response: answered(n) })];
}

// ------------------------------------------------------------ Cohere

const cohereContent = (n) => [{ type: 'thinking', thinking: thoughts[n] }, { type: 'text', text: texts[n] }];
const cohereCalls = calls.map(([name, args], i) => ({ id: `${name}_x${i}`, type: 'function', function: { name, arguments: args } }));
const cohereUsage = { billed_units: { input_tokens: 5, output_tokens: 5 }, tokens: { input_tokens: 50, output_tokens: 20 } };
const cohereMessage = (n) => n === 1 ? { role: 'assistant', tool_plan: texts[1], tool_calls: cohereCalls } : { role: 'assistant', content: cohereContent(2) };
function cohereEvents(n) {
  const ev = (type, index, message) => ({ type, index, delta: { message } });
  const content = (list) => list.flatMap((b, i) => [ev('content-start', i, { content: { ...b, [b.type]: '' } }), ...halves(b[b.type]).map((t) => ev('content-delta', i, { content: { [b.type]: t } })), { type: 'content-end', index: i }]);
  const called = () => [...halves(texts[1]).map((t) => ({ type: 'tool-plan-delta', delta: { message: { tool_plan: t } } })), ...cohereCalls.flatMap((t, i) => [ev('tool-call-start', i, { tool_calls: { ...t, function: { name: t.function.name, arguments: '' } } }),
    ...halves(t.function.arguments).map((a) => ev('tool-call-delta', i, { tool_calls: { function: { arguments: a } } })), { type: 'tool-call-end', index: i }])];
  return [{ type: 'message-start', id: 'co1', delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } } },
    ...n === 1 ? called() : content(cohereContent(2)), { type: 'message-end', delta: { finish_reason: n === 1 ? 'TOOL_CALL' : 'COMPLETE', usage: cohereUsage } }];
}

// ------------------------------------------------------------ Ollama

const ollamaCalls = calls.map(([name], i) => ({ id: `call_o${i}`, function: { name, arguments: input(i) } }));
const ollamaEnd = { done: true, done_reason: 'stop', total_duration: 1, prompt_eval_count: 50, eval_count: 20 };
const ollamaLine = (message, more = { done: false }) => ({ model: 'up', created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content: '', ...message }, ...more });

const key = 'CANARY-key';
const bearer = { authorization: `Bearer ${key}` };
const effort = { reasoning_effort: 'high' };
// `row`: the provider's members; `headers`: what it must be sent; `thought(n)`: what a client is shown of it.
export const dialects = {
  openai: { row: 'dialect = "openai"', headers: bearer, silent: true,
    ...openai({ ids: ['call_0', 'call_1'], say: (n) => ({ content: texts[n] }), delta: (n) => halves(texts[n]).map((content) => ({ content })), more: effort, limit: 'max_completion_tokens' }) },
  deepseek: { row: '', headers: bearer, back: (n) => ({ reasoning_content: thoughts[n] }),
    ...openai({ ids: ['call_00_a', 'call_01_b'], ...field('reasoning_content'), more: { thinking: { type: 'enabled' }, ...effort } }) },
  vllm: { row: '', headers: bearer, back: (n) => ({ reasoning: thoughts[n] }),
    ...openai({ ids: ['chatcmpl-tool-1', 'chatcmpl-tool-2'], ...field('reasoning'), more: { chat_template_kwargs: { enable_thinking: true }, ...effort } }) },
  mistral: { row: '', headers: bearer, back: chunks,
    ...openai({ ids: ['aB3dE6gH9', 'zY8xW7vU6'], usage: false, say: chunks,
      delta: (n) => [{ role: 'assistant', content: '' }, ...halves(thoughts[n]).map((t) => ({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: t }] }] })), ...halves(texts[n]).map((content) => ({ content }))], more: effort }) },
  openrouter: { row: '', headers: bearer, signed: true, back: (n, { reasoning, reasoning_details, annotations }) => ({ reasoning, reasoning_details, annotations }),
    ...openai({ ids: ['toolu_1', 'toolu_2'], say: (n) => ({ content: texts[n], reasoning: thoughts[n], reasoning_details: [detail(n)] }), more: { reasoning: { effort: 'high' }, usage: { include: true } },
      delta: (n) => [...halves(thoughts[n]).map((text) => ({ reasoning: text, reasoning_details: [{ ...detail(n), text, signature: undefined }] })), { reasoning_details: [{ ...detail(n), text: undefined }] }, ...halves(texts[n]).map((content) => ({ content }))] }) },
  anthropic: { row: '', headers: { 'x-api-key': key, 'anthropic-version': '2023-06-01' }, signed: true, ids: ['toolu_0', 'toolu_1'], path: /\/messages$/,
    turn: (j) => j.messages.some((m) => m.content.some?.((b) => b.type === 'tool_result')) ? 2 : 1,
    whole: (n) => ({ id: 'msg_1', type: 'message', role: 'assistant', model: 'up', content: claude(n), stop_reason: n === 1 ? 'tool_use' : 'end_turn', stop_sequence: null, usage: { input_tokens: 50, output_tokens: 20 } }),
    stream: (res, n) => stream(res, sse(claudeEvents(n))),
    body: (streamed) => ({ model: 'up', max_tokens: 4000, stream: streamed, system: [{ type: 'text', text: system }], thinking: { type: 'enabled', budget_tokens: 3200 },
      tools: tools.map(({ function: { name, description, parameters } }) => ({ name, description, input_schema: parameters })),
      messages: [user([{ type: 'text', text: question }]), { role: 'assistant', content: claude(1) }, user(results.map((content, i) => ({ type: 'tool_result', tool_use_id: `toolu_${i}`, content }))),
        { role: 'assistant', content: claude(2) }, user([{ type: 'text', text: next }])] }) },
  'google-ai-studio': { row: '', model: 'gemini-3.5-flash', headers: { 'x-goog-api-key': key }, signed: true, ids: ['f0', 'f1'], path: /:(generateContent|streamGenerateContent\?alt=sse)$/,
    turn: (j) => j.contents.some((c) => c.parts.some((p) => p.functionResponse)) ? 2 : 1,
    whole: (n) => candidate(parts(n), { finishReason: 'STOP' }),
    stream: (res, n) => stream(res, sse(parts(n).map((p, i, all) => candidate([p], i === all.length - 1 ? { finishReason: 'STOP' } : {})))),
    body: () => ({ systemInstruction: { parts: [{ text: system }] }, generationConfig: { maxOutputTokens: 4000, thinkingConfig: { includeThoughts: true, thinkingLevel: 'HIGH' } },
      tools: [{ functionDeclarations: tools.map(({ function: { parameters, ...f } }) => ({ ...f, parametersJsonSchema: parameters })) }],
      contents: [{ role: 'user', parts: [{ text: question }] }, { role: 'model', parts: parts(1).slice(1) },
        { role: 'user', parts: results.map((result, i) => ({ functionResponse: { id: `f${i}`, name: calls[i][0], response: { result } } })) },
        { role: 'model', parts: parts(2).slice(1) }, { role: 'user', parts: [{ text: next }] }] }) },
  bedrock: { row: 'dialect = "bedrock", options = { region = "eu-west-1" }', model: 'anthropic.claude-up', headers: bearer, signed: true, ids: ['tooluse_0', 'tooluse_1'], path: /\/model\/anthropic.claude-up\/converse(-stream)?$/,
    turn: (j) => j.messages.some((m) => m.content.some((b) => b.toolResult)) ? 2 : 1,
    whole: (n) => ({ output: { message: { role: 'assistant', content: blocks(n) } }, stopReason: n === 1 ? 'tool_use' : 'end_turn', usage: converseUsage, metrics: { latencyMs: 1 } }),
    stream: (res, n) => sendStream(res, converseEvents(n)),
    body: () => ({ system: [{ text: system }], inferenceConfig: { maxTokens: 4000 }, additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 3200 } },
      toolConfig: { tools: tools.map(({ function: { name, description, parameters } }) => ({ toolSpec: { name, description, inputSchema: { json: parameters } } })) },
      messages: [user([{ text: question }]), { role: 'assistant', content: blocks(1) }, user(results.map((text, i) => ({ toolResult: { toolUseId: `tooluse_${i}`, content: [{ text }], status: 'success' } }))),
        { role: 'assistant', content: blocks(2) }, user([{ text: next }])] }) },
  responses: { row: 'dialect = "responses"', headers: bearer, signed: true, ids: ['call_0', 'call_1'], path: /\/responses$/,
    turn: (j) => j.input.some((x) => x.type === 'function_call_output') ? 2 : 1,
    whole: answered, stream: (res, n) => stream(res, sse(responseEvents(n))),
    body: (streamed) => ({ model: 'up', instructions: system, store: false, ...streamed ? { stream: true } : {}, max_output_tokens: 4000, include: ['reasoning.encrypted_content'], reasoning: { effort: 'high', summary: 'auto' },
      tools: tools.map((t) => ({ type: 'function', ...t.function, strict: false })),
      input: [asked(question), ...[1, 2].flatMap((n) => [...items(n).map(({ status, id, ...x }) => x.type === 'reasoning' ? { ...x, id } : x),
        ...n === 1 ? results.map((output, i) => ({ type: 'function_call_output', call_id: `call_${i}`, output })) : []]), asked(next)] }) },
  cohere: { row: '', headers: bearer, ids: cohereCalls.map((t) => t.id), path: /\/v2\/chat$/, silentFirst: true,
    turn: (j) => j.messages.some((m) => m.role === 'tool') ? 2 : 1,
    whole: (n) => ({ id: 'co1', finish_reason: n === 1 ? 'TOOL_CALL' : 'COMPLETE', message: cohereMessage(n), usage: cohereUsage }),
    stream: (res, n) => stream(res, sse(cohereEvents(n))),
    body: (streamed) => ({ model: 'up', max_tokens: 4000, stream: streamed, thinking: { type: 'enabled' }, tools,
      messages: [{ role: 'system', content: system }, user(question), cohereMessage(1), ...results.map((content, i) => ({ role: 'tool', tool_call_id: cohereCalls[i].id, content })), cohereMessage(2), user(next)] }) },
  ollama: { row: '', headers: bearer, ids: ollamaCalls.map((t) => t.id), path: /\/api\/chat$/,
    turn: (j) => j.messages.some((m) => m.role === 'tool') ? 2 : 1,
    whole: (n) => ollamaLine({ thinking: thoughts[n], content: texts[n], ...n === 1 ? { tool_calls: ollamaCalls } : {} }, ollamaEnd),
    stream: (res, n) => send('application/x-ndjson')(res, [...halves(thoughts[n]).map((thinking) => ollamaLine({ thinking })), ...halves(texts[n]).map((content) => ollamaLine({ content })),
      ...n === 1 ? ollamaCalls.map((t) => ollamaLine({ tool_calls: [t] })) : [], ollamaLine({}, ollamaEnd)].map((l) => exact(l) + '\n').join('')),
    body: (streamed) => ({ model: 'up', stream: streamed, think: true, options: { num_predict: 4000 }, tools,
      messages: [{ role: 'system', content: system }, user(question), { role: 'assistant', content: texts[1], thinking: thoughts[1], tool_calls: ollamaCalls },
        ...results.map((content, i) => ({ role: 'tool', content, tool_name: calls[i][0], tool_call_id: ollamaCalls[i].id })), { role: 'assistant', content: texts[2], thinking: thoughts[2] }, user(next)] }) },
};
export const words = { system, question, next, key };

// What a request says of calls and their results, whatever its dialect: [id, name, arguments], [id, text].
const json = (v) => typeof v === 'string' ? JSON.parse(v) : v;
function inMessages(j) {
  return { calls: j.messages.flatMap((m) => (m.tool_calls ?? []).map((t) => [t.id, t.function.name, json(t.function.arguments)])), results: j.messages.filter((m) => m.role === 'tool').map((m) => [m.tool_call_id, m.content]) };
}
const inBlocks = (j) => {
  const all = j.messages.flatMap((m) => Array.isArray(m.content) ? m.content : []);
  return { calls: all.filter((b) => b.type === 'tool_use').map((b) => [b.id, b.name, b.input]), results: all.filter((b) => b.type === 'tool_result').map((b) => [b.tool_use_id, b.content]) };
};
const inConverse = (j) => {
  const all = j.messages.flatMap((m) => m.content);
  return { calls: all.filter((b) => b.toolUse).map(({ toolUse: t }) => [t.toolUseId, t.name, t.input]), results: all.filter((b) => b.toolResult).map(({ toolResult: t }) => [t.toolUseId, t.content[0].text]) };
};
const inContents = (j) => {
  const all = j.contents.flatMap((c) => c.parts);
  return { calls: all.filter((p) => p.functionCall).map(({ functionCall: f }) => [f.id, f.name, f.args]), results: all.filter((p) => p.functionResponse).map(({ functionResponse: f }) => [f.id, f.response.result]) };
};
const inItems = (j) => ({ calls: j.input.filter((x) => x.type === 'function_call').map((x) => [x.call_id, x.name, json(x.arguments)]), results: j.input.filter((x) => x.type === 'function_call_output').map((x) => [x.call_id, x.output]) });
export const spoken = { anthropic: inBlocks, bedrock: inConverse, 'google-ai-studio': inContents, responses: inItems };
export const saying = (slug, j) => (spoken[slug] ?? inMessages)(j);
// Which ids a dialect takes, and which thoughts of others: those of its own model.
export const idForm = { mistral: /^[a-zA-Z0-9]{9}$/, anthropic: /^[a-zA-Z0-9_-]+$/, bedrock: /^[a-zA-Z0-9_-]{1,64}$/, responses: /^.{1,64}$/ };
export const kin = { anthropic: 'claude', bedrock: 'claude', openrouter: 'claude' };
export const secrets = { anthropic: ['SIG1', 'SIG2', 'SEALED'], bedrock: ['SIG1', 'SIG2', 'U0VBTEVE'], openrouter: ['SIG1', 'SIG2'], 'google-ai-studio': ['U0lHMQ==', 'U0lHMg=='], responses: ['ENC1', 'ENC2', 'rs_1', 'rs_2'] };
