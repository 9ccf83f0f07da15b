// replay.test.js - live decisions are decided again from what is kept of them; and what another
// bundle would have made of them.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat, pool } from './checks.js';
import { binary, loads, managementKey, startGateway, until } from './gateway.js';

const decisions = Number(process.env.MOONGATE_DECISIONS || 10000);
const moongate = (args) => new Promise((done) => execFile(binary, [...args, '--config', g.file], { env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_MANAGEMENT_KEY: managementKey }, maxBuffer: 1 << 26 },
  (error, out, err) => done({ code: error ? error.code : 0, out, err })));
const backtest = async (dir, ...args) => {
  const r = await moongate(['policy', 'backtest', '--candidate', dir, '--json', ...args]);
  return { ...r, data: /^\{/.test(r.out) ? JSON.parse(r.out).data : null };
};
const bundle = (files) => {
  const dir = mkdtempSync(join(tmpdir(), 'moongate-replay-'));
  dirs.push(dir);
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(dir, name + '.lua'), text);
    if (name !== 'bundle') loads(dir, name);
  }
  return dir;
};
const dirs = [];

// Reads and says what can be read and said: limits, counters, who answered last, live facts, draws, other models.
const busy = `return policy { name = "busy", api = 1, version = "1.0.0", counters = { seen = { window_s = 3600 } },
  admit = function(req)
    local ok, wait = limit.take("some", req.key.id, { max = 80, per_s = 1 })
    if not ok and rand(req, "limit") < 0.5 then return deny { status = 429, code = "slow_down", message = "wait", retry_after_s = wait } end
    if rand(req, "no") < 0.04 then return deny { status = 403, code = "unlucky", message = "no" } end
    counter.add("seen", req.key.id, 1)
    return true
  end,
  resolve = function(req)
    if rand(req, "small") < 0.1 then return { models = { "acme/small", "acme/none", "acme/large" }, note = "smaller" } end
    if rand(req, "cheap") < 0.1 then return { prefs = { max_price = { prompt = 1.5 } } } end
  end,
  filter = function(req, ep)
    if counter.get("seen", req.key.id) % 11 == 3 and ep.provider == "s2" then return false, "eleventh" end
    return true
  end,
  rank = function(req, eps)
    if rand(req, "shuffle") < 0.3 then return rank.by(eps, function(e) return e.live.inflight + rand(req, e.id) end) end
    return eps
  end,
  plan = function(req, eps) return { max_attempts = 2 + #eps % 3 } end,
  on_error = function(req, err, rest)
    if err.kind == "rate_limited" and err.tries_here < 2 and rand(req, "again") < 0.5 then return act.retry(1) end
    if err.n == 2 and rand(req, "other") < 0.5 then return act.model("acme/small") end
    if err.kind == "server" then return act.next { skip = "provider" } end
  end }`;
const live = bundle({ bundle: 'return { base = "openrouter", policies = { workspace = { ws_busy = { { use = "busy" } } } } }', busy });
const fault = (kind, share) => `options = { ttft_ms = 0, fault = { kind = "${kind}", share = "${share}" } }`;
const at = (provider, input, more = '') => `{ provider = "${provider}", price = { input = ${input}, output = ${input} }, ${more} }`;
const g = await startGateway(`
  policy = { bundle = "${live}" },
  providers = { s1 = { dialect = "sim", base_url = "sim:", data = { trains = false, retention_days = 0 } }, s2 = { dialect = "sim", base_url = "sim:", data = { trains = true } },
    s3 = { dialect = "sim", base_url = "sim:" }, s4 = { dialect = "sim", base_url = "sim:" } },
  models = {
    ["acme/large"] = { endpoints = { ${at('s1', 1, fault('500', '0.25'))}, ${at('s2', 1.2, fault('429', '0.3'))}, ${at('s3', 2, fault('cut_before', '0.25'))}, ${at('s4', 3)} } },
    ["acme/small"] = { endpoints = { ${at('s2', 0.1, fault('503', '0.2'))}, ${at('s3', 0.2)} } },
    ["acme/lone"] = { endpoints = { ${at('s2', 1, fault('500', '0.3'))} } },
    ["any/*"] = { endpoints = { ${at('s1', 1)}, ${at('s3', 1)} } } },`);
const keys = [await g.newKey(), await g.newKey({ workspace_id: 'ws_busy' }), await g.newKey({ workspace_id: 'ws_busy' })];

// A request that nobody drew twice.
let seed = 7;
const dice = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor(seed / 65536) % n; };
function vary(i) {
  const body = { model: ['acme/large', 'acme/large', 'acme/large:floor', 'acme/small', 'acme/lone', 'any/' + dice(20)][dice(6)], stream: !dice(4), max_tokens: 1 + dice(4), messages: [{ role: 'user', content: 'question ' + i }] };
  const provider = {};
  if (!dice(4)) body.models = [['acme/small'], ['acme/lone', 'acme/small']][dice(2)];
  if (!dice(3)) body.session_id = 'conversation ' + dice(40);
  if (!dice(5)) provider.sort = ['price', 'latency', 'throughput'][dice(3)];
  if (!dice(6)) provider.order = ['s3', 's1'];
  if (!dice(8)) provider.ignore = ['s' + (1 + dice(4))];
  if (!dice(10)) provider.data_collection = 'deny';
  if (!dice(10)) provider.allow_fallbacks = false;
  if (!dice(12)) provider.max_price = { prompt: dice(30) / 10 };
  if (Object.keys(provider).length) body.provider = provider;
  if (!dice(6)) body.temperature = 0.5;
  if (!dice(9)) body.tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
  if (!dice(7)) body.messages = [{ role: 'user', content: 'words '.repeat(dice(30)) + '```\nsome "code"\n```' }, { role: 'assistant', content: 'yes' }, { role: 'user', content: 'and ' + i }];
  return body;
}

const statuses = {};
test(`${decisions} live decisions, decided again from their records, give as many identical ones`, async () => {
  const agent = pool(24);
  let next = 0;
  const one = async () => {
    while (next < decisions) {
      const i = next++, r = await chat(g, keys[i % 3], vary(i), { agent });
      statuses[r.status] = (statuses[r.status] || 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 24 }, one));
  agent.destroy();
  await until('all to be in the store', async () => (await backtest(live, '--since', '1h')).data?.same_bundle.decisions >= decisions).catch(() => {});
  const { data, err } = await backtest(live, '--since', '1h');
  console.log(`# ${JSON.stringify(statuses)} ${JSON.stringify({ ...data, providers: undefined })}`);
  eq([data.decisions, data.unreadable, data.same_bundle.decisions, data.same_bundle.identical], [decisions, 0, decisions, decisions], err);
  ok(data.live.refused > decisions / 100 && data.live.empty > decisions / 100 && data.live.failed > decisions / 50, 'refusals, empty lists and failures among them');
}, 400000);

test('a bundle that decides the same changes nothing: all is measured', async () => {
  const { data, code } = await backtest(live, '--since', '1h', '--max-cost-change', '0%', '--max-p90-change', '0%', '--no-violations', '--no-empty');
  eq([code, data.estimated.decisions, data.measured.decisions, data.live], [0, 0, decisions, data.candidate]);
  ok(data.gates.length === 4 && data.gates.every((x) => x.passed), JSON.stringify(data.gates));
  eq(data.measured.charge_nusd, data.live.charge_nusd, 'the charge');
  const { decisions: drawn, mean_weight: weight, charge_nusd: charge, first_token_ms: first } = data.inverse_propensity;
  ok(drawn > decisions / 10 && drawn < decisions && weight > 0.8 && weight < 1.2, JSON.stringify(data.inverse_propensity));
  ok(charge.effective_sample_size > drawn / 10 && charge.effective_sample_size <= drawn && Math.abs(charge.candidate_mean / charge.live_mean - 1) < 0.3, 'what was drawn, weighed, is what it was');
  ok(first.decisions > drawn / 2 && first.decisions <= drawn && first.candidate_mean !== null && first.effective_sample_size > 0, 'the time to first token, too');
});

const gates = (data) => Object.fromEntries(data.gates.map((x) => [x.gate, x.passed]));

test('a guard more: what was done wrong already, who is left out, and lists that it empties', async () => {
  const strict = bundle({ bundle: 'return { base = "openrouter", policies = { guard = { { use = "not_s2" } }, workspace = { ws_busy = { { use = "busy" } } } } }', busy,
    not_s2: 'return policy { name = "not_s2", api = 1, version = "1.0.0", filter = function(req, ep) if ep.provider == "s2" then return false, "class" end return true end }' });
  const { data, code } = await backtest(strict, '--no-violations', '--no-empty');
  const s2 = data.providers.find((x) => x.provider === 's2');
  ok(code === 8 && data.live.violations > 100 && data.candidate.violations === 0 && data.candidate.empty > data.live.empty, JSON.stringify(data.live));
  ok(s2.live === data.live.violations && s2.candidate === 0, JSON.stringify(data.providers));
  eq([data.same_bundle.decisions, gates(data)], [0, { 'no-violations': true, 'no-empty': false }]);
  eq(data.measured.decisions + data.estimated.decisions, decisions);
  ok(data.estimated.decisions >= s2.live, 'each that went to s2 is another choice');
  eq((await backtest(strict, '--no-violations')).code, 0);
});

test('without what clients asked for, and dearest first: each gate shuts', async () => {
  const loose = bundle({ bundle: 'return { policies = { default = { { use = "loose" } } } }',
    loose: `return policy { name = "loose", api = 1, version = "1.0.0", retain = function(req) return { store = "metadata", ttl_s = 90 * 86400 } end,
      rank = function(req, eps) return rank.by(eps, function(e) return -e.usd.prompt end) end }` });
  const { data, code } = await backtest(loose, '--max-cost-change', '2%', '--no-violations', '--no-empty');
  eq([code, gates(data)], [8, { 'max-cost-change': false, 'no-violations': false, 'no-empty': true }]);
  ok(data.candidate.kept_more === decisions && data.candidate.empty === 0 && data.candidate.refused === 0, JSON.stringify(data.candidate));
  ok(data.candidate.charge_nusd > data.live.charge_nusd * 1.02 && data.estimated.candidate_charge_nusd > data.estimated.live_charge_nusd, 'it is dearer');
  eq(data.candidate.charge_nusd, data.measured.charge_nusd + data.estimated.candidate_charge_nusd, 'measured and estimated are all');
  eq((await backtest(loose, '--max-cost-change', '100000%')).code, 0);
});

test('a sample is the same each time; one organization; since when', async () => {
  const a = await backtest(live, '--sample', '0.1'), b = await backtest(live, '--sample', '0.1');
  ok(a.data.decisions > decisions / 14 && a.data.decisions < decisions / 7, `${a.data.decisions} of ${decisions}`);
  eq(a.data, b.data);
  eq((await backtest(live, '--org', 'nobody')).data.decisions, 0);
  eq((await backtest(live, '--since', '0s')).data.decisions, 0);
});

test('for people: text; what is wrong is said', async () => {
  const r = await moongate(['policy', 'backtest', '--candidate', live, '--max-cost-change', '2%']);
  for (const part of [`decisions ${decisions}`, `of them ${decisions} come out the same`, 'charge, USD', 'first choice s1', 'drawn by the live policies', 'inverse propensity', 'mean first token, ms', 'effective sample size', 'violations of data policy', 'passed  max-cost-change: +0.00%, at most +2.00%'])
    ok(r.out.includes(part), `${part} in ${r.out}`);
  ok(r.code === 0 && !r.err.includes('['), 'no bar where there is no terminal');
  for (const [args, code, word] of [[[], 2, '--candidate'], [['--candidate', live, '--sample', '2'], 2, '0.1'], [['--candidate', live, '--max-p90-change', 'much'], 2, '2%'],
    [['--candidate', '/nowhere'], 3, '/nowhere']]) {
    const bad = await moongate(['policy', 'backtest', ...args]);
    ok(bad.code === code && bad.err.includes(word), `${args}: ${bad.code} ${bad.err}`);
  }
});

test('explain tells each candidate with its fate, what failed, and that the same comes out again', async () => {
  const key = keys[0], seen = { failed: null, denied: null };
  for (let i = 0; i < 400 && !seen.failed; i++) {
    const r = await chat(g, key, { model: 'acme/large', messages: [{ role: 'user', content: 'once more ' + i }] }, { headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-openrouter-metadata': 'enabled' } });
    const a = JSON.parse(r.text);
    if (r.status === 200 && a.openrouter_metadata.attempts.length > 1) seen.failed = a.id;
  }
  const explain = async (...more) => { const r = await moongate(['policy', 'explain', seen.failed, ...more]); return r.code === 0 ? r.out : ''; };
  const text = await until('the record', () => explain());
  ok(/^attempt 1 .*acme\/large@s\d .* -> .*next/m.test(text), text);
  ok(/^again {6}the same, decided with bundle [0-9a-f]{12}$/m.test(text), text);
  const url = ['--url', g.url];
  ok(/^again {6}the same/m.test(await explain(...url)), 'the gateway says so, too');
  const all = JSON.parse(await explain('--json')).data;
  ok(all.again.same && all.candidates.length === 4 && all.candidates.every((c) => c.endpoint && c.rank > 0), JSON.stringify(all.candidates));
});

test('explain --request decides what is not sent', async () => {
  const file = join(g.home, 'chat.json');
  writeFileSync(file, JSON.stringify({ model: 'acme/large', messages: [{ role: 'user', content: 'x' }], provider: { data_collection: 'deny', sort: 'price' } }));
  const r = await moongate(['policy', 'explain', '--request', file]);
  ok(r.code === 0 && /^candidates 4 -> 1$/m.test(r.out) && /data_collection +or_eligibility.lua:\d+ .*acme\/large@s2/.test(r.out) && / 1 {2}acme\/large@s1 /.test(r.out), r.out + r.err);
  writeFileSync(file, '{"model":7}');
  ok((await moongate(['policy', 'explain', '--request', file])).code === 2 && (await moongate(['policy', 'explain'])).code === 2, 'what is no request');
});

test('a bundle that is gone from the configuration decides again as long as its version is kept', async () => {
  const r = await moongate(['log', 'tail', '-n', '1', '--json']);
  const id = JSON.parse(r.out).data[0].id;
  writeFileSync(join(live, 'busy.lua'), busy.replace('version = "1.0.0"', 'version = "1.0.1"'));
  ok(/^again {6}the same/m.test((await moongate(['policy', 'explain', id])).out), 'from the versions');
  rmSync(join(g.home, 'state/data/policies'), { recursive: true });
  ok(/^again {6}bundle [0-9a-f]{12} is not at hand any more/m.test((await moongate(['policy', 'explain', id])).out), 'and then no more');
});

await run(async () => {
  await g.stop();
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});
