// tls.test.js - TLS to clients (R87): a certificate is used, renewed by a reload
// without a connection lost, and refused when it cannot be used.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { eq, ok, run, test } from './tap.js';
import { bearer, events, metric, terminals } from './checks.js';
import { startGateway, until } from './gateway.js';

const dir = mkdtempSync(join(tmpdir(), 'moongate-tls-'));
const at = (name) => join(dir, name);
function certificate(name) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', at(name + '.key'),
    '-out', at(name + '.pem'), '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost', '-days', '2'], { stdio: 'ignore' });
  return { cert: readFileSync(at(name + '.pem'), 'utf8'), key: readFileSync(at(name + '.key'), 'utf8') };
}
function expired() {
  const { key } = certificate('old');
  return { key, cert: execFileSync('openssl', ['x509', '-in', at('old.pem'), '-signkey', at('old.key'), '-days', '-1'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString() };
}
try {
  execFileSync('openssl', ['version'], { stdio: 'ignore' });
} catch {
  console.log('1..0 # SKIP no openssl');
  process.exit(0);
}
const one = certificate('one'), two = certificate('two');
const use = ({ cert, key }, mode = 0o600) => { writeFileSync(at('cert'), cert); rmSync(at('key'), { force: true }); writeFileSync(at('key'), key, { mode }); };

use(one);
const g = await startGateway(`
  workers = 2,
  limits = { body = "1MiB" },
  providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["acme/slow"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 1, output = 1 }, options = { words = 60, tokens_per_s = 60 } } } } },`,
{ listen: `"127.0.0.1:0", { at = "127.0.0.1:0", admin = true, tls = { cert = "${at('cert')}", key = "${at('key')}" } }` });
const key = await g.newKey();
const port = Number(/listening on https:\/\/127\.0\.0\.1:(\d+)/.exec(g.out)[1]);

function call(path, { agent = false, method = 'GET', ca = [one.cert, two.cert], headers = {}, body, onData } = {}) {
  return new Promise((done) => {
    const req = request({ host: '127.0.0.1', port, path, method, agent, ca, servername: 'localhost', headers }, (res) => {
      const r = { status: res.statusCode, headers: res.headers, text: '', from: res.socket.getPeerCertificate().subject.CN };
      res.setEncoding('utf8');
      res.on('data', (d) => { r.text += d; onData?.(req); });
      res.on('close', () => done({ ...r, cut: !res.complete }));
      res.on('error', () => {});
    });
    req.on('error', (e) => done({ error: e.code }));
    req.end(body);
  });
}
const stream = (more) => call('/api/v1/chat/completions', { method: 'POST', headers: bearer(key),
  body: JSON.stringify({ model: 'acme/slow', stream: true, messages: [{ role: 'user', content: 'x' }] }), ...more });
async function reload() {
  const count = () => (g.log.match(/config_(loaded|refused)/g) || []).length, before = count();
  g.child.kill('SIGHUP');
  await until('the reload', () => count() > before);
}
const holder = async () => (await call('/livez')).from;

test('HTTPS: the certificate of the configuration', async () => {
  eq(await call('/livez').then((r) => [r.status, r.from]), [200, 'one']);
  eq((await call('/livez', { ca: [two.cert] })).error, 'DEPTH_ZERO_SELF_SIGNED_CERT');
});

test('TLS 1.2 at least', async () => {
  const version = (v) => new Promise((done) => { const s = connect({ host: '127.0.0.1', port, ca: [one.cert], servername: 'localhost', minVersion: v, maxVersion: v, ciphers: 'ALL:@SECLEVEL=0' },
    () => { done(s.getProtocol()); s.destroy(); }).on('error', () => done(null)); });
  eq([await version('TLSv1.3'), await version('TLSv1.2'), await version('TLSv1.1')], ['TLSv1.3', 'TLSv1.2', null]);
});

test('a new certificate: new connections have it, those that are open go on', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  eq((await call('/livez', { agent })).from, 'one');
  let begun = 0;
  const open = Array.from({ length: 10 }, () => stream({ onData: (req) => { if (!req.begun) { req.begun = true; begun++; } } }));
  await until('the streams', () => begun === 10);
  use(two);
  await reload();
  await until('the new one, of all workers', async () => {
    for (let i = 0; i < 8; i++) if (await holder() !== 'two') return false;
    return true;
  });
  eq((await call('/livez', { agent })).status, 200);
  for (const r of await Promise.all(open)) eq([r.cut, r.from, terminals(events(r.text))], [false, 'one', { ends: 1, usages: 1, done: 1 }]);
  agent.destroy();
});

for (const [what, pair, mode, words] of [
  ['with the key of another', { cert: one.cert, key: two.key }, 0o600, 'do not belong together'],
  ['that is none', { cert: 'hello\n', key: two.key }, 0o600, 'no certificate in PEM'],
  ['without its key', { cert: one.cert, key: one.cert }, 0o600, 'no private key'],
  ['whose key all may read', one, 0o644, 'looser than 0640'],
  ['that has expired', expired, 0o600, 'has expired'],
]) {
  test(`a certificate ${what} is refused; the one before stays`, async () => {
    use(typeof pair === 'function' ? pair() : pair, mode);
    await reload();
    ok(g.log.includes(words), g.log.slice(-500));
    eq(await metric(g, 'moongate_config_last_reload_successful'), 0);
    eq(await holder(), 'two');
    use(two);
    await reload();
    eq([await metric(g, 'moongate_config_last_reload_successful'), await holder()], [1, 'two']);
  });
}

test('20 renewals under way with requests: none fails', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 }), bad = [];
  let running = true, count = 0;
  const load = Array.from({ length: 4 }, async (_, n) => {
    while (running) {
      const r = await call('/livez', { agent: n % 2 ? agent : false });
      if (r.status !== 200) bad.push(r);
      count++;
    }
  });
  for (let i = 0; i < 20; i++) {
    const before = count;
    use(i % 2 ? two : one);
    await reload();
    await until('an answer after the renewal', () => count > before + 1);
  }
  running = false;
  await Promise.all(load);
  agent.destroy();
  eq(bad, []);
  ok(count > 20, `${count} requests`);
});

run(async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  rmSync(dir, { recursive: true, force: true });
});
