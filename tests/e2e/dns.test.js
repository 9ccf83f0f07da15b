// dns.test.js - a name that resolves slowly, or not at all (R31): other models do not
// notice, a client may leave meanwhile, and the answer is a clear one.
//
// The resolver is a stand-in: getaddrinfo() before libc's own, which holds some names back until a file is there.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, skip, test } from './tap.js';
import { call, chat, metric, settled } from './checks.js';
import { completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

const source = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	resolver *next = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
	if (name && getenv("ASKED")) {
		int fd = open(getenv("ASKED"), O_WRONLY | O_CREAT | O_APPEND, 0600);
		dprintf(fd, "%s\\n", name);
		close(fd);
	}
	while (name && strstr(name, ".slow.test") && access(getenv("RESOLVE"), F_OK))
		usleep(1000);
	if (name && !strcmp(name, "never.slow.test"))
		return EAI_AGAIN;
	return next(name && strstr(name, ".slow.test") ? "127.0.0.1" : name, service, hints, out);
}
`;
const dir = mkdtempSync(join(tmpdir(), 'moongate-dns-'));
let built = true;
writeFileSync(join(dir, 'slow.c'), source);
try { execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', join(dir, 'slow.so'), join(dir, 'slow.c')]); } catch { built = false; }
// A sanitizer's own library must be the first; valgrind has its own, too.
const resolve = join(dir, 'resolve'), preload = built && !Object.keys(process.env).some((k) => /^([A-Z]+SAN_OPTIONS|MOONGATE_UNDER)$/.test(k));

const u = await startUpstream((req, res) => sendJson(res, 200, completion('here')));
const asked = join(dir, 'asked');
const lookups = (name) => (existsSync(asked) ? readFileSync(asked, 'utf8') : '').split('\n').filter((l) => l === name).length;
const price = 'price = { input = 1, output = 1 }';
const provider = (host, scheme = 'http') => `{ dialect = "openai", base_url = "${scheme}://${host}:${u.port}/v1", api_key = "secret-of-upstream", timeouts = { connect = "2m" } }`;	// the lookup is held as long as the test needs
const g = await startGateway(`
  workers = 1,
  providers = { well = ${provider('127.0.0.1')}, last = ${provider('at-last.slow.test')}, never = ${provider('never.slow.test')},
    other = ${provider('other.slow.test')}, cold = ${provider('cold.slow.test')}, gone = ${provider('gone.slow.test')},
    safe = ${provider('safe.slow.test', 'https')} },	-- an answer is remembered: who is to wait needs a name of its own
  models = {
    ["acme/well"] = { endpoints = { { provider = "well", ${price} } } },
    ["acme/last"] = { endpoints = { { provider = "last", ${price} } } },
    ["acme/other"] = { endpoints = { { provider = "other", ${price} } } },
    ["acme/cold"] = { endpoints = { { provider = "cold", ${price} } } },
    ["acme/gone"] = { endpoints = { { provider = "gone", ${price} } } },
    ["acme/safe"] = { endpoints = { { provider = "safe", ${price} } } },
    ["acme/never"] = { endpoints = { { provider = "never", ${price} } } },
    ["acme/either"] = { endpoints = { { provider = "never", ${price} }, { provider = "well", ${price} } } },
  },`, { env: preload ? { LD_PRELOAD: join(dir, 'slow.so'), RESOLVE: resolve, ASKED: asked } : {} });
const key = await g.newKey();
const need = () => { if (!preload) skip('no resolver of our own can be put in front here'); rmSync(resolve, { force: true }); };
const resolved = () => writeFileSync(resolve, '');

test('one that resolves slowly: answered at last, others at once meanwhile', async () => {
  need();
  const slow = chat(g, key, { model: 'acme/last' });
  let ended = false;
  slow.then(() => { ended = true; });
  await until('it to be asked for', async () => (await metric(g, 'moongate_upstream_in_flight')) === 1);
  for (let i = 0; i < 20; i++) eq((await chat(g, key, { model: 'acme/well' })).status, 200, 'beside it');
  eq(ended, false, 'the resolver holds it back');
  resolved();
  eq((await slow).status, 200);
});

test('one that does not resolve: the next endpoint answers; alone it is a 502 or 503 with a hint', async () => {
  need();
  resolved();
  const r = await chat(g, key, { model: 'acme/either', provider: { order: ['never', 'well'] } });
  eq([r.status, JSON.parse(r.text).provider], [200, 'well']);
  const alone = await chat(g, key, { model: 'acme/never' });
  ok(alone.status === 502 || alone.status === 503, `status ${alone.status}`);
  ok(!alone.text.includes('secret-of-upstream'));
});

test('a client that leaves while a name is looked up: settled at once, nothing charged', async () => {
  need();
  await settled(g);
  const before = await metric(g, 'moongate_generations_total');
  let leaving;
  const gone = chat(g, key, { model: 'acme/other', stream: true }, { onStart: (req) => { leaving = req; } });
  await until('it to be asked for', async () => (await metric(g, 'moongate_upstream_in_flight')) === 1);
  leaving.destroy();
  await gone;
  await until('it to be settled', async () => await metric(g, 'moongate_generations_total') > before);	// while the resolver still holds it
  await settled(g);
  resolved();
  eq((await call(g, '/livez')).status, 200);
});

test('fifty at once to a name that nobody knows yet: it is looked up once (R35)', async () => {
  need();
  await settled(g);
  for (const [model, name, status] of [['acme/cold', 'cold.slow.test', 200], ['acme/safe', 'safe.slow.test', 502]]) {
    rmSync(resolve, { force: true });
    const all = Array.from({ length: 50 }, () => chat(g, key, { model }));
    await until('all of them to wait', async () => (await metric(g, 'moongate_upstream_in_flight')) === 50);
    resolved();
    for (const r of await Promise.all(all)) eq(r.status, status, r.text);
    eq(lookups(name), 1, name);
  }
});

test('the first one to ask leaves: another one looks, and the rest is answered', async () => {
  need();
  await settled(g);
  let leaving;
  const first = chat(g, key, { model: 'acme/gone', stream: true }, { onStart: (req) => { leaving = req; } });
  await until('it to be asked for', () => lookups('gone.slow.test'));
  const all = Array.from({ length: 10 }, () => chat(g, key, { model: 'acme/gone' }));
  await until('all of them to wait', async () => (await metric(g, 'moongate_upstream_in_flight')) === 11);
  leaving.destroy();
  await first;
  resolved();
  for (const r of await Promise.all(all)) eq(r.status, 200, r.text);
  ok(lookups('gone.slow.test') <= 2, `${lookups('gone.slow.test')} times`);
});

test('a name that does not resolve is not looked up with each request', async () => {
  need();
  resolved();
  for (let i = 0; i < 40; i++) await chat(g, key, { model: 'acme/never' });
  ok(lookups('never.slow.test') <= 20, `${lookups('never.slow.test')} times`);
});

run(async () => { resolved(); eq(await g.stop(), { code: 0, signal: null }); await u.stop(); rmSync(dir, { recursive: true, force: true }); });
