// disk.test.js - a slow disk: who waits for it is served in the end, and the time is held against nobody.
//
// The disk is a stand-in: fdatasync() before libc's own, which takes its time.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, run, skip, test } from './tap.js';
import { chat, settled } from './checks.js';
import { completion, sendJson, startGateway, startUpstream } from './gateway.js';

const N = 150, SYNC_MS = 100;
const source = `#include <unistd.h>
int fdatasync(int fd)
{
	static int n;
	if (n++ < ${N})
		usleep(${SYNC_MS * 1000});
	return fsync(fd);
}
`;
const dir = mkdtempSync(join(tmpdir(), 'moongate-disk-'));
let built = true;
writeFileSync(join(dir, 'slow.c'), source);
try { execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', join(dir, 'slow.so'), join(dir, 'slow.c')]); } catch { built = false; }
// A sanitizer's own library must be the first; valgrind has its own, too.
const preload = built && !Object.keys(process.env).some((k) => /^([A-Z]+SAN_OPTIONS|MOONGATE_UNDER)$/.test(k));

test(`${N} at once, each of which waits for the disk: all are answered, at the first try, and the process lives`, async () => {
  if (!preload) skip('no disk of our own can be put in front here');
  const u = await startUpstream((req, res) => sendJson(res, 200, completion('here')));
  const g = await startGateway(`
    workers = 1, ledger = { durable = "power" },
    providers = { up = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k" } },
    models = { ["acme/up"] = { endpoints = { { provider = "up", price = { input = 1, output = 1 } } } } },`, { env: { LD_PRELOAD: join(dir, 'slow.so') } });
  const key = await g.newKey();
  const all = await Promise.all(Array.from({ length: N }, () => chat(g, key, { model: 'acme/up', max_tokens: 5 })));
  eq(all.filter((r) => r.status !== 200 || r.headers['x-moongate-attempts'] !== '1').map((r) => `${r.status} ${r.error} ${r.text}`).slice(0, 3), []);
  await settled(g);
  eq(await g.stop(), { code: 0, signal: null });
  await u.stop();
});

await run(async () => rmSync(dir, { recursive: true }));
