// kill.test.js - kill -9 at random moments under load, a restart on the same data
// (R43): what a client saw finish is there, once, and charged once.
// MOONGATE_KILLS: how often; MOONGATE_SEED: which moments.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { audit, chat, events, nanos, ownKey, record, settled } from './checks.js';
import { loads, startGateway, startUpstream, until } from './gateway.js';

const kills = Number(process.env.MOONGATE_KILLS || 10);
const seed = Number(process.env.MOONGATE_SEED || Date.now() % 1000000);
const dir = mkdtempSync(join(tmpdir(), 'moongate-kill-'));
const config = `
  workers = 2,
  providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["acme/quick"] = { endpoints = { { provider = "sim", model = "echo", price = { input = "0.5", output = "10", request = "0.01" },
    options = { words = 12, ttft_ms = 5, tokens_per_s = 400 } } } } },`;

let state = seed;
const random = () => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state / 2 ** 32; };

let g = await startGateway(config, { dir });
const key = await g.newKey();
const seen = new Map();	// id -> cost, of the answers that came whole
const begun = new Set();	// ids that a client saw at all
let running = true;

// Asks until it is told to stop; a gateway that is away is asked again.
async function client(n) {
  for (let i = 0; running; i++) {
    const stream = (n + i) % 3 !== 0;
    const r = await chat(g, key, { model: 'acme/quick', stream, messages: [{ role: 'user', content: `tell me of ${n} and ${i}` }] });
    if (r.headers['x-generation-id']) begun.add(r.headers['x-generation-id']);
    if (r.status === 200) keep(r, stream);
    else await new Promise((go) => setTimeout(go, 5));
  }
}

// Finished: the usage was told; of a stream also when the very end was lost.
function keep(r, stream) {
  if (!stream && r.cut) return;
  const whole = r.text.slice(0, r.text.lastIndexOf('\n\n') + 2);
  const a = stream ? events(whole).find((e) => e.usage) : JSON.parse(r.text);
  if (!a?.usage) return;
  ok(!seen.has(a.id), 'an id twice: ' + a.id);
  seen.set(a.id, nanos(a.usage.cost));
}

// Through the one key's sum: every charge is in it.
async function charged() {
  return nanos((await ownKey(g, key)).usage);
}

test(`${kills} times kill -9 under load (seed ${seed}): the audit is clean each time, no hold stays`, async () => {
  const clients = Array.from({ length: 16 }, (_, n) => client(n));
  try {
    for (let i = 0; i < kills; i++) {
      const at = seen.size + 1 + Math.floor(random() * 60);
      await until('answers', () => seen.size >= at);
      await new Promise((go) => setTimeout(go, random() * 20));
      await g.kill();
      g = await startGateway(config, { dir });
      const a = await audit(g);
      eq(a.code, 0, a.text);
    }
  } finally {
    running = false;
    await Promise.all(clients);
  }
  await settled(g);
}, Math.max(180, kills * 10) * 1000);

test('every generation that a client saw finish is there once, with its cost', async () => {
  ok(seen.size > kills, `${seen.size} answers`);
  let sum = 0n;
  for (const [id, cost] of seen) {
    eq(nanos((await record(g, key, id)).usage), cost, id);
    sum += cost;
  }
  console.log(`# ${seen.size} answers whole, ${begun.size} begun, ${kills} kills`);
  ok(await charged() >= sum, 'charged at least what was shown');
}, Math.max(180, kills * 10) * 1000);

test('what was begun and not finished is there, too; nothing else is charged', async () => {
  let sum = 0n;
  for (const id of begun) sum += nanos((await record(g, key, id)).usage);
  const extra = await charged() - sum;
  ok(extra >= 0n, `charged ${extra} nUSD less than the records say`);
  // Requests whose client saw nothing of an answer: at most those under way at a kill.
  ok(extra <= BigInt(kills) * 16n * 20000000n, `${extra} nUSD more than the records that clients know`);
});

test('after a clean stop and a start: the same sum', async () => {
  const before = await charged();
  eq(await g.stop(), { code: 0, signal: null });
  g = await startGateway(config, { dir });
  eq(await charged(), before);
  eq((await audit(g)).code, 0);
});

// Between its intent and its launch an attempt may fail: the next one has a number, and a hold, of its own.
test('one that could not begin, then a dearer one that was killed: the loss is what was held for that', async () => {
  const home = mkdtempSync(join(tmpdir(), 'moongate-kill-')), policies = join(home, 'policies'), asked = [];
  const u = await startUpstream((one) => { asked.push(one); });		// and never answers
  mkdirSync(policies);
  writeFileSync(join(policies, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "odd" } } } }\n');
  writeFileSync(join(policies, 'odd.lua'), `return policy { name = "odd", api = 1, version = "1.0.0",
    shape = function(req, ep) if req.key.user == "odd" and ep.provider == "cheap" then error("not this one") end end }\n`);
  loads(policies, 'odd');
  const at = (name) => `${name} = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k" }`;
  const conf = `policy = { bundle = "${policies}" }, providers = { ${at('cheap')}, ${at('dear')} }, models = { ["acme/two"] = { endpoints = {
    { provider = "cheap", model = "up", price = { input = 0, output = 0, request = "0.01" } },
    { provider = "dear", model = "up", price = { input = 0, output = 0, request = "0.25" } } } } },`;
  let two = await startGateway(conf, { dir: home });
  const own = await two.newKey(), answer = chat(two, own, { model: 'acme/two', stream: true, user: 'odd', provider: { order: ['cheap', 'dear'] } });
  await until('the upstream to be asked', () => asked.length);
  await two.kill();
  await answer;
  two = await startGateway(conf, { dir: home });
  const recovered = two.log.split('\n').filter((l) => l.includes('ledger_recovered')).map((l) => JSON.parse(l)).find((l) => l.unfinished);
  eq([recovered?.unfinished, recovered?.loss_nusd], [1, 250000000], two.log);
  eq((await audit(two)).code, 0);
  eq(await two.stop(), { code: 0, signal: null });
  await u.stop();
  rmSync(home, { recursive: true, force: true });
});

run(async () => {
  const exit = await g.stop();
  rmSync(dir, { recursive: true, force: true });
  eq(exit, { code: 0, signal: null }, 'the gateway ends cleanly');
});
