// clients_langchain.test.js - @langchain/openai, unmodified.
import { ChatOpenAI } from '@langchain/openai';
import { AIMessageChunk, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { z } from 'zod';
import { readFileSync } from 'node:fs';
import { eq, ok, run, skip, test as claim } from './tap.js';
import { chunk, completion, sendJson, until } from './gateway.js';
import { openStream, pixel, startWorld, thrown, tooOld } from './clients_world.js';

const why = tooOld(JSON.parse(readFileSync(new URL('node_modules/@langchain/openai/package.json', import.meta.url))));
const test = (name, fn) => claim(name, why ? () => skip(why) : fn);

const w = await startWorld();
const model = (name, more = {}, baseURL = w.g.api) => new ChatOpenAI({ model: name, apiKey: w.key, maxRetries: 0, ...more, configuration: { baseURL } });
const sim = model('sim/one');
const weather = tool(async ({ city }) => `In ${city} it is 21 degrees`, { name: 'get_weather', description: 'Weather of a city',
  schema: z.object({ city: z.string() }) });

async function joined(stream) {
  let all = null;
  for await (const one of stream) all = all ? all.concat(one) : one;
  return all;
}

test('an answer in one piece', async () => {
  const a = await sim.invoke('Say moon');
  eq(a.content, 'moon');
  eq(a.response_metadata.finish_reason, 'stop');
  ok(a.usage_metadata.input_tokens > 0 && a.usage_metadata.output_tokens > 0, JSON.stringify(a.usage_metadata));
});

test('a stream, with one usage', async () => {
  const a = await joined(await sim.stream('Count to 5'));
  ok(a instanceof AIMessageChunk);
  eq(a.content, '1, 2, 3, 4, 5');
  ok(a.usage_metadata.total_tokens > 0, JSON.stringify(a.usage_metadata));
  eq(a.usage_metadata.total_tokens, a.usage_metadata.input_tokens + a.usage_metadata.output_tokens);
});

for (const streamed of [false, true]) {
  const how = streamed ? 'streamed' : 'in one piece';
  const withTools = sim.bindTools([weather]);
  const ask = async (messages) => streamed ? joined(await withTools.stream(messages)) : withTools.invoke(messages);

  test(`a tool, and the round trip with its result, ${how}`, async () => {
    const messages = [new HumanMessage('What is the weather in Paris?')];
    const a = await ask(messages);
    eq(a.tool_calls.map((t) => [t.name, t.args]), [['get_weather', { city: 'Paris' }]]);
    const result = await weather.invoke(a.tool_calls[0]);
    ok(result instanceof ToolMessage);
    const b = await ask([...messages, a, result]);
    ok(b.content.includes('21'), b.content);
    eq(b.tool_calls, []);
  });

  test(`parallel tools, ${how}`, async () => {
    const a = await ask([new HumanMessage('What is the weather in Paris and in London?')]);
    eq(a.tool_calls.map((t) => t.args.city), ['Paris', 'London']);
    eq(a.invalid_tool_calls ?? [], []);
  });
}

for (const method of ['jsonSchema', 'functionCalling'])
  test(`structured output by ${method}`, async () => {
    const person = z.object({ name: z.string(), age: z.number().int() });
    eq(await sim.withStructuredOutput(person, { name: 'person', method }).invoke('Bob is 42 years old. Extract the person.'), { name: 'Bob', age: 42 });
  });

test('an image in', async () => {
  const a = await sim.invoke([new HumanMessage({ content: [{ type: 'text', text: 'What colour is this?' }, { type: 'image_url', image_url: { url: pixel } }] })]);
  ok(/red/.test(a.content), a.content);
});

test('reasoning asked for: the answer comes, its tokens are in the usage', async () => {
  const a = await model('sim/one', { modelKwargs: { reasoning: { effort: 'low' } } }).invoke('Say moon');
  eq(a.content, 'moon');
  ok(a.usage_metadata.output_token_details.reasoning > 0, JSON.stringify(a.usage_metadata));
});

test('left in mid-stream: the upstream is closed, the record says cancelled', async () => {
  let asked, id;
  const stop = new AbortController();
  w.behave = (req, res) => { asked = req; openStream(res); res.write(chunk({ role: 'assistant', content: 'one' })); };
  await thrown(async () => {
    for await (const one of await model('acme/one').stream('x', { signal: stop.signal })) {
      id = one.id;
      stop.abort();
    }
    throw new Error('the stream ended');
  });
  await until('the upstream to be closed', () => asked.closed, 2000);
  const record = await until('the record', () => w.generation(id));
  eq(record.cancelled, true);
});

test('an error in the stream is thrown', async () => {
  w.behave = (req, res) => { openStream(res); res.write(chunk({ role: 'assistant', content: 'half' })); setTimeout(() => res.destroy(), 10); };
  const e = await thrown(async () => joined(await model('acme/one').stream('x')));
  eq(e.code, 502);
});

test('a retry of the package after 500', async () => {
  let n = 0;
  w.behave = (req, res) => n++ ? sendJson(res, 200, completion('at last')) : sendJson(res, 500, { error: { message: 'boom' } });
  eq((await model('acme/one', { maxRetries: 2 }).invoke('x')).content, 'at last');
});

for (const [what, status, ask] of [
  ['a wrong key', 401, () => model('sim/one', { apiKey: 'sk-or-v1-' + '0'.repeat(64) })],
  ['a bad temperature', 400, () => model('sim/one', { temperature: 9 })],
  ['no such model', 400, () => model('sim/none')],
  ['no provider allowed', 404, () => model('sim/one', { modelKwargs: { provider: { only: ['azure'] } } })],
  ['a key at its limit', 403, async () => model('sim/one', { apiKey: await w.g.newKey({ limit: 0 }) })],
  ['an empty balance', 402, async () => model('sim/one', { apiKey: (await w.broke()).key }, (await w.broke()).api)],
  ['an upstream that says 429', 429, () => {
    w.behave = (req, res) => sendJson(res, 429, { error: { message: 'slow down' } }, { 'retry-after': '7' });
    return model('acme/one');
  }],
])
  test(`${what}: ${status}`, async () => {
    const m = await ask();
    const e = await thrown(() => m.invoke('x'));
    eq(e.status, status, e.message);
  });

run(() => w.stop());
