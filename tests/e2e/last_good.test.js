// last_good.test.js - policies that were good once: at a start with a broken
// folder, when a version fails too often, when the folder goes away, and when one
// worker cannot follow.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { call, chat, metric, moongate, sanitized } from './checks.js';
import { startGateway, until } from './gateway.js';
import { eq, ok, run, skip, test } from './tap.js';
import { admin, files, folder, live, provider, sighup, world, write } from './policies_world.js';

const dir = folder(files('alpha')), home = mkdtempSync(join(tmpdir(), 'moongate-e2e-'));
const broken = { 'pick.lua': 'return policy {\n  name = "pick", api = 1, rank = 5,\n}\n' };
const start = (env = {}, more = '') => startGateway(world(dir, more), { dir: home, env });
const down = async (g) => eq(await g.stop(), { code: 0, signal: null }, 'it ends cleanly');
// Whatever becomes of the test, the next one finds the data directory free.
async function gateway(fn, env = {}) {
  const g = await start(env);
  try { return await fn(g); } finally { await down(g); }
}
const after = (change, fn) => () => { change(); return gateway(fn); };
const kept = join(home, 'state/data/policies');
let key, published;

test('a first start with a broken folder fails, with file and line', async () => {
  const none = folder({ ...files('alpha'), 'pick_test.lua': 'local P = use("pick")\ntest("no", function(t) t.eq(1, 2) end)\n' });
  const at = mkdtempSync(join(tmpdir(), 'moongate-e2e-')), file = join(at, 'config.lua');
  writeFileSync(file, `return { dev = true, listen = { "127.0.0.1:0" }, data_dir = "${at}/data", ${world(none)} }`);
  const r = await moongate({ home: at, file, exit: true }, ['serve']);
  eq(r.code, 3, r.err);
  ok(/^moongate: pick_test\.lua:2: /m.test(r.err), r.err);
});

test('a published version lives on over a restart', async () => {
  await gateway(async (g) => {
    key = await g.newKey();
    eq(await provider(g, key), 'alpha');
    published = (await moongate(g, ['policy', 'publish', folder(files('beta'))])).out.trim();
  });
  await gateway(async (g) => {
    eq((await live(g)).version, published);
    eq(await provider(g, key), 'beta');
    eq(await metric(g, 'moongate_config_last_reload_successful'), 1);
    ok(!/refused/.test(g.log), g.log);
  });
});

test('a start with a broken folder goes on with what was live, loudly', after(() => write(dir, broken), async (g) => {
  eq(await provider(g, key), 'beta');
  ok(/"level":"error","event":"bundle_refused".*pick\.lua/.test(g.log), g.log);
  ok(/"how":"last good"/.test(g.log), g.log);
  eq(await metric(g, 'moongate_config_last_reload_successful'), 0);
  ok(/pick\.lua/.test(JSON.parse((await call(g, '/readyz?verbose')).text).policy.last_failure));
  write(dir, files('alpha', { extra: 'repaired' }));
  await sighup(g);
  eq(await metric(g, 'moongate_config_last_reload_successful'), 1);
  eq(await provider(g, key), 'alpha');
}));

test('so does one without the folder', after(() => renameSync(dir, dir + '.away'), async (g) => {
  renameSync(dir + '.away', dir);
  eq(await provider(g, key), 'alpha');
  eq(await metric(g, 'moongate_config_last_reload_successful'), 0);
}));

// Fails for what was asked all the time, which neither the probes of `policy check` nor its test know.
const unfit = files('beta', { extra: 'unfit' });
unfit['pick.lua'] = unfit['pick.lua'].replace('rank = function(req, eps)', 'rank = function(req, eps) if req.model == "acme" .. "/one" and req.feat.user_chars > 0 then error("no") end');

test('so does one with a folder that fails for what was asked in the last hour', after(() => write(dir, unfit), async (g) => {
  eq(await provider(g, key), 'alpha');
  ok(/"event":"bundle_refused"[^\n]*pick\.lua:4: rank fails for a decision of the last hour/.test(g.log), g.log);
  write(dir, files('alpha', { extra: 'repaired' }));
  await sighup(g);
  eq(await metric(g, 'moongate_config_last_reload_successful'), 1);
}));

test('without a gateway: publish, list and rollback are for the next start', async () => {
  const away = { home, file: join(home, 'config.lua'), exit: true };
  const bad = await moongate(away, ['policy', 'publish', folder({ ...files('beta'), ...broken })]);
  eq(bad.code, 8, bad.err);
  const fails = await moongate(away, ['policy', 'publish', folder(unfit)]);
  ok(fails.code === 8 && /pick\.lua:4: rank fails for a decision of the last hour/.test(fails.err), `what was asked in the last hour is decided again: ${fails.code} ${fails.err}`);
  const r = await moongate(away, ['policy', 'publish', folder(files('beta', { extra: 'offline', guard: 'seven' }))]);
  eq(r.code, 0, r.err);
  ok(/next start/.test(r.err), r.err);
  eq((await moongate(away, ['policy', 'publish', folder(files('beta'))])).code, 7, 'a guard is not lost here, either');
  ok(new RegExp(`^${r.out.slice(0, 12)} +yes `, 'm').test((await moongate(away, ['policy', 'list'])).out));
  await gateway(async (g) => {
    eq((await live(g)).version, r.out.trim());
    eq(await provider(g, key), 'beta');
  });
  const back = await moongate(away, ['policy', 'rollback', '--json']);
  eq([back.code, JSON.parse(back.out).data.live], [0, 'next start'], back.err);
  await gateway(async (g) => {
    eq((await live(g)).version, JSON.parse(back.out).data.version);
    eq(await provider(g, key), 'alpha');
    eq((await live(g)).guards, ['seven'], 'the guard stayed');
    eq((await moongate(g, ['policy', 'publish', '--drop-guards', dir])).code, 0);
  });
});

let changed;
test('a version that somebody changed on the disk is not run', after(() => {
  changed = join(kept, JSON.parse(readFileSync(join(kept, 'state.json'))).live, 'pick.lua');
  writeFileSync(changed, readFileSync(changed, 'utf8').replace('"alpha"', '"beta"'));
}, async (g) => {
  ok(/"event":"bundle_refused".*somebody changed it/.test(g.log), g.log);
  eq(await provider(g, key), 'alpha', 'the folder is taken in its place');
  ok(readFileSync(changed, 'utf8').includes('"alpha"'), 'and the version is whole again');
}));

// ---- one worker cannot follow

// Fails the n-th state of Lua from when a file says so; a state more or less is what memory is short of.
const shim = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <lua.h>
LUA_API lua_State *lua_newstate(lua_Alloc f, void *ud)
{
	static int left = -1;
	lua_State *(*real)(lua_Alloc, void *) = (lua_State *(*)(lua_Alloc, void *))dlsym(RTLD_NEXT, "lua_newstate");
	FILE *order = fopen(getenv("FAIL_STATE"), "r");
	if (order) { if (fscanf(order, "%d", &left) != 1) left = -1; fclose(order); unlink(getenv("FAIL_STATE")); }
	if (left > 0 && --left == 0) { left = -1; return NULL; }
	return real(f, ud);
}
`;

test('a worker that gets no state: all stay on the old one, and the next attempt succeeds', async () => {
  const place = mkdtempSync(join(tmpdir(), 'moongate-shim-')), order = join(place, 'order');
  writeFileSync(join(place, 'shim.c'), shim);
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-I/usr/include/lua5.4', '-o', join(place, 'shim.so'), join(place, 'shim.c'), '-ldl']);
  } catch { skip('no compiler'); }
  if (process.env.MOONGATE_UNDER) skip('it runs under another program');
  if (sanitized) skip('a sanitizer wants to be first');
  await gateway(async (g) => {
    const before = (await live(g)).version;
    eq((await moongate(g, ['policy', 'publish', folder(files('beta', { extra: 'for all' }))])).code, 0);
    const now = (await live(g)).version;
    eq(await metric(g, 'moongate_policy_states'), 2);
    // A version that was live already is only read, opened once to look at it, and made for each of two workers.
    for (const nth of [2, 3]) {
      writeFileSync(order, String(nth));
      const r = await moongate(g, ['policy', 'rollback', before]);
      eq(r.code, 75, `${nth}: ${r.err}`);
      eq((await live(g)).version, now);
      for (let i = 0; i < 8; i++) eq(await provider(g, key), 'beta');
      eq(await metric(g, 'moongate_policy_states'), 2, 'what was made is freed');
    }
    eq((await moongate(g, ['policy', 'rollback', before])).code, 0);
    for (let i = 0; i < 8; i++) eq(await provider(g, key), 'alpha');
  }, { LD_PRELOAD: join(place, 'shim.so'), FAIL_STATE: order });
});

// ---- a version that fails

const failing = (when, provider_) => { const all = files(provider_); return { ...all,
  'pick.lua': all['pick.lua'].replace('rank = function(req, eps)', `rank = function(req, eps) if ${when} then error("it is that word: " .. req.model) end`) }; };
// A client's odd request, of so many characters: `policy check` tries all numbers that it finds, but this one is not there.  Each
// test has its own: what was sent in the last hour, a bundle decides again before it goes live.
const odd = (g, n) => chat(g, key, { model: 'acme/one', messages: [{ role: 'user', content: 'x'.repeat(n) }] });

test('a version whose hook fails on every request is gone back from by itself: log, metric, list', () => gateway(async (g) => {
  const good = (await live(g)).version;
  const bad = (await moongate(g, ['policy', 'publish', folder(failing('req.feat.user_chars * 7 == 693', 'beta'))])).out.trim();
  for (let i = 0; i < 10; i++) eq(await provider(g, key), 'beta');
  await until('the way back', async () => { await odd(g, 99); return (await live(g)).version !== bad; }, 20000);
  const v = await live(g);
  eq(v.version, good);
  eq(v.how, 'circuit');
  eq(await provider(g, key), 'alpha');
  ok(/"event":"policy_circuit"[^\n]*at pick\.lua:4"/.test(g.log), g.log.slice(-3000));
  ok(!/policy_circuit[^\n]*that word/.test(g.log), 'what was raised may have words of the request');
  ok(/circuit_trips_total\{result="rolled_back"\} 1\n/.test((await call(g, '/metrics')).text));
  const row = (await admin(g, '/policies')).data.find((r) => r.version === bad);
  ok(/hook calls failed/.test(row.failed), JSON.stringify(row));
  eq((await moongate(g, ['policy', 'rollback'])).out.trim() === bad, false, 'nobody goes back to it unasked');
  eq((await moongate(g, ['policy', 'publish', '--drop-guards', folder(files('alpha', { extra: 'after it' }))])).code, 0);
}));

test('one strange request, whose every candidate fails a filter, changes nothing', () => gateway(async (g) => {
  const all = files('beta', { extra: 'strange' });
  all['pick.lua'] = all['pick.lua'].replace('  rank =', '  filter = function(req, ep) if req.feat.user_chars * 7 == 686 then error("no") end return true end,\n  rank =');
  const r = await moongate(g, ['policy', 'publish', folder(all)]), v = r.out.trim();
  eq(r.code, 0, r.err);
  for (let i = 0; i < 4; i++) await odd(g, 98);
  await new Promise((go) => setTimeout(go, 1500));	// it is looked for once a second
  eq((await live(g)).version, v);
  eq(await metric(g, 'moongate_policy_circuit_trips_total'), 0);
}));

test('20 failures in a row are enough; a guard of the failing version stays, and there is no second step back', () => gateway(async (g) => {
  const all = files('alpha', { guard: 'seven', extra: 'closed' });
  all['seven.lua'] = all['seven.lua'].replace('if req', 'if req.feat.user_chars * 7 == 679 then error("no") end if req');
  const good = (await live(g)).version;
  const published = await moongate(g, ['policy', 'publish', folder(all)]), bad = published.out.trim();
  eq(published.code, 0, published.err);
  for (let i = 0; i < 20; i++) eq((await odd(g, 97)).status, 503, 'a guard fails closed');
  await until('the way back', async () => (await live(g)).version !== bad);
  const v = await live(g);
  ok(v.version !== good, 'the older one, with the guard');
  eq(v.guards, ['seven']);
  eq(await provider(g, key), 'beta', 'the older one decides');
  for (let i = 0; i < 25; i++) eq((await odd(g, 97)).status, 503, 'the guard goes on, failing closed');
  await until('the second trip', async () => /circuit_trips_total\{result="kept"\} 1\n/.test((await call(g, '/metrics')).text));
  eq((await live(g)).version, v.version);
  eq((await moongate(g, ['policy', 'publish', '--drop-guards', folder(files('alpha', { extra: 'free' }))])).code, 0);
  eq((await odd(g, 97)).status, 200);
}));

// ---- the folder goes away

test('max_stale_s: without its folder for so long the gateway is not ready and refuses, until it is back', after(() => write(dir, files('alpha', { top: 'max_stale_s = 1,' })), async (g) => {
  eq((await live(g)).from, dir);
  await new Promise((go) => setTimeout(go, 2500));
  eq((await call(g, '/readyz')).status, 200, 'it is there');
  renameSync(join(dir, 'bundle.lua'), join(dir, 'away'));
  await until('not ready', async () => (await call(g, '/readyz')).status === 503);
  ok(/folder has been away/.test((await call(g, '/readyz')).text));
  const r = await chat(g, key, { model: 'acme/one' });
  eq(r.status, 503);
  ok(/out of date/.test(r.text), r.text);
  ok(/"event":"policy_stale"/.test(g.log));
  renameSync(join(dir, 'away'), join(dir, 'bundle.lua'));
  await until('ready', async () => (await call(g, '/readyz')).status === 200);
  eq(await provider(g, key), 'alpha');
}));

// ---- to try things

test('policy.unchecked: the folder goes live as it is, and stays however it fails; that is said', async () => {
  const at = folder({ ...failing('true', 'beta'), 'pick_test.lua': 'test("no", function(t) t.eq(1, 2) end)\n' });
  const g = await startGateway(world(at).replace('policy = {', 'policy = { unchecked = true,'));
  try {
    ok(/"event":"bundle_loaded"[^\n]*"checked":"no"/.test(g.log), g.log);
    const k = await g.newKey(), v = (await live(g)).version;
    for (let i = 0; i < 30; i++) await provider(g, k);
    await new Promise((go) => setTimeout(go, 1500));
    eq((await live(g)).version, v);
    eq((await moongate(g, ['policy', 'publish', at])).code, 8, 'a command still checks');
  } finally { await down(g); }
});

run(async () => { rmSync(home, { recursive: true, force: true }); });
