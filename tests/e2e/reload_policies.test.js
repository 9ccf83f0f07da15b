// reload_policies.test.js - a thousand changes of policies under load: no request
// fails, each is decided by one version alone, nothing grows.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chat, events, fds, metric, pool, rss, sanitized, terminals } from './checks.js';
import { startGateway, until } from './gateway.js';
import { eq, ok, run, test } from './tap.js';
import { admin, decision, files, folder, live, sighup, world } from './policies_world.js';

const dir = folder(files('alpha'));
const g = await startGateway(world(dir));
const key = await g.newKey();
const chosen = new Map([[(await live(g)).version, 'alpha']]);	// what each version answers with

async function turn(i) {
  const to = i % 2 ? 'alpha' : 'beta';
  if (i % 10 === 3) {	// some come from the folder, on a signal
    for (const [name, text] of Object.entries(files(to, { extra: `folder ${i}` }))) writeFileSync(join(dir, name), text);
    await sighup(g);
    chosen.set((await live(g)).version, to);
    return;
  }
  // Some are new, the others were live before.
  const all = files(to, { extra: i % 10 ? 'again' : `round ${i}` });
  if (i % 25 === 7) all['pick_test.lua'] = `test("no ${i}", function(t) t.eq(1, 2) end)`;
  const r = await admin(g, '/policies/publish', 'POST', { files: all });
  if (i % 25 === 7) return eq(r.status, 400);
  eq(r.status, 200, JSON.stringify(r));
  chosen.set(r.data.version, to);
}

async function settled() {
  let least = Infinity;
  for (let i = 0; i < 12; i++) {
    await new Promise((go) => setTimeout(go, 100));
    least = Math.min(least, rss(g));
  }
  return least;
}

test('a thousand changes under load: no request fails, each is decided by one version, nothing grows', async () => {
  const agent = pool(8), bad = [], some = [];
  let running = true, count = 0;
  const load = Array.from({ length: 8 }, async (_, n) => {
    for (let i = n; running; i++) {
      const stream = i % 2 === 0, r = await chat(g, key, { model: 'acme/one', stream }, { agent });
      const list = stream ? events(r.text) : [];
      if (r.status !== 200 || r.cut || (stream && terminals(list).done !== 1)) bad.push(`${r.status} ${r.error} ${r.text.slice(0, 300)}`);
      else if (count++ % 50 === 0) some.push(stream ? { id: list[0].id, provider: list[0].provider } : JSON.parse(r.text));
      await new Promise((go) => setTimeout(go, 25));
    }
  });
  // Heaps of the threads reach their size sooner or later, and differ by what runs just now: the least of some counts.
  let i = 0, open = 0;
  const many = async (n) => { for (const to = i + n; i < to; i++) await turn(i); };
  const least = async () => {
    const seen = [];
    for (let k = 0; k < 3; k++) { await many(100); seen.push(await settled()); open ||= await fds(g); }
    return Math.min(...seen);
  };
  await many(100);
  const before = await least();
  await many(300);
  const after = await least();
  while (count <= 300 && !bad.length) await many(10);	// until it was under load, however slow
  running = false;
  await Promise.all(load);
  agent.destroy();
  console.log(`# ${i} changes, ${count} requests, ${bad.length} failed; memory ${before} -> ${after}: ${((after / before - 1) * 100).toFixed(1)} %`);
  eq(bad.slice(0, 3), []);
  await until('the descriptors', async () => await fds(g) <= open + 4);
  // The allocator's arenas wander by some megabytes; a version's text that stayed would add 36, a state of Lua 240.
  if (!sanitized) ok(after - before < 16e6, `memory grew from ${before} to ${after}`);
  await until('a state for each worker to be left', async () => await metric(g, 'moongate_policy_states') === 2);
  eq(await metric(g, 'moongate_metrics_dropped_series_total'), 0);
  for (const r of some.slice(-100)) {
    const d = await decision(g, r.id), version = [...chosen.keys()].find((v) => v.startsWith(d.bundle));
    ok(version, `${d.bundle} was live`);
    eq(r.provider.toLowerCase(), chosen.get(version), `${r.id} by ${d.bundle}`);
  }
  ok(readdirSync(join(g.home, 'state/data/policies')).length <= 21, 'twenty versions are kept');
}, 500000);

run(async () => eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly'));
