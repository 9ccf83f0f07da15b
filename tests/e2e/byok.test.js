// byok.test.js - accounts that customers have with providers themselves: who uses
// them, in which order, what is charged.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { eq, ok, run, test } from './tap.js';
import { audit, call, chat, management, moongate, nanos, ownKey, pool, record, settled } from './checks.js';
import { binary, completion, managementKey, sameDay, sendJson, startGateway, startUpstream } from './gateway.js';

const refuses = new Set();	// these credentials
const u = await startUpstream((req, res) => {
  const who = req.headers.authorization.replace('Bearer ', '');
  if (refuses.has(who)) return sendJson(res, 401, { error: { message: 'bad key' } });
  return sendJson(res, 200, completion(who, { prompt_tokens: 1000000, completion_tokens: 0 }));
});
const bundle = mkdtempSync(join(tmpdir(), 'moongate-byok-'));
writeFileSync(join(bundle, 'bundle.lua'), `return { base = "openrouter", policies = { workspace = { ws_fee = { { use = "byok_first", with = { allowance_usd = 1.5 }, order = { price = "last" } } } }, org = { org_none = { { use = "byok_first", with = { allowance_usd = 1.5 }, order = { price = "last" } } } } } }`);
const provider = (more) => `{ dialect = "openai", base_url = "${u.url}/v1", api_key = "shared", ${more} }`;
const home = mkdtempSync(join(tmpdir(), 'moongate-byok-home-'));
const config = `
  policy = { bundle = "${bundle}" },
  providers = {
    cloud = ${provider('data = { known = true, retains = true, retention_days = 30 }, byok = { { api_key = "acme-1", private_to = { "ws_acme" } }, { api_key = "acme-2", private_to = { "ws_acme" } }, { api_key = "fee", private_to = { "ws_fee" } }, { api_key = "agreed", private_to = { "ws_agreed" }, data = { zdr = true } } }')},
    strict = ${provider('byok = { { api_key = "only", private_to = { "ws_acme" }, always = true } }')},
    late = ${provider('byok = { { api_key = "spare", fallback = true } }')},
    some = ${provider('byok = { { api_key = "one-model", models = { "acme/of*" } } }')},
    sim = { dialect = "sim", base_url = "sim:", byok = { { api_key = "sim-own", private_to = { "ws_sim" } } } },
  },
  models = {
    ["acme/cloud"] = { endpoints = { { provider = "cloud", price = { input = 1, output = 1 } } } },
    ["acme/strict"] = { endpoints = { { provider = "strict", price = { input = 1, output = 1 } } } },
    ["acme/late"] = { endpoints = { { provider = "late", price = { input = 1, output = 1 } } } },
    ["acme/of-account"] = { endpoints = { { provider = "some", price = { input = 1, output = 1 } } } },
    ["acme/other"] = { endpoints = { { provider = "some", price = { input = 1, output = 1 } } } },
    ["acme/cent"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 0, output = 0, request = "0.01" }, options = { ttft_ms = 100, answer = "ok" } } } },
  },`;
let g = await startGateway(config, { dir: home });
const keys = {};
for (const ws of ['acme', 'other', 'fee', 'agreed']) keys[ws] = await g.newKey({ workspace_id: 'ws_' + ws });
const ask = async (ws, model, more = {}) => {
  const r = await chat(g, keys[ws], { model: 'acme/' + model, ...more }, { headers: { authorization: `Bearer ${keys[ws]}`, 'content-type': 'application/json', 'x-openrouter-metadata': 'enabled' } });
  return { ...JSON.parse(r.text), status: r.status };
};
const text = (a) => a.choices?.[0].message.content;

test('the account of the workspace is used first, and costs nothing below the allowance', async () => {
  const a = await ask('acme', 'cloud');
  eq(text(a), 'acme-1');
  eq([a.usage.is_byok, a.usage.cost, a.usage.cost_details.upstream_inference_cost], [true, 0, 1]);
  eq(a.openrouter_metadata.is_byok, true);
  const kept = await record(g, keys.acme, a.id);
  eq([kept.is_byok, kept.usage, kept.upstream_inference_cost, kept.provider_responses[0].is_byok], [true, 0, 1, true]);
});

test('another workspace gets shared capacity, at the list price', async () => {
  const a = await ask('other', 'cloud');
  eq([text(a), a.usage.is_byok, a.usage.cost], ['shared', false, 1]);
  eq((await record(g, keys.other, a.id)).is_byok, false);
});

test('an account that is refused: the next one, then shared capacity', async () => {
  refuses.add('acme-1');
  eq(text(await ask('acme', 'cloud')), 'acme-2');
  refuses.add('acme-2');
  const a = await ask('acme', 'cloud');
  eq([text(a), a.usage.is_byok, a.openrouter_metadata.attempt], ['shared', false, 3]);
  refuses.clear();
});

test('without fallbacks there is the first account alone', async () => {
  refuses.add('acme-1');
  const a = await ask('acme', 'cloud', { provider: { allow_fallbacks: false } });
  eq([a.status, a.error.metadata.is_byok], [502, true]);
  refuses.clear();
});

test('always: never shared capacity', async () => {
  eq(text(await ask('acme', 'strict')), 'only');
  eq(text(await ask('other', 'strict')), 'shared');
  refuses.add('only');
  const before = u.asked.length;
  const a = await ask('acme', 'strict');
  eq([a.status, a.error.metadata.is_byok], [502, true]);
  eq(u.asked.slice(before).map((r) => r.headers.authorization), ['Bearer only']);
  refuses.clear();
});

test('a fallback account comes after shared capacity, and is for everybody where it says no one', async () => {
  eq(text(await ask('other', 'late')), 'shared');
  refuses.add('shared');
  eq(text(await ask('other', 'late')), 'spare');
  refuses.clear();
});

test('an account for some models', async () => {
  eq(text(await ask('other', 'of-account')), 'one-model');
  eq(text(await ask('other', 'other')), 'shared');
});

test('an own account does not make a retaining provider eligible; an agreement for the account does', async () => {
  eq((await ask('acme', 'cloud', { provider: { zdr: true } })).status, 404);
  const a = await ask('agreed', 'cloud', { provider: { zdr: true } });
  eq(text(a), 'agreed');
});

test('the fee: a part of the list price above the allowance of the month', async () => {
  await sameDay();
  eq((await ask('fee', 'cloud')).usage.cost, 0);
  const a = await ask('fee', 'cloud');	// $1 of $1.50 is used: half a dollar is above it
  eq([a.usage.is_byok, a.usage.cost, a.usage.cost_details.upstream_inference_cost], [true, 0.025, 1]);
  eq((await ask('fee', 'cloud')).usage.cost, 0.05);
  eq((await record(g, keys.fee, a.id)).usage, 0.025);
});

test('clients see no accounts of others', async () => {
  const list = JSON.parse((await call(g, '/api/v1/models/acme/cloud/endpoints')).text).data.endpoints;
  eq(list.map((e) => e.tag), ['cloud']);
});

const windows = ['', '_daily', '_weekly', '_monthly'];
const byok = (k) => windows.map((w) => k['byok_usage' + w]);
const usage = (k) => windows.map((w) => k['usage' + w]);
const listed = async (key) => { const label = (await ownKey(g, key)).label; return (await management(g, '/keys')).data.find((k) => k.label === label); };

test('what own accounts took is told of the key, beside what it was charged, today, this week and this month', async () => {
  await sameDay();
  const key = keys.counted = await g.newKey({ workspace_id: 'ws_acme', limit: 5 });
  for (const n of [1, 2]) {
    const r = await chat(g, key, { model: 'acme/cloud' });
    eq([r.status, JSON.parse(r.text).usage.is_byok], [200, true]);
    const k = await ownKey(g, key);
    eq([byok(k), usage(k), k.limit_remaining, k.include_byok_in_limit], [[n, n, n, n], [0, 0, 0, 0], 5, false]);
  }
  const fee = await ownKey(g, keys.fee), k = await listed(keys.fee);
  eq([byok(fee), usage(fee), byok(k), usage(k)], [[3, 3, 3, 3], [0.075, 0.075, 0.075, 0.075], [3, 3, 3, 3], [0.075, 0.075, 0.075, 0.075]]);
  eq(byok(await ownKey(g, keys.other)), [2, 2, 2, 2], 'by accounts that are for everybody');
  const paid = await Promise.all(Object.values(keys).map(async (k) => nanos((await ownKey(g, k)).usage)));
  eq(nanos((await management(g, '/credits')).data.total_usage), paid.reduce((a, b) => a + b), 'the credits do not pay for it');
});

test('keys in no workspace have one allowance, together', async () => {
  await sameDay();
  keys.one = await g.newKey({ organization_id: 'org_none' });
  keys.two = await g.newKey({ organization_id: 'org_none' });
  const before = (await ask('one', 'of-account')).usage, after = (await ask('two', 'of-account')).usage;
  eq([before.is_byok, before.cost, after.is_byok, after.cost], [true, 0, true, 0.025]);
  eq([byok(await ownKey(g, keys.one)), byok(await ownKey(g, keys.two))], [[1, 1, 1, 1], [1, 1, 1, 1]]);
});

test('a limit that has them in: what is left, who is refused, and what the refusal says', async () => {
  await sameDay();
  const key = await g.newKey({ workspace_id: 'ws_sim', limit: 0.025, limit_reset: 'daily', include_byok_in_limit: true });
  const once = async () => { const r = await chat(g, key, { model: 'acme/cent' }); return { status: r.status, ...JSON.parse(r.text) }; };
  const a = await once();
  eq([a.status, a.usage.is_byok, a.usage.cost, (await ownKey(g, key)).limit_remaining], [200, true, 0, 0.015]);
  eq((await once()).status, 200);
  const no = await once();
  eq([no.status, no.error.metadata.limit_source, no.error.metadata.limit_usd, no.error.metadata.spend_usd], [403, 'openrouter_key_limit', 0.025, 0.02]);
  const { hash } = await listed(key);
  let k = (await management(g, '/keys/' + hash, 'PATCH', { include_byok_in_limit: false })).data;
  eq([k.include_byok_in_limit, k.limit_remaining, k.byok_usage, k.usage], [false, 0.025, 0.02, 0]);
  eq((await once()).status, 200);
  k = (await management(g, '/keys/' + hash, 'PATCH', { include_byok_in_limit: true })).data;
  eq([k.include_byok_in_limit, k.limit_remaining, k.byok_usage], [true, 0, 0.03]);
  eq((await once()).status, 403, 'from the next request on');
});

test('a limit that has them in and pays for 10: of 200 requests over 50 connections exactly 10 succeed', async () => {
  await sameDay();
  const key = await g.newKey({ workspace_id: 'ws_sim', limit: 0.1, include_byok_in_limit: true }), agent = pool(50), count = {};
  await Promise.all(Array.from({ length: 200 }, async () => { const r = await chat(g, key, { model: 'acme/cent' }, { agent }); count[r.status] = (count[r.status] || 0) + 1; }));
  agent.destroy();
  eq(count, { 200: 10, 403: 190 });
  const k = await ownKey(g, key);
  eq([byok(k), usage(k), k.limit_remaining], [[0.1, 0.1, 0.1, 0.1], [0, 0, 0, 0], 0]);
});

test('by command: a key with such a limit, what its own accounts took, and by model and key', async () => {
  let r = await moongate(g, ['key', 'create', 'of-all', '--limit', '1', '--include-byok', '--output', 'json']);
  eq([r.code, r.code || JSON.parse(r.out).data.include_byok_in_limit], [0, true], r.err);
  r = await moongate(g, ['key', 'update', 'of-all', '--exclude-byok', '--output', 'json']);
  eq([r.code, r.code || JSON.parse(r.out).data.include_byok_in_limit], [0, false], r.err);
  r = await moongate(g, ['key', 'update', 'of-all', '--exclude-byok', '--include-byok']);
  eq([r.code, /not both/.test(r.err)], [2, true], r.err);
  for (const [expires, at] of [['2127-12-31T23:59:59Z', '2127-12-31T23:59:59.000Z'], ['none', null]]) {
    r = await moongate(g, ['key', 'update', 'of-all', '--expires', expires, '--json']);
    eq([r.code, r.code || JSON.parse(r.out).data.expires_at], [0, at], r.err);
  }
  r = await moongate(g, ['key', 'show', (await listed(keys.counted)).hash]);
  ok(/own accounts, USD +2\b/.test(r.out), r.out + r.err);
  await settled(g);
  r = await moongate(g, ['usage', '--by', 'model', '--output', 'json']);
  const rows = JSON.parse(r.out).data;
  eq([rows.find((m) => m.model === 'acme/cent').byok_usage, rows.find((m) => m.model === 'acme/other').byok_usage], [0.13, 0], r.out);
});

test('all of it is kept: after a start it is as it was, and the allowance does not begin anew', async () => {
  await sameDay();
  const told = async () => Promise.all(Object.values(keys).map(async (key) => { const k = await ownKey(g, key); return [byok(k), usage(k), k.limit_remaining]; }));
  const before = await told();
  await settled(g);
  await g.stop();
  g = await startGateway(config, { dir: home });
  eq(await told(), before);
  eq((await ask('fee', 'cloud')).usage.cost, 0.05, 'a fee on all of it');
  eq((await ask('two', 'of-account')).usage.cost, 0.05, 'also of keys in no workspace');
  await settled(g);
  const found = await audit(g);
  eq(found.code, 0, found.text);
});

test('in a configuration: what is wrong is named', async () => {
  const at = (key) => {
    const file = join(bundle, 'config.lua');
    writeFileSync(file, `return { dev = true, listen = { "127.0.0.1:0" }, providers = { a = { dialect = "openai", base_url = "https://a.example", byok = { ${key} } } } }`);
    return spawnSync(binary, ['config', 'check', '--config', file], { encoding: 'utf8' });
  };
  let r = at('{ private_to = { "ws" } }');
  ok(r.status !== 0 && r.stderr.includes('providers.a.byok[1].api_key') && r.stderr.includes('is required'), r.stderr + r.stdout);
  r = at('{ api_key = "x", fallback = true, always = true }');
  ok(r.status !== 0 && r.stderr.includes('byok') && r.stderr.includes('always'), r.stderr + r.stdout);
  r = at('{ api_key = "x", privat_to = { "ws" } }');
  ok(r.status !== 0 && r.stderr.includes('private_to'), r.stderr + r.stdout);
});

await run(async () => { await g.stop(); await u.stop(); for (const d of [home, bundle]) rmSync(d, { recursive: true, force: true }); });
