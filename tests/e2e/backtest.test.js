// backtest.test.js - what a candidate would have made of the kept decisions where it is slower, takes limits or spends
// budgets; and what explain asks a running gateway.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat, management, moongate, pool } from './checks.js';
import { loads, startGateway, until } from './gateway.js';

const dirs = [];
const policy = (body, params = '') => {
  const dir = mkdtempSync(join(tmpdir(), 'moongate-backtest-'));
  dirs.push(dir);
  writeFileSync(join(dir, 'bundle.lua'), 'return { policies = { default = { { use = "p" } } } }');
  writeFileSync(join(dir, 'p.lua'), `return policy { name = "p", api = 1, version = "1.0.0", ${body} }`);
  loads(dir, 'p');
  return dir;
};
const at = (provider, input, ttft) => `{ provider = "${provider}", price = { input = ${input}, output = ${input} }, options = { ttft_ms = ${ttft} } }`;
const g = await startGateway(`
  providers = { s1 = { dialect = "sim", base_url = "sim:" }, s2 = { dialect = "sim", base_url = "sim:" } },
  models = { ["acme/large"] = { endpoints = { ${at('s1', 1000, 5)}, ${at('s2', 4000, 1500)} } } },`);
const backtest = async (dir, ...args) => {
  const r = await moongate(g, ['policy', 'backtest', '--candidate', dir, '--json', ...args]);
  return { ...r, data: /^\{/.test(r.out) ? JSON.parse(r.out).data : null };
};
const body = (more) => ({ model: 'acme/large', max_tokens: 2, messages: [{ role: 'user', content: 'x' }], ...more });
const N = 300, W = 6;	// W: at each of the two, before the others, so that something is known of both
const other = await g.newKey(), key = await g.newKey({ name: 'budget' });
const dearest = 'return rank.by(eps, function(e) return -e.usd.prompt end)', cheapest = 'return rank.by(eps, function(e) return e.usd.prompt end)';
let each = 0;	// nUSD, of a request at s1

test('a first choice that is slower shuts the gate of the 90th percentile', async () => {
  const agent = pool(16);
  let next = 0;
  await Promise.all(Array.from({ length: 2 * W }, async (_, i) => eq((await chat(g, other, body({ provider: { only: [i % 2 ? 's1' : 's2'] } }))).status, 200)));
  await new Promise((done) => setTimeout(done, 700));	// until it is added up
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (next++ < N) eq((await chat(g, key, body({ provider: { sort: 'price' } }), { agent })).status, 200);
  }));
  agent.destroy();
  const dir = policy(`rank = function(req, eps) ${dearest} end`);
  await until('all to be in the store', async () => (await backtest(dir)).data?.decisions === N + 2 * W);
  const { data, code } = await backtest(dir, '--max-p90-change', '50%'), open = await backtest(dir, '--max-p90-change', '100000%');
  const gate = data.gates[0];
  each = data.estimated.live_charge_nusd / data.estimated.decisions;
  eq([code, gate.gate, gate.limit, gate.passed, data.estimated.decisions], [8, 'max-p90-change', '+50.00%', false, N + W]);
  // How much slower depends on how fast s1 was: on a busy machine its 5 ms are many.
  ok(parseFloat(gate.value) > 50 && data.candidate.first_token_p90_ms > 1.5 * data.live.first_token_p90_ms, JSON.stringify(data));
  eq([open.code, open.data.gates[0].passed, data.in_order], [0, true, false]);
  ok(Number.isInteger(each) && data.estimated.candidate_charge_nusd === 4 * data.estimated.live_charge_nusd, `${each} each`);
});

test('a limit that nobody asked for is taken in the order of time, over all decisions', async () => {
  const dir = policy(`admit = function(req) if req.prefs.only[1] then return true end local ok, wait = limit.take("mine", req.key.id, { max = 12, per_s = 3600 })
    if not ok then return deny { status = 429, code = "slow_down", message = "wait", retry_after_s = wait } end return true end,
    rank = function(req, eps) ${cheapest} end`);
  const { data, code } = await backtest(dir);
  eq([code, data.in_order, data.decisions, data.candidate.refused, data.measured.decisions, data.candidate.charge_nusd],
    [0, true, N + 2 * W, N - 12, 12 + W, (12 + 2 * W) * each]);
  eq((await backtest(dir)).data, data, 'each run is the same');
});

test('a budget has less of what the candidate spends itself, and of what it does not decide', async () => {
  const hash = (await management(g, '/keys')).data.find((k) => k.name === 'budget').hash;
  const dir = policy(`rank = function(req, eps) local left = budget.left_nusd("key", req.key.id) if left and left > 0 then ${dearest} end ${cheapest} end`);
  const limit = async (n) => eq((await management(g, `/keys/${hash}`, 'PATCH', { limit: n * each / 1e9 })).data.limit, n * each / 1e9);
  await limit(400);
  const { data } = await backtest(dir);
  eq([data.in_order, data.estimated.decisions, data.estimated.candidate_charge_nusd], [true, 100 + W, (400 + W) * each], 'a hundred at four times as much');
  const half = (await backtest(dir, '--sample', '0.5')).data;
  ok(half.estimated.decisions > 60 && half.estimated.decisions < 98, `${half.estimated.decisions}: the others are spent as they were`);
  await new Promise((done) => setTimeout(done, 5000));	// longer than a command takes to begin
  const began = Date.now();
  eq((await chat(g, key, body({ provider: { sort: 'price' } }))).status, 200);
  const late = async () => (await backtest(dir, '--since', `${Date.now() - began + 4000}ms`)).data;
  await until('it to be in the store', async () => (await late())?.decisions === 1);
  eq((await late()).estimated.decisions, 1, 'a quarter is left');
  await limit(290);
  eq((await late()).estimated.decisions, 0, 'what was spent before counts');
});

const file = join(g.home, 'chat.json');
writeFileSync(file, JSON.stringify(body()));
const explain = async (more = [], env = {}) => {
  const r = await moongate(g, ['policy', 'explain', '--request', file, '--json', ...more], env);
  return { ...r, data: /^\{/.test(r.out) ? JSON.parse(r.out).data : null };
};
const samples = (r) => (r.data ? r.data.candidates.map((c) => c.samples ?? 0) : r.err);

test('explain --request asks the gateway that runs how its endpoints do', async () => {
  const [at, nowhere, keyless] = ['listens.lua', 'nowhere.lua', 'keyless.lua'].map((name) => join(g.home, name)), none = { MOONGATE_URL: '' };
  writeFileSync(at, readFileSync(g.file, 'utf8').replace('127.0.0.1:0', g.url.slice(7)));
  writeFileSync(nowhere, readFileSync(g.file, 'utf8').replace('/state/data"', '/state/other"'));	// where no gateway says that it runs
  writeFileSync(keyless, readFileSync(at, 'utf8').replace('/state/data"', '/state/other"').replace(/management_key = .*\n/, ''));
  for (const [how, r] of [['named', await explain()], ['where the configuration says', await explain(['--config', at], none)],
    ['where it says that it runs', await explain([], none)]])
    ok(samples(r).length === 2 && samples(r).every((n) => n >= W), `${how}: ${JSON.stringify(samples(r))} ${r.err}`);
  for (const [how, r] of [['nobody listens', await explain(['--config', nowhere], none)], ['no management key', await explain(['--config', keyless], { ...none, MOONGATE_MANAGEMENT_KEY: '' })]])
    ok(r.code === 0 && samples(r).every((n) => n === 0), `${how}: ${JSON.stringify(samples(r))} ${r.err}`);
  ok((await explain([], { MOONGATE_URL: 'http://127.0.0.1:1' })).code === 4, 'one that is named, and is not there');
  const nobody = await explain(['--key', 'x', '--config', nowhere], none), wrong = await explain(['--key', 'ab'.repeat(32)]);
  ok(nobody.code === 2 && /--key/.test(nobody.err) && wrong.code === 6 && /hash/.test(wrong.err), nobody.err + wrong.err);
});

test('and takes and leaves nothing there', async () => {
  const dir = policy(`admit = function(req) local ok, wait = limit.take("live", req.key.id, { max = 3, per_s = 3600 })
    if not ok then return deny { status = 429, code = "slow_down", message = "wait", retry_after_s = wait } end return true end`);
  const third = await g.newKey({ name: 'third' }), hash = (await management(g, '/keys')).data.find((k) => k.name === 'third').hash;
  const ask = async () => (await chat(g, third, body())).status, told = async () => (await explain(['--key', hash])).data;
  const published = await moongate(g, ['policy', 'publish', dir, '--drop-guards']);
  eq(published.code, 0, published.err);
  eq([await ask(), await ask()], [200, 200]);
  for (let i = 0; i < 4; i++)
    ok(!(await told()).denied && (await told()).candidates.length === 2, JSON.stringify(await told()));
  eq(await ask(), 200, 'the last of three');
  eq((await told()).denied?.code, 'slow_down', JSON.stringify(await told()));
  eq((await explain()).data.denied, undefined, 'nobody else is meant');
  eq(await ask(), 429);
  eq((await management(g, `/keys/${hash}`)).data.usage, 3 * each / 1e9, 'and is charged nothing');
});

await run(async () => {
  await g.stop();
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});
