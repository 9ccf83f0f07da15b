// failures.test.js - a table of the ways an upstream fails, in two dialects,
// streamed and not: what the client sees, what becomes of the endpoint's health,
// what the ledger charges; alone, and where another endpoint answers instead.
import { createServer } from 'node:net';
import { eq, ok, run, test } from './tap.js';
import { call, chat, events, nanos, ownKey, record, settled, terminals } from './checks.js';
import { startGateway, startUpstream, until } from './gateway.js';

const usage = { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500 };
const line = (o) => `data: ${JSON.stringify(o)}\n\n`;
const named = (type, o) => `event: ${type}\n` + line({ type, ...o });
const delta = (d, finish = null) => line({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: d, finish_reason: finish }] });
const started = named('message_start', { message: { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null, usage: { input_tokens: 1000, output_tokens: 1 } } })
  + named('content_block_start', { index: 0, content_block: { type: 'text', text: '' } });
const dialects = {
  openai: {
    silent: delta({ role: 'assistant', content: '' }), first: delta({ content: 'partial words' }),
    rest: delta({}, 'stop') + line({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [], usage }) + 'data: [DONE]\n\n',
    whole: JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'partial words' }, finish_reason: 'stop' }], usage }),
    error: (status) => JSON.stringify({ error: { message: `said ${status}`, type: 'some_error', code: `code_${status}` } }),
    inStream: line({ error: { message: 'said in the stream', type: 'server_error', code: 'overloaded' } }),
  },
  anthropic: {
    silent: started, first: started + named('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'partial words' } }),
    rest: named('content_block_stop', { index: 0 }) + named('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 500 } }) + named('message_stop', {}),
    whole: JSON.stringify({ id: 'm', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'partial words' }], stop_reason: 'end_turn', usage: { input_tokens: 1000, output_tokens: 500 } }),
    error: (status) => JSON.stringify({ type: 'error', error: { type: { 400: 'invalid_request_error', 413: 'request_too_large', 422: 'invalid_request_error', 401: 'authentication_error', 402: 'billing_error', 404: 'not_found_error', 429: 'rate_limit_error',
      503: 'overloaded_error', 504: 'timeout_error', 524: 'timeout_error', 529: 'overloaded_error' }[status] || 'api_error', message: `said ${status}` } }),
    inStream: named('error', { error: { type: 'overloaded_error', message: 'said in the stream' } }),
  },
};

const status = (n, headers = {}) => (d, res) => { res.writeHead(n, { 'content-type': 'application/json', ...headers }); res.end(d.error(n)); };
const type = (stream) => ({ 'content-type': stream ? 'text/event-stream' : 'application/json' });
const cut = (text) => (d, res, stream) => { res.writeHead(200, type(stream)); res.write(text(d, stream)); setTimeout(() => res.destroy(), 20); };
const half = (d, stream) => (stream ? d.silent : d.whole.slice(0, 20));

// name, what it does, the status and error_type that the client sees, whether another
// endpoint is asked, and whether it counts against the endpoint's uptime.
const table = [
  ['refuses the connection', null, 502, 'provider_unavailable', true, true],
  ['is silent', () => {}, 504, 'timeout', true, true],
  ['begins and is silent', (d, res, stream) => { res.writeHead(200, type(stream)); res.write(half(d, stream)); }, 504, 'timeout', true, true],
  ['says 429', status(429, { 'retry-after': '3' }), 429, 'rate_limit_exceeded', true, false],
  ['says 500', status(500), 502, 'provider_unavailable', true, true],
  ['says 502', status(502), 502, 'provider_unavailable', true, true],
  ['says 503', status(503), 503, 'provider_overloaded', true, true],
  ['says 529', status(529), 529, 'provider_overloaded', true, true],
  ['says 504', status(504), 504, 'timeout', true, true],
  ['says 401', status(401), 502, 'provider_unavailable', true, true],
  ['says 402', status(402), 502, 'provider_unavailable', true, true],
  ['says 404', status(404), 404, 'not_found', true, true],
  ['says 400', status(400), 400, 'invalid_request', false, false],
  ['says 413', status(413), 413, 'payload_too_large', false, false],
  ['says 422', status(422), 422, 'unprocessable', false, false],
  ['says 524', status(524), 504, 'timeout', true, true],
  ['says 302', (d, res) => { res.writeHead(302, { location: 'http://127.0.0.1:1/' }); res.end(); }, 502, 'provider_unavailable', true, true],
  ['says 500 in HTML', (d, res) => { res.writeHead(500, { 'content-type': 'text/html' }); res.end('<h1>no</h1>'); }, 502, 'provider_unavailable', true, true],
  ['sends no JSON', (d, res, stream) => { res.writeHead(200, type(stream)); res.end(stream ? 'data: {"broken\n\n' : '{"broken'); }, 502, 'provider_unavailable', true, true],
  ['sends nothing', (d, res, stream) => { res.writeHead(200, type(stream)); res.end(); }, 502, 'provider_unavailable', true, true],
  ['is cut before its head', (d, res) => res.destroy(), 502, 'provider_unavailable', true, true],
  ['is cut before the first token', cut(half), 502, 'provider_unavailable', true, true],
];

const dead = await new Promise((done) => { const s = createServer(); s.listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => done(port)); }); });
const up = await startUpstream((req, res) => {
  const [, dialect, what] = /^\/(\w+)\/([\w-]+)\//.exec(req.url), d = dialects[dialect], stream = req.json.stream === true;
  if (what === 'well') { res.writeHead(200, type(stream)); return res.end(stream ? d.first + d.rest : d.whole); }
  if (what === 'coded') { const said = req.json.messages[0].content; res.writeHead(400, type(false)); return res.end(JSON.stringify({ error: { message: 'no', type: 'invalid_request_error', code: said } })); }
  if (what === 'late') return cut(() => d.first)(d, res, stream);
  if (what === 'says') { res.writeHead(200, type(stream)); return res.end(d.first + d.inStream); }
  return table[Number(what)][1](d, res, stream);
});

// A provider and a model for each row, dialect and way, so that each has a health of its own.
const ways = [];
for (const dialect of Object.keys(dialects)) for (const stream of [false, true]) ways.push({ dialect, stream, way: `${dialect}, ${stream ? 'streamed' : 'whole'}` });
const slug = (dialect, what, stream) => `${dialect}-${what}-${stream ? 's' : 'w'}`;
const price = 'price = { input = 1, output = 2 }';
const providers = [], models = [];
const add = (dialect, what, stream, port = up.port) => {
  const name = slug(dialect, what, stream);
  providers.push(`["${name}"] = { dialect = "${dialect}", base_url = "http://127.0.0.1:${port}/${dialect}/${what}/v1", api_key = "sk-of-upstream", ${/silent/.test(table[what]?.[0]) ? 'timeouts = { first_output = "250ms" }' : ''} },`);
  models.push(`["alone/${name}"] = { endpoints = { { provider = "${name}", ${price} } } },`);
  models.push(`["both/${name}"] = { endpoints = { { provider = "${name}", ${price} }, { provider = "${dialect}-well-${stream ? 's' : 'w'}", ${price} } } },`);
};
for (const { dialect, stream } of ways) {
  providers.push(`["${slug(dialect, 'well', stream)}"] = { dialect = "${dialect}", base_url = "${up.url}/${dialect}/well/v1", api_key = "sk-of-upstream" },`);
  table.forEach(([, what], i) => add(dialect, i, stream, what ? up.port : dead));
  for (const what of ['late', 'says', 'coded']) add(dialect, what, stream);
  models.push(`["alone/${slug(dialect, 'well', stream)}"] = { endpoints = { { provider = "${slug(dialect, 'well', stream)}", ${price} } } },`);
}
models.push('["alone/unpriced"] = { endpoints = { { provider = "openai-well-w" } } },');
const g = await startGateway(`providers = {\n${providers.join('\n')}\n}, models = {\n${models.join('\n')}\n},`);
const key = await g.newKey();
const spent = async () => nanos((await ownKey(g, key)).usage);
const health = async (model, tag) => JSON.parse((await call(g, `/api/v1/models/${model}/endpoints`)).text).data.endpoints.find((e) => e.tag === tag);

const fates = [];	// added up twice a second, so asked at the end
for (const [i, [name, , code, errorType, another, counts]] of table.entries())
  for (const { dialect, stream, way } of ways)
    test(`an upstream that ${name} (${way})`, async () => {
      const tag = slug(dialect, i, stream), before = await spent();
      const r = await chat(g, key, { model: `alone/${tag}`, stream });
      const e = JSON.parse(r.text).error;
      eq([r.status, e.code, e.metadata.error_type, e.message, e.metadata.provider_name, e.metadata.is_byok], [code, code, errorType, 'Provider returned error', tag, false], r.text);
      eq(r.headers['content-type'], 'application/json');
      const later = { 429: 'capacity_exhausted', 503: 'temporarily_unavailable', 529: 'temporarily_unavailable' }[code];
      eq([e.availability?.code, e.availability?.retryable], [later, later && true], 'whether it may be tried again');
      // A kept connection that ends before the head may not have reached anybody: once more, by an attempt of its own.
      ok(r.headers['x-moongate-attempts'] === '1' || (name === 'is cut before its head' && r.headers['x-moongate-attempts'] === '2'), `${r.headers['x-moongate-attempts']} attempts`);
      ok(!r.text.includes('sk-of-upstream') && !r.text.includes('127.0.0.1'), 'what the client should not know');
      fates.push(async () => {
        const h = await health(`alone/${tag}`, tag);
        eq([h.status, h.uptime_last_5m, h.uptime_last_1d], [0, counts ? 0 : null, counts ? 0 : null], `${name} (${way})`);
      });
      const log = await record(g, key, r.headers['x-generation-id']);
      eq([log.total_cost, log.usage], [0, 0], 'the record');
      eq(await spent(), before, 'spent');

      const s = await chat(g, key, { model: `both/${tag}`, stream, provider: { order: [tag, slug(dialect, 'well', stream)] } });
      if (!another) { eq(s.status, code); eq(await spent(), before); return; }
      eq([s.status, s.headers['x-moongate-attempts'], s.headers['x-moongate-provider']], [200, '2', slug(dialect, 'well', stream)], s.text);
      const list = stream ? events(s.text) : [];
      if (stream) eq(terminals(list), { ends: 1, usages: 1, done: 1 });
      const text = stream ? list.map((x) => x.choices?.[0]?.delta?.content ?? '').join('') : JSON.parse(s.text).choices[0].message.content;
      const paid = stream ? list.find((x) => x.usage).usage : JSON.parse(s.text).usage;
      eq([text, paid.prompt_tokens, paid.completion_tokens, paid.cost], ['partial words', 1000, 500, 0.002]);
      eq(await spent() - before, 2000000n, 'the winner, once');
      const won = await record(g, key, s.headers['x-generation-id']);
      eq([won.total_cost, won.provider_name, won.provider_responses.length], [0.002, slug(dialect, 'well', stream), 2]);
    });

// Words of codes, where the status says 400 of them all (F1).
for (const [said, code, errorType] of [['image_parse_error', 400, 'invalid_image'], ['failed_to_download_image', 400, 'image_download_failed'], ['image_too_large', 400, 'image_too_large'],
  ['unsupported_image_media_type', 400, 'unsupported_image_format'], ['image_file_not_found', 404, 'image_not_found'], ['string_above_max_length', 400, 'string_too_long'],
  ['invalid_prompt', 400, 'invalid_prompt'], ['unheard_of', 400, 'invalid_request']])
  test(`what is wrong with a request is called by its name: ${said}`, async () => {
    const e = JSON.parse((await chat(g, key, { model: 'alone/openai-coded-w', messages: [{ role: 'user', content: said }] })).text).error;
    eq([e.code, e.metadata.error_type, e.metadata.provider_code], [code, errorType, said]);
  });

test('what one model refuses the next of the list is asked for; the last error is returned', async () => {
  const of = (name) => `alone/${slug('openai', table.findIndex((t) => t[0] === name), false)}`;
  for (const name of ['says 400', 'says 413', 'says 422']) {
    const r = await chat(g, key, { models: [of(name), 'alone/openai-well-w'] });
    eq([r.status, JSON.parse(r.text).model, r.headers['x-moongate-attempts']], [200, 'alone/openai-well-w', '2'], name);
  }
  const r = await chat(g, key, { models: [of('says 400'), of('says 422')] });
  const e = JSON.parse(r.text).error;
  eq([r.status, e.metadata.error_type, e.metadata.previous_errors.map((p) => p.status)], [422, 'unprocessable', [400, 422]], r.text);
});

test('a model without a price is never free by mistake: nobody is asked', async () => {
  const asked = up.asked.length, before = await spent(), r = await chat(g, key, { model: 'alone/unpriced' });
  eq([r.status, JSON.parse(r.text).error.message, up.asked.length - asked, await spent() - before], [503, 'No price is configured for this model', 0, 0n], r.text);
});

for (const [what, code, errorType] of [['late', 502, 'provider_unavailable'], ['says', 503, 'provider_overloaded']])
  for (const { dialect, stream, way } of ways.filter((w) => w.stream))
    test(`a stream that ${what === 'late' ? 'is cut' : 'says an error'} after the first token (${way})`, async () => {
      const tag = slug(dialect, what, stream), before = await spent(), asked = up.asked.length;
      const r = await chat(g, key, { model: `both/${tag}`, stream, provider: { order: [tag, slug(dialect, 'well', stream)] } });
      const list = events(r.text), last = list.filter((x) => x.choices?.[0]?.finish_reason);
      eq([r.status, r.cut, up.asked.length - asked], [200, false, 1], 'nobody else is asked');
      eq(list.map((x) => x.choices?.[0]?.delta?.content ?? '').join(''), 'partial words');
      eq(terminals(list), { ends: 1, usages: 1, done: 1 });
      eq([last[0].choices[0].finish_reason, last[0].error.code, last[0].error.metadata.error_type], ['error', code, errorType], r.text);
      const paid = list.find((x) => x.usage).usage;
      ok(paid.cost > 0 && paid.completion_tokens > 0, 'what was delivered is billed');
      eq(await spent() - before, nanos(paid.cost), 'spent');
      const log = await record(g, key, r.headers['x-generation-id']);
      eq([log.total_cost, log.finish_reason, log.provider_name], [paid.cost, 'error', tag]);
      fates.push(async () => eq((await health(`both/${tag}`, tag)).uptime_last_5m, 0, `${what} (${way})`));
    });

test('what failed is ill, what limits or was asked wrongly is not', async () => {
  await until('the sums', async () => (await health(`both/${slug('anthropic', 'says', true)}`, slug('anthropic', 'says', true))).uptime_last_5m === 0);
  for (const fate of fates) await fate();
});

test('the ledger is whole, no hold is left', () => settled(g));

await run(async () => { await g.stop(); await up.stop(); });
