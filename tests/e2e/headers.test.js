// headers.test.js - what every answer carries beside its body (ids, tries, times,
// limits), and what the metrics and the log say of it.
import { eq, ok, run, test } from './tap.js';
import { bearer, call, chat, record } from './checks.js';
import { completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

const bad = await startUpstream((req, res) => sendJson(res, 500, { error: { message: 'no' } }));
let fine = (req, res) => sendJson(res, 200, completion('fine'));
const good = await startUpstream((req, res) => fine(req, res));
const price = 'price = { input = 1, output = 1 }';
const g = await startGateway(`
  workers = 1, logging = { format = "json", level = "info" },
  cors = { origins = { "https://chat.example" } },
  providers = { good = { dialect = "openai", base_url = "${good.url}/v1", api_key = "sk-upstream", max_in_flight = 9, options = { traceparent = true } },
    bad = { dialect = "openai", base_url = "${bad.url}/v1", api_key = "sk-upstream" }, sim = { dialect = "sim", base_url = "sim:" } },
  models = {
    ["acme/good"] = { endpoints = { { provider = "good", ${price} } } },
    ["acme/both"] = { endpoints = { { provider = "bad", ${price} }, { provider = "good", ${price} } } },
    ["acme/bad"] = { endpoints = { { provider = "bad", ${price} } } },
    ["acme/free"] = { endpoints = { { provider = "sim", model = "echo", free = true, price = { input = 0, output = 0 } } } },
    ["sim/echo"] = { endpoints = { { provider = "sim", model = "echo", options = { words = 8 }, ${price} } } },
  },
`);
const key = await g.newKey();
const headersOf = (r, names) => names.map((n) => r.headers[n]);
const timing = /^parse;dur=\d+\.\d{3}, policy;dur=\d+\.\d{3}, upstream;dur=(\d+\.\d{3})$/;
const with_id = (id) => ({ headers: { ...bearer(key), 'x-request-id': id } });
const logged = (id) => until('the log line', () => g.log.split('\n').filter((l) => l.includes('"event":"generation"')).map((l) => JSON.parse(l)).find((l) => l.request_id === id));

for (const stream of [false, true]) {
  test(`an answer, ${stream ? 'streamed' : 'whole'}: its ids, provider, tries and times`, async () => {
    const r = await chat(g, key, { model: stream ? 'sim/echo' : 'acme/good', stream }, with_id(`abc-${stream}~!`));
    eq(headersOf(r, ['x-request-id', 'x-moongate-provider', 'x-moongate-attempts']), [`abc-${stream}~!`, stream ? 'sim' : 'good', '1']);
    const id = r.headers['x-generation-id'];
    ok(/^gen-\d+-/.test(id), id);
    ok(timing.test(r.headers['server-timing']), r.headers['server-timing']);
    ok(!r.headers['x-ratelimit-limit'] && !r.headers['retry-after'], 'limits on a success');
    eq((await record(g, key, id)).request_id, `abc-${stream}~!`);
    const line = await logged(`abc-${stream}~!`);
    eq([line.generation_id, line.model_requested, line.finish_reason, line.outcome], [id, stream ? 'sim/echo' : 'acme/good', 'stop', 'ok']);
    eq([line.route, line.wire, line.bytes_in > 50, line.bytes_out], ['/chat/completions', 'chat', true, Buffer.byteLength(r.text)]);
    ok(/^[0-9a-f]{16}$/.test(line.policy), line.policy);
    eq(line.attempts.map((a) => ({ ...a, ms: typeof a.ms })), [{ provider: stream ? 'sim' : 'good', status: 200, ms: 'number' }]);
  });
}

test('without an id of the client, the generation\'s is the request\'s', async () => {
  const r = await chat(g, key, { model: 'sim/echo' });
  eq(r.headers['x-request-id'], r.headers['x-generation-id']);
  eq((await logged(r.headers['x-request-id'])).generation_id, r.headers['x-generation-id']);
});

test('a fail-over: how many tries, who answered, and the time of both', async () => {
  const r = await chat(g, key, { model: 'acme/both', provider: { order: ['bad', 'good'] } });
  eq(headersOf(r, ['x-moongate-provider', 'x-moongate-attempts']), ['good', '2']);
  ok(Number(timing.exec(r.headers['server-timing'])[1]) > 0, r.headers['server-timing']);
  eq((await logged(r.headers['x-request-id'])).attempts.map((a) => ({ ...a, ms: 0 })),
    [{ provider: 'bad', status: 500, reason: 'server', ms: 0 }, { provider: 'good', status: 200, ms: 0 }]);
});

test('an error of the upstream: the same headers', async () => {
  const r = await chat(g, key, { model: 'acme/bad' }, with_id('e-1'));
  eq([r.status, ...headersOf(r, ['x-request-id', 'x-moongate-attempts'])], [502, 'e-1', '1']);
  ok(/^gen-/.test(r.headers['x-generation-id']), 'a generation id');
  eq((await logged('e-1')).error_code, 'server');
});

for (const [what, id] of [['too long', 'x'.repeat(129)], ['with a space', 'a b'], ['empty', ''], ['with a letter beyond ASCII', 'caf\u00e9']])
  test(`a request id ${what} is replaced`, async () => {
    const r = await call(g, '/api/v1/models', { headers: { 'x-request-id': id } });
    ok(/^req-\d+-\w{20}$/.test(r.headers['x-request-id']), r.headers['x-request-id']);
  });

test('a request id of 128 characters is kept; every route answers with one, also where there is none', async () => {
  const id = 'y'.repeat(128);
  for (const path of ['/api/v1/models', '/livez', '/nowhere', '/api/v1/key', '/metrics'])
    eq((await call(g, path, { headers: { 'x-request-id': id } })).headers['x-request-id'], id, path);
});

test('an upstream that says when: Retry-After in seconds, rounded up, and in milliseconds', async () => {
  fine = (req, res) => sendJson(res, 429, { error: { message: 'slow' } }, { 'retry-after-ms': '2300' });
  const r = await chat(g, key, { model: 'acme/good' });
  fine = (req, res) => sendJson(res, 200, completion('fine'));
  eq([r.status, ...headersOf(r, ['retry-after', 'retry-after-ms'])], [429, '3', '2300']);
  ok(!r.headers['x-ratelimit-limit'], 'the limit of somebody else');
});

test('a limit of the gateway itself: which, what is left, and when it may be tried again', async () => {
  let r, i = 0;	// twenty a minute; some more where it takes its time, or the minute turns
  do r = await chat(g, key, { model: 'acme/free:free' }); while (r.status === 200 && ++i < 100);
  ok(i >= 20 && i < 100, `${i} were let in`);
  eq([r.status, ...headersOf(r, ['x-ratelimit-limit', 'x-ratelimit-remaining'])], [429, '20', '0']);
  const wait = Number(r.headers['x-ratelimit-reset']) - Date.now();
  ok(wait > 0 && wait <= 61000, `reset in ${wait} ms`);
  ok(Number(r.headers['retry-after']) >= 1, 'Retry-After');
  const m = JSON.parse(r.text).error.metadata;
  eq([m.error_type, m.provider_name, m.headers['X-RateLimit-Limit'], m.headers['X-RateLimit-Remaining']], ['rate_limit_exceeded', null, '20', '0']);
});

test('an encoded slash is part of a model\'s name, and nowhere else anything', async () => {
  for (const [path, status] of [['/v1/models/acme%2Fgood', 200], ['/api/v1/models/acme%2fgood', 200], ['/v1/models/acme/good', 200], ['/v1/models/acme%2Fgood%3Afree', 200],
    ['/v1/models/acme%2F..', 400], ['/v1/models/acme%2F%2e%2e', 400], ['/v1/models/acme%2F%2Fgood', 404], ['/v1/models/%2Fgood', 404], ['/v1/models/acme%2Fnone', 404],
    ['/v1/models%2Fuser', 400], ['/v1/model/acme%2Fgood', 400], ['/v1/keys/a%2Fb', 400], ['/v1/models/..%2F..%2Fkeys', 400], ['/v1/models/acme%5Cgood', 400]])
    eq((await call(g, path)).status, status, path);
});

test('traceparent: in the log, and upstream where the provider may see it; a wrong one nowhere', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736', right = `00-${trace}-00f067aa0ba902b7-01`;
  const ask = async (model, traceparent, id) => { await chat(g, key, { model }, { headers: { ...bearer(key), traceparent, 'x-request-id': id } }); return (await logged(id)).trace_id; };
  eq(await ask('acme/good', right, 't-1'), trace);
  eq(good.asked.at(-1).headers.traceparent, right);
  eq(await ask('acme/bad', right, 't-2'), trace);
  eq(bad.asked.at(-1).headers.traceparent, undefined, 'where it is not allowed');
  for (const [i, wrong] of [`ff-${trace}-00f067aa0ba902b7-01`, `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, `00-${trace}-${'0'.repeat(16)}-01`, `00-${trace.toUpperCase()}-00f067aa0ba902b7-01`, `00-${trace}`, 'x'.repeat(55)].entries()) {
    ok(!await ask('acme/good', wrong, `t-wrong-${i}`), wrong);
    eq(good.asked.at(-1).headers.traceparent, undefined, wrong);
  }
});

test('a browser may read them', async () => {
  const r = await call(g, '/api/v1/models', { headers: { origin: 'https://chat.example' } });
  const seen = r.headers['access-control-expose-headers'].toLowerCase();
  for (const name of ['x-request-id', 'x-generation-id', 'retry-after', 'retry-after-ms', 'x-ratelimit-reset', 'server-timing', 'x-moongate-provider', 'x-moongate-attempts'])
    ok(seen.includes(name), name);
});

// The names of the table, with their types and labels, of what has happened here.
const table = {
  moongate_http_requests_total: ['counter', 'route,method,code'], moongate_http_request_duration_seconds: ['histogram', 'route'],
  moongate_http_requests_in_flight: ['gauge', ''], moongate_connections: ['gauge', ''],
  moongate_generations_total: ['counter', 'model,provider,outcome'], moongate_generation_duration_seconds: ['histogram', 'model,provider,stream'],
  moongate_time_to_first_token_seconds: ['histogram', 'model,provider'], moongate_time_per_output_token_seconds: ['histogram', 'model,provider'],
  moongate_overhead_seconds: ['histogram', 'stage'], moongate_tokens_total: ['counter', 'model,provider,kind'],
  moongate_cost_usd_total: ['counter', 'model,provider'], moongate_upstream_attempts_total: ['counter', 'provider,result,reason'],
  moongate_fallbacks_total: ['counter', 'model,from,to,reason'], moongate_upstream_in_flight: ['gauge', 'provider'],
  moongate_upstream_limit: ['gauge', 'provider'], moongate_circuit_state: ['gauge', 'provider,model'],
  moongate_upstream_connect_seconds: ['histogram', 'provider'],
  moongate_policy_duration_seconds: ['histogram', 'policy'], moongate_policy_active_age_seconds: ['gauge', ''], moongate_policy_states: ['gauge', 'version'],
  moongate_plugin_info: ['gauge', 'plugin,version,abi'], moongate_plugin_calls_total: ['counter', 'plugin,op,result'],
  moongate_rate_limited_total: ['counter', 'kind'],
  moongate_store_write_seconds: ['histogram', ''], moongate_store_queue_length: ['gauge', ''], moongate_journal_bytes: ['gauge', ''],
  moongate_log_dropped_total: ['counter', ''], moongate_callback_seconds_max: ['gauge', ''],
  moongate_config_last_reload_successful: ['gauge', ''], moongate_config_last_reload_timestamp_seconds: ['gauge', ''],
  moongate_build_info: ['gauge', 'version,commit'], moongate_start_time_seconds: ['gauge', ''], moongate_metrics_dropped_series_total: ['counter', ''],
  process_cpu_seconds_total: ['counter', ''], process_resident_memory_bytes: ['gauge', ''], process_open_fds: ['gauge', ''], process_max_fds: ['gauge', ''],
  process_start_time_seconds: ['gauge', ''], process_virtual_memory_bytes: ['gauge', ''],
};
let page;
for (const [name, [type, labels]] of Object.entries(table))
  test(`metric ${name}: a ${type}${labels ? ` by ${labels}` : ''}`, async () => {
    page ||= '\n' + (await call(g, '/metrics')).text;
    ok(page.includes(`\n# TYPE ${name} ${type}\n`), 'its type');
    ok(page.includes(`\n# HELP ${name} `), 'its help');
    const lines = page.split('\n').filter((l) => new RegExp(`^${name}(_bucket|_sum|_count)?[{ ]`).test(l));
    ok(lines.length, 'a value');
    for (const l of lines) {
      const have = [...l.matchAll(/[{,](\w+)="/g)].map((m) => m[1]).filter((n) => n !== 'le');
      eq(have.join(','), labels, l);
      ok(!l.includes(key.slice(10)), 'no key');
    }
  });

await run(async () => { await g.stop(); await good.stop(); await bad.stop(); });
