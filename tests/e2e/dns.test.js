// dns.test.js - a name that resolves slowly, or not at all (R31): other models do not
// notice, a client may leave meanwhile, and the answer is a clear one.
//
// The resolver is a stand-in: getaddrinfo() before libc's own, which sleeps for two names.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, skip, test } from './tap.js';
import { audit, call, chat, metric } from './checks.js';
import { completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

const SLOW_MS = 1500;
const source = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	resolver *next = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
	if (name && strstr(name, ".slow.test"))
		usleep(${SLOW_MS} * 1000);
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
const preload = built && !Object.keys(process.env).some((k) => /^([A-Z]+SAN_OPTIONS|MOONGATE_UNDER)$/.test(k));

const u = await startUpstream((req, res) => sendJson(res, 200, completion('here')));
const price = 'price = { input = 1, output = 1 }';
const provider = (host) => `{ dialect = "openai", base_url = "http://${host}:${u.port}/v1", api_key = "secret-of-upstream" }`;
const g = await startGateway(`
  workers = 1,
  providers = { well = ${provider('127.0.0.1')}, last = ${provider('at-last.slow.test')}, never = ${provider('never.slow.test')},
    other = ${provider('other.slow.test')} },	-- an answer is remembered: who is to wait needs a name of its own
  models = {
    ["acme/well"] = { endpoints = { { provider = "well", ${price} } } },
    ["acme/last"] = { endpoints = { { provider = "last", ${price} } } },
    ["acme/other"] = { endpoints = { { provider = "other", ${price} } } },
    ["acme/never"] = { endpoints = { { provider = "never", ${price} } } },
    ["acme/either"] = { endpoints = { { provider = "never", ${price} }, { provider = "well", ${price} } } },
  },`, { env: preload ? { LD_PRELOAD: join(dir, 'slow.so') } : {} });
const key = await g.newKey();
const need = () => { if (!preload) skip('no resolver of our own can be put in front here'); };

test('one that resolves slowly: answered at last, others at once meanwhile', async () => {
  need();
  const began = Date.now(), slow = chat(g, key, { model: 'acme/last' });
  let during = 0, ended = false;
  slow.then(() => { ended = true; });
  while (!ended) {
    const t = Date.now();
    eq((await chat(g, key, { model: 'acme/well' })).status, 200);
    if (ended) break;
    during++;
    ok(Date.now() - t < SLOW_MS / 2, `${Date.now() - t} ms beside it`);
  }
  eq((await slow).status, 200);
  ok(Date.now() - began >= SLOW_MS, 'the resolver was slow');
  ok(during >= 10, `${during} answers meanwhile`);
});

test('one that does not resolve: the next endpoint answers; alone it is a 502 or 503 with a hint', async () => {
  need();
  const r = await chat(g, key, { model: 'acme/either', provider: { order: ['never', 'well'] } });
  eq([r.status, JSON.parse(r.text).provider], [200, 'well']);
  const alone = await chat(g, key, { model: 'acme/never' });
  ok(alone.status === 502 || alone.status === 503, `status ${alone.status}`);
  ok(!alone.text.includes('secret-of-upstream'));
});

test('a client that leaves while a name is looked up: settled at once, nothing charged', async () => {
  need();
  const before = await metric(g, 'moongate_generations_total');
  let leaving;
  const gone = chat(g, key, { model: 'acme/other', stream: true }, { onStart: (req) => { leaving = req; } });
  await until('it to be asked for', async () => (await metric(g, 'moongate_upstream_in_flight')) === 1);
  const t = Date.now();
  leaving.destroy();
  await gone;
  await until('it to be settled', async () => await metric(g, 'moongate_generations_total') > before);
  ok(Date.now() - t < SLOW_MS, `${Date.now() - t} ms`);
  eq((await call(g, '/livez')).status, 200);
  eq((await audit(g)).open, 0);
});

run(async () => { eq(await g.stop(), { code: 0, signal: null }); await u.stop(); rmSync(dir, { recursive: true, force: true }); });
