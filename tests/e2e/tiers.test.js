// tiers.test.js - service tiers: what is asked of an upstream is the tier whose price is charged, whoever asked for what.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, run, test } from './tap.js';
import { chat } from './checks.js';
import { completion, loads, sendJson, startGateway, startUpstream } from './gateway.js';

const u = await startUpstream((req, res) => sendJson(res, 200, req.url.endsWith('/messages')
  ? { id: 'msg_1', type: 'message', role: 'assistant', model: 'up', content: [{ type: 'text', text: 'hi' }], stop_reason: 'end_turn', usage: { input_tokens: 10, output_tokens: 5 } }
  : completion('hi')));
const dir = mkdtempSync(join(tmpdir(), 'moongate-tiers-'));
loads(dir, 'asks');
writeFileSync(join(dir, 'asks.lua'), `return policy { name = "asks", api = 1, version = "1.0.0",
  shape = function(req, ep) if req.model == "acme/shaped" then return { set = { service_tier = "flex" } } end end }\n`);
writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "asks" } } } }\n');
const at = (model, rate, more = '') => `{ provider = "up", model = "${model}", price = { input = ${rate}, output = ${rate} }${more} }`;
const g = await startGateway(`
  policy = { bundle = "${dir}" },
  providers = { up = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k" }, claude = { dialect = "anthropic", base_url = "${u.url}", api_key = "k" } },
  models = {
    ["acme/one"] = { endpoints = { ${at('base', 1)} } },
    ["acme/pass"] = { endpoints = { ${at('passed', 1, ', quirks = { pass_through = true }')} } },
    ["acme/two"] = { endpoints = { ${at('base', 1)}, ${at('quick', 2, ', tier = "priority"')} } },
    ["acme/late"] = { endpoints = { ${at('base', 2)}, ${at('late', 1, ', tier = "flex"')} } },
    ["acme/claude"] = { endpoints = { { provider = "claude", model = "claude", price = { input = 1, output = 1 } } } },
    ["acme/swift"] = { endpoints = { { provider = "claude", model = "swift", tier = "priority", price = { input = 6, output = 6 } } } },
    ["acme/shaped"] = { endpoints = { ${at('shaped', 1)} } } },`);
const key = await g.newKey();
// What the upstream was asked for, and what it cost in millionths of a dollar.
async function asked(model, more = {}) {
  const r = await chat(g, key, { model, ...more }), sent = u.asked.at(-1).json;
  return [sent.model, sent.service_tier, sent.speed, Math.round(JSON.parse(r.text).usage.cost * 1e6)];
}

test('an endpoint of the default tier is never asked for another one', async () => {
  for (const tier of ['priority', 'fast', 'flex', 'scale']) eq(await asked('acme/one', { service_tier: tier }), ['base', undefined, undefined, 15], tier);
  eq(await asked('acme/pass', { service_tier: 'priority' }), ['passed', undefined, undefined, 15], 'as it came');
  eq(await asked('acme/claude', { service_tier: 'fast' }), ['claude', undefined, undefined, 15]);
  eq(await asked('acme/claude', { speed: 'fast' }), ['claude', undefined, undefined, 15]);
});

test('what asks for nothing else stays as it was written', async () => {
  for (const tier of ['default', 'auto']) eq(await asked('acme/one', { service_tier: tier }), ['base', tier, undefined, 15]);
  eq(await asked('acme/one', { service_tier: null }), ['base', null, undefined, 15]);
  eq(await asked('acme/one'), ['base', undefined, undefined, 15]);
});

test('an endpoint of a tier is asked for it, however it was chosen', async () => {
  eq(await asked('acme/two', { service_tier: 'priority' }), ['quick', 'priority', undefined, 30]);
  eq(await asked('acme/two', { service_tier: 'fast' }), ['quick', 'priority', undefined, 30]);
  eq(await asked('acme/two', { provider: { only: ['up/priority'] } }), ['quick', 'priority', undefined, 30]);
  eq(await asked('acme/late:floor'), ['late', 'flex', undefined, 15]);
  eq(await asked('acme/late', { service_tier: 'flex' }), ['late', 'flex', undefined, 15]);
  eq(await asked('acme/swift', { service_tier: 'fast' }), ['swift', undefined, 'fast', 90], "in Anthropic's word");
  eq(await asked('acme/swift', { service_tier: 'priority', speed: 'fast' }), ['swift', undefined, 'fast', 90]);
  eq(await asked('acme/two'), ['base', undefined, undefined, 15], 'and nobody gets there unasked');
});

test('what a policy sets is its own affair', async () => {
  eq(await asked('acme/shaped', { service_tier: 'priority' }), ['shaped', 'flex', undefined, 15]);
});

run(async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  await u.stop();
  rmSync(dir, { recursive: true });
});
