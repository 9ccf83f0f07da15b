// reload.test.js - the configuration changes under load (R71, R73): no request
// fails, a broken one changes nothing, a good one holds from the next request on.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat, events, fds, metric, moongate, ownKey, pool, rss, sanitized, terminals } from './checks.js';
import { loads, startGateway, until } from './gateway.js';

const base = `
  workers = 2,
  providers = { sim = { dialect = "sim", base_url = "sim:" } },`;
const model = (name, more) => `["acme/${name}"] = { endpoints = { { provider = "sim", model = "echo", ${more} } } },`;
const steady = model('steady', 'price = { input = 1, output = 1 }, options = { words = 20, ttft_ms = 2, tokens_per_s = 2000 }');
const g = await startGateway(`${base} models = { ${steady} ${model('one', 'price = { input = 0, output = 0, request = "0.01" }')} },`);
const key = await g.newKey();
const good = readFileSync(g.file, 'utf8');

// The log's lines of reloads, good or bad: one for each that is done.
const done = () => (g.log.match(/config[._](loaded|refused)/g) || []).length;
async function reload(text) {
  if (text !== undefined) writeFileSync(g.file, text);
  const before = done();
  g.child.kill('SIGHUP');
  await until('the reload', () => done() > before);
}
const successful = () => metric(g, 'moongate_config_last_reload_successful');
const status = async (name) => (await chat(g, key, { model: name })).status;

test('a new model, a new price: from the next request on', async () => {
  eq(await status('acme/two'), 400);
  await reload(good.replace('request = "0.01"', 'request = "0.02"').replace('models = {', `models = { ${model('two', 'price = { input = 1, output = 1 }')}`));
  eq(await successful(), 1);
  eq(await status('acme/two'), 200);
  eq(JSON.parse((await chat(g, key, { model: 'acme/one' })).text).usage.cost, 0.02);
  await reload(good);
  eq(await status('acme/two'), 400);
  eq(JSON.parse((await chat(g, key, { model: 'acme/one' })).text).usage.cost, 0.01);
});

// The price is that of when it was reserved (R49): dearer, gone, or without a price meanwhile.
for (const [what, change] of [['a dearer price', (t) => t.replace('request = "0.03"', 'request = "0.5"')],
  ['no such model any more', (t) => t.replace('acme/slow', 'acme/other')]])
  test(`in mid-stream, ${what}: what is under way is charged as it was begun`, async () => {
    const before = good.replace('models = {', `models = { ${model('slow', 'price = { input = 0, output = 0, request = "0.03" }, options = { words = 40, tokens_per_s = 40 }')}`);
    await reload(before);
    let first;
    const begun = new Promise((go) => { first = go; }), own = await g.newKey();
    const stream = chat(g, own, { model: 'acme/slow', stream: true }, { onData: () => first() });
    await begun;
    await reload(change(before));
    const r = await stream, list = events(r.text);
    eq([r.status, r.cut, list.find((e) => e.usage).usage.cost], [200, false, 0.03]);
    eq((await ownKey(g, own)).usage, 0.03, 'the key');
    await reload(good);
  });

for (const [what, text] of [
  ['that is no Lua', 'return {'],
  ['with an unknown member', good.replace('workers', 'wrokers')],
  ['with a provider that is none', good.replace('provider = "sim"', 'provider = "nobody"')],
  ['that runs forever', 'while true do end'],
  ['that is empty', ''],
  ['with a policy bundle that is not there', good.replace('workers', 'policy = { bundle = "nowhere" }, workers')],
]) {
  test(`a configuration ${what}: the old one goes on, the metric says so`, async () => {
    await reload(text);
    eq(await successful(), 0);
    eq(await status('acme/one'), 200);
    await reload(good);
    eq(await successful(), 1);
  });
}

test('a changed policy: from the next request on; a broken one changes nothing', async () => {
  const dir = join(g.home, 'policies');
  mkdirSync(dir);
  loads(dir, 'closed');
  const bundle = (rules) => { writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "closed" } } } }\n'); writeFileSync(join(dir, 'closed.lua'), rules); };
  const with_bundle = good.replace('workers', `policy = { bundle = "${dir}" }, workers`);
  bundle('return policy { name = "closed", api = 1, version = "1.0.0", admit = function(req) return deny { status = 403, code = "closed", message = "closed for today" } end }\n');
  await reload(with_bundle);
  eq(await successful(), 1, g.log);
  const r = await chat(g, key, { model: 'acme/one' });
  ok(r.text.includes('closed for today'), r.text);
  bundle('return { admit = function(');
  await reload();
  eq(await successful(), 0);
  ok((await chat(g, key, { model: 'acme/one' })).text.includes('closed for today'), 'the old policy');
  await reload(good);
  eq(await successful(), 0, 'a guard is not lost by a reload');
  ok((await chat(g, key, { model: 'acme/one' })).text.includes('closed for today'), 'the guard stays');
  const published = await moongate(g, ['policy', 'publish', '--drop-guards']);
  eq(published.code, 0, published.err);
  eq(await status('acme/one'), 200);
  await reload();
  eq(await successful(), 1);
});

// What is left once the old configurations have gone, and their requests with them.
async function settled() {
  let least = Infinity;
  for (let i = 0; i < 12; i++) {
    await new Promise((go) => setTimeout(go, 100));
    least = Math.min(least, rss(g));
  }
  return least;
}
function flat(before, after) {
  console.log(`# memory ${before} -> ${after}: ${((after / before - 1) * 100).toFixed(1)} %`);
  if (!sanitized) ok(after < before * 1.05, `memory grew from ${before} to ${after}`);
}

test('100 reloads under load: no request fails, memory and descriptors stay', async () => {
  const agent = pool(12), bad = [];
  let running = true, count = 0;
  const load = Array.from({ length: 12 }, async (_, n) => {
    for (let i = n; running; i++) {
      const stream = i % 2 === 0, r = await chat(g, key, { model: 'acme/steady', stream }, { agent });
      const fine = r.status === 200 && !r.cut && (stream ? terminals(events(r.text)).done === 1 && terminals(events(r.text)).ends === 1 : JSON.parse(r.text).usage.cost > 0);
      if (!fine) bad.push(`${r.status} ${r.error} ${r.text.slice(0, 300)}`);
      count++;
    }
  });
  // The same complaint is logged once in a while: each has a line of its own.
  let broken = 0;
  const many = async (n) => { for (let i = 0; i < n; i++) await reload(i % 10 === 5 ? '\n'.repeat(++broken) + 'return {' : i % 2 ? good : good.replace('request = "0.01"', `request = "0.0${1 + i % 9}"`)); };
  // Heaps of the threads reach their size, sooner or later; what is lost grows with each hundred.
  await many(100);
  let before = await settled(), after = before;
  const open = await fds(g);
  for (let hundred = 0; hundred < 4; hundred++) {
    before = after;
    await many(100);
    after = await settled();
    if (after < before * 1.05) break;
  }
  while (count <= 100) await many(10);	// until it was under load, however slow
  running = false;
  await Promise.all(load);
  agent.destroy();
  console.log(`# ${count} requests, ${bad.length} failed`);
  eq(bad.slice(0, 3), []);
  await until('the descriptors', async () => await fds(g) <= open + 4);
  flat(before, after);
});

test('reloads of an idle gateway free what was', async () => {
  await reload(good);
  for (let i = 0; i < 20; i++) await reload();
  let before = await settled(), after = before;
  for (let round = 0; round < 4; round++) {
    before = after;
    for (let i = 0; i < 150; i++) await reload();
    after = await settled();
    if (after < before * 1.05) break;
  }
  flat(before, after);
  eq(await status('acme/one'), 200);
});

run(async () => eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly'));
