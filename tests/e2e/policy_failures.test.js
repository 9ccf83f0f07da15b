// policy_failures.test.js - policies that fail in front of real requests: what
// the client is told, what the operator is, and that the next request is served.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat, metric, record } from './checks.js';
import { completion, loads, sendJson, startGateway, startUpstream } from './gateway.js';
import { hash } from './policies_world.js';

const up = await startUpstream((req, res) => sendJson(res, 200, completion('fine', { prompt_tokens: 1000, completion_tokens: 1000 })));
const ill = await startUpstream((req, res) => sendJson(res, 500, { error: { message: 'ill' } }));
const hooks = { admit: '', retain: '', resolve: '', filter: ', ep', rank: ', eps', plan: ', eps', shape: ', ep', on_error: ', err, rest', price: ', ep, u, bill', observe: ', o' };
const dir = mkdtempSync(join(tmpdir(), 'moongate-failing-'));
loads(dir, 'fails');
// Fails where the request's user says so, with the way of it: "admit raise".
const fine = { admit: 'true', retain: '{ store = "full", ttl_s = 60, cache = true }', filter: 'true', rank: 'eps', price: 'bill' };
writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "fails", order = { on_error = "first" } } } } }\n');	// on_error asks the narrowest scope first, else
writeFileSync(join(dir, 'fails.lua'), `local function fail(how)
  if how == "raise" then error("on purpose") end
  if how == "loop" then while true do end end
  if how == "allocate" then local t = {} for i = 1, 1e7 do t[i] = {} end end
  return 7
end
return policy { name = "fails", api = 1, version = "1.0.0",
${Object.entries(hooks).map(([name, args]) => `  ${name} = function(req${args})
    local who = req.key.user:split(" ")
    if hash.u32(who[1]) == ${hash(name)} then return fail(who[2]) end
    return ${fine[name] || 'nil'}
  end,`).join('\n')}
}\n`);
const price = 'price = { input = 1, output = 1 }';
const g = await startGateway(`
  workers = 2,
  policy = { bundle = "${dir}" },
  providers = { up = { dialect = "openai", base_url = "${up.url}/v1", api_key = "secret-of-upstream" }, ill = { dialect = "openai", base_url = "${ill.url}/v1", api_key = "secret-of-upstream" } },
  models = { ["acme/one"] = { endpoints = { { provider = "up", ${price} } } }, ["acme/two"] = { endpoints = { { provider = "ill", ${price} }, { provider = "up", ${price} } } } },`);
const key = await g.newKey();
const closed = ['admit', 'filter', 'shape'];

for (const name of Object.keys(hooks))
  for (const how of ['raise', 'loop', 'allocate', 'nonsense']) {
    test(`${name} that fails (${how}): ${closed.includes(name) ? 'refused with the hook and the request' : 'the request goes on'}`, async () => {
      const before = up.asked.length, errors = await metric(g, 'moongate_policy_errors_total');
      const r = await chat(g, key, { model: name === 'on_error' ? 'acme/two' : 'acme/one', user: `${name} ${how}`, provider: name === 'on_error' ? { order: ['ill', 'up'] } : undefined });
      const body = JSON.parse(r.text);
      if (closed.includes(name)) {
        eq([r.status, up.asked.length], [503, before], r.text);
        ok(body.error.message.includes(`'${name}'`) && /gen-[A-Za-z0-9-]+/.test(body.error.message), body.error.message);
        ok(!r.text.includes('.lua') && !r.text.includes('on purpose'), r.text);
      } else {
        eq([r.status, up.asked.length], [200, before + 1], r.text);
        const kept = await record(g, key, body.id);
        eq([kept.total_cost, kept.needs_rating], [0.002, name === 'price' ? true : undefined]);	// the list price, whatever price did
      }
      ok((await metric(g, 'moongate_policy_errors_total')) > errors || (name === 'observe' && how === 'nonsense'), 'counted');
      if (how === 'raise') ok(g.log.includes('fails.lua:2: on purpose'), 'the operator sees the line');
      eq((await chat(g, key, { model: 'acme/one' })).status, 200);
    });
  }

run(async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  await up.stop();
  await ill.stop();
  rmSync(dir, { recursive: true });
});
