// byok.test.js - accounts that customers have with providers themselves: who uses
// them, in which order, what is charged.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { eq, ok, run, test } from './tap.js';
import { call, chat, record } from './checks.js';
import { binary, completion, managementKey, sameDay, sendJson, startGateway, startUpstream } from './gateway.js';

const refuses = new Set();	// these credentials
const u = await startUpstream((req, res) => {
  const who = req.headers.authorization.replace('Bearer ', '');
  if (refuses.has(who)) return sendJson(res, 401, { error: { message: 'bad key' } });
  return sendJson(res, 200, completion(who, { prompt_tokens: 1000000, completion_tokens: 0 }));
});
const bundle = mkdtempSync(join(tmpdir(), 'moongate-byok-'));
writeFileSync(join(bundle, 'bundle.lua'), `return { base = "openrouter", policies = { workspace = { ws_fee = { { use = "byok_first", with = { allowance_usd = 1.5 }, order = { price = "last" } } } } } }`);
const provider = (more) => `{ dialect = "openai", base_url = "${u.url}/v1", api_key = "shared", ${more} }`;
const g = await startGateway(`
  policy = { bundle = "${bundle}" },
  providers = {
    cloud = ${provider('data = { known = true, retains = true, retention_days = 30 }, byok = { { api_key = "acme-1", private_to = { "ws_acme" } }, { api_key = "acme-2", private_to = { "ws_acme" } }, { api_key = "fee", private_to = { "ws_fee" } }, { api_key = "agreed", private_to = { "ws_agreed" }, data = { zdr = true } } }')},
    strict = ${provider('byok = { { api_key = "only", private_to = { "ws_acme" }, always = true } }')},
    late = ${provider('byok = { { api_key = "spare", fallback = true } }')},
    some = ${provider('byok = { { api_key = "one-model", models = { "acme/of*" } } }')},
  },
  models = {
    ["acme/cloud"] = { endpoints = { { provider = "cloud", price = { input = 1, output = 1 } } } },
    ["acme/strict"] = { endpoints = { { provider = "strict", price = { input = 1, output = 1 } } } },
    ["acme/late"] = { endpoints = { { provider = "late", price = { input = 1, output = 1 } } } },
    ["acme/of-account"] = { endpoints = { { provider = "some", price = { input = 1, output = 1 } } } },
    ["acme/other"] = { endpoints = { { provider = "some", price = { input = 1, output = 1 } } } },
  },`);
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

test('no limit can have their cost in: that is refused, not forgotten', async () => {
  const ask = (method, path, body) => call(g, '/api/v1/keys' + path, { method, headers: { authorization: `Bearer ${managementKey}`, 'content-type': 'application/json' }, body });
  let r = await ask('POST', '', { name: 'all', limit: 1, include_byok_in_limit: true });
  eq([r.status, /include_byok_in_limit: .* leave it out/.test(JSON.parse(r.text).error.message)], [400, true]);
  r = await ask('POST', '', { name: 'all', limit: 1, include_byok_in_limit: false });
  eq(r.status, 201);
  eq((await ask('PATCH', '/' + JSON.parse(r.text).data.hash, { include_byok_in_limit: true })).status, 400);
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

await run(async () => { await g.stop(); await u.stop(); });
