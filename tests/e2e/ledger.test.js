// ledger.test.js - a limit holds under any concurrency (R40, R42), and what is
// shown is what is charged (R56).
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { eq, ok, run, test } from './tap.js';
import { audit, chat, events, management, nanos, ownKey, pool, record, metric, settled } from './checks.js';
import { binary, completion, managementKey, sameDay, startGateway, startUpstream, until } from './gateway.js';

const g = await startGateway(`
  workers = 2,
  providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = {
    ["acme/cent"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 0, output = 0, request = "0.01" }, options = { ttft_ms = 250, answer = "ok" } } } },
    ["acme/odd"] = { endpoints = { { provider = "sim", model = "echo", price = { input = "0.123456", output = "7.654321", request = "0.000001" }, options = { words = 40 } } } },
    ["acme/long"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 0, output = "10" }, options = { words = 200, tokens_per_s = 20 } } } },
  },`);

const command = async (gw, ...words) => JSON.parse((await promisify(execFile)(binary, [...words, '--config', gw.file],
  { env: { PATH: process.env.PATH, HOME: gw.home, MOONGATE_MANAGEMENT_KEY: managementKey } })).stdout);

// 200 at once over 50 connections; how many were answered with which status.
async function stampede(key, stream) {
  const agent = pool(50), count = {}, all = [];
  const answers = await Promise.all(Array.from({ length: 200 }, () => chat(g, key, { model: 'acme/cent', stream }, { agent })));
  agent.destroy();
  for (const a of answers) {
    count[a.status] = (count[a.status] || 0) + 1;
    if (a.status === 200) all.push(stream ? events(a.text).find((e) => e.usage) : JSON.parse(a.text));
    if (a.status === 403) ok(JSON.parse(a.text).error.message.startsWith('Key limit exceeded'), a.text);
  }
  return { count, all };
}

test('a key whose limit is reached is told which, what was spent of it, and when it begins anew', async () => {
  await sameDay();
  for (const limit_reset of [null, 'daily', 'weekly', 'monthly']) {
    const key = await g.newKey({ limit: 0.015, limit_reset }), now = new Date();
    eq((await chat(g, key, { model: 'acme/cent' })).status, 200);
    const r = await chat(g, key, { model: 'acme/cent' }), { metadata } = JSON.parse(r.text).error;
    const next = { daily: Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1), monthly: Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1),
      weekly: Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 7 - (now.getUTCDay() + 6) % 7) }[limit_reset];
    eq([r.status, r.headers['retry-after'], metadata.resets_at === null ? undefined : Date.parse(metadata.resets_at)], [403, undefined, next], r.text);
    eq({ ...metadata, resets_at: 0 }, { error_type: 'permission_denied', limit_source: 'openrouter_key_limit', scope: 'key', limit_usd: 0.015, spend_usd: 0.01, resets_at: 0 });
  }
});

for (const stream of [false, true]) {
  test(`a limit that pays for 10: of 200 ${stream ? 'streams' : 'requests'} over 50 connections exactly 10 succeed`, async () => {
    await sameDay();
    const key = await g.newKey({ limit: 0.1 });
    const { count, all } = await stampede(key, stream);
    eq(count, { 200: 10, 403: 190 }, 'statuses');
    for (const a of all) {
      eq(a.usage.cost, 0.01, 'usage.cost');
      eq((await record(g, key, a.id)).usage, 0.01, 'the record');
    }
    const own = await ownKey(g, key);
    eq([own.usage, own.usage_daily, own.limit_remaining], [0.1, 0.1, 0], 'the key');
  });
}

test('what was held and not spent can be spent: ten, one after the other, then no more', async () => {
  const key = await g.newKey({ limit: 0.1 });
  for (let i = 0; i < 10; i++) eq((await chat(g, key, { model: 'acme/cent' })).status, 200, `request ${i + 1}`);
  eq((await chat(g, key, { model: 'acme/cent' })).status, 403, 'request 11');
});

test('a raised limit counts from the next request on', async () => {
  const key = await g.newKey({ limit: 0.01 });
  eq((await chat(g, key, { model: 'acme/cent' })).status, 200);
  eq((await chat(g, key, { model: 'acme/cent' })).status, 403);
  const own = (await management(g, '/keys')).data.find((k) => k.limit === 0.01 && k.usage === 0.01);
  await management(g, '/keys/' + own.hash, 'PATCH', { limit: 0.02 });
  eq((await chat(g, key, { model: 'acme/cent' })).status, 200);
});

test('cost: in the answer, the record, the key and the metrics, to the last digit', async () => {
  const key = await g.newKey();
  const before = nanos(await metric(g, 'moongate_cost_usd_total'));
  let sum = 0n;
  for (let i = 0; i < 30; i++) {
    const r = await chat(g, key, { model: 'acme/odd', stream: i % 2 === 1, max_tokens: 1 + i * 3, messages: [{ role: 'user', content: 'word '.repeat(i) + 'tell me' }] });
    eq(r.status, 200, r.text);
    const a = i % 2 ? events(r.text).find((e) => e.usage) : JSON.parse(r.text);
    const charged = nanos(a.usage.cost);
    ok(charged > 0n, 'a cost');
    const d = a.usage.cost_details;
    ok(nanos(d.upstream_inference_prompt_cost) + nanos(d.upstream_inference_completions_cost) <= charged, 'parts: ' + JSON.stringify(a.usage));
    const rec = await record(g, key, a.id);
    eq([nanos(rec.usage), rec.native_tokens_prompt, rec.native_tokens_completion], [charged, a.usage.prompt_tokens, a.usage.completion_tokens], 'the record');
    sum += charged;
  }
  eq(nanos((await ownKey(g, key)).usage), sum, 'the key');
  eq(nanos(await metric(g, 'moongate_cost_usd_total')) - before, sum, 'the metric');
});

test('streams that are left in the middle: what was delivered is charged, what was held is given back', async () => {
  const key = await g.newKey({ limit: 1 });
  const ids = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    let seen = 0;
    const r = await chat(g, key, { model: 'acme/long', stream: true, max_tokens: 400 }, { onData: (d, req) => { if (++seen > i / 2) req.destroy(); } });
    return r.headers['x-generation-id'];
  }));
  let sum = 0n;
  for (const id of ids) {
    const rec = await record(g, key, id);
    eq(rec.cancelled, true, 'cancelled');
    ok(rec.usage > 0 && rec.usage <= 0.004, 'between nothing and what was held: ' + rec.usage);
    sum += nanos(rec.usage);
  }
  const own = await ownKey(g, key);
  eq(nanos(own.usage), sum, 'the key');
  eq(nanos(own.limit_remaining), 1000000000n - sum, 'what remains');
});

test('fail-over: the winner is charged, what the other one cost is a loss (R47)', async () => {
  const u = await startUpstream((one, res) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    const answer = completion('well', { prompt_tokens: 1000, completion_tokens: 1000 });
    if (one.url.startsWith('/empty')) answer.choices = [];
    res.end(JSON.stringify(one.url.startsWith('/empty') ? answer : completion('well')));
  });
  const price = '{ input = "1", output = "2" }', at = (p) => `${p} = { dialect = "openai", base_url = "${u.url}/${p}", api_key = "k" }`;
  const two = await startGateway(`workers = 1, providers = { ${at('empty')}, ${at('good')} },
    models = { ["acme/two"] = { endpoints = { { provider = "empty", model = "up", price = ${price} }, { provider = "good", model = "up", price = ${price} } } } },`);
  const key = await two.newKey();
  const r = await chat(two, key, { model: 'acme/two', provider: { order: ['empty', 'good'] } });
  eq([r.status, JSON.parse(r.text).usage.cost], [200, 0.00002], r.text);
  eq((await record(two, key, JSON.parse(r.text).id)).provider_responses.length, 2, 'attempts');
  eq((await ownKey(two, key)).usage, 0.00002, 'the key');
  const { total } = await until('the row', async () => { const sums = await command(two, 'usage', '--json'); return sums.total.requests ? sums : null; });
  eq([total.usage, total.upstream_cost], [0.00002, 0.00302], 'the loss is 1000 and 1000 tokens');
  eq((await audit(two)).code, 0, 'the audit');
  eq(await two.stop(), { code: 0, signal: null });
  await u.stop();
});

test('what an upstream says it used is believed within reason (R46)', async () => {
  let lie = { prompt_tokens: 10, completion_tokens: 10 ** 18, num_search_queries: 9 * 10 ** 18 };
  const u = await startUpstream((one, res) => { res.writeHead(200, { 'content-type': 'application/json' }); res.end(JSON.stringify(completion('well', lie))); });
  const two = await startGateway(`workers = 1, providers = { a = { dialect = "openai", base_url = "${u.url}", api_key = "k" } },
    models = { ["acme/lie"] = { endpoints = { { provider = "a", model = "up", price = { input = 1, output = 1, search = "0.01" } } } } },`);
  const key = await two.newKey();
  for (const n of [1, 2]) {
    const r = await chat(two, key, { model: 'acme/lie', max_tokens: 100 });
    eq(r.status, 200, r.text);
    const { cost } = JSON.parse(r.text).usage;
    ok(cost > 11 && cost < 11.1, `a million tokens and a thousand searches: ${cost} USD`);
    eq((await ownKey(two, key)).usage, Number((n * cost).toFixed(9)), 'the key');
    eq((await record(two, key, JSON.parse(r.text).id)).needs_reconcile, true, 'its record says that somebody has to look');
  }
  eq(await metric(two, 'moongate_usage_doubted_total'), 2);
  ok(two.log.includes('"usage_doubted"'), 'and the log');
  for (lie of [{ prompt_tokens: -10, completion_tokens: -5 }, { prompt_tokens: null, completion_tokens: null }, { prompt_tokens: 10, completion_tokens: 5 }]) {
    const r = await chat(two, key, { model: 'acme/lie', max_tokens: 100 }), kept = await record(two, key, JSON.parse(r.text).id);
    ok(r.status === 200 && kept.usage >= 0 && kept.usage <= 0.00003 && kept.needs_reconcile === undefined, JSON.stringify(kept));
  }
  eq(await two.stop(), { code: 0, signal: null });
  await u.stop();
});

test('the audit is clean and no hold is open', async () => {
  await settled(g);
  const a = await audit(g);
  ok(/: 0 findings/.test(a.text), a.text);
});

run(async () => eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly'));
