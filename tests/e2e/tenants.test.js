// tenants.test.js - budget.spent_nusd("workspace", ...) is what all keys of the workspace have
// spent this month, at once, after a restart, and with what is held; a ceiling on it holds.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, run, test } from './tap.js';
import { bearer, call, management } from './checks.js';
import { sameDay, startGateway, until } from './gateway.js';
import { decision, folder } from './policies_world.js';

const dir = folder({ 'bundle.lua': 'return { base = "openrouter", policies = { guard = { { use = "ceiling" } } } }\n',
  'ceiling.lua': `return policy { name = "ceiling", api = 1,
  admit = function(req)
    if req.feat.user_chars == 5 then budget.spent_nusd("workspace", "ws_other") end
    if req.feat.user_chars ~= 4 then return true end
    local text = ("%d %s %d"):format(budget.spent_nusd("workspace", req.key.workspace), budget.left_nusd("workspace", req.key.workspace), budget.used_bps("workspace", req.key.workspace))
    return deny { status = 402, code = "told", message = text }
  end,
  resolve = function(req)
    if req.key.workspace == "" or budget.spent_nusd("workspace", req.key.workspace) < money.usd(0.05) then return nil end
    return { models = { "acme/cheap" }, note = "ceiling" }
  end }\n`,
  'ceiling_test.lua': `local P = use("ceiling")
test("from the ceiling on", function(t)
  t.eq(P.resolve(t.req {}), nil)
  t.state().budget["workspace:ws_1"] = { spent = money.usd(0.05) }
  t.eq(P.resolve(t.req {}).models, { "acme/cheap" }); t.eq(P.resolve(t.req { key = { workspace = "" } }), nil)
  t.eq(budget.left_nusd("workspace", "ws_1"), nil)
end)\n` });
const home = mkdtempSync(join(tmpdir(), 'moongate-tenants-'));
const endpoint = (price, speed = '') => `{ endpoints = { { provider = "sim", model = "echo", price = { input = ${price}, output = ${price} }, options = { words = 5${speed} } } } }`;
const conf = `workers = 2, policy = { bundle = "${dir}" }, providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["acme/dear"] = ${endpoint(1000)}, ["acme/cheap"] = ${endpoint(0)}, ["acme/slow"] = ${endpoint(1000, ', tokens_per_s = 1')} },`;
await sameDay();	// a month is one of days
let g = await startGateway(conf, { dir: home });
const ask = async (key, content = 'hello you', more = {}) => {
  const r = await call(g, '/api/v1/chat/completions', { method: 'POST', headers: bearer(key), body: { model: 'acme/dear', max_tokens: 5, messages: [{ role: 'user', content }], ...more } });
  return { status: r.status, ...(r.text.startsWith('{') ? JSON.parse(r.text) : {}) };
};
const told = async (key) => (await ask(key, 'tell')).error.message;
const usage = async (key) => Math.round(JSON.parse((await call(g, '/api/v1/key', { headers: bearer(key) })).text).data.usage_monthly * 1e9);
const one = await g.newKey({ workspace_id: 'ws_t' }), two = await g.newKey({ workspace_id: 'ws_t' }), other = await g.newKey({ workspace_id: 'ws_u' }), none = await g.newKey();
const sum = async () => `${await usage(one) + await usage(two)} nil 0`;

test('what one key spends, the others of its workspace see, and nobody else', async () => {
  eq([await told(one), await told(none)], ['0 nil 0', '0 nil 0']);
  eq((await ask(one)).status, 200);
  eq((await ask(two)).status, 200);
  eq(await usage(one) > 0 && await usage(two) > 0, true);
  eq([await told(one), await told(two)], [await sum(), await sum()]);
  eq([await told(other), await told(none)], ['0 nil 0', '0 nil 0']);
});
test('what is held for a request under way counts', async () => {
  const before = await usage(two), running = ask(one, 'hello you', { model: 'acme/slow' });
  await until('the hold', async () => Number((await told(two)).split(' ')[0]) > before + await usage(one));
  eq((await running).status, 200);
  eq(await told(two), await sum());
});
test('another workspace is not asked about: the policy fails, and says why', async () => {
  const r = await ask(one, 'other');
  eq([r.status, /hook 'admit'/.test(r.error.message)], [503, true], r.error.message);
  await until('the log', () => /of workspaces only the request's own is known/.test(g.log));
});
test('it is the same after a restart', async () => {
  const before = await told(one);
  await g.stop();
  g = await startGateway(conf, { dir: home });
  eq([await told(two), before], [before, await sum()]);
  eq(await told(other), '0 nil 0');
});
test('from the ceiling on, all of its keys are sent to the cheap one; the record says so', async () => {
  let last = await ask(one);
  for (let i = 0; i < 20 && last.model === 'acme/dear'; i++) last = await ask(one);
  eq(Number((await told(two)).split(' ')[0]) >= 5e7, true);
  const r = await ask(two);
  eq([last.model, r.model, (await ask(other)).model], ['acme/cheap', 'acme/cheap', 'acme/dear']);
  eq((await decision(g, r.id)).models, ['acme/cheap']);
  eq((await management(g, '/keys')).total_count, 4);
});
run(async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  rmSync(home, { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
});
