// gemini.test.js - a chat client, the gateway, and an upstream that speaks Gemini and is as strict as the real one.
import { eq, ok, run, test } from './tap.js';
import { readStream, sendJson, startGateway, startUpstream } from './gateway.js';

const usage = { promptTokenCount: 40, cachedContentTokenCount: 10, candidatesTokenCount: 20, thoughtsTokenCount: 12, totalTokenCount: 72 };
const big = '12345678901234567890';
const wrong = (res, message) => sendJson(res, 400, { error: { code: 400, message, status: 'INVALID_ARGUMENT' } });

// What it made, and what must come back to it: part by part.
const turns = {
  calls: [{ text: 'Two places.', thought: true }, { functionCall: { id: 'f1', name: 'weather', args: { place: 'Zürich' } }, thoughtSignature: 'c2lnLTE=' },
    { functionCall: { id: 'f2', name: 'weather', args: { place: 'Rome' } } }],
  unnamed: [{ functionCall: { name: 'weather', args: { place: 'Oslo' } }, thoughtSignature: 'c2lnLU8=' }],
  text: [{ text: 'Grüße, ' }, { text: 'Welt' }, { text: '', thoughtSignature: 'c2lnLTI=' }],
};
const answer = (parts) => ({ candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP', index: 0 }], usageMetadata: usage, modelVersion: 'gemini-3.5-flash', responseId: 'resp1' });

function send(one, res, parts) {
  if (!one.url.includes(':streamGenerateContent')) { sendJson(res, 200, answer(parts)); return; }
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  const text = parts.map((p, i) => 'data: ' + JSON.stringify({ ...answer([p]), candidates: [{ content: { role: 'model', parts: [p] }, index: 0,
    ...(i === parts.length - 1 ? { finishReason: 'STOP' } : {}) }] }) + '\r\n\r\n').join('');
  const bytes = Buffer.from(text);
  for (let i = 0; i < bytes.length; i += 7) res.write(bytes.subarray(i, i + 7));	// anywhere, also inside a character
  res.end();
}

// Contents alternate; results follow their calls, one for each, in their order; signatures are where they were.
function fault(contents) {
  for (const [i, c] of contents.entries()) {
    if (c.role !== (i % 2 ? 'model' : 'user')) return `contents[${i}].role is ${c.role}`;
    const calls = c.parts.filter((p) => p.functionCall);
    if (!calls.length) continue;
    if (!calls[0].thoughtSignature) return `contents[${i}]: Function call is missing a thought_signature`;
    const results = (contents[i + 1]?.parts || []).filter((p) => p.functionResponse);
    if (results.length !== calls.length) return 'the number of function response parts is not that of the function call parts';
    if (results.some((r, k) => r.functionResponse.name !== calls[k].functionCall.name || r.functionResponse.id !== calls[k].functionCall.id)) return 'results are not in order';
  }
  return null;
}

const up = await startUpstream((one, res) => {
  const { contents } = one.json, last = contents.at(-1).parts.at(-1), bad = fault(contents);
  if (one.headers['x-goog-api-key'] !== 'CANARY-key' || one.url.includes('CANARY')) return sendJson(res, 400, { error: { code: 400, message: 'API key not valid.', status: 'INVALID_ARGUMENT', details: [{ reason: 'API_KEY_INVALID' }] } });
  if (bad) return wrong(res, bad);
  if (last.functionResponse) return send(one, res, turns.text);
  if (last.text === 'block') return sendJson(res, 200, { promptFeedback: { blockReason: 'SAFETY' }, usageMetadata: { promptTokenCount: 5 }, modelVersion: 'm' });
  if (last.text === 'draw') return send(one, res, [{ inlineData: { mimeType: 'image/png', data: 'AAEC' }, thoughtSignature: 'aW1n' }]);
  if (last.text === 'busy') return sendJson(res, 503, { error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } });
  return send(one, res, turns[last.text] || [{ text: 'ok' }]);
});
const g = await startGateway(`
  providers = { ["google-ai-studio"] = { base_url = "${up.url}/v1beta", api_key = "CANARY-key", data = { trains = false, retains = false } } },
  models = { ["google/g"] = { endpoints = { { provider = "google-ai-studio", model = "gemini-3.5-flash", price = { input = 1, output = 2 } } } } },`);
const key = await g.newKey();
const tools = [{ type: 'function', function: { name: 'weather', description: 'd', parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] } } }];
const post = (messages, more = {}) => fetch(g.api + '/chat/completions', { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'google/g', messages, tools, ...more }) });
const user = (content) => ({ role: 'user', content });

// The message that a client puts together from a stream.
function put_together(events) {
  const m = { role: 'assistant', content: '', tool_calls: [], reasoning_details: [], images: [] };
  for (const e of events) {
    const d = e.choices?.[0]?.delta;
    if (!d) continue;
    m.content += d.content || '';
    m.reasoning_details.push(...(d.reasoning_details || []));
    m.images.push(...(d.images || []));
    for (const t of d.tool_calls || []) {
      const at = m.tool_calls[t.index] ||= { id: t.id, type: 'function', function: { name: t.function.name, arguments: '' } };
      at.function.arguments += t.function.arguments || '';
    }
  }
  return m;
}
async function message(messages, stream, more = {}) {
  const r = await post(messages, { stream, ...more });
  eq(r.status, 200, 'status: ' + (r.status === 200 ? '' : await r.clone().text()));
  if (stream) {
    const events = await readStream(r);
    eq(events.at(-1), '[DONE]');
    return { m: put_together(events), finish: events.find((e) => e.choices?.[0]?.finish_reason)?.choices[0], usage: events.find((e) => e.usage)?.usage };
  }
  const a = await r.json();
  return { m: a.choices[0].message, finish: a.choices[0], usage: a.usage };
}

for (const stream of [false, true]) {
  const how = stream ? 'streamed' : 'not streamed';

  test(`parallel calls, their results in another order, and the answer, ${how}`, async () => {
    up.asked.length = 0;
    const first = await message([user('calls')], stream, { reasoning: { effort: 'low' } });
    eq([first.finish.finish_reason, first.finish.native_finish_reason], ['tool_calls', 'STOP']);
    eq(first.m.tool_calls.map((t) => [t.id, t.function.name, t.function.arguments]), [['f1', 'weather', '{"place":"Zürich"}'], ['f2', 'weather', '{"place":"Rome"}']]);
    eq(first.m.reasoning_details.map((d) => [d.type, d.format, d.text ?? d.data, d.id]), [['reasoning.text', 'google-gemini-v1', 'Two places.', null],
      ['reasoning.encrypted', 'google-gemini-v1', 'c2lnLTE=', 'f1']]);
    eq([first.usage.prompt_tokens, first.usage.completion_tokens, first.usage.prompt_tokens_details.cached_tokens, first.usage.completion_tokens_details.reasoning_tokens], [40, 32, 10, 12]);
    eq(up.asked[0].json.generationConfig.thinkingConfig, { includeThoughts: true, thinkingLevel: 'LOW' });

    const history = [user('calls'), first.m, { role: 'tool', tool_call_id: 'f2', content: `{"c":${big}}` }, { role: 'tool', tool_call_id: 'f1', content: 'rain' }];
    const second = await message(history, stream);
    eq(up.asked[1].json.contents[1], { role: 'model', parts: turns.calls.slice(1) }, 'the calls come back');
    ok(up.asked[1].text.includes(`"response":{"c":${big}}`), 'a result keeps its numbers');
    eq(up.asked[1].json.contents[2].parts[0], { functionResponse: { id: 'f1', name: 'weather', response: { result: 'rain' } } });
    eq([second.m.content, second.finish.finish_reason], ['Grüße, Welt', 'stop']);

    await message([...history, second.m, user('next')], stream);
    eq(up.asked[2].json.contents[3], { role: 'model', parts: [{ text: 'Grüße, Welt' }, { text: '', thoughtSignature: 'c2lnLTI=' }] }, 'the text and the signature behind it');
  });

  test(`a call without an id gets one, and its signature, ${how}`, async () => {
    up.asked.length = 0;
    const { m } = await message([user('unnamed')], stream), id = m.tool_calls[0].id;
    ok(/^call_\w+$/.test(id), id);
    await message([user('unnamed'), m, { role: 'tool', tool_call_id: id, content: '{}' }], stream);
    eq(up.asked[1].json.contents[1].parts, [{ functionCall: { id, ...turns.unnamed[0].functionCall }, thoughtSignature: 'c2lnLU8=' }]);
  });

  test(`a history of another model goes on, ${how}`, async () => {
    up.asked.length = 0;
    await message([user('x'), { role: 'assistant', content: 'hm', reasoning_details: [{ type: 'reasoning.text', text: 't', signature: 's', format: 'anthropic-claude-v1', index: 0 }],
      tool_calls: [{ id: 'toolu_1', type: 'function', function: { name: 'weather', arguments: '' } }] }, { role: 'tool', tool_call_id: 'toolu_1', content: '5' }], stream);
    eq(up.asked[0].json.contents[1].parts, [{ text: 'hm' }, { functionCall: { id: 'toolu_1', name: 'weather', args: {} }, thoughtSignature: 'skip_thought_signature_validator' }]);
  });

  test(`an image, there and back, ${how}`, async () => {
    up.asked.length = 0;
    const { m } = await message([user('draw')], stream, { modalities: ['image', 'text'] });
    eq(m.images.map((i) => i.image_url.url), ['data:image/png;base64,AAEC']);
    await message([user('draw'), m, user('again')], stream);
    eq(up.asked[1].json.contents[1].parts, [{ inlineData: { mimeType: 'image/png', data: 'AAEC' }, thoughtSignature: 'aW1n' }]);
  });

  test(`a prompt that is blocked, ${how}`, async () => {
    const { finish } = await message([user('block')], stream);
    eq([finish.finish_reason, finish.native_finish_reason], ['content_filter', 'SAFETY']);
  });
}

test('what the upstream refuses, and why', async () => {
  const r = await post([user('x'), { role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] }, user('y')]);
  const a = await r.json();
  eq(r.status, 400);
  ok(JSON.stringify(a).includes('number of function response parts'), JSON.stringify(a));
  const busy = await post([user('busy')]);
  eq(busy.status, 503);
});

test('what the dialect cannot say is refused before it is sent', async () => {
  up.asked.length = 0;
  const r = await post([user('x')], { stop: ['1', '2', '3', '4', '5', '6'] });
  eq(r.status, 400);
  ok((await r.json()).error.message.includes('stop: this upstream takes 5 at most'), 'named');
  eq(up.asked.length, 0, 'requests');
});

await run(async () => { await g.stop(); await up.stop(); });
