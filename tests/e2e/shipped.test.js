// shipped.test.js - the second ranking in a live gateway, and the tests of all that
// forbids or keeps: no change of one token that lets more through goes unnoticed.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat } from './checks.js';
import { binary, completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

const shipped = new URL('../../policies/', import.meta.url).pathname;
let failing = false;
const u = await startUpstream(async (req, res) => {
  if (failing && req.json.model === 'slow') return sendJson(res, 503, { error: { message: 'no' } });
  if (req.json.model === 'slow') await new Promise((go) => setTimeout(go, 100));
  sendJson(res, 200, completion(req.json.model));
});
const dir = mkdtempSync(join(tmpdir(), 'moongate-shipped-'));
const line = (more) => `{ { use = "measured", order = { rank = "last" }, with = { price = 0, min_samples = 1, ${more} } } }`;
writeFileSync(join(dir, 'bundle.lua'), `return { base = "openrouter", policies = { workspace = {
  ws_sharp = ${line('ttft = 4, sharpness = 50, explore_bps = 0')}, ws_explores = ${line('ttft = 4, sharpness = 50, explore_bps = 5000')} } } }`);
const endpoint = (name) => `{ provider = "${name}", model = "${name}", price = { input = 1, output = 1 } }`;
const g = await startGateway(`policy = { bundle = "${dir}" },
  providers = { slow = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k" }, fast = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k" } },
  models = { ["acme/m"] = { endpoints = { ${endpoint('slow')}, ${endpoint('fast')} } } },`);
const keys = { sharp: await g.newKey({ workspace_id: 'ws_sharp' }), explores: await g.newKey({ workspace_id: 'ws_explores' }), plain: await g.newKey() };
const who = async (key, body = {}) => JSON.parse((await chat(g, keys[key], { model: 'acme/m', ...body })).text).choices[0].message.content;
async function shares(key, n) {
  const out = { slow: 0, fast: 0 };
  for (let i = 0; i < n; i++) out[await who(key)]++;
  return out;
}

test('measured: with nobody measured all alike are drawn alike', async () => {
  const all = await shares('sharp', 6);
  ok(all.slow + all.fast === 6, JSON.stringify(all));
});

test('measured: once they are, the faster one is first', async () => {
  for (let i = 0; i < 4; i++) { await who('plain', { provider: { only: ['slow'] } }); await who('plain', { provider: { only: ['fast'] } }); }
  await until('the measurements to count', async () => (await shares('sharp', 5)).fast === 5);
});

test('measured: and it is explored whether the other one still is slower', async () => {
  const all = await shares('explores', 200);	// half of them explore, of those half go to either: 50, give or take 6
  ok(all.slow >= 15 && all.slow <= 85, JSON.stringify(all));
});

test('measured: sort and order of the client come before it', async () => {
  eq(await who('sharp', { provider: { order: ['slow'] } }), 'slow');
});

test('measured: the slower one is the fallback, and the other way round', async () => {
  failing = true;
  eq(await who('sharp', { provider: { order: ['slow'] } }), 'fast');
  failing = false;
});

const guards = ['openrouter', 'examples'].flatMap((folder) => readdirSync(join(shipped, folder))
  .filter((f) => /^\w+\.lua$/.test(f) && !/_test\.lua$/.test(f) && /^ {2}(filter|retain|limits) = /m.test(readFileSync(join(shipped, folder, f), 'utf8')))
  .map((f) => ({ folder, name: f.replace('.lua', '') })));
for (const { folder, name } of guards)
  test(`${folder}/${name}: its tests notice whatever lets more through or keeps more`, async () => {
    const r = await new Promise((done) => execFile(binary, ['policy', 'test', join(shipped, folder), '--only', name, '--mutate'], { maxBuffer: 1 << 26 },
      (e, out, err) => done({ code: e ? e.code : 0, text: out + err })));
    eq(r.code, 0, r.text);
    ok(new RegExp(`^ok \\d+ - ${name}\\.lua: [1-9]`, 'm').test(r.text), r.text);
  });
test('all that forbids or keeps was asked', () => { ok(guards.length >= 6, guards.map((f) => f.name).join(' ')); });

await run(async () => { await g.stop(); await u.stop(); rmSync(dir, { recursive: true }); });
