// clients_openai.test.js - the openai package, its majors 5, 6 and 7, unmodified.
import { readFileSync } from 'node:fs';
import { eq, ok, run, skip, test } from './tap.js';
import { chunk, completion, sendJson, until } from './gateway.js';
import { openStream, personSchema, pixel, startWorld, thrown, tooOld, weatherSchema } from './clients_world.js';

const w = await startWorld();
const tools = [{ type: 'function', function: { name: 'get_weather', description: 'Weather of a city', parameters: weatherSchema } }];
const user = (content) => ({ role: 'user', content });

async function load(pkg) {
  const facts = JSON.parse(readFileSync(new URL(`node_modules/${pkg}/package.json`, import.meta.url)));
  return tooOld(facts) ? { why: tooOld(facts) } : import(pkg);
}

for (const pkg of ['openai-5', 'openai-6', 'openai-7']) {
  const lib = await load(pkg);
  const { OpenAI } = lib;
  const client = (more = {}) => new OpenAI({ baseURL: w.g.api, apiKey: w.key, maxRetries: 0, ...more });
  const c = OpenAI && client();
  const claim = (name, fn) => test(`${pkg}: ${name}`, lib.why ? () => skip(lib.why) : fn);

  claim('an answer in one piece', async () => {
    const a = await c.chat.completions.create({ model: 'sim/one', messages: [user('Say moon')] });
    eq(a.choices[0].message.content, 'moon');
    eq(a.choices[0].finish_reason, 'stop');
    ok(a.usage.total_tokens > 0 && a.usage.cost > 0, 'usage');
  });

  claim('one model by its slug, and one that is not there', async () => {
    const m = await c.models.retrieve('sim/one');
    eq([m.id, m.object, m.owned_by, typeof m.created], ['sim/one', 'model', 'sim', 'number']);
    const e = await c.models.retrieve('sim/nobody').catch((x) => x);
    ok(e instanceof lib.NotFoundError, String(e));
    const list = await c.models.list();
    ok(list.data.some((one) => one.id === 'sim/one'), 'the list');
  });

  claim('a stream by hand', async () => {
    let text = '', usage = null;
    const s = await c.chat.completions.create({ model: 'sim/one', messages: [user('Count to 5')], stream: true, stream_options: { include_usage: true } });
    for await (const one of s) {
      text += one.choices[0]?.delta?.content ?? '';
      usage = one.usage ?? usage;
    }
    eq(text, '1, 2, 3, 4, 5');
    ok(usage.completion_tokens > 0, 'usage');
  });

  claim('the stream helper: events, the final message and its usage', async () => {
    const deltas = [];
    const s = c.chat.completions.stream({ model: 'sim/one', messages: [user('Count to 5')], stream_options: { include_usage: true } });
    s.on('content.delta', (d) => deltas.push(d.delta));
    const final = await s.finalChatCompletion();
    eq(final.choices[0].message.content, '1, 2, 3, 4, 5');
    eq(deltas.join(''), '1, 2, 3, 4, 5');
    ok(final.usage.total_tokens > 0, 'usage');
  });

  claim('one tool, and the round trip with its result', async () => {
    const messages = [user('What is the weather in Paris?')];
    const a = await c.chat.completions.create({ model: 'sim/one', messages, tools });
    eq(a.choices[0].finish_reason, 'tool_calls');
    const [call] = a.choices[0].message.tool_calls;
    eq(JSON.parse(call.function.arguments), { city: 'Paris' });
    const b = await c.chat.completions.create({ model: 'sim/one', tools,
      messages: [...messages, a.choices[0].message, { role: 'tool', tool_call_id: call.id, content: '{"celsius":21,"sky":"clear"}' }] });
    eq(b.choices[0].finish_reason, 'stop');
    ok(b.choices[0].message.content.includes('21'), b.choices[0].message.content);
  });

  claim('parallel tools', async () => {
    const a = await c.chat.completions.create({ model: 'sim/one', messages: [user('What is the weather in Paris and in London?')], tools });
    const calls = a.choices[0].message.tool_calls;
    eq(calls.map((t) => JSON.parse(t.function.arguments).city), ['Paris', 'London']);
    eq(new Set(calls.map((t) => t.id)).size, 2, 'ids');
  });

  claim('streamed arguments, put together by the helper', async () => {
    let bits = 0;
    const s = c.chat.completions.stream({ model: 'sim/one', messages: [user('What is the weather in Paris and in London?')], tools });
    s.on('tool_calls.function.arguments.delta', () => { bits++; });
    const calls = (await s.finalChatCompletion()).choices[0].message.tool_calls;
    eq(calls.map((t) => [t.function.name, JSON.parse(t.function.arguments).city]), [['get_weather', 'Paris'], ['get_weather', 'London']]);
    ok(bits > 2, 'arguments came in pieces');
  });

  claim('runTools: the package calls the functions and asks again', async () => {
    const seen = [];
    const r = c.chat.completions.runTools({ model: 'sim/one', messages: [user('What is the weather in Paris?')],
      tools: [{ type: 'function', function: { ...tools[0].function, parse: JSON.parse,
        function: ({ city }) => { seen.push(city); return '{"celsius":21}'; } } }] });
    ok((await r.finalContent()).includes('21'), 'the result is in the answer');
    eq(seen, ['Paris']);
  });

  claim('a schema for the answer', async () => {
    const a = await c.chat.completions.parse({ model: 'sim/one', messages: [user('Bob is 42 years old. Extract the person.')],
      response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: personSchema } } });
    eq(JSON.parse(a.choices[0].message.content), { name: 'Bob', age: 42 });
  });

  claim('an image in a data URL', async () => {
    const a = await c.chat.completions.create({ model: 'sim/one',
      messages: [user([{ type: 'text', text: 'What colour is this?' }, { type: 'image_url', image_url: { url: pixel } }])] });
    ok(/red/.test(a.choices[0].message.content), a.choices[0].message.content);
  });

  claim('reasoning comes signed, goes back, and a changed text is refused', async () => {
    const messages = [user('Say moon')];
    const a = (await c.chat.completions.create({ model: 'sim/one', messages, reasoning_effort: 'low' })).choices[0].message;
    ok(a.reasoning_details[0].signature, 'signed');
    const again = (turn) => c.chat.completions.create({ model: 'sim/one', messages: [...messages, turn, user('Say sun')] });
    eq((await again(a)).choices[0].message.content, 'sun');
    const e = await thrown(() => again({ ...a, reasoning_details: [{ ...a.reasoning_details[0], text: 'Something else.' }] }));
    ok(e instanceof lib.BadRequestError, e.constructor.name);
  });

  claim('left in mid-stream: the upstream is closed, the record says cancelled', async () => {
    let asked, id;
    w.behave = (req, res) => { asked = req; openStream(res); res.write(chunk({ role: 'assistant', content: 'one' })); };
    const s = await c.chat.completions.create({ model: 'acme/one', messages: [user('x')], stream: true });
    for await (const one of s) { id = one.id; s.controller.abort(); }
    await until('the upstream to be closed', () => asked.closed, 2000);
    const record = await until('the record', () => w.generation(id));
    eq(record.cancelled, true);
    eq(record.streamed, true);
  });

  claim('an error in the stream is thrown', async () => {
    let text = '';
    w.behave = (req, res) => { openStream(res); res.write(chunk({ role: 'assistant', content: 'half' })); setTimeout(() => res.destroy(), 10); };
    const e = await thrown(async () => {
      for await (const one of await c.chat.completions.create({ model: 'acme/one', messages: [user('x')], stream: true }))
        text += one.choices[0]?.delta?.content ?? '';
    });
    eq(text, 'half');
    ok(e instanceof lib.APIError, e.constructor.name);
    eq(e.code, 502);
  });

  claim('an upstream that says 429: RateLimitError, with the time to wait', async () => {
    w.behave = (req, res) => sendJson(res, 429, { error: { message: 'slow down' } }, { 'retry-after': '7' });
    const e = await thrown(() => c.chat.completions.create({ model: 'acme/one', messages: [user('x')] }));
    ok(e instanceof lib.RateLimitError, e.constructor.name + ' ' + e.message);
    eq(e.headers.get('retry-after'), '7');
  });

  claim('the limit of tokens, and a word to stop at', async () => {
    const ask = async (more) => (await c.chat.completions.create({ model: 'sim/one', messages: [user('Count to 9')], ...more })).choices[0];
    eq((await ask({ max_completion_tokens: 2 })).finish_reason, 'length');
    eq((await ask({ stop: ['5'] })).message.content, '1, 2, 3, 4, ');
  });

  claim('retries of the package: 500 once, then an answer', async () => {
    let n = 0;
    w.behave = (req, res) => n++ ? sendJson(res, 200, completion('at last')) : sendJson(res, 500, { error: { message: 'boom' } });
    const a = await client({ maxRetries: 2 }).chat.completions.create({ model: 'acme/one', messages: [user('x')] });
    eq(a.choices[0].message.content, 'at last');
  });

  for (const [what, kind, status, ask] of [
    ['a wrong key', 'AuthenticationError', 401, () => client({ apiKey: 'sk-or-v1-' + '0'.repeat(64) }).chat.completions.create({ model: 'sim/one', messages: [user('x')] })],
    ['a bad temperature', 'BadRequestError', 400, () => c.chat.completions.create({ model: 'sim/one', messages: [user('x')], temperature: 9 })],
    ['more than one answer', 'BadRequestError', 400, () => c.chat.completions.create({ model: 'sim/one', messages: [user('x')], n: 2 })],
    ['no such model', 'BadRequestError', 400, () => c.chat.completions.create({ model: 'sim/none', messages: [user('x')] })],
    ['no provider allowed', 'NotFoundError', 404, () => c.chat.completions.create({ model: 'sim/one', messages: [user('x')], provider: { only: ['azure'] } })],
    ['a key at its limit', 'PermissionDeniedError', 403, async () => client({ apiKey: await w.g.newKey({ limit: 0 }) }).chat.completions.create({ model: 'sim/one', messages: [user('x')] })],
    ['an empty balance', 'APIError', 402, async () => client({ baseURL: (await w.broke()).api, apiKey: (await w.broke()).key })
      .chat.completions.create({ model: 'sim/one', messages: [user('x')] })],
    ['a management key', 'PermissionDeniedError', 403, () => client({ apiKey: w.managementKey }).chat.completions.create({ model: 'sim/one', messages: [user('x')] })],
  ])
    claim(`${what}: ${kind} ${status}`, async () => {
      const e = await thrown(ask);
      ok(e instanceof lib[kind], `${e.constructor.name} ${e.status} ${e.message}`);
      eq(e.status, status);
      ok(e.error.message && e.error.code === status, 'the envelope');
    });

  claim('models: the list', async () => {
    const ids = [];
    for await (const m of c.models.list()) ids.push(m.id);
    eq(ids, ['acme/one', 'clay/one', 'rich/one', 'sim/one']);
  });
}

run(() => w.stop());
