// examples.test.js - each ready policy of policies/examples, really loaded, and the
// one thing that it is for: who answers with it, and who without.
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat } from './checks.js';
import { completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

const examples = new URL('../../policies/examples/', import.meta.url).pathname;
const all = readdirSync(examples).filter((f) => f.endsWith('.lua') && !f.endsWith('_test.lua') && f !== 'bundle.lua').map((f) => f.replace('.lua', ''));
const shown = new Set();

// What an upstream does is said by the model's name at it.
const held = [];
let stuck = false;	// 'moody' does not answer at all
const u = await startUpstream(async (req, res) => {
  const name = req.json.model;
  if (name.startsWith('held')) return held.push(() => sendJson(res, 200, completion(name)));
  if (stuck && name === 'moody') return held.push(() => sendJson(res, 200, completion(name)));
  if (name.startsWith('short')) return sendJson(res, 400, { error: { message: "This model's maximum context length is 10 tokens", code: 'context_length_exceeded' } });
  if (name.startsWith('slow')) await new Promise((go) => setTimeout(go, 1000));
  if (!req.json.stream) return sendJson(res, 200, completion(name, { prompt_tokens: 1000, completion_tokens: 0 }));
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.end(`data: ${JSON.stringify({ id: '1', choices: [{ index: 0, delta: { content: name } }] })}\n\n` +
    `data: ${JSON.stringify({ id: '1', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } })}\n\ndata: [DONE]\n\n`);
});
const provider = (name, more = '') => `${name} = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k", ${more} }`;
const price = (usd) => `price = { input = "${usd}", output = "${usd}" }`;
// at: provider, price, model there, more members of the endpoint
const endpoint = (at, usd, model, more = '') => `{ provider = "${at}", model = "${model}", ${price(usd)}, ${more} }`;
const model = (slug, ...list) => `["${slug}"] = { endpoints = { ${list.join(', ')} } }`;

// The bundle is the example alone, in this scope, over the shipped one.
async function show(name, line, providers, models, go) {
  const dir = mkdtempSync(join(tmpdir(), 'moongate-example-'));
  for (const file of [`${name}.lua`, `${name}_test.lua`]) copyFileSync(examples + file, join(dir, file));
  writeFileSync(join(dir, 'bundle.lua'), `return { base = "openrouter", policies = { guard = { { use = "${name}", ${line} } } } }\n`);
  const g = await startGateway(`workers = 1, policy = { bundle = "${dir}" }, providers = { ${providers.join(', ')} }, models = { ${models.join(', ')} },`);
  const keys = {};
  const ask = async (body, { workspace = '', headers = {} } = {}) => {
    keys[workspace] ??= await g.newKey(workspace ? { workspace_id: workspace } : {});
    const r = await chat(g, keys[workspace], { model: 'acme/m', ...body }, { headers: { authorization: `Bearer ${keys[workspace]}`, 'content-type': 'application/json', ...headers } });
    const a = JSON.parse(r.text);
    return r.status === 200 ? { who: a.choices[0].message.content, cost: a.usage.cost } : { status: r.status, message: a.error.message };
  };
  const who = async (...args) => { const a = await ask(...args); return a.who ?? a.status; };
  try { await go({ g, ask, who }); } finally { await g.stop(); rmSync(dir, { recursive: true }); }
  shown.add(name);
}
const LAST = 'order = { rank = "last" }, ';	// behind the shipped ranking
const each = (name, what, line, providers, models, go) => test(`${name}: ${what}`, () => show(name, line, providers, models, go));

each('cheapest', 'the cheaper one answers each time, not three times in four', LAST, [provider('a'), provider('b')],
  [model('acme/m', endpoint('a', '2', 'dear'), endpoint('b', '1.8', 'cheap'))], async ({ who }) => {
    for (let i = 0; i < 12; i++) eq(await who({}), 'cheap');
  });

each('data_classes', 'confidential text goes where nothing is kept, and a request can ask for that', 'with = { default = "public", assign = { ws_legal = "confidential" } }',
  [provider('keeps', 'data = { retains = true, retention_days = 30 }'), provider('zero', 'data = { zdr = true }')],
  [model('acme/m', endpoint('keeps', '1', 'keeps'), endpoint('zero', '100', 'zero')), model('acme/only', endpoint('keeps', '1', 'keeps'))], async ({ who }) => {
    eq(await who({ provider: { order: ['keeps'] } }), 'keeps');
    eq(await who({ provider: { order: ['keeps'] } }, { workspace: 'ws_legal' }), 'zero');
    eq(await who({ provider: { order: ['keeps'] } }, { headers: { 'x-moongate-data-class': 'confidential' } }), 'zero');
    eq(await who({ model: 'acme/only' }, { workspace: 'ws_legal', headers: { 'x-moongate-data-class': 'public' } }), 404);
    eq(await who({}, { headers: { 'x-moongate-data-class': 'unheard-of' } }), 404);
  });

each('eu_only', 'nothing leaves the EU, whatever the client wishes', 'with = { only_for = { "ws_eu" } }',
  [provider('us', 'data = { region = "us" }'), provider('eu', 'data = { region = "eu" }')],
  [model('acme/m', endpoint('us', '1', 'us', 'region = "us"'), endpoint('eu', '100', 'eu', 'region = "eu-central"'))], async ({ who }) => {
    eq(await who({ provider: { order: ['us'] } }), 'us');
    eq(await who({ provider: { order: ['us'] } }, { workspace: 'ws_eu' }), 'eu');
    eq(await who({ provider: { only: ['us'] } }, { workspace: 'ws_eu' }), 404);
  });

test('budget_downgrade: the cheaper model towards the end of the budget, own GPUs after it', () => show('budget_downgrade', 'with = { cheaper = { ["acme/m"] = "acme/small" } }',
  [provider('a'), provider('onprem')],
  [model('acme/m', endpoint('a', '1000', 'large')), model('acme/small', endpoint('a', '1', 'small')), model('onprem/llama', endpoint('onprem', '0', 'llama'))], async ({ g }) => {
    const key = await g.newKey({ limit: 10 });
    const ask = async (body) => { const r = await chat(g, key, { model: 'acme/m', max_tokens: 10, ...body }); return r.status === 200 ? JSON.parse(r.text).choices[0].message.content : r.status; };
    for (let i = 0; i < 8; i++) eq(await ask({}), 'large', `request ${i + 1}`);	// a dollar each
    eq(await ask({}), 'small');
    eq(await ask({ model: 'onprem/llama' }), 'llama');
  }));

each('canary_hours', 'in its hours the new model answers', 'with = { from = "acme/m", to = "acme/next", share_bps = 10000, open_min = 0, close_min = 1440, days = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" } }',
  [provider('a')], [model('acme/m', endpoint('a', '1', 'old')), model('acme/next', endpoint('a', '1', 'new'))], async ({ who }) => { eq(await who({}), 'new'); });
each('canary_hours', 'outside of them the old one', 'with = { from = "acme/m", to = "acme/next", share_bps = 10000, days = {} }',
  [provider('a')], [model('acme/m', endpoint('a', '1', 'old')), model('acme/next', endpoint('a', '1', 'new'))], async ({ who }) => { eq(await who({}), 'old'); });

each('latency_slo', 'who meets the objective comes before who is cheap', LAST + 'with = { ttft_ms = 500, min_samples = 2, hedge_share_bps = 0 }',
  [provider('a'), provider('b')], [model('acme/m', endpoint('a', '1', 'slow'), endpoint('b', '3', 'fast'))], async ({ g, who }) => {
    for (const at of ['a', 'a', 'b', 'b']) await who({ provider: { only: [at] } });
    await until('the measurements to count', async () => {
      let n = 0;
      for (let i = 0; i < 5; i++) n += await who({}) === 'fast';
      return n === 5;
    });
  });

each('latency_slo', 'the first token is late: a second endpoint answers', LAST + 'with = { ttft_ms = 3000, min_samples = 2, hedge_share_bps = 10000 }',
  [provider('a'), provider('b')], [model('acme/m', endpoint('a', '1', 'moody'), endpoint('b', '3', 'fast'))], async ({ who }) => {
    for (const at of ['a', 'a', 'b', 'b']) await who({ provider: { only: [at] } });
    await until('the measurements to count', async () => await who({}) === 'moody' && await who({}) === 'moody' && await who({}) === 'moody');
    stuck = true;
    eq(await who({}), 'fast');
    stuck = false;
    held.splice(0).forEach((f) => f());
  });

each('private_first', 'who has a deployment of his own gets it, others never', LAST, [provider('a'), provider('own')],
  [model('acme/m', endpoint('a', '1', 'public'), endpoint('own', '50', 'private', 'private_to = { "ws_team" }'))], async ({ who }) => {
    for (let i = 0; i < 5; i++) eq(await who({}, { workspace: 'ws_team' }), 'private');
    for (let i = 0; i < 5; i++) eq(await who({}), 'public');
  });

each('team_models', 'a model that is not on the team\'s list is refused, also as a fallback', 'with = { teams = { ws_blue = { "acme/small" } }, others = { "acme/*" } }',
  [provider('a')], [model('acme/m', endpoint('a', '1', 'large')), model('acme/small', endpoint('a', '1', 'small'))], async ({ who, ask }) => {
    eq(await who({}), 'large');
    eq(await who({}, { workspace: 'ws_blue' }), 404);
    eq(await who({ models: ['acme/m', 'acme/small'] }, { workspace: 'ws_blue' }), 'small');
    ok((await ask({}, { workspace: 'ws_blue' })).message.includes('team_model'), 'it says why');
  });

each('peak_price', 'a quarter more in its hours', 'order = { price = "last" }, with = { from_min = 0, to_min = 1440, days = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" }, exempt = { "acme/same" } }',
  [provider('a')], [model('acme/m', endpoint('a', '4', 'x')), model('acme/same', endpoint('a', '4', 'x'))], async ({ ask }) => {
    eq((await ask({})).cost, 0.005);
    eq((await ask({ model: 'acme/same' })).cost, 0.004);
  });

each('tool_quality', 'tools go to the finer weights, plain talk to the cheaper ones', LAST, [provider('a'), provider('b')],
  [model('acme/m', endpoint('a', '1', 'coarse', 'quantization = "int4"'), endpoint('b', '90', 'fine', 'quantization = "bf16"'))], async ({ who }) => {
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
    for (let i = 0; i < 5; i++) eq(await who({}), 'coarse');
    for (let i = 0; i < 5; i++) eq(await who({ tools }), 'fine');
  });

each('context_fallback', 'too long, by our count or by the provider\'s: the model with a longer context', 'with = { longer = { ["acme/m"] = "acme/long", ["acme/wrong"] = "acme/long" } }',
  [provider('a')], [model('acme/m', endpoint('a', '1', 'usual', 'context_length = 1000, max_output = 100')), model('acme/wrong', endpoint('a', '1', 'short')),
    model('acme/long', endpoint('a', '1', 'long', 'context_length = 1000000'))], async ({ who }) => {
    eq(await who({ max_tokens: 10 }), 'usual');
    eq(await who({ max_tokens: 10, messages: [{ role: 'user', content: 'word '.repeat(2000) }] }), 'long');
    eq(await who({ model: 'acme/wrong', max_tokens: 10 }), 'long');
  });

each('local_first', 'own GPUs until they are full, then the cloud; who must stay waits', LAST + 'with = { own = { "onprem" }, max_inflight = 2, stay_local = { "ws_stay" } }',
  [provider('onprem'), provider('cloud')], [model('acme/m', endpoint('onprem', '0', 'held-gpu'), endpoint('cloud', '1', 'cloud'))], async ({ who }) => {
    const two = [who({}), who({})];
    await until('two at the GPUs', () => held.length === 2);
    eq(await who({}), 'cloud');
    const third = who({}, { workspace: 'ws_stay' });
    await until('a third', () => held.length === 3);
    held.splice(0).forEach((f) => f());
    eq(await Promise.all([...two, third]), ['held-gpu', 'held-gpu', 'held-gpu']);
  });

each('agent_cap', 'a session that has spent its part is stopped, another one is not', 'with = { cap_usd = 0.0025 }', [provider('a')],
  [model('acme/m', endpoint('a', '1', 'x'))], async ({ who }) => {
    const go = (session) => who({ session_id: session, max_tokens: 10 });
    eq([await go('loop'), await go('loop'), await go('loop')], ['x', 'x', 'x']);	// a tenth of a cent each
    eq(await go('loop'), 402);
    eq(await go('calm'), 'x');
  });

test('none of the examples is without its test', () => { eq(all.filter((n) => !shown.has(n)), []); });

await run(async () => { held.splice(0).forEach((f) => f()); await u.stop(); });
