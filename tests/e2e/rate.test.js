// rate.test.js - a price policy fails, the list price is charged, the policy is mended: moongate
// rate gives back what was too much, to the nano-dollar, once, with a gateway and without one.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { audit, bearer, call, chat, moongate, nanos, ownKey, record } from './checks.js';
import { binary, completion, managementKey, sameDay, sendJson, startGateway, startUpstream } from './gateway.js';
import { admin, folder, hash } from './policies_world.js';
import { eq, ok, run, test } from './tap.js';

// 12.34 % less, for one user half as much more; for those of `fails` there is no price.
const pricing = (fails) => folder({
  'bundle.lua': 'return { base = "openrouter", policies = { default = { { use = "or_eligibility" }, { use = "or_ranking" }, { use = "or_fallback" }, { use = "price_tiers" }, { use = "deal" } } } }\n',
  'deal.lua': `return policy { name = "deal", api = 1, version = "1.0.0",
  price = function(req, ep, usage, bill)
    local who = hash.u32(req.key.user)
    ${fails.map((f) => `if who == ${hash(f)} then error("on purpose") end`).join('\n    ')}
    local bps = who == ${hash('dear')} and 5000 or -1234
    return money.flat(bill, "deal", money.bps(money.sum(bill, "charge"), bps), "charge")
  end }\n`,
  'deal_test.lua': 'local P = use("deal")\ntest("it loads", function(t) t.eq(P.name, "deal") end)\n' });
const LIST = 1935000n, DEAL = 1696221n, DEAR = 2902500n;	// nUSD: 1137 + 100 / 4 + 773 tokens at a dollar a million; less 238,779; and half as much more
const usage = { prompt_tokens: 1237, completion_tokens: 773, prompt_tokens_details: { cached_tokens: 100 } };
await sameDay(180);
const up = await startUpstream((req, res) => sendJson(res, 200, completion('fine', usage)));
const broken = pricing(['mend', 'dear', 'never', 'many']), mended = pricing(['never', 'many']), whole = pricing([]);
const home = mkdtempSync(join(tmpdir(), 'moongate-rate-'));
const config = (dir) => `
  workers = 2, policy = { bundle = "${dir}" },
  providers = { up = { dialect = "openai", base_url = "${up.url}/v1", api_key = "secret-of-upstream" } },
  models = { ["acme/one"] = { endpoints = { { provider = "up", price = { input = 1, output = 1, cache_read = 0.25 } } } } },`;
let g = await startGateway(config(broken), { dir: home });
const key = await g.newKey({ limit: 1 });
const ids = {};
const ask = async (user) => JSON.parse((await chat(g, key, { model: 'acme/one', user })).text).id;
const kept = async (id) => { const r = await record(g, key, id); return [nanos(r.total_cost), nanos(r.usage), r.needs_rating, !!r.rated_at]; };
const rate = async (...more) => { const r = await moongate(g, ['rate', '--json', ...more]); return { ...r, ...(r.out ? JSON.parse(r.out) : {}) }; };
const spent = async () => { const k = await ownKey(g, key); return [k.usage, k.usage_daily, k.usage_monthly, 1 - k.limit_remaining].map(nanos); };
const all = (n) => [n, n, n, n];
const clean = async () => { const a = await audit(g); eq(a.code, 0, a.text); };

test('a price that fails is the list price, and the record says so', async () => {
  for (const user of ['mend', 'dear', 'never', 'fine']) ids[user] = await ask(user);
  for (const user of ['mend', 'dear', 'never']) eq(await kept(ids[user]), [LIST, LIST, true, false], user);
  eq(await kept(ids.fine), [DEAL, DEAL, undefined, false]);
  eq(await spent(), all(3n * LIST + DEAL));
});

test('with the same policies it fails again: nothing changes, and the command says so', async () => {
  const r = await rate();
  eq([r.code, r.rated, r.not_rated, r.refund], [8, 0, 3, 0], r.err);
  ok(r.data.every((d) => d.why === 'a price policy fails' && d.rated === null), r.out);
  eq(await kept(ids.mend), [LIST, LIST, true, false]);
});

test('a dry run says what would be given back, and changes nothing; so does a time when there was none', async () => {
  eq((await moongate(g, ['policy', 'publish', mended])).code, 0);
  const dry = await rate('--dry-run');
  eq([dry.code, dry.rated, dry.not_rated, nanos(dry.refund), dry.dry_run], [8, 2, 1, LIST - DEAL, true], dry.err);
  const of = (user) => dry.data.find((d) => d.id === ids[user]);
  eq(['charged', 'rated', 'refund'].map((m) => nanos(of('mend')[m])), [LIST, DEAL, LIST - DEAL]);
  eq(['charged', 'rated', 'refund'].map((m) => nanos(of('dear')[m])), [LIST, LIST, 0n], 'never more than was charged');
  const none = await rate('--since', '0s');
  eq([none.code, none.rated, none.not_rated], [0, 0, 0]);
  const table = await moongate(g, ['rate', '--dry-run']);
  ok(/0\.001935 +0\.001696221 +0\.000238779/.test(table.out) && /^2 rated \(dry run: nothing is changed\), \$0\.000238779 given back; 1 still to be rated$/m.test(table.err), table.out + table.err);
  eq(await kept(ids.mend), [LIST, LIST, true, false]);
  eq(await spent(), all(3n * LIST + DEAL));
});

test('the mended policy gives back the difference: record, usage and limit at once, and the audit is clean', async () => {
  const r = await rate('--since', '1h');
  eq([r.code, r.rated, r.not_rated, nanos(r.refund)], [8, 2, 1, LIST - DEAL], r.err);
  eq(await spent(), all(2n * LIST + 2n * DEAL));
  eq(await kept(ids.mend), [DEAL, DEAL, undefined, true]);
  eq(await kept(ids.dear), [LIST, LIST, undefined, true], `not ${DEAR}`);
  eq(await kept(ids.never), [LIST, LIST, true, false]);
  ok(/"action":"rate"/.test(g.log), 'the log says who did');
  await clean();
  const sums = JSON.parse((await moongate(g, ['usage', '--json'])).out);
  ok(JSON.stringify(sums).includes(String(Number(2n * LIST + 2n * DEAL) / 1e9)), JSON.stringify(sums));
});

test('twice changes nothing', async () => {
  const r = await rate();
  eq([r.rated, r.not_rated, r.refund], [0, 1, 0]);
  eq(await spent(), all(2n * LIST + 2n * DEAL));
});

test('a version that the gateway has can be named, a folder cannot; what is no such thing is told', async () => {
  eq((await rate('--bundle', '000000')).code, 6);
  const r = await rate('--bundle', whole);
  ok(r.code === 7 && /moongate policy publish/.test(r.err), r.err);
  const old = (await admin(g, '/policies')).data.find((v) => !v.live).version;
  eq((await rate('--bundle', old.slice(0, 12))).not_rated, 1);
  for (const [body, said] of [[{ since: 1 }, /unknown member 'since'/], [{ since_ms: -1 }, /since_ms/], [{ dry_run: 1 }, /dry_run/], [{ version: 7 }, /version/]]) {
    const bad = await admin(g, '/rate', 'POST', body);
    ok(bad.status === 400 && said.test(bad.error.message), JSON.stringify(bad));
  }
  eq((await call(g, '/api/admin/rate', { method: 'POST', headers: bearer(key), body: {} })).status, 403);
});

test('kill -9 in the middle leaves whole rows: the next run does the rest, and nothing twice', async () => {
  for (let i = 0; i < 60; i++) await ask(i % 2 ? 'many' : 'fine');
  eq(await g.stop(), { code: 0, signal: null });
  for (const ms of [20, 40, 60, 80]) {
    const child = spawn(binary, ['rate', '--bundle', whole, '--config', g.file], { env: { PATH: process.env.PATH, HOME: home, MOONGATE_MANAGEMENT_KEY: managementKey }, stdio: 'ignore' });
    const ended = new Promise((done) => child.on('close', done));
    setTimeout(() => child.kill('SIGKILL'), ms);
    await ended;
    await clean();
  }
  const rest = await rate('--bundle', whole);
  eq([rest.code, rest.not_rated], [0, 0], rest.err);
  ok(rest.rated <= 31 && nanos(rest.refund) === BigInt(rest.rated) * (LIST - DEAL), rest.out);
  await clean();
  eq((await rate('--bundle', whole)).rated, 0);
});

test('and the next gateway knows it all', async () => {
  g = await startGateway(config(whole), { dir: home });
  eq(await spent(), all(LIST + 63n * DEAL));
  eq(await kept(ids.never), [DEAL, DEAL, undefined, true]);
  await clean();
});

run(async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  await up.stop();
  for (const d of [broken, mended, whole, home]) rmSync(d, { recursive: true });
});
