// provider.test.js - `moongate provider test`: name, connection, TLS, key, first token, cost; and the step that fails.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { binary, chunk, managementKey, sendJson, startGateway, startUpstream } from './gateway.js';

const dir = mkdtempSync(join(tmpdir(), 'moongate-provider-'));
for (const name of ['up', 'other'])
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', join(dir, name + '.key'),
    '-out', join(dir, name + '.pem'), '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '2'], { stdio: 'ignore' });
const answer = (res) => {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.end(chunk({ role: 'assistant', content: 'Hello' }) + chunk({}, 'stop') + chunk({}, null, { choices: [], usage: { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500 } }) + 'data: [DONE]\n\n');
};
let asked = 0;
const secure = createServer({ cert: readFileSync(join(dir, 'up.pem')), key: readFileSync(join(dir, 'up.key')) }, (req, res) => {
  asked++;
  if (req.headers.authorization !== 'Bearer sk-CANARY-up') return sendJson(res, 401, { error: { message: 'no: sk-CANARY-wrong' } });
  req.resume().on('end', () => answer(res));
});
await new Promise((go) => secure.listen(0, '127.0.0.1', go));
const url = `https://127.0.0.1:${secure.address().port}/v1`;
const plain = await startUpstream((req, res) => answer(res));
const rows = { up: `base_url = "${url}", api_key = "sk-CANARY-up", ca = "${join(dir, 'up.pem')}"`, wary: `base_url = "${url}", api_key = "sk-CANARY-up", ca = "${join(dir, 'other.pem')}"`,
  denied: `base_url = "${url}", api_key = "sk-CANARY-wrong", ca = "${join(dir, 'up.pem')}"`, plain: `base_url = "${plain.url}/v1"`,
  nobody: 'base_url = "http://127.0.0.1:1"', nowhere: `base_url = "https://${'n'.repeat(64)}.invalid"` };	// too long for a name: no network is asked
const g = await startGateway(`
  providers = { ${Object.entries(rows).map(([n, r]) => `${n} = { dialect = "openai", ${r} },`).join(' ')} },
  models = { ${Object.keys(rows).map((n) => `["p/${n}"] = { endpoints = { { provider = "${n}", model = "m", price = { input = 2, output = 4 } } } },`).join(' ')} },`);
const key = await g.newKey();
const look = (...args) => new Promise((done) => execFile(binary, ['provider', 'test', ...args, '--config', g.file],
  { env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_MANAGEMENT_KEY: managementKey, MOONGATE_KEY: key, MOONGATE_URL: g.url, NO_COLOR: '1' } },
  (e, out, err) => done({ code: e ? e.code : 0, out, err })));
const steps = (out) => out.trim().split('\n').map((l) => l.split(/ {2,}/).slice(0, 2).join(' '));

test('each step, and what it cost', async () => {
  const r = await look('up');
  eq([r.code, steps(r.out)], [0, ['resolve ok', 'connect ok', 'tls ok', 'auth ok', 'first token ok', 'answer ok']], r.out + r.err);
  ok(/connect +ok +[\d.]+ ms to 127\.0\.0\.1\ntls +ok +[\d.]+ ms\n/.test(r.out) && /first token +ok +[\d.]+ ms, p\/up\n/.test(r.out) && /answer +ok +[\d.]+ ms, \$0\.004\n/.test(r.out), r.out);
});
test('without TLS and without a key', async () => {
  const r = await look('plain');
  eq([r.code, steps(r.out)], [0, ['resolve ok', 'connect ok', 'auth ok', 'first token ok', 'answer ok']], r.out + r.err);
  ok(r.out.includes('no key is configured'), r.out);
});
test('a certificate of somebody else: nothing is asked', async () => {
  asked = 0;
  const r = await look('wary');
  eq([r.code, steps(r.out), asked], [8, ['tls FAIL'], 0], r.out + r.err);
});
test('a name that is none', async () => { const r = await look('nowhere'); eq([r.code, steps(r.out)], [8, ['resolve FAIL']], r.out + r.err); });
test('nobody there', async () => { const r = await look('nobody'); eq([r.code, steps(r.out)], [8, ['connect FAIL']], r.out + r.err); });
test('a key that is refused, and not shown', async () => {
  const r = await look('denied');
  ok(r.code !== 0 && steps(r.out).at(-1) === 'request FAIL' && !(r.out + r.err).includes('CANARY'), r.out + r.err);
});
test('a model that it has not', async () => eq((await look('up', '--model', 'p/plain')).code, 6));
test('no such provider', async () => eq((await look('somebody')).code, 6));

await run(async () => { await g.stop(); await plain.stop(); secure.closeAllConnections(); secure.close(); rmSync(dir, { recursive: true, force: true }); });
