// plan.test.js - each member of a policy's plan does what it says, and no more than
// the configuration allows: times, attempts, stickiness, money.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat, events, nanos, ownKey, record, settled, terminals } from './checks.js';
import { chunk, completion, loads, sendJson, startGateway, startUpstream, until } from './gateway.js';

const sse = (res) => { res.on('error', () => {}); res.writeHead(200, { 'content-type': 'text/event-stream' }); };
const named = (type, o) => `event: ${type}\ndata: ${JSON.stringify({ type, ...o })}\n\n`;
const done = chunk({}, 'stop', { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }) + 'data: [DONE]\n\n';
// Eight bytes of text, that is two tokens, again and again until nobody listens.
async function pour(one, res, piece) {
  for (let i = 0; i < 4000 && !one.closed; i++) { res.write(piece); await new Promise((go) => setTimeout(go, 2)); }
  res.destroy();
}
const behave = {
  silent: () => {},
  half: (one, res) => { sse(res); res.write(chunk({ content: 'half' })); },
  fine: (one, res) => (one.json.stream ? (sse(res), res.end(chunk({ content: 'fine' }) + done)) : sendJson(res, 200, completion('fine'))),
  down: (one, res) => sendJson(res, 500, { error: { message: 'down' } }),
  long: (one, res) => (one.json.stream ? (sse(res), pour(one, res, chunk({ content: 'eightby ' }))) : sendJson(res, 200, completion('eightby '.repeat(50), { prompt_tokens: 10, completion_tokens: 100 }))),
  claude: (one, res) => {		// tells the prompt's usage, and one token of output, at once
    sse(res);
    res.write(named('message_start', { message: { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null, usage: { input_tokens: 7, output_tokens: 1 } } })
      + named('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }));
    pour(one, res, named('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'eightby ' } }));
  },
};
const up = await startUpstream((one, res) => behave[/^\/(\w+)/.exec(one.url)[1]](one, res));
const mute = createServer((s) => s.on('error', () => {}));	// takes connections, and never says a word of TLS
await new Promise((go) => mute.listen(0, '127.0.0.1', go));

const dir = mkdtempSync(join(tmpdir(), 'moongate-plan-'));
const plans = {
  'acme/deadline': '{ deadline_ms = 400 }', 'acme/brief': '{ deadline_ms = 3600000 }', 'acme/connect': '{ connect_timeout_ms = 300 }',
  'acme/first': '{ ttft_timeout_ms = 300 }', 'acme/idle': '{ idle_timeout_ms = 300 }',
  'acme/once': '{ max_attempts = 1 }', 'acme/m1': '{ max_attempts = 99, max_attempts_per_model = 99 }',
  'acme/typo': '{ ttft_timeout = 5 }', 'acme/fraction': '{ deadline_ms = 0.5 }', 'acme/negative': '{ hedge = { after_ms = -1 } }',
  'acme/sticky': '{ sticky = { key = "the-key", ttl_s = 60 } }',
  'acme/long': '{ max_charge_nusd = 20000000 }', 'acme/passed': '{ max_charge_nusd = 20000000 }', 'acme/claude': '{ max_charge_nusd = 20000000 }',
  'acme/dear': '{ max_charge_nusd = 20000000 }', 'acme/enough': '{ max_charge_nusd = 900000000000 }',
};
loads(dir, 'plans');
writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "plans" } } } }\n');
writeFileSync(join(dir, 'plans.lua'), `local plans = { ${Object.entries(plans).map(([m, p]) => `["${m}"] = ${p}`).join(', ')} }
return policy { name = "plans", api = 1, version = "1.0.0",
  plan = function(req, eps) return plans[req.model] end,
  observe = function(req, o) log.info("hit=" .. tostring(o.sticky_hit) .. " hedged=" .. tostring(o.hedged) .. " by=" .. (o.endpoint and o.endpoint.id or "nobody")) end,
}\n`);

const price = 'price = { input = 0, output = 1000 }';	// a token of output: 1,000,000 nUSD
const provider = (name, what, more = '') => `["${name}"] = { dialect = "openai", base_url = "${up.url}/${what}", api_key = "k", ${more} },`;
const model = (name, ...providers) => `["acme/${name}"] = { endpoints = { ${providers.map((p) => `{ provider = "${p}", ${price} }`).join(', ')} } },`;
const twelve = Array.from({ length: 12 }, (_, i) => `down-${i}`);
const config = `
  workers = 1, policy = { bundle = "${dir}" },
  providers = {
    ${provider('silent', 'silent')} ${provider('silent-too', 'silent')} ${provider('brief', 'silent', 'timeouts = { total = "400ms" }')}
    ${provider('half', 'half')} ${provider('fine', 'fine')} ${provider('fine-too', 'fine')} ${provider('down', 'down')} ${provider('long', 'long')}
    ${provider('passed', 'long', 'quirks = { pass_through = true }')} ${twelve.map((n) => provider(n, 'down')).join(' ')}
    mute = { dialect = "openai", base_url = "https://127.0.0.1:${mute.address().port}", api_key = "k", timeouts = { connect = "1m" } },
    claude = { dialect = "anthropic", base_url = "${up.url}/claude", api_key = "k" },
  },
  models = {
    ${model('deadline', 'silent', 'silent-too')} ${model('brief', 'brief')} ${model('connect', 'mute', 'fine')} ${model('first', 'silent', 'fine')} ${model('idle', 'half')}
    ${model('once', 'down', 'fine')} ${model('m1', ...twelve.slice(0, 4))} ${model('m2', ...twelve.slice(4, 8))} ${model('m3', ...twelve.slice(8, 12))}
    ${model('typo', 'fine')} ${model('fraction', 'fine')} ${model('negative', 'fine')} ${model('sticky', 'fine', 'fine-too')}
    ${model('long', 'long')} ${model('passed', 'passed')} ${model('claude', 'claude')} ${model('enough', 'fine')}
    ["acme/dear"] = { endpoints = { { provider = "fine", price = { input = 100000, output = 0 } } } },
  },`;
const g = await startGateway(config);
const key = await g.newKey();
const at = (order) => ({ provider: { order } });
const timed = async (body) => { const t = Date.now(), r = await chat(g, key, body); return { ...r, ms: Date.now() - t }; };
// At most: far less than without the plan, however busy the machine.
const between = (ms, least, most) => ok(ms >= least && ms < most, `${ms} ms`);

for (const stream of [false, true]) {
  test(`deadline_ms ends all attempts together (${stream ? 'streamed' : 'whole'})`, async () => {
    const r = await timed({ model: 'acme/deadline', stream });
    eq(r.status, 504, r.text);
    ok(Number(r.headers['x-moongate-attempts']) <= 2, 'a loop that was busy when it began sees the end some ms early');
    between(r.ms, 350, 20000);
  });
}

test('deadline_ms never passes what the configuration allows', async () => {
  const r = await timed({ model: 'acme/brief' });
  eq(r.status, 504, r.text);
  between(r.ms, 350, 20000);
});

test('connect_timeout_ms ends a handshake that goes nowhere; the next endpoint answers', async () => {
  const r = await timed({ model: 'acme/connect', ...at(['mute', 'fine']) });
  eq([r.status, r.headers['x-moongate-provider'], r.headers['x-moongate-attempts']], [200, 'fine', '2'], r.text);
  between(r.ms, 250, 20000);
});

test('ttft_timeout_ms ends the wait for the first output; the next endpoint answers', async () => {
  const r = await timed({ model: 'acme/first', stream: true, ...at(['silent', 'fine']) });
  eq([r.status, r.headers['x-moongate-provider'], r.headers['x-moongate-attempts']], [200, 'fine', '2'], r.text);
  between(r.ms, 250, 20000);
});

test('idle_timeout_ms ends a stream that falls silent', async () => {
  const r = await timed({ model: 'acme/idle', stream: true });
  const list = events(r.text);
  eq([r.status, terminals(list), list.find((e) => e.error)?.error.code], [200, { ends: 1, usages: 1, done: 1 }, 504], r.text);
  between(r.ms, 250, 20000);
});

test('max_attempts = 1: nobody else is asked', async () => {
  const r = await chat(g, key, { model: 'acme/once', ...at(['down', 'fine']) });
  eq([r.status, r.headers['x-moongate-attempts']], [502, '1'], r.text);
});

test('whatever a plan asks for: six attempts, three of a model', async () => {
  const asked = up.asked.length;
  const r = await chat(g, key, { models: ['acme/m1', 'acme/m2', 'acme/m3'] });
  eq([r.status, r.headers['x-moongate-attempts'], up.asked.length - asked], [502, '6', 6], r.text);
  const log = await record(g, key, r.headers['x-generation-id']);
  eq(log.provider_responses.map((a) => a.model_permaslug), [...Array(3).fill('acme/m1'), ...Array(3).fill('acme/m2')]);
});

test('limits.attempts and limits.attempts_per_model: less, for every request', async () => {
  const few = await startGateway(`${config} limits = { attempts = 3, attempts_per_model = 2 },`);
  const r = await chat(few, await few.newKey(), { models: ['acme/m1', 'acme/m2', 'acme/m3'] });
  eq([r.status, r.headers['x-moongate-attempts']], [502, '3'], r.text);
  eq(JSON.parse(r.text).error.metadata.previous_errors.map((e) => e.provider.replace(/down-/, '') < 4), [true, true, false]);
  await few.stop();
});

for (const [name, member, said] of [['typo', 'ttft_timeout', "plan has no member 'ttft_timeout'; did you mean 'ttft_timeout_ms'?"],
  ['fraction', 'deadline_ms', 'plan.deadline_ms must be a whole number from 0 on'], ['negative', 'hedge', 'after_ms must be a whole number from 0 on']])
  test(`a plan with a wrong ${member} is no plan; the log names it`, async () => {
    eq((await chat(g, key, { model: `acme/${name}` })).status, 200);
    await until('the log', () => g.log.includes(said));
  });

test('sticky: who answered first answers again, and observe is told', async () => {
  const told = () => [...g.log.matchAll(/hit=(\w+) hedged=false by=acme\/sticky@([\w-]+)/g)].map((m) => m.slice(1));
  await chat(g, key, { model: 'acme/sticky', ...at(['fine-too', 'fine']) });
  await until('the first word', () => told().length === 1);
  await chat(g, key, { model: 'acme/sticky', ...at(['fine-too', 'fine']) });
  await chat(g, key, { model: 'acme/sticky', ...at(['fine', 'fine-too']) });
  await until('all words', () => told().length === 3);
  eq(told(), [['false', 'fine-too'], ['true', 'fine-too'], ['false', 'fine']]);
});

for (const name of ['long', 'passed', 'claude'])
  test(`max_charge_nusd ends a stream as max_tokens does, and charges what was delivered (${name})`, async () => {
    const before = nanos((await ownKey(g, key)).usage), r = await chat(g, key, { model: `acme/${name}`, stream: true });
    const list = events(r.text), end = list.find((e) => e.choices?.[0]?.finish_reason).choices[0], one = up.asked.at(-1);
    const text = list.map((e) => e.choices?.[0]?.delta?.content || '').join('');
    eq([end.finish_reason, end.native_finish_reason, terminals(list)], ['length', 'max_charge', { ends: 1, usages: 1, done: 1 }], r.text);
    eq(list.filter((e) => e.error).length, 0);
    eq(text, 'eightby '.repeat(11), 'twenty tokens are paid for, the piece that passes them is the last');
    const { usage } = list.find((e) => e.usage);
    eq([usage.completion_tokens, usage.cost], [22, 0.022]);
    await until('the upstream to be closed', () => one.closed, 1000);
    const rec = await record(g, key, list[0].id);
    eq([rec.finish_reason, rec.native_finish_reason, rec.usage, rec.cancelled], ['length', 'max_charge', 0.022, false]);
    eq(nanos((await ownKey(g, key)).usage) - before, 22000000n, 'spent');
  });

test('max_charge_nusd: a whole answer is not cut, a stream below it neither', async () => {
  const r = JSON.parse((await chat(g, key, { model: 'acme/long' })).text);
  eq([r.choices[0].finish_reason, r.usage.completion_tokens, r.usage.cost], ['stop', 100, 0.1]);
  const list = events((await chat(g, key, { model: 'acme/enough', stream: true })).text);
  eq(list.find((e) => e.choices?.[0]?.finish_reason).choices[0].finish_reason, 'stop');
});

test('max_charge_nusd: a prompt that alone costs more is not sent', async () => {
  const asked = up.asked.length, r = await chat(g, key, { model: 'acme/dear', stream: true });
  eq([r.status, up.asked.length - asked], [402, 0], r.text);
  ok(JSON.parse(r.text).error.message.includes('The prompt alone costs more'), r.text);
});

test('the ledger is whole, no hold is left', () => settled(g));

run(async () => {
  await g.stop();
  await up.stop();
  mute.close();
  rmSync(dir, { recursive: true, force: true });
});
