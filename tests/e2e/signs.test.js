// signs.test.js - what a gateway shows of itself: every metric by its name and labels, the line
// of each generation by its fields; and nothing in either that a client or an upstream said.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { audit, call, chat, moongate } from './checks.js';
import { chunk, completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

const canary = { prompt: 'CANARY-prompt', answer: 'CANARY-answer', key: 'sk-CANARY-key', tool: 'CANARY-tool' };
const up = await startUpstream((q, res) => {
  const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, prompt_tokens_details: { cached_tokens: 3 }, completion_tokens_details: { reasoning_tokens: 2 } };
  if (q.json.seed === 500) return sendJson(res, 500, { error: { message: canary.answer } });
  if (!q.json.stream) return sendJson(res, 200, { ...completion(canary.answer), usage });
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.end(chunk({ role: 'assistant', content: canary.answer }) + chunk({}, 'stop', { usage }) + 'data: [DONE]\n\n');
});
const dir = mkdtempSync(join(tmpdir(), 'moongate-signs-'));
const g = await startGateway(`
  providers = { a = { dialect = "openai", base_url = "${up.url}", api_key = "${canary.key}", max_in_flight = 7 } },
  models = { ["acme/x"] = { endpoints = { { provider = "a", model = "m", price = { input = 1, output = 2 } } } } },`, { dir });
const key = await g.newKey();
const messages = [{ role: 'user', content: canary.prompt }];
const lines = () => g.log.split('\n').filter((l) => l.startsWith('{')).map((l) => JSON.parse(l)).filter((l) => l.event === 'generation');
const answers = [];

// name: its labels, as the documentation has them; those without a value here are where they get one.
const metrics = {
  http_requests_total: 'route,method,code', http_request_duration_seconds: 'route', http_requests_in_flight: '', connections: '',
  generations_total: 'model,provider,outcome', generation_duration_seconds: 'model,provider,stream', time_to_first_token_seconds: 'model,provider',
  time_per_output_token_seconds: 'model,provider', overhead_seconds: 'stage', tokens_total: 'model,provider,kind', cost_usd_total: 'model,provider',
  upstream_attempts_total: 'provider,result,reason', upstream_in_flight: 'provider', upstream_limit: 'provider', circuit_state: 'provider,model',
  upstream_connect_seconds: 'provider', policy_duration_seconds: 'policy', policy_active_age_seconds: '', policy_states: 'version',
  plugin_calls_total: 'plugin,op,result', plugin_info: 'plugin,version,abi', store_write_seconds: '', store_queue_length: '', journal_bytes: '',
  log_dropped_total: '', callback_seconds_max: '', config_last_reload_successful: '', config_last_reload_timestamp_seconds: '',
  build_info: 'version,commit', start_time_seconds: '', metrics_dropped_series_total: '',
};
const fields = ['ts', 'level', 'event', 'msg', 'request_id', 'trace_id', 'generation_id', 'route', 'wire', 'status', 'outcome', 'error_code', 'model_requested', 'model',
  'provider', 'endpoint', 'key', 'workspace', 'app', 'client', 'session_id', 'stream', 'attempts', 'ttft_ms', 'duration_ms', 'overhead_us', 'tokens_in', 'tokens_out',
  'tokens_cached', 'tokens_reasoning', 'cost_usd', 'finish_reason', 'policy', 'policy_us', 'bytes_in', 'bytes_out'];

test('traffic of all sorts', async () => {
  for (const body of [{ model: 'acme/x', seed: 500 }, { model: 'acme/x' }, { model: 'acme/x', stream: true, tools: [{ type: 'function', function: { name: 'f', description: canary.tool } }] },
    { model: 'acme/none' }]) answers.push((await chat(g, key, { messages, ...body })).status);
  eq(answers, [502, 200, 200, 400]);	// the first that a worker has is the failed one
  await until('their lines', () => lines().length === 4);
});

let text = '';
test('each metric, with its labels', async () => {
  text = await until('the store to have written', async () => {
    const t = (await call(g, '/metrics')).text;
    return t.includes('moongate_store_write_seconds_count') && t;
  });
  const shown = {};
  for (const [, name, labels] of text.matchAll(/^moongate_(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$/gm)) {
    shown[name] = [...(labels ?? '').matchAll(/(\w+)="/g)].map((m) => m[1]).filter((l) => l !== 'le').join(',');
  }
  for (const [name, labels] of Object.entries(metrics)) eq([name, shown[name]], [name, labels], 'labels');
  for (const name of ['cpu_seconds_total', 'resident_memory_bytes', 'open_fds', 'max_fds']) ok(text.includes(`\nprocess_${name} `), name);
});
test('every one has its help and its type', () => {
  const named = (what) => new Set([...text.matchAll(new RegExp(`^# ${what} (\\w+) `, 'gm'))].map((m) => m[1]));
  const help = named('HELP'), type = named('TYPE');
  for (const [, name] of text.matchAll(/^(\w+?)(?:_bucket|_sum|_count)?(?:\{.*\})? \S+$/gm)) ok(help.has(name) && type.has(name), name);
});
test('stages and kinds by their words', () => {
  const words = (name, label) => [...new Set([...text.matchAll(new RegExp(`^moongate_${name}.*[{,]${label}="(\\w+)"`, 'gm'))].map((m) => m[1]))].sort();
  eq(words('overhead_seconds_count', 'stage'), ['auth', 'parse', 'policy', 'relay', 'translate']);
  eq(words('tokens_total', 'kind'), ['cache_read', 'input', 'output', 'reasoning']);
  eq(words('generations_total', 'outcome'), ['client_error', 'ok', 'upstream_error']);
});
test('a generation that failed is its model\'s, one of no model is "other"', () => {
  ok(text.includes('moongate_generations_total{model="acme/x",provider="a",outcome="upstream_error"} 1\n'), 'the failed one');
  ok(text.includes('moongate_generations_total{model="other",provider="",outcome="client_error"} 1\n'), 'the unknown one');
});
test('the line of a generation has all its fields', () => {
  for (const l of lines()) for (const f of fields) ok(f in l, `${f} of ${l.status}`);
  const of = (status, stream) => lines().find((l) => l.status === status && l.stream === stream);
  const [whole, streamed, failed, unknown] = [of(200, 0), of(200, 1), of(502, 0), of(400, 0)];
  eq([whole.status, whole.outcome, whole.model, whole.provider, whole.tokens_in, whole.tokens_out, whole.tokens_cached, whole.tokens_reasoning, whole.cost_usd, whole.finish_reason, whole.stream],
    [200, 'ok', 'acme/x', 'a', 10, 3, 3, 2, '0.00002', 'stop', 0]);
  eq([streamed.stream, streamed.attempts[0].status], [1, 200]);
  eq([failed.status, failed.outcome, failed.error_code, failed.model, failed.provider, failed.attempts[0].reason], [502, 'upstream_error', 'server', 'acme/x', 'a', 'server']);
  eq([unknown.outcome, unknown.error_code, unknown.model, unknown.model_requested], ['client_error', 'model_not_found', '', 'acme/none']);
  ok(whole.ts.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/), whole.ts);
});
test('a change of keys names the key', () => {
  const made = g.log.split('\n').filter((l) => l.includes('"event":"audit"')).map((l) => JSON.parse(l))[0];
  eq([made.action, made.actor, made.ip, /^[0-9a-f]{64}$/.test(made.target)], ['key_create', 'management', '127.0.0.1', true]);
});
test('what was said is nowhere, and no secret', async () => {
  const seen = [g.log, g.out, text, JSON.stringify((await moongate(g, ['log', 'tail', '--json'])).out), (await moongate(g, ['config', 'show'])).out].join('\n');
  for (const [what, word] of Object.entries({ ...canary, client: key })) ok(!seen.includes(word), what);
  eq((await audit(g)).code, 0);
});
test('a backup under load is whole, and comes back', async () => {
  let stop = false, done = 0;
  const load = Array.from({ length: 8 }, async () => { while (!stop) if ((await chat(g, key, { model: 'acme/x', messages })).status === 200) done++; });
  await until('load', () => done > 20);
  let before = 0;
  for (const n of [1, 2, 3]) {
    before = done;
    eq((await moongate(g, ['backup', `b${n}.db`])).code, 0, `backup ${n}`);
  }
  const least = done;
  stop = true;
  await Promise.all(load);
  await g.stop();
  const run = (...args) => moongate(g, args);
  eq((await run('restore', 'b3.db', '--yes', '--json')).code, 0, 'restored');
  eq((await audit(g)).code, 0, 'what was restored is true');
  const { total } = JSON.parse((await run('usage', '--json')).out);
  ok(total.requests >= before / 2 && total.requests <= least + 12, `${total.requests}, when ${before} to ${least} were answered`);
  ok((await run('key', 'list')).out.includes('e2e'), 'keys');
});

run(async () => { await g.stop(); await up.stop(); rmSync(dir, { recursive: true }); });
