// forbidden.test.js - no path leads to a forbidden endpoint: generated policies that try every one,
// generated requests, failures, fallbacks and reloads, against filters that forbid.  What each upstream
// was sent is counted on its sockets.  SEED=n says it all again.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { eq, ok, run, test } from './tap.js';
import { audit, bearer, call } from './checks.js';
import { chunk, completion, loads, sendJson, startGateway, startUpstream, until } from './gateway.js';

const seed = Number(process.env.SEED) || Math.floor(Math.random() * 2 ** 31);
console.log(`# SEED=${seed}`);
let state = seed;
function random() {	// mulberry32
  state = (state + 0x6D2B79F5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const roll = (n) => Math.floor(random() * n);
const pick = (list) => list[roll(list.length)];
const some = (list) => list.filter(() => roll(2));
const shuffled = (list) => list.map((x) => [random(), x]).sort((a, b) => a[0] - b[0]).map((x) => x[1]);

/* ---- upstreams: never (forbidden always), turns (forbidden in some rounds), may */

const never = ['never-a', 'never-b'], turns = ['turn-a', 'turn-b', 'turn-c'], may = ['may-a', 'may-b', 'may-c'];
const all = [...never, ...turns, ...may];
const got = {};			// by the number of a request: who had it
const sockets = {}, ups = {};
let answered = 0, failures = true;
for (const name of all) {
  sockets[name] = [];
  ups[name] = await startUpstream((req, res) => {
    for (const m of req.text.matchAll(/secret-(\d+)-/g)) (got[m[1]] ??= new Set()).add(name);
    const stream = req.json?.stream === true, what = failures ? roll(9) : 0;
    if (what === 1) return res.socket.destroy();
    if (what >= 2 && what <= 5) return sendJson(res, [500, 503, roll(4) ? 500 : 429, 401][what - 2], { error: { message: 'no', code: 'no' } });
    if (what === 6 && !roll(4)) return sendJson(res, 400, { error: { message: 'your own fault', code: 'no' } });
    if (what === 7 && !roll(2)) return null;	/* silent */
    if (what === 8) return setTimeout(() => sendJson(res, 200, completion('late')), 20 + roll(60));
    answered++;
    if (!stream) return sendJson(res, 200, completion('ok'));
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(chunk({ content: 'ok' }));
    return res.end(roll(4) ? chunk({}, 'stop') + 'data: [DONE]\n\n' : '');
  });
}
// Below HTTP: whatever came, whole requests or not.
for (const name of all) {
  const { stop } = ups[name];
  ups[name].bytes = () => sockets[name].reduce((sum, s) => sum + s.bytesRead, 0);
  ups[name].stop = stop;
  ups[name].server.on('connection', (s) => sockets[name].push(s));
}

const price = 'price = { input = 1, output = 2 }';
const endpoints = (names) => `{ endpoints = { ${names.map((n) => `{ provider = "${n}", ${price} },`).join('')} } }`;
const models = { 'm/all': all, 'm/mixed': ['never-a', 'turn-a', 'may-a', 'may-b'], 'm/never': never, 'm/turns': turns, 'm/few': ['never-b', 'turn-b', 'may-c'] };
const dir = mkdtempSync(join(tmpdir(), 'moongate-forbidden-'));

/* ---- policies */

// The same rule, written as people write it: of what the catalogue knows of a provider.  Which ones it
// forbids changes with the configuration, for a bundle whose policies fail is gone back from by itself.
const rules = [
  (bad) => `filter = function(req, ep) if ${bad} then return false, "forbidden" end; return true end,`,
  (bad) => `memo = { filter = "variant" }, filter = function(req, ep) if ${bad} then return false, "forbidden" end; return true end,`,
  (bad) => `when = { filter = function(ep) return ${bad} end }, filter = function() return false, "forbidden" end,`,
  (bad) => `filter = function(req, ep) return not ${bad} end,`,
  (bad) => `filter = function(req, ep) if ${bad} and req.id ~= "check" then error("never") end; return not ${bad} end,`,
  (bad) => `filter = function(req, ep) if not ${bad} or req.id == "check" then return not ${bad} end end,`,
  (bad) => `filter = function(req, ep) if ${bad} and req.id ~= "check" then while true do end end; return not ${bad} end,`,
  (bad) => `setup = function(p) return { no = set.of { true } } end, filter = function(req, ep, my) return not my.no[${bad}], "forbidden" end,`,
];
const rule = (name, bad) => `return policy { name = "${name}", api = 1, version = "1.0.0", ${pick(rules)(bad)} }\n`;

// What a policy can say to get somewhere, and cannot.  `seen` has every endpoint that it was ever shown.
const tries = {
  filter: ['seen[#seen + 1] = ep; return true', 'return true'],
  rank: ['return seen', 'local o = {}; for i = #eps, 1, -1 do o[#o + 1] = eps[i] end; return o', 'return { eps[1] }', 'return { eps[1], eps[1] }', 'return { eps[#eps], seen[1] }',
    'return {}', 'error("no")', 'return nil', 'return { eps[1], { id = "m/never@never-a" } }', 'return rank.by(eps, function(e) return e.provider end, "desc")',
    'local o = {}; for i = 1, #seen do o[i] = seen[i] end; for i = 1, #eps do o[#o + 1] = eps[i] end; return o'],
  on_error: ['return act.next()', 'return act.retry(0)', 'return act.retry(1)', 'return act.model("m/never")', 'return act.model("m/all")', 'return act.model("m/turns")', 'return act.model("wild/x")',
    'return act.model("m/mixed")', 'return act.next { skip = "provider" }', 'return act.next { skip = "model" }', 'return nil', 'error("no")', 'return "never-a"', 'return rest[1]',
    'if err.n < 3 then return act.model("m/never") end; return act.model("m/few")'],
  plan: ['return { max_attempts = 16, max_attempts_per_model = 16 }', 'return { hedge = { after_ms = 1, max_extra = 2 }, max_attempts = 16 }', 'return { sticky = { key = "k", ttl_s = 60 } }',
    'return { hedge = { after_ms = 5, max_extra = 1 }, sticky = { key = req.session, ttl_s = 60 } }', 'return { order = { "never-a" } }', 'error("no")', 'return nil'],
  resolve: ['return { models = { "m/never", "m/all" } }', 'return { models = { "m/never" }, prefs = { allow_fallbacks = true } }', 'return { prefs = { only = { "never-a", "never-b" } } }',
    'return { prefs = { order = { "never-a", "turn-a" }, allow_fallbacks = true } }', 'return { prefs = { zdr = false, data_collection = "allow", ignore = {} } }',
    'return { models = { "wild/y", "m/few", "m/turns" } }', 'return { prefs = { ignore = { "may-a", "may-b" } } }', 'return nil', 'error("no")', 'return { models = { "m/all" }, prefs = { sort_by = "price" } }'],
  shape: ['return { set = { user = "never-a" } }', 'return nil', 'return { drop = { "user" } }'],
  price: ['return bill'],
  observe: ['error("no")', 'seen[#seen + 1] = outcome.endpoint'],
};
const args = { filter: 'req, ep', rank: 'req, eps', on_error: 'req, err, rest', plan: 'req, eps', resolve: 'req', shape: 'req, ep', price: 'req, ep, usage, bill', observe: 'req, outcome' };
const otherwise = { filter: 'return true', rank: 'return eps', price: 'return bill' };
function chaos(name) {
  const hooks = Object.keys(tries).filter((h) => h === 'filter' || roll(2)).map((h) => {
    const parts = Array.from({ length: 1 + roll(3) }, () => pick(tries[h]));
    // By the request's own chance, so that a bundle says different things.
    const body = parts.map((p, i) => (i + 1 < parts.length ? `if rand(req, "${h}${i}") < 0.4 then ${p} end` : `do ${p} end`)).join('; ');
    // What goes live is asked before; it behaves as long as that takes.
    return `  ${h} = function(${args[h]}) if req.id ~= "check" then ${body} end; ${otherwise[h] ?? 'return nil'} end,`;
  });
  return `local seen = {}\nreturn policy { name = "${name}", api = 1, version = "1.0.0",\n${hooks.join('\n')}\n}\n`;
}

let generation = 0;
// A bundle, and its text, for a failure.  No reload takes a guard away, so they are the same in all.
function bundle() {
  const at = join(dir, `b${++generation}`), rest = ['two', 'three'].slice(0, roll(3));
  const files = { forbids0: rule('forbids0', 'ep.data.trains'), forbids1: rule('forbids1', 'ep.data.retains'), one: chaos('one') };
  for (const n of rest) files[n] = chaos(n);
  files.late = 'return policy { name = "late", api = 1, version = "1.0.0", plan = function(req) if rand(req, "late") < 0.5 then return { hedge = { after_ms = 2, max_extra = 2 } } end end }\n';
  const use = (n) => `{ use = "${n}"${rest.includes(n) && !roll(6) ? ', mode = "shadow"' : ''} }`;
  files.bundle = `return { base = "openrouter", policies = { guard = { ${shuffled(['forbids0', 'forbids1', 'one', 'late']).map(use).join(', ')} }${
    rest.length ? `, default = { ${shuffled(['or_variants', 'or_eligibility', 'or_ranking', 'or_fallback', ...rest]).map(use).join(', ')} }` : ''} } }\n`;
  writeAll(at, files);
  return { at, text: Object.entries(files).map(([n, t]) => `-- ${n}\n${t}`).join('') };
}
function writeAll(at, files) {
  mkdirSync(at);
  for (const [n, t] of Object.entries(files)) {
    writeFileSync(join(at, `${n}.lua`), t);
    if (n !== 'bundle') loads(at, n);
  }
}

/* ---- the gateway */

const facts = (n, bad) => { const how = bad.includes(n) ? 1 + roll(3) : 0; return `trains = ${how % 2 === 1}, retains = ${how > 1}`; };
const providers = (bad) => all.map((n) => `["${n}"] = { dialect = "openai", base_url = "${ups[n].url}/v1", api_key = "sk-x", timeouts = { first_output = "150ms" },
    data = { known = true, ${facts(n, bad)}, retention_days = 0, zdr = ${!bad.includes(n)} } },`).join('\n');
const config = (next) => `workers = 2, policy = { bundle = "${next.bundle.at}", unchecked = true }, limits = { hedge_percent = 100, hedge_price_percent = 10000 },
  providers = { ${providers(next.bad)} },
  models = { ${Object.entries(models).map(([m, names]) => `["${m}"] = ${endpoints(names)},`).join('\n')}
    ["wild/*"] = { endpoints = { ${['never-b', 'turn-c', 'may-b'].map((n) => `{ provider = "${n}", model = "*", ${price} },`).join('')} } }, alias = { alias_of = "m/never" } },`;
const turn = () => ({ bad: [...never, ...some(turns)], bundle: bundle() });
let now = turn();
const first = config(now);
let g = await startGateway(first);
let key = await g.newKey();
const frame = readFileSync(g.file, 'utf8');

const loaded = () => (g.log.match(/config[._](loaded|refused)/g) || []).length;
async function reload(next) {
  const before = loaded();
  writeFileSync(g.file, frame.replace(first, config(next)));
  g.child.kill('SIGHUP');
  await until('the reload', () => loaded() > before);
  const said = g.log.split('\n').filter((l) => /config[._](loaded|refused)/.test(l)).at(-1);
  ok(said.includes('config_loaded'), `${said}\n${next.bundle.text}`);
  now = next;
}

/* ---- requests */

const asked = [];		// who must not have it, by number
const names = () => pick([...Object.keys(models), 'wild/z', 'alias']) + (roll(4) ? '' : pick([':nitro', ':floor', ':exacto']));
function request() {
  const n = asked.length;
  const tags = () => shuffled(all).slice(0, 1 + roll(4));
  const body = { messages: [{ role: 'user', content: `secret-${n}- of mine` }], max_tokens: 5, model: names(), stream: !roll(2), session_id: `s${roll(4)}` };
  if (!roll(2)) body.models = [names(), names()];
  if (roll(3)) body.provider = Object.fromEntries(some([['order', tags()], ['only', [...tags(), pick(may)]], ['ignore', tags()], ['allow_fallbacks', !!roll(2)], ['sort', pick(['price', 'latency', 'throughput'])],
    ['data_collection', 'allow'], ['zdr', !roll(3)]]));
  if (!roll(6)) body.transforms = [];
  asked.push({ bad: new Set(now.bad), bundle: now.bundle, body });
  return call(g, '/api/v1/chat/completions', { method: 'POST', headers: bearer(key), body }).then((r) => { asked[n].status = r.status; asked[n].attempts = Number(r.headers['x-moongate-attempts'] || 0); asked[n].id = r.headers['x-generation-id']; });
}
async function many(n, width = 8) {
  let left = n;
  await Promise.all(Array.from({ length: width }, async () => { while (left-- > 0) await request(); }));
}
function check(from) {
  for (let n = from; n < asked.length; n++)
    for (const who of got[n] ?? [])
      ok(!asked[n].bad.has(who), `request ${n} reached ${who}: ${JSON.stringify(asked[n].body)}\n${asked[n].bundle.text}`);
  for (const name of never) eq([sockets[name].length, ups[name].bytes()], [0, 0], `connections and bytes at ${name}`);
}

const ROUNDS = 16, EACH = 40;
test(`${ROUNDS * EACH} requests under ${ROUNDS} generated bundles: not one byte reaches who is forbidden`, async () => {
  for (let i = 0; i < ROUNDS; i++) {
    const from = asked.length;
    if (i) {
      const next = turn();
      if (i % 2) {
        await reload(next);
      } else {	// while requests run: what was asked before it is in may go by the old or by the new one
        const running = many(12), before = now;
        await reload(next);
        await running;
        for (let n = from; n < asked.length; n++) asked[n].bad = new Set(before.bad.filter((x) => next.bad.includes(x)));
      }
    }
    await many(EACH);
    check(from);
  }
}, 400000);

test('there was something to see: answers, failures, hedges, other endpoints and other models', async () => {
  const count = (is) => asked.filter(is).length;
  console.log(`# ${asked.length} requests, ${count((a) => a.status === 200)} answered, ${count((a) => a.attempts > 1)} tried elsewhere, ${count((a) => a.status === 404)} found nobody`);
  ok(answered > 50 && count((a) => a.status === 200) > asked.length / 10, 'answers');
  ok(count((a) => a.attempts > 1) > 10, 'fallbacks');
  ok(count((a) => a.status === 404) > 0, 'nobody was left for some');
  const hedges = [...(await call(g, '/metrics')).text.matchAll(/moongate_hedges_total\{result="(won|lost|failed)"\} (\d+)/g)].reduce((sum, m) => sum + Number(m[2]), 0);
  console.log(`# ${hedges} hedges`);
  ok(hedges > 0, 'hedges');
  for (const n of [...turns, ...may]) ok(ups[n].bytes() > 0, `${n} was asked`);
});

test('who had a request, whole or cut, is in its receipt, and nobody else who had a byte of it', async () => {
  let checked = 0, several = 0;
  for (const [n, a] of asked.entries()) {
    if (!got[n]) continue;
    const r = await until(`the record of request ${n}`, async () => {
      const g1 = await call(g, `/api/v1/generation?id=${a.id}&receipt=true`, { headers: bearer(key) });
      return g1.status === 200 && JSON.parse(g1.text).data.receipt.payload;
    });
    const had = new Set(r.attempts.filter((t) => t.bytes_sent > 0).map((t) => t.provider));
    for (const who of got[n]) ok(had.has(who), `request ${n} was sent to ${who}: ${JSON.stringify(r.attempts)}`);
    for (const who of had) ok(!a.bad.has(who), `request ${n}: bytes went to ${who}`);
    checked++;
    several += had.size > 1;
  }
  console.log(`# ${checked} receipts, ${several} with several`);
  ok(checked > 100 && several > 10, `${checked} receipts, ${several} with several`);
});

test('what failed has left no debts', async () => {
  const a = await audit(g);
  eq(a.code, 0, a.text);
});

test('without the filters they are reached: the count can fail', async () => {
  const at = join(dir, 'open');
  failures = false;
  writeAll(at, { bundle: 'return { base = "openrouter" }\n' });
  await g.stop();
  g = await startGateway(config({ bad: [], bundle: { at } }));
  key = await g.newKey();
  await until('somebody to reach them', async () => { await many(20); return ups['never-a'].bytes() > 0; }, 30000);
  ok(sockets['never-a'].length > 0 && ups['never-a'].bytes() > 0);
});

await run(async () => { await g.stop(); for (const u of Object.values(ups)) await u.stop(); rmSync(dir, { recursive: true, force: true }); });
