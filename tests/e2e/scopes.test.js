// scopes.test.js - which policies run for a key, its workspace, its organization
// and a request that names one; and that budgets are the account's own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, run, test } from './tap.js';
import { bearer, call, management } from './checks.js';
import { completion, loads, sendJson, startGateway, startUpstream, until } from './gateway.js';

const up = await startUpstream((req, res) => sendJson(res, 200, completion('fine', { prompt_tokens: 100, completion_tokens: 100 })));
const dir = mkdtempSync(join(tmpdir(), 'moongate-scopes-'));
// Each says who it is by a model of that name.
const says = (name) => writeFileSync(join(dir, `${name}.lua`), `return policy { name = "${name}", api = 1,
  params = { model = { type = "string", default = "acme/${name}" } },
  resolve = function(req, my) return { models = { my.model } } end }\n`);
for (const name of ['org', 'workspace', 'key', 'request', 'hidden']) says(name);
for (const name of ['org', 'workspace', 'key', 'request', 'hidden', 'spends']) loads(dir, name);
writeFileSync(join(dir, 'spends.lua'), `return policy { name = "spends", api = 1,
  admit = function(req)
    if req.key.user ~= "thrifty" then return true end
    local left, used, spent = budget.left_nusd("key", req.key.id), budget.used_bps("key", req.key.id), budget.spent_nusd("key", req.key.id)
    local text = ("left %s used %s spent %s credits %s"):format(left, used, spent, budget.left_nusd("org", req.key.org))
    return deny { status = 402, code = "told", message = text }
  end }\n`);
const bundle = (key) => writeFileSync(join(dir, 'bundle.lua'), `return { base = "openrouter", policies = {
  guard = { { use = "spends" } },
  org = { org_7 = { { use = "org" } } }, workspace = { ws_7 = { { use = "workspace" } } }, key = { ["${key}"] = { { use = "key" } } },
  request = { allow = { "request" } } } }\n`);
bundle('nobody');
const price = 'price = { input = 1, output = 1 }';
const model = (name) => `["acme/${name}"] = { endpoints = { { provider = "up", ${price} } } },`;
const g = await startGateway(`
  workers = 2,
  policy = { bundle = "${dir}" },
  providers = { up = { dialect = "openai", base_url = "${up.url}/v1", api_key = "secret-of-upstream" } },
  models = { ${['plain', 'org', 'workspace', 'key', 'request'].map(model).join(' ')} },`);
const plain = await g.newKey(), inOrg = await g.newKey({ organization_id: 'org_7' });
const inBoth = await g.newKey({ organization_id: 'org_7', workspace_id: 'ws_7' }), own = await g.newKey({ workspace_id: 'ws_7', limit: 1 });
const asked = async (key, body = {}, headers = {}) => {
  const r = await call(g, '/api/v1/chat/completions', { method: 'POST', headers: { ...bearer(key), ...headers },
    body: { model: 'acme/plain', messages: [{ role: 'user', content: 'x' }], ...body } });
  return r.status === 200 ? up.asked.at(-1).json.model : `${r.status} ${JSON.parse(r.text).error.message}`;
};

test('a key without more: the defaults alone', async () => eq(await asked(plain), 'plain'));
test('a key of an organization, and one of a workspace in it: the narrower comes last', async () => {
  eq(await asked(inOrg), 'org');
  eq(await asked(inBoth), 'workspace');
});
test('a key of its own', async () => {
  const list = (await management(g, '/keys')).data, k = list.find((one) => one.limit === 1);
  bundle(k.hash);
  g.child.kill('SIGHUP');
  await until('the reload', async () => await asked(own) === 'key');
  eq(await asked(inBoth), 'workspace');
});
test('the organization is shown with the key', async () => {
  eq(JSON.parse((await call(g, '/api/v1/key', { headers: bearer(inOrg) })).text).data.organization_id, 'org_7');
  eq(JSON.parse((await call(g, '/api/v1/key', { headers: bearer(plain) })).text).data.organization_id, null);
});
test('a request names one that it may name, by member or header; the upstream does not see it', async () => {
  eq(await asked(own, { policy: 'request' }), 'request');
  eq('policy' in up.asked.at(-1).json, false);
  eq(await asked(plain, {}, { 'x-moongate-policy': 'request' }), 'request');
});
test('any other name is refused with its name, and nothing is sent', async () => {
  const before = up.asked.length;
  eq(await asked(plain, { policy: 'hidden' }), "400 policy: 'hidden' is none that a request may name");
  eq(await asked(plain, { policy: 'org' }), "400 policy: 'org' is none that a request may name");
  eq(await asked(plain, {}, { 'x-moongate-policy': 'no such' }), "400 policy: 'no such' is none that a request may name");
  eq(up.asked.length, before);
});
test('budgets: what the account says, before and after a request', async () => {
  const key = await g.newKey({ limit: 0.01 });
  const told = async () => /left (\S+) used (\S+) spent (\S+) credits (\S+)/.exec(await asked(key, { user: 'thrifty' }))?.slice(1);
  const first = await told();
  eq(first, ['10000000', '0', '0', 'nil']);	// nobody counts credits here
  eq(await asked(key, { max_tokens: 100 }), 'plain');	// 200 tokens of a dollar a million
  eq(await told(), ['9800000', '200', '200000', 'nil']);
});

run(async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  await up.stop();
  rmSync(dir, { recursive: true });
});
