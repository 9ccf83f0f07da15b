// clients_ai.test.js - the AI SDK with the OpenRouter provider, both majors, unmodified.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { eq, ok, run, skip, test } from './tap.js';
import { chunk, completion, sendJson, until } from './gateway.js';
import { clay, openStream, pixel, startWorld, thoughts, thrown, tooOld } from './clients_world.js';

const w = await startWorld();
globalThis.AI_SDK_LOG_WARNINGS = false;

async function load(...pkgs) {
  for (const pkg of pkgs) {
    const why = tooOld(JSON.parse(readFileSync(new URL(`node_modules/${pkg}/package.json`, import.meta.url))));
    if (why) return [{ why }, {}];
  }
  return Promise.all(pkgs.map((pkg) => import(pkg)));
}

for (const [aiPkg, providerPkg] of [['ai-6', 'openrouter-ai-2'], ['ai-7', 'openrouter-ai-3']]) {
  const [ai, { createOpenRouter }] = await load(aiPkg, providerPkg);
  const provider = (more = {}) => createOpenRouter({ baseURL: w.g.api, apiKey: w.key, compatibility: 'strict', ...more });
  const sim = ai.why ? null : provider()('sim/one');
  const acme = ai.why ? null : provider()('acme/one');
  const claim = (name, fn) => test(`${aiPkg} with ${providerPkg}: ${name}`, ai.why ? () => skip(ai.why) : fn);
  const weather = (execute) => ({ get_weather: ai.tool({ description: 'Weather of a city', inputSchema: z.object({ city: z.string() }), execute }) });

  claim('an answer in one piece, its usage and cost', async () => {
    const a = await ai.generateText({ model: sim, prompt: 'Say moon', maxRetries: 0 });
    eq(a.text, 'moon');
    eq(a.finishReason, 'stop');
    ok(a.usage.inputTokens > 0 && a.usage.outputTokens > 0, 'usage');
    ok(a.providerMetadata.openrouter.usage.cost > 0, JSON.stringify(a.providerMetadata));
    eq(a.providerMetadata.openrouter.provider, 'Sim');
  });

  claim('a stream', async () => {
    const s = ai.streamText({ model: sim, prompt: 'Count to 5', maxRetries: 0 });
    const bits = [];
    for await (const bit of s.textStream) bits.push(bit);
    eq(bits.join(''), '1, 2, 3, 4, 5');
    ok(bits.length > 2, 'in pieces');
    eq(await s.finishReason, 'stop');
    ok((await s.usage).outputTokens > 0, 'usage');
    ok((await s.providerMetadata).openrouter.usage.cost > 0, 'cost');
  });

  for (const streamed of [false, true]) {
    const ask = async (options) => {
      if (!streamed) return ai.generateText({ maxRetries: 0, model: sim, ...options });
      const s = ai.streamText({ maxRetries: 0, model: sim, ...options });
      await s.consumeStream();
      return { text: await s.text, toolCalls: await s.toolCalls, steps: await s.steps, reasoningText: await s.reasoningText, response: await s.response };
    };
    const how = streamed ? 'streamed' : 'in one piece';

    claim(`a tool is called, and its result answered, ${how}`, async () => {
      const seen = [];
      const a = await ask({ prompt: 'What is the weather in Paris?', stopWhen: ai.stepCountIs?.(3) ?? ai.isStepCount(3),
        tools: weather(async ({ city }) => { seen.push(city); return { celsius: 21 }; }) });
      eq(seen, ['Paris']);
      eq(a.steps.length, 2);
      ok(a.text.includes('21'), a.text);
    });

    claim(`parallel tools, ${how}`, async () => {
      const a = await ask({ prompt: 'What is the weather in Paris and in London?', tools: weather() });
      eq(a.toolCalls.map((t) => [t.toolName, t.input.city]), [['get_weather', 'Paris'], ['get_weather', 'London']]);
    });

    claim(`signed reasoning goes back with the conversation, ${how}`, async () => {
      const messages = [{ role: 'user', content: 'Say moon' }];
      const model = provider()('sim/one', { reasoning: { effort: 'low' } });
      const a = await ask({ model, messages });
      ok(a.reasoningText.includes('The user wrote'), a.reasoningText);
      eq((await ask({ model, messages: [...messages, ...a.response.messages, { role: 'user', content: 'Say sun' }] })).text, 'sun');
      const forged = JSON.parse(JSON.stringify(a.response.messages).replaceAll('First I read', 'First I skip'));
      const e = await thrown(() => ai.generateText({ maxRetries: 0, model, messages: [...messages, ...forged, { role: 'user', content: 'Say sun' }] }));
      eq(e.statusCode, 400, 'of a changed text');
    });

    claim(`thoughts between calls and results reach Anthropic as they came, ${how}`, async () => {
      w.up.asked.length = 0;
      w.behave = clay;
      const a = await ask({ model: provider()('clay/one', { reasoning: { max_tokens: 2000 } }), prompt: 'What is the weather in Paris and Oslo?',
        stopWhen: ai.stepCountIs?.(3) ?? ai.isStepCount(3), tools: weather(async ({ city }) => `${city}: sunny`) });
      eq(a.text, 'Both are sunny.');
      const [, turn, results] = w.up.asked.at(-1).json.messages;
      eq(turn.content.slice(0, 2), thoughts);
      eq(turn.content.filter((b) => b.type === 'tool_use').map((b) => [b.id, b.input.city]), [['toolu_1', 'Paris'], ['toolu_2', 'Oslo']]);
      eq(results.content.map((b) => [b.type, b.tool_use_id]), [['tool_result', 'toolu_1'], ['tool_result', 'toolu_2']]);
    });
  }

  claim('an object by its schema, in one piece and streamed', async () => {
    const options = { model: sim, prompt: 'Bob is 42 years old. Extract the person.', schema: z.object({ name: z.string(), age: z.number().int() }), maxRetries: 0 };
    const output = ai.Output.object({ schema: options.schema });
    eq((await ai.generateText({ ...options, output })).output, { name: 'Bob', age: 42 });
    let last;
    for await (const part of ai.streamText({ ...options, output }).partialOutputStream) last = part;
    eq(last, { name: 'Bob', age: 42 });
  });

  claim('an image in', async () => {
    const a = await ai.generateText({ model: sim, maxRetries: 0,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'What colour is this?' }, { type: 'image', image: pixel }] }] });
    ok(/red/.test(a.text), a.text);
  });

  claim('an image out', async () => {
    const a = await ai.generateText({ model: provider()('sim/one', { extraBody: { modalities: ['image', 'text'] } }), prompt: 'Paint the sea', maxRetries: 0 });
    eq(a.files.map((f) => f.mediaType), ['image/png']);
  });

  claim('left in mid-stream: the upstream is closed, the record says cancelled', async () => {
    let asked;
    const stop = new AbortController();
    w.behave = (req, res) => { asked = req; openStream(res); res.write(chunk({ role: 'assistant', content: 'one' })); };
    const s = ai.streamText({ model: acme, prompt: 'x', maxRetries: 0, abortSignal: stop.signal, onError() {}, includeRawChunks: true });
    let id;
    try {
      for await (const part of s.fullStream) {
        id = part.rawValue?.id ?? id;
        if (part.type === 'text-delta') stop.abort();
      }
    } catch (e) { ok(e.name === 'AbortError', e); }
    await until('the upstream to be closed', () => asked.closed, 2000);
    const record = await until('the record', () => w.generation(id));
    eq(record.cancelled, true);
  });

  claim('an error in the stream arrives as one', async () => {
    let error = null, text = '';
    w.behave = (req, res) => { openStream(res); res.write(chunk({ role: 'assistant', content: 'half' })); setTimeout(() => res.destroy(), 10); };
    for await (const part of ai.streamText({ model: acme, prompt: 'x', maxRetries: 0, onError() {} }).fullStream) {
      if (part.type === 'text-delta') text += part.text;
      if (part.type === 'error') error = part.error;
    }
    eq(text, 'half');
    ok(error, 'an error part');
  });

  claim('a 429 is tried again, after the time that the gateway says', async () => {
    let n = 0;
    w.behave = (req, res) => n++ ? sendJson(res, 200, completion('at last')) : sendJson(res, 429, { error: { message: 'slow down' } }, { 'retry-after': '1' });
    eq((await ai.generateText({ model: acme, prompt: 'x', maxRetries: 2 })).text, 'at last');
  });

  for (const [what, status, retryable, ask] of [
    ['a wrong key', 401, false, () => provider({ apiKey: 'sk-or-v1-' + '0'.repeat(64) })('sim/one')],
    ['no such model', 400, false, () => provider()('sim/none')],
    ['no provider allowed', 404, false, () => provider()('sim/one', { provider: { only: ['azure'] } })],
    ['a key at its limit', 403, false, async () => provider({ apiKey: await w.g.newKey({ limit: 0 }) })('sim/one')],
    ['an empty balance', 402, false, async () => provider({ baseURL: (await w.broke()).api, apiKey: (await w.broke()).key })('sim/one')],
    ['an upstream that says 429', 429, true, () => {
      w.behave = (req, res) => sendJson(res, 429, { error: { message: 'slow down' } });
      return acme;
    }],
  ])
    claim(`${what}: APICallError ${status}`, async () => {
      const model = await ask();
      const e = await thrown(() => ai.generateText({ model, prompt: 'x', maxRetries: 0 }));
      ok(ai.APICallError.isInstance(e), e);
      eq([e.statusCode, e.isRetryable], [status, retryable]);
      eq(e.message.length > 0 && JSON.parse(e.responseBody).error.code, status);
    });
}

run(() => w.stop());
