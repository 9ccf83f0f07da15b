// clients_openrouter.test.js - @openrouter/sdk, unmodified: it checks every answer
// against its schema, and refuses what does not fit.
import { OpenRouter } from '@openrouter/sdk';
import * as errors from '@openrouter/sdk/models/errors';
import { eq, ok, run, test } from './tap.js';
import { chunk, completion, sendJson, until } from './gateway.js';
import { clay, openStream, personSchema, pixel, startWorld, thoughts, thrown, weatherSchema } from './clients_world.js';

const w = await startWorld();
const client = (apiKey, serverURL = w.g.api) => new OpenRouter({ apiKey, serverURL, retryConfig: { strategy: 'none' } });
const c = client(w.key);
const boss = client(w.managementKey);
const user = (content) => ({ role: 'user', content });
const tools = [{ type: 'function', function: { name: 'get_weather', description: 'Weather of a city', parameters: weatherSchema } }];
const send = (chatRequest, more = {}, options) => c.chat.send({ chatRequest: { model: 'sim/one', ...chatRequest }, ...more }, options);

// One answer out of the deltas of a stream.
async function gather(stream) {
  const all = { content: '', reasoning: '', details: [], calls: [], finish: null, usage: null, chunks: 0, id: null, error: null };
  for await (const one of stream) {
    const choice = one.choices[0];
    all.chunks++;
    all.id = one.id;
    all.error = one.error ?? all.error;
    all.usage = one.usage ?? all.usage;
    all.content += choice?.delta.content ?? '';
    all.reasoning += choice?.delta.reasoning ?? '';
    all.details.push(...choice?.delta.reasoningDetails ?? []);
    all.finish = choice?.finishReason ?? all.finish;
    for (const t of choice?.delta.toolCalls ?? []) {
      all.calls[t.index] ??= { id: t.id, name: t.function.name, arguments: '' };
      all.calls[t.index].arguments += t.function?.arguments ?? '';
    }
  }
  return all;
}

test('an answer in one piece', async () => {
  const a = await send({ messages: [user('Say moon')] });
  eq(a.choices[0].message.content, 'moon');
  eq(a.choices[0].finishReason, 'stop');
  ok(a.usage.cost > 0 && a.usage.totalTokens > 0, 'usage');
});

test('the router metadata, in one piece and streamed', async () => {
  const a = await send({ messages: [user('Say moon')] }, { xOpenRouterMetadata: 'enabled' });
  eq(a.openrouterMetadata.requested, 'sim/one');
  eq(a.openrouterMetadata.endpoints.available.filter((e) => e.selected).map((e) => e.provider), ['Sim']);
  let got = null;
  for await (const one of await send({ messages: [user('Say moon')], stream: true }, { xOpenRouterMetadata: 'enabled' }))
    got = one.openrouterMetadata ?? got;
  eq(got?.requested, 'sim/one');
});

test('a stream, with one usage', async () => {
  const a = await gather(await send({ messages: [user('Count to 5')], stream: true }));
  eq(a.content, '1, 2, 3, 4, 5');
  eq(a.finish, 'stop');
  ok(a.usage.cost > 0 && a.chunks > 3, 'usage, pieces');
});

test('log-probabilities, in one piece and streamed', async () => {
  const a = await send({ messages: [user('Say moon')], logprobs: true, topLogprobs: 2 });
  eq(a.choices[0].logprobs.content[0].token, 'moon');
  eq(a.choices[0].logprobs.content[0].topLogprobs.length, 2);
  let odds = 0;
  for await (const one of await send({ messages: [user('Count to 5')], logprobs: true, topLogprobs: 1, stream: true }))
    odds += one.choices[0]?.logprobs?.content?.length ?? 0;
  ok(odds > 2, 'of the stream');
});

for (const stream of [false, true]) {
  const ask = async (message, logprobs) => {
    w.behave = (req, res) => {
      const whole = completion('x');
      whole.choices[0] = { ...whole.choices[0], message: { role: 'assistant', ...message }, logprobs };
      if (!req.json.stream) return sendJson(res, 200, whole);
      openStream(res);
      return res.end(chunk(message) + chunk({}, 'stop', logprobs && { choices: [{ index: 0, delta: {}, finish_reason: 'stop', logprobs }] }) + 'data: [DONE]\n\n');
    };
    const a = await send({ model: 'acme/one', messages: [user('x')], stream });
    if (!stream) return a.choices[0];
    const all = { message: {}, logprobs: null };
    for await (const one of a) {
      Object.assign(all.message, one.choices[0]?.delta);
      all.logprobs = one.choices[0]?.logprobs ?? all.logprobs;
    }
    return all;
  };
  const how = stream ? 'streamed' : 'in one piece';

  test(`sound, with its words, ${how}`, async () => {
    const audio = { id: 'audio_1', data: 'AAAA', transcript: 'hello', expires_at: 5 };
    const { message } = await ask({ content: null, audio });
    eq(message.audio, { id: 'audio_1', data: 'AAAA', transcript: 'hello', expiresAt: 5 });
  });

  test(`log-probabilities of fewer members still fit the schema, ${how}`, async () => {
    eq((await ask({ content: 'x' }, { content: [{ token: 'x', logprob: -0.5 }] })).logprobs.content,
      [{ token: 'x', logprob: -0.5, bytes: null, topLogprobs: [] }]);
    eq((await ask({ content: 'x' }, { tokens: ['x'], token_logprobs: [-0.5] })).logprobs ?? null, null);
  });
}

test('one tool, and the round trip with its result', async () => {
  const messages = [user('What is the weather in Paris?')];
  const a = await send({ messages, tools });
  eq(a.choices[0].finishReason, 'tool_calls');
  const [call] = a.choices[0].message.toolCalls;
  eq(JSON.parse(call.function.arguments), { city: 'Paris' });
  const b = await send({ tools, messages: [...messages, a.choices[0].message, { role: 'tool', toolCallId: call.id, content: '{"celsius":21}' }] });
  ok(b.choices[0].message.content.includes('21'), b.choices[0].message.content);
});

test('parallel tools, streamed arguments', async () => {
  const a = await gather(await send({ messages: [user('What is the weather in Paris and in London?')], tools, stream: true }));
  eq(a.calls.map((t) => [t.name, JSON.parse(t.arguments).city]), [['get_weather', 'Paris'], ['get_weather', 'London']]);
  eq(a.finish, 'tool_calls');
});

test('tool choice: none, required, by name', async () => {
  const messages = [user('What is the weather in Paris?')];
  eq((await send({ messages, tools, toolChoice: 'none' })).choices[0].finishReason, 'stop');
  eq((await send({ messages: [user('Say moon')], tools, toolChoice: 'required' })).choices[0].finishReason, 'tool_calls');
  const named = await send({ messages: [user('Say moon')], tools, toolChoice: { type: 'function', function: { name: 'get_weather' } } });
  eq(named.choices[0].message.toolCalls[0].function.name, 'get_weather');
});

test('a schema for the answer', async () => {
  const a = await send({ messages: [user('Bob is 42 years old. Extract the person.')],
    responseFormat: { type: 'json_schema', jsonSchema: { name: 'person', strict: true, schema: personSchema } } });
  eq(JSON.parse(a.choices[0].message.content), { name: 'Bob', age: 42 });
});

test('an image in a data URL', async () => {
  const a = await send({ messages: [user([{ type: 'text', text: 'What colour is this?' }, { type: 'image_url', imageUrl: { url: pixel } }])] });
  ok(/red/.test(a.choices[0].message.content), a.choices[0].message.content);
});

test('an image out', async () => {
  const a = await send({ messages: [user('Paint the sea')], modalities: ['image', 'text'] });
  ok(a.choices[0].message.images[0].imageUrl.url.startsWith('data:image/png;base64,'), 'a data URL');
});

test('reasoning comes signed and goes back; a changed text is refused', async () => {
  const messages = [user('Say moon')];
  const turn = (await send({ messages, reasoning: { effort: 'low' } })).choices[0].message;
  ok(turn.reasoning && turn.reasoningDetails[0].signature, 'signed');
  eq((await send({ messages: [...messages, turn, user('Say sun')] })).choices[0].message.content, 'sun');
  const forged = { ...turn, reasoningDetails: [{ ...turn.reasoningDetails[0], text: 'Something else.' }] };
  ok(await thrown(() => send({ messages: [...messages, forged, user('Say sun')] })) instanceof errors.BadRequestResponseError, 'refused');
});

test('streamed reasoning goes back piece by piece', async () => {
  const messages = [user('Say moon')];
  const a = await gather(await send({ messages, reasoning: { effort: 'low' }, stream: true }));
  eq(a.reasoning, a.details.map((d) => d.text).join(''));
  const turn = { role: 'assistant', content: a.content, reasoningDetails: a.details };
  eq((await send({ messages: [...messages, turn, user('Say sun')] })).choices[0].message.content, 'sun');
});

for (const stream of [false, true])
  test(`thoughts between calls and results reach Anthropic as they came, ${stream ? 'streamed' : 'in one piece'}`, async () => {
    w.up.asked.length = 0;
    w.behave = clay;
    const ask = (messages) => send({ model: 'clay/one', messages, tools, reasoning: { effort: 'low' }, stream });
    const messages = [user('What is the weather in Paris and Oslo?')];
    let turn;
    if (stream) {
      const a = await gather(await ask(messages));
      turn = { role: 'assistant', content: a.content, reasoningDetails: a.details,
        toolCalls: a.calls.map((t) => ({ id: t.id, type: 'function', function: { name: t.name, arguments: t.arguments } })) };
    } else {
      turn = (await ask(messages)).choices[0].message;
      eq(turn.content, 'I look it up.');
    }
    const results = turn.toolCalls.map((t) => ({ role: 'tool', toolCallId: t.id, content: 'sunny' }));
    const answer = await ask([...messages, turn, ...results]);
    eq(stream ? (await gather(answer)).content : answer.choices[0].message.content, 'Both are sunny.');
    const sent = w.up.asked.at(-1).json.messages;
    eq(sent[1].content.slice(0, 2), thoughts);
    eq(sent[1].content.filter((b) => b.type === 'tool_use').map((b) => [b.id, b.input.city]), [['toolu_1', 'Paris'], ['toolu_2', 'Oslo']]);
    eq(sent[2].content.map((b) => b.tool_use_id), ['toolu_1', 'toolu_2']);
  });

test('left in mid-stream: the upstream is closed, the generation says cancelled', async () => {
  let asked, id;
  const stop = new AbortController();
  w.behave = (req, res) => { asked = req; openStream(res); res.write(chunk({ role: 'assistant', content: 'one' })); };
  const s = await send({ model: 'acme/one', messages: [user('x')], stream: true }, {}, { fetchOptions: { signal: stop.signal } });
  await thrown(async () => { for await (const one of s) { id = one.id; stop.abort(); } });
  await until('the upstream to be closed', () => asked.closed, 2000);
  await until('the record', () => w.generation(id));
  eq((await c.generations.getGeneration({ id })).data.cancelled, true);
});

test('an error in the stream keeps to the schema', async () => {
  w.behave = (req, res) => { openStream(res); res.write(chunk({ role: 'assistant', content: 'half' })); setTimeout(() => res.destroy(), 10); };
  const a = await gather(await send({ model: 'acme/one', messages: [user('x')], stream: true }));
  eq(a.content, 'half');
  eq(a.error.code, 502);
  eq(a.finish, 'error');
});

for (const [what, kind, status, ask] of [
  ['a wrong key', 'UnauthorizedResponseError', 401, () => client('sk-or-v1-' + '0'.repeat(64)).chat.send({ chatRequest: { model: 'sim/one', messages: [user('x')] } })],
  ['a bad temperature', 'BadRequestResponseError', 400, () => send({ messages: [user('x')], temperature: 9 })],
  ['no such model', 'BadRequestResponseError', 400, () => send({ model: 'sim/none', messages: [user('x')] })],
  ['no provider allowed', 'NotFoundResponseError', 404, () => send({ messages: [user('x')], provider: { only: ['azure'] } })],
  ['a key at its limit', 'ForbiddenResponseError', 403, async () => client(await w.g.newKey({ limit: 0 })).chat.send({ chatRequest: { model: 'sim/one', messages: [user('x')] } })],
  ['an empty balance', 'PaymentRequiredResponseError', 402, async () => {
    const poor = await w.broke();
    return client(poor.key, poor.api).chat.send({ chatRequest: { model: 'sim/one', messages: [user('x')] } });
  }],
  ['an upstream that says 429', 'TooManyRequestsResponseError', 429, () => {
    w.behave = (req, res) => sendJson(res, 429, { error: { message: 'slow down' } }, { 'retry-after': '7' });
    return send({ model: 'acme/one', messages: [user('x')] });
  }],
  ['an upstream that fails', 'BadGatewayResponseError', 502, () => {
    w.behave = (req, res) => sendJson(res, 500, { error: { message: 'boom' } });
    return send({ model: 'acme/one', messages: [user('x')] });
  }],
  ['an upstream that is overloaded, of a stream', 'ProviderOverloadedResponseError', 529, () => {
    w.behave = (req, res) => sendJson(res, 529, { error: { message: 'overloaded' } });
    return send({ model: 'acme/one', messages: [user('x')], stream: true });
  }],
  ['an upstream that answers nothing, of a stream', 'BadGatewayResponseError', 502, () => {
    w.behave = (req, res) => { openStream(res); res.end('data: [DONE]\n\n'); };
    return send({ model: 'acme/one', messages: [user('x')], stream: true });
  }],
  ['keys, without the right to', 'OpenRouterError', 403, () => c.apiKeys.list()],
  ['a generation nobody made', 'NotFoundResponseError', 404, () => c.generations.getGeneration({ id: 'gen-1764031697-vqvW0uz7ouT4gsp3FYqp' })],
])
  test(`${what}: ${kind}`, async () => {
    const e = await thrown(ask);
    ok(e instanceof errors[kind], `${e.constructor.name} ${e.statusCode} ${e.message}`);
    eq(e.statusCode, status);
    eq(JSON.parse(e.body).error.code, status);
  });

test('models: list, one, its endpoints, the count', async () => {
  const ids = [];
  for await (const page of await c.models.list()) ids.push(...page.result.data.map((m) => m.id));
  eq(ids, ['acme/one', 'clay/one', 'rich/one', 'sim/one']);
  eq((await c.models.get({ author: 'sim', slug: 'one' })).data.id, 'sim/one');
  eq((await c.models.count()).data.count, 4);
  const { data } = await c.endpoints.list({ author: 'sim', slug: 'one' });
  eq(data.endpoints.map((e) => e.providerName), ['Sim']);
  eq(data.endpoints[0].pricing.prompt, '0.0000001');
});

test('a model of which all is known fits the schemas', async () => {
  const { data } = await c.models.get({ author: 'rich', slug: 'one' });
  eq([data.canonicalSlug, data.architecture.modality, data.reasoning.supportedEfforts, data.defaultParameters.temperature, data.topProvider.isModerated],
    ['rich/one-2024', 'text+image+file+audio+video->text+image', ['low', 'high'], 0.5, true]);
  const { endpoints } = (await c.endpoints.list({ author: 'rich', slug: 'one' })).data;
  eq(endpoints.map((e) => [e.tag, e.quantization, e.supportsToolChoice.required]), [['acme', 'nvfp4', true], ['sim/eu', 'unknown', false]]);
  eq([endpoints[0].pricing.inputCacheRead, endpoints[0].pricing.request], ['0.0000001', '0.001']);
});

test('a fail-over: the metadata and the generation name both', async () => {
  w.behave = (req, res) => sendJson(res, 500, { error: { message: 'boom' } });
  const a = await send({ model: 'rich/one', messages: [user('Say moon')], sessionId: 'one', provider: { order: ['acme', 'sim'] } }, { xOpenRouterMetadata: 'enabled' });
  eq(a.choices[0].message.content, 'moon');
  eq(a.openrouterMetadata.attempts.map((t) => [t.provider, t.status]), [['Acme', 500], ['Sim', 200]]);
  await until('the record', () => w.generation(a.id));
  const { data } = await c.generations.getGeneration({ id: a.id });
  eq(data.providerResponses.map((t) => [t.providerName, t.status]), [['Acme', 500], ['Sim', 200]]);
  eq([data.providerName, data.sessionId, data.workspaceId], ['Sim', 'one', null]);
});

test('models for the key; endpoints without retention; providers', async () => {
  for await (const page of await c.models.listForUser({ bearer: w.key })) eq(page.result.data.length, 4);
  ok(Array.isArray((await c.endpoints.listZdrEndpoints()).data), 'a list');
  eq((await c.providers.list()).data.map((p) => p.slug), ['acme', 'clay', 'sim']);
});

test('keys: create, read, list, change, use, delete', async () => {
  const made = await boss.apiKeys.create({ requestBody: { name: 'made', limit: 5, limitReset: 'monthly', includeByokInLimit: true,
    expiresAt: new Date(Date.now() + 3600e3) } });
  const { hash } = made.data;
  ok(made.key.startsWith('sk-or-v1-'), 'the key');
  eq(made.data.limit, 5);
  eq((await boss.apiKeys.get({ hash })).data.name, 'made');
  ok((await boss.apiKeys.list()).data.some((k) => k.hash === hash), 'listed');
  const changed = (await boss.apiKeys.update({ hash, requestBody: { name: 'renamed', limit: null, limitReset: null } })).data;
  eq([changed.name, changed.limit, changed.limitReset], ['renamed', null, null]);
  eq((await client(made.key).apiKeys.getCurrentKeyMetadata()).data.limit, null);
  await boss.apiKeys.update({ hash, requestBody: { disabled: true } });
  ok(await thrown(() => client(made.key).apiKeys.getCurrentKeyMetadata()) instanceof errors.UnauthorizedResponseError, 'disabled');
  eq((await boss.apiKeys.delete({ hash })).deleted, true);
  ok(await thrown(() => boss.apiKeys.get({ hash })) instanceof errors.NotFoundResponseError, 'gone');
});

test('credits, and the key of the caller', async () => {
  const { data } = await boss.credits.getCredits();
  ok(data.totalUsage > 0 && data.totalCredits >= 0, JSON.stringify(data));
  ok((await c.apiKeys.getCurrentKeyMetadata()).data.usage > 0, 'usage');
});

test('a generation has what the answer said', async () => {
  w.behave = (req, res) => sendJson(res, 200, completion('x', { prompt_tokens: 1000, completion_tokens: 500 }));
  const a = await send({ model: 'acme/one', messages: [user('x')] });
  await until('the record', () => w.generation(a.id));
  const { data } = await c.generations.getGeneration({ id: a.id });
  eq([data.totalCost, data.nativeTokensPrompt, data.nativeTokensCompletion, data.providerName, data.cancelled], [0.002, 1000, 500, 'Acme', false]);
  eq(data.totalCost, a.usage.cost);
});

run(() => w.stop());
