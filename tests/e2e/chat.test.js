// chat.test.js - the chat surface over HTTP, against sim and a scripted upstream.
import { eq, ok, run, test } from './tap.js';
import { chunk, completion, readStream, sendJson, startGateway, startUpstream, until } from './gateway.js';

let behave = (req, res) => sendJson(res, 200, completion('hi'));
const up = await startUpstream((req, res, n) => behave(req, res, n));
const other = await startUpstream((req, res) => sendJson(res, 200, completion('from the other')));
const g = await startGateway(`
  providers = {
    sim = { dialect = "sim", base_url = "sim:" },
    first = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream-one", name = "First" },
    third = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream-one", name = "Third" },
    mirror = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream-one", name = "Mirror", quirks = { pass_through = true } },
    second = { dialect = "openai", base_url = "${other.url}", api_key = "sk-CANARY-upstream-two", name = "Second" },
  },
  models = {
    ["sim/echo"] = { endpoints = { { provider = "sim", model = "echo", price = { input = "0.10", output = "0.40" } } } },
    ["acme/one"] = { endpoints = { { provider = "first", model = "up-one", price = { input = "1", output = "2" } } } },
    ["acme/two"] = { endpoints = {
      { provider = "first", model = "up-one", price = { input = "1", output = "2" } },
      { provider = "second", model = "up-two", price = { input = "3", output = "6" } } } },
    ["acme/mirror"] = { endpoints = { { provider = "mirror", model = "up-m", price = { input = "1", output = "2" } } } },
    ["acme/three"] = { endpoints = {
      { provider = "third", model = "up-three", price = { input = "1", output = "2" } },
      { provider = "second", model = "up-two", price = { input = "3", output = "6" } } } },
  },`);
const key = await g.newKey();

const post = (body, headers = {}) => fetch(g.api + '/chat/completions', { method: 'POST',
  headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body) });
const ask = (model, text, more = {}) => post({ model, messages: [{ role: 'user', content: text }], ...more });

test('sim answers, with usage and cost', async () => {
  const r = await ask('sim/echo', 'Say moon');
  const a = await r.json();
  eq(r.status, 200, 'status');
  eq(a.object, 'chat.completion');
  ok(/moon/i.test(a.choices[0].message.content), 'the answer says moon: ' + a.choices[0].message.content);
  ok(a.usage.prompt_tokens > 0 && a.usage.completion_tokens > 0 && a.usage.cost > 0, 'usage: ' + JSON.stringify(a.usage));
  eq(a.model, 'sim/echo');
  ok(/^gen-\d+-[A-Za-z0-9]{20}$/.test(a.id), 'id ' + a.id);
  eq(r.headers.get('x-generation-id'), a.id);
});

test('a stream: deltas, one finish, one usage chunk, [DONE]', async () => {
  const r = await ask('sim/echo', 'Count to 5', { stream: true });
  const events = await readStream(r);
  eq(r.headers.get('content-type').split(';')[0], 'text/event-stream');
  eq(events.at(-1), '[DONE]');
  const chunks = events.filter((e) => e.object);
  eq(chunks.filter((c) => c.choices[0]?.finish_reason).length, 1, 'terminal chunks');
  eq(chunks.filter((c) => c.usage).length, 1, 'usage chunks');
  eq(chunks.at(-1).choices, []);
  eq(new Set(chunks.map((c) => c.id)).size, 1, 'ids');
  ok(chunks.at(-1).usage.cost > 0, 'cost');
});

test('what the upstream gets: its own key and model name, and nothing of the client', async () => {
  up.asked.length = 0;
  behave = (req, res) => sendJson(res, 200, completion('fine'));
  const a = await (await ask('acme/one', 'x', { temperature: 0.1, top_p: 1e-1, seed: 12345678901234567890n.toString() && 7, provider: { order: ['first'] },
    safe_prompt: true })).json();
  eq(a.choices[0].message.content, 'fine');
  eq(a.provider, 'First');
  const sent = up.asked[0];
  eq(sent.json.model, 'up-one');
  eq(sent.headers.authorization, 'Bearer sk-CANARY-upstream-one');
  eq(sent.json.provider, undefined, 'gateway-only members');
  eq(sent.json.safe_prompt, true, 'unknown members go through');
  ok(!sent.text.includes(key) && !JSON.stringify(sent.headers).includes(key), 'the client key stays here');
});

test('what an upstream calls the type of an image cannot leave its string', async () => {
  for (const [type, shown] of [['image/webp', 'image/webp'], ['image/png"}}]}]}', 'application/octet-stream'], ['x'.repeat(300), 'application/octet-stream']])
    for (const stream of [false, true]) {
      const url = `data:${type};base64,AAEC`, images = [{ type: 'image_url', image_url: { url } }];
      behave = (req, res) => {
        if (!stream) return sendJson(res, 200, { ...completion('x'), choices: [{ index: 0, message: { role: 'assistant', content: 'x', images }, finish_reason: 'stop' }] });
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.end(chunk({ content: 'x', images }) + chunk({}, 'stop', { usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }) + 'data: [DONE]\n\n');
      };
      const r = await ask('acme/one', 'draw', { stream });
      const seen = stream ? (await readStream(r)).flatMap((e) => e.choices?.[0]?.delta?.images || []) : (await r.json()).choices[0].message.images;
      eq(seen.map((i) => i.image_url.url), [`data:${shown};base64,AAEC`], `${type.slice(0, 40)} ${stream}`);
    }
});

test('numbers keep their text', async () => {
  up.asked.length = 0;
  await post('{"model":"acme/one","messages":[{"role":"user","content":"x"}],"temperature":0.10,"logit_bias":{"1":1e0},"x_big":12345678901234567890}');
  ok(up.asked[0].text.includes('0.10') && up.asked[0].text.includes('1e0') && up.asked[0].text.includes('12345678901234567890'), up.asked[0].text);
});

test('cost is exact: tokens times price, the same in the answer and the record', async () => {
  behave = (req, res) => sendJson(res, 200, completion('x', { prompt_tokens: 1000, completion_tokens: 500 }));
  const a = await (await ask('acme/one', 'x')).json();
  eq(a.usage.cost, 0.002);
  const rec = await until('the record', async () => {
    const r = await fetch(`${g.api}/generation?id=${a.id}`, { headers: { authorization: `Bearer ${key}` } });
    return r.status === 200 ? r.json() : null;
  });
  eq(rec.data.usage, 0.002);
  eq(rec.data.native_tokens_prompt, 1000);
  eq(rec.data.provider_name, 'First');
});

for (const [name, fault] of [
  ['refuses with 500', (req, res) => sendJson(res, 500, { error: { message: 'boom' } })],
  ['says 429', (req, res) => sendJson(res, 429, { error: { message: 'slow down' } }, { 'retry-after': '1' })],
  ['says 529', (req, res) => sendJson(res, 529, { error: { message: 'overloaded' } })],
  ['answers malformed JSON', (req, res) => { res.writeHead(200, { 'content-type': 'application/json' }); res.end('{"choices":['); }],
  ['drops the connection', (req, res) => res.destroy()],
]) {
  test(`fail-over: the first ${name}, the second answers, the winner is charged once`, async () => {
    behave = fault;
    const a = await (await ask('acme/two', 'x', { provider: { order: ['first', 'second'] } })).json();
    eq(a.choices?.[0].message.content, 'from the other', JSON.stringify(a));
    eq(a.provider, 'Second');
    eq(a.usage.cost, 0.00006);
  });
}

test('a stream cut before the first token fails over; the client sees nothing of it', async () => {
  behave = (req, res) => { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.write(chunk({ role: 'assistant' })); setImmediate(() => res.destroy()); };
  const other2 = await ask('acme/three', 'x', { provider: { order: ['third', 'second'] }, stream: true });
  const events = await readStream(other2);
  ok(events.some((e) => e.choices?.[0]?.delta?.content === 'from the other'), JSON.stringify(events));
  eq(events.filter((e) => e.error).length, 0, 'errors');
});

test('a stream cut after the first token: one error chunk, then [DONE], and no other endpoint', async () => {
  other.asked.length = 0;
  behave = (req, res) => { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.write(chunk({ role: 'assistant', content: 'half' })); setTimeout(() => res.destroy(), 20); };
  const r = await ask('acme/three', 'x', { provider: { order: ['third', 'second'] }, stream: true });
  const events = await readStream(r);
  eq(r.status, 200);
  const errors = events.filter((e) => e.error);
  eq(errors.length, 1, 'error chunks');
  eq(errors[0].choices[0].finish_reason, 'error');
  eq(errors[0].error.code, 502);
  eq(events.at(-1), '[DONE]');
  eq(other.asked.length, 0, 'calls of the second');
});

test('every endpoint fails: the last status, the envelope, the earlier failures', async () => {
  behave = (req, res) => sendJson(res, 500, { error: { message: 'key sk-abcdefghijklmnopqrstuvwxyz123456 is bad' } });
  const r = await ask('acme/one', 'x');
  const a = await r.json();
  eq(r.status, 502);
  eq(a.error.code, 502);
  eq(a.error.message, 'Provider returned error');
  eq(a.error.metadata.provider_name, 'First');
  ok(!JSON.stringify(a).includes('abcdefghijklmnop'), 'redacted: ' + JSON.stringify(a));
});

test('a client that leaves: the upstream is closed within a second', async () => {
  let asked;
  behave = async (req, res) => { asked = req; res.writeHead(200, { 'content-type': 'text/event-stream' }); res.write(chunk({ role: 'assistant', content: 'one' })); };
  const stop = new AbortController();
  const r = await fetch(g.api + '/chat/completions', { method: 'POST', signal: stop.signal, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'acme/one', stream: true, messages: [{ role: 'user', content: 'x' }] }) });
  const reader = r.body.getReader();
  await reader.read();
  stop.abort();
  await until('the upstream to be closed', () => asked.closed, 1000);
});

test('pass-through: what nobody knows stays, what must be ours is', async () => {
  behave = (req, res) => sendJson(res, 200, { ...completion('hi'), system_fingerprint: 'fp_1', x_new: { a: [1, 2.50] }, usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, x: 1 } });
  const text = await (await ask('acme/mirror', 'x')).text();
  const a = JSON.parse(text);
  eq([a.model, a.provider, a.system_fingerprint], ['acme/mirror', 'Mirror', 'fp_1']);
  eq(a.x_new, { a: [1, 2.5] });
  ok(/^gen-/.test(a.id), a.id);
  eq([a.choices[0].message.content, a.choices[0].finish_reason, a.choices[0].native_finish_reason], ['hi', 'stop', 'stop']);
  eq(a.usage.cost, 0.00002);
});

test('pass-through, streamed: deltas as they came, one finish, one usage, one [DONE]', async () => {
  behave = (req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(chunk({ role: 'assistant', content: '' }));
    res.write(chunk({ content: 'a', x_new: 1 }));
    res.write(chunk({ content: 'b' }, 'stop'));
    res.write('data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"up","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}\n\n');
    res.end('data: [DONE]\n\n');
  };
  const events = await readStream(await ask('acme/mirror', 'x', { stream: true }));
  const chunks = events.filter((e) => e.object);
  eq(chunks.map((c) => c.choices[0]?.delta?.content ?? '').join(''), 'ab');
  eq(chunks[0].choices[0].delta.role, 'assistant');
  ok(chunks.some((c) => c.choices[0]?.delta?.x_new === 1), 'an unknown member of a delta');
  eq(chunks.filter((c) => c.choices[0]?.finish_reason).length, 1, 'terminal chunks');
  eq(chunks.filter((c) => c.usage).map((c) => c.usage.cost), [0.00002]);
  eq([...new Set(chunks.map((c) => c.model))], ['acme/mirror']);
  eq(new Set(chunks.map((c) => c.id)).size, 1, 'ids');
  eq(events.at(-1), '[DONE]');
});

test('pass-through: an answer of the other shape than asked for is made into that', async () => {
  behave = (req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(chunk({ role: 'assistant', content: 'a' }));
    res.write(chunk({ content: 'b' }, 'stop'));
    res.end('data: [DONE]\n\n');
  };
  const a = await (await ask('acme/mirror', 'x')).json();
  eq([a.object, a.choices[0].message?.content, a.choices[0].finish_reason, a.choices[0].delta], ['chat.completion', 'ab', 'stop', undefined]);
  behave = (req, res) => sendJson(res, 200, completion('whole'));
  const chunks = (await readStream(await ask('acme/mirror', 'x', { stream: true }))).filter((e) => e.object);
  eq(chunks.map((c) => c.choices[0]?.delta?.content ?? '').join(''), 'whole');
  ok(chunks.every((c) => c.object === 'chat.completion.chunk' && !c.choices[0]?.message), JSON.stringify(chunks));
});

test('pass-through: a cut stream is an error, an empty answer falls over', async () => {
  behave = (req, res) => { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.write(chunk({ content: 'half' })); setTimeout(() => res.destroy(), 20); };
  const events = await readStream(await ask('acme/mirror', 'x', { stream: true }));
  eq(events.filter((e) => e.error).length, 1, 'error chunks');
  eq(events.at(-1), '[DONE]');
});

test('\\u0000 is carried in content, and refused by name in what the gateway reads', async () => {
  behave = (req, res) => sendJson(res, 200, completion('hi'));
  const nul = 'a\0b', messages = [{ role: 'user', content: nul }];
  eq((await post({ model: 'acme/one', messages, stop: [nul] })).status, 200);
  eq([up.asked.at(-1).json.messages[0].content, up.asked.at(-1).json.stop], [nul, [nul]]);
  eq((await post({ model: 'acme/one', messages, user: 'a\\u0000 in letters' })).status, 200);
  for (const [member, more] of [['model', { model: 'acme/one\0' }], ['models[0]', { models: [nul] }], ['session_id', { session_id: nul }], ['user', { user: nul }], ['prompt_cache_key', { prompt_cache_key: nul }],
    ['policy', { policy: nul }], ['plugins[0].id', { plugins: [{ id: nul }] }], ['provider.only[0]', { provider: { only: [nul] } }], ['provider.order[1]', { provider: { order: ['first', nul] } }], ['metadata.k', { metadata: { k: nul } }],
    ['plugins: allowed_models[0]', { plugins: [{ id: 'auto-router', allowed_models: [nul] }] }]]) {
    const r = await post({ model: 'acme/one', messages, ...more }), m = (await r.json()).error.message;
    eq([r.status, m], [400, `${member}: must not have \\u0000 in it`]);
  }
});

test('what one wrote on several lines is one line of a stream: a body that is echoed, a frame that is passed on', async () => {
  behave = (req, res) => { res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.end('data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",\ndata: "choices":[{"index":0,\r\ndata: "delta":{"content":"hi\\nthere"},"finish_reason":null}]}\n\n' + chunk({}, 'stop') + 'data: [DONE]\n\n'); };
  for (const model of ['acme/mirror', 'acme/one', 'sim/echo']) {
    const body = { model, stream: true, debug: { echo_upstream_body: true }, messages: [{ role: 'user', content: 'a\nb' }] };
    const r = await post(JSON.stringify(body, null, 2).replaceAll('\n', '\r\n'));
    const events = await readStream(r), echoed = events[0].debug.echo_upstream_body;
    eq([events.at(-1), events.filter((e) => e.choices?.[0]?.finish_reason).length], ['[DONE]', 1], model);
    if (model === 'sim/echo') { eq(typeof echoed, 'string', 'what is no JSON value is shown as text'); continue; }
    eq([echoed.messages, events.map((e) => e.choices?.[0]?.delta?.content ?? '').join('')], [body.messages, 'hi\nthere'], model);
  }
});

test('an answer with nothing in it and no finish reason is none: another is asked, and nothing is charged', async () => {
  const blank = (message, finish) => ({ ...completion(''), choices: [{ index: 0, message, finish_reason: finish }], usage: { prompt_tokens: 9, completion_tokens: 0, total_tokens: 9 } });
  for (const message of [{ role: 'assistant', content: '' }, { role: 'assistant', content: null, tool_calls: [] }])
    for (const finish of [null, '', undefined]) {
      behave = (req, res) => sendJson(res, 200, blank(message, finish));
      const a = await (await ask('acme/two', 'x', { provider: { order: ['first', 'second'] } })).json();
      eq([a.choices?.[0].message.content, a.provider], ['from the other', 'Second'], JSON.stringify(message));
      const r = await ask('acme/one', 'x'), e = (await r.json()).error;
      eq([r.status, e.metadata.error_type, (await (await fetch(`${g.api}/generation?id=${r.headers.get('x-generation-id')}`, { headers: { authorization: `Bearer ${key}` } })).json()).data.total_cost],
        [502, 'provider_unavailable', 0]);
    }
  for (const [message, finish] of [[{ role: 'assistant', content: '' }, 'stop'], [{ role: 'assistant', content: 'some' }, null]]) {
    behave = (req, res) => sendJson(res, 200, blank(message, finish));
    eq((await ask('acme/one', 'x')).status, 200, 'who says stop has answered, and so has who says something');
  }
});

for (const [what, body, status, member] of [
  ['a quantization that is none', { model: 'acme/one', messages: [{ role: 'user', content: 'x' }], provider: { quantizations: ['fp8', 'int3'] } }, 400, 'provider.quantizations[1]'],
  ['no messages', { model: 'acme/one' }, 400, 'messages'],
  ['messages of the wrong type', { model: 'acme/one', messages: 'x' }, 400, 'messages'],
  ['an empty list of messages', { model: 'acme/one', messages: [] }, 400, 'messages'],
  ['a temperature out of range', { model: 'acme/one', messages: [{ role: 'user', content: 'x' }], temperature: 9 }, 400, 'temperature'],
  ['max_tokens below 1', { model: 'acme/one', messages: [{ role: 'user', content: 'x' }], max_tokens: -1 }, 400, 'max_tokens'],
  ['a fractional max_tokens', { model: 'acme/one', messages: [{ role: 'user', content: 'x' }], max_tokens: 1.5 }, 400, 'max_tokens'],
  ['a role that is none', { model: 'acme/one', messages: [{ role: 'boss', content: 'x' }] }, 400, 'messages[0].role'],
  ['no model', { messages: [{ role: 'user', content: 'x' }] }, 400, 'model'],
  ['a provider sort that is none', { model: 'acme/one', messages: [{ role: 'user', content: 'x' }], provider: { sort: 'luck' } }, 400, 'provider.sort'],
  ['a model nobody has', { model: 'acme/none', messages: [{ role: 'user', content: 'x' }] }, 400, 'acme/none is not a valid model ID'],
  ['only: a provider that does not serve it', { model: 'acme/one', messages: [{ role: 'user', content: 'x' }], provider: { only: ['azure'] } }, 404, ''],
  ['duplicate members', '{"model":"acme/one","model":"acme/two","messages":[{"role":"user","content":"x"}]}', 400, 'model'],
  ['text that is no JSON', '{"model":', 400, ''],
]) {
  test(`bad input: ${what} -> ${status}`, async () => {
    const r = await post(body);
    const a = await r.json();
    eq(r.status, status, JSON.stringify(a));
    eq(a.error.code, status);
    ok(a.error.message.includes(member), a.error.message);
  });
}

test('no key, a wrong key, a disabled kind of key', async () => {
  const bare = (headers) => fetch(g.api + '/chat/completions', { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: '{}' });
  const none = await bare({});
  eq(none.status, 401);
  eq((await none.json()).error.message, 'Missing Authentication header');
  eq((await bare({ authorization: 'Bearer sk-or-v1-' + '0'.repeat(64) })).status, 401);
  eq((await bare({ authorization: "Bearer ' OR '1'='1" })).status, 401);
  eq((await bare({ 'x-api-key': key })).status, 400, 'x-api-key equals Authorization');
});

test('the router metadata, when asked for', async () => {
  behave = (req, res) => sendJson(res, 200, completion('hi'));
  const a = await (await post({ model: 'acme/two', messages: [{ role: 'user', content: 'x' }] }, { 'x-openrouter-metadata': 'enabled' })).json();
  eq(a.openrouter_metadata.requested, 'acme/two');
  eq(a.openrouter_metadata.endpoints.total, 2);
  eq(a.openrouter_metadata.endpoints.available.filter((e) => e.selected).length, 1);
});

test('no secret in the log', async () => {
  ok(!g.log.includes('CANARY') && !g.log.includes(key.slice(12, 40)), 'the log has no secret');
});

run(async () => {
  const exit = await g.stop();
  await up.stop();
  await other.stop();
  eq(exit, { code: 0, signal: null }, 'the gateway ends cleanly');
});
