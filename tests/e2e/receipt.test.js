// receipt.test.js - the signed receipt of who was sent a request: checked by another
// implementation, compared with what each upstream got.
import { execFile, execFileSync } from 'node:child_process';
import { createPublicKey, verify as check } from 'node:crypto';
import { createServer } from 'node:net';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { eq, ok, run, skip, test } from './tap.js';
import { bearer, call, chat, record, sanitized } from './checks.js';
import { binary, chunk, completion, loads, managementKey, sendJson, startGateway, startUpstream, until } from './gateway.js';

const dir = mkdtempSync(join(tmpdir(), 'moongate-receipt-'));
writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "keeps" } } } }\n');
writeFileSync(join(dir, 'keeps.lua'), `return policy { name = "keeps", api = 1, version = "1.0.0",
  retain = function(req)
    if req.model == "m/none" then return { store = "none", ttl_s = 0 } end
    if req.model == "m/hashed" then return { store = "hashed", ttl_s = 3600, sinks = { "record", "log" } } end
    return { store = "metadata", ttl_s = 86400 }
  end,
  plan = function(req) return { max_attempts = 8, max_attempts_per_model = 8 } end }
`);

loads(dir, 'keeps');

const got = {};		// bytes of bodies, by provider and by what was asked
const held = [];
const up = await startUpstream((req, res) => {
  const name = req.url.split('/')[1], id = req.json.messages[0].content;
  (got[id] ??= []).push([name, Buffer.byteLength(req.text)]);
  if (name.startsWith('fails')) return sendJson(res, 500, { error: { message: 'no' } });
  if (name === 'full') return sendJson(res, 429, { error: { message: 'no' } });
  if (name === 'cut') return res.socket.destroy();
  if (name === 'silent') return null;
  if (name === 'slow') { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.write(chunk({ content: 'x' })); return held.push(res); }
  return sendJson(res, 200, completion('hello'));
});
const dead = await new Promise((done) => { const s = createServer(); s.listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => done(port)); }); });
const facts = {
  fails2: 'known = true, zdr = true', fails3: 'known = true, zdr = true',
  works: 'known = true, trains = false, retains = true, retention_days = 30, zdr = false, region = "us"',
  fails: 'known = true, trains = true, retains = true, zdr = false', full: 'known = false', cut: 'known = true, zdr = true, retention_days = 0',
  silent: 'known = true, zdr = true', slow: 'known = true, zdr = true', dead: 'known = true, zdr = true',
};
const names = Object.keys(facts), price = 'price = { input = 1, output = 2 }';
const config = (works) => `
  workers = 1, policy = { bundle = "${dir}" },
  providers = { ${names.map((n) => `${n} = { name = "The ${n}", dialect = "openai", base_url = "${n === 'dead' ? `http://127.0.0.1:${dead}` : `${up.url}/${n}`}/v1", api_key = "sk-of-upstream", ${n === 'silent' ? 'timeouts = { first_output = "300ms" },' : ''} data = { ${n === 'works' ? works : facts[n]} } },`).join('\n')}
    sim = { dialect = "sim", base_url = "sim:" } },
  models = { ${['all', 'none', 'hashed'].map((m) => `["m/${m}"] = { endpoints = { ${names.map((n) => `{ provider = "${n}", ${n === 'works' ? 'region = "eu", ' : ''}${price} },`).join('')} } },`).join('\n')}
    ["m/sim"] = { endpoints = { { provider = "sim", model = "echo", ${price} } } } },`;
let g = await startGateway(config(facts.works));
const key = await g.newKey();

let asked = 0;
async function ask(model, order, more = {}) {
  const content = `request ${++asked}`;
  const r = await chat(g, key, { model, messages: [{ role: 'user', content }], user: 'zz-user', session_id: 'zz-session', provider: { order, only: order }, ...more });
  const id = r.headers['x-generation-id'];
  return { ...r, id, got: got[content] ?? [] };
}
async function receipt(id, k = key) {
  await record(g, key, id);
  return JSON.parse((await call(g, `/api/v1/generation?id=${id}&receipt=true`, { headers: bearer(k) })).text).data.receipt;
}

// RFC 8785, for what is in here: whole numbers, plain names.
const canonical = (v) => (Array.isArray(v) ? `[${v.map(canonical).join(',')}]` : v && typeof v === 'object'
  ? `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`).join(',')}}` : JSON.stringify(v));
let pem;
const good = (r, payload = r.payload) => check(null, Buffer.from(canonical(payload)), createPublicKey(pem), Buffer.from(r.signature, 'base64url'));
const cli = (...args) => new Promise((done) => {
  execFile(binary, [...args, '--config', g.file], { env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_MANAGEMENT_KEY: managementKey } },
    (e, stdout, stderr) => done({ code: e ? e.code : 0, out: stdout, err: stderr }));
});

test('the public key is told to all; the private one is nobody else\'s', async () => {
  const r = await call(g, '/api/v1/generation/key');
  eq(r.status, 200);
  const k = JSON.parse(r.text).data;
  pem = k.public_key;
  eq([k.alg, createPublicKey(pem).asymmetricKeyType, k.key_id.length], ['Ed25519', 'ed25519', 16]);
  const file = join(g.home, 'state/data/receipt.key');
  eq(statSync(file).mode & 0o777, 0o600);
  const secret = readFileSync(file, 'latin1').split('\n')[1];
  ok(!g.log.includes(secret) && !r.text.includes(secret));
});

test('every attempt that had bytes is listed, with what was known of it, and each signature holds', async () => {
  for (const order of [['works'], ['fails', 'works'], ['dead', 'full', 'works'], ['cut', 'silent', 'fails', 'works'], ['fails', 'full'], ['dead'], ['full', 'fails', 'cut', 'dead', 'works']]) {
    const r = await ask('m/all', order), s = await receipt(r.id);
    ok(good(s), `signed: ${canonical(s)}`);
    const sent = s.payload.attempts.filter((a) => a.sent_at !== null && a.bytes_sent > 0);
    eq(sent.map((a) => [a.provider.slice(4), a.bytes_sent]), r.got, `${order}: ${canonical(s.payload)}`);
    eq(s.payload.attempts.map((a) => a.attempt_id), s.payload.attempts.map((_, i) => `${r.id}-${i + 1}`));
    for (const a of s.payload.attempts) {
      const name = a.provider.slice(4), at = Date.parse(a.sent_at);
      eq([a.endpoint, a.is_byok, a.region, a.outcome === 'ok'], [`m/all@${name}${name === 'works' ? '/eu' : ''}`, false, name === 'works' ? 'eu' : '', name === 'works'], canonical(a));
      ok(Math.abs(at - Date.now()) < 600000 && at >= Date.parse(s.payload.created_at), a.sent_at);
      if (name === 'dead') eq([a.outcome, a.bytes_sent, a.status], ['connect', 0, null]);
    }
    eq([s.payload.generation_id, s.payload.model, s.payload.type, s.payload.request_hash, s.payload.bundle.length], [r.id, 'm/all', 'moongate-receipt-1', null, 16]);
    eq(s.payload.retention, { cache: false, sinks: ['batch', 'cache', 'decision', 'file', 'log', 'record', 'trace'], store: 'metadata', ttl_s: 86400 });
  }
});

test('the data policy is that of the time, whatever the configuration says later', async () => {
  const r = await ask('m/all', ['full', 'fails', 'works']), before = (await receipt(r.id)).payload.attempts.map((a) => a.data_policy);
  eq(before, [{ known: false, logs_region: '', retains: false, retention_days: null, trains: false, zdr: false },
    { known: true, logs_region: '', retains: true, retention_days: null, trains: true, zdr: false },
    { known: true, logs_region: 'us', retains: true, retention_days: 30, trains: false, zdr: false }]);
  writeFileSync(g.file, readFileSync(g.file, 'utf8').replace(facts.works, 'known = true, retains = false, retention_days = 0, zdr = true'));
  g.child.kill('SIGHUP');
  await until('the reload', () => g.log.includes('config_loaded'));
  eq((await receipt(r.id)).payload.attempts.map((a) => a.data_policy), before);
  const after = (await receipt((await ask('m/all', ['works'])).id)).payload.attempts[0].data_policy;
  eq([after.zdr, after.retains, after.retention_days], [true, false, 0]);
});

test('a changed byte fails, wherever it is', async () => {
  const s = await receipt((await ask('m/all', ['fails', 'works'])).id), text = canonical(s.payload);
  for (let i = 0; i < text.length; i += 7) {
    const other = text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ 1) + text.slice(i + 1);
    ok(!check(null, Buffer.from(other), createPublicKey(pem), Buffer.from(s.signature, 'base64url')), `byte ${i}`);
  }
});

test('with store = "none" it is there, of ids alone', async () => {
  const r = await ask('m/none', ['fails', 'works']), s = await receipt(r.id);
  ok(good(s));
  eq(s.payload.attempts.map((a) => [a.provider, a.outcome, a.bytes_sent > 0]), [['The fails', 'server', true], ['The works', 'ok', true]]);
  eq(s.payload.retention.store, 'none');
  ok(!/zz-/.test(canonical(s)));
});

test('with store = "hashed" it has a hash of the request, which is another one elsewhere', async () => {
  const body = { model: 'm/hashed', messages: [{ role: 'user', content: 'the same' }], provider: { only: ['works'] } };
  const hash = async (b, at = g, k = key) => {
    const r = await chat(at, k, b), id = r.headers['x-generation-id'];
    await record(at, k, id);
    return JSON.parse((await call(at, `/api/v1/generation?id=${id}&receipt=true`, { headers: bearer(k) })).text).data.receipt.payload;
  };
  const one = await hash(body), two = await hash(body), other = await hash({ ...body, temperature: 0 });
  ok(/^[0-9a-f]{64}$/.test(one.request_hash) && one.request_hash === two.request_hash && one.request_hash !== other.request_hash);
  eq(one.retention, { cache: false, sinks: ['log', 'record'], store: 'hashed', ttl_s: 3600 });
  const h = await startGateway(config(facts.works));
  try { ok((await hash(body, h, await h.newKey())).request_hash !== one.request_hash, 'no hash that anybody can make'); } finally { await h.stop(); }
});

test('a client that left, and a built-in model', async () => {
  const content = `request ${++asked}`;
  let id;
  await chat(g, key, { model: 'm/all', stream: true, messages: [{ role: 'user', content }], provider: { order: ['fails2', 'slow'], only: ['fails2', 'slow'] } },
    { onData: (d, req, res) => { id = res.headers['x-generation-id']; req.destroy(); } });
  const s = await receipt(id);
  ok(good(s));
  eq(s.payload.attempts.map((a) => [a.provider.slice(4), a.outcome, a.bytes_sent]), [['fails2', 'server', got[content][0][1]], ['slow', 'cancelled', got[content][1][1]]]);
  const sim = await receipt((await ask('m/sim', ['sim'])).id);
  ok(good(sim) && sim.payload.attempts[0].bytes_sent > 0);
});

test('without being asked for there is none, and none of somebody else\'s', async () => {
  const r = await ask('m/all', ['works']);
  eq((await record(g, key, r.id)).receipt, undefined);
  eq((await call(g, `/api/v1/generation?id=${r.id}&receipt=true`, { headers: bearer(await g.newKey()) })).status, 404);
  ok(good(await receipt(r.id, managementKey)));
});

test('the command line prints and checks it', async () => {
  const { id } = await ask('m/all', ['fails', 'works']), s = await receipt(id);
  const printed = await cli('log', 'receipt', id), file = join(dir, 'receipt.json'), keyFile = join(dir, 'key.pem');
  eq(printed.code, 0, printed.err);
  eq(JSON.parse(printed.out), s, 'Ed25519 says the same each time');
  const told = await cli('log', 'key');
  eq(told.out, pem);
  writeFileSync(keyFile, pem);
  const verdict = async (text, ...more) => { writeFileSync(file, text); return (await cli('log', 'receipt', file, '--verify', ...more)).code; };
  eq(await verdict(printed.out), 0);
  eq(await verdict(JSON.stringify(JSON.parse(printed.out), null, 3), '--public-key', keyFile), 0, 'laid out in another way');
  eq(await verdict(JSON.stringify({ data: { id, receipt: s } }), '--public-key', keyFile), 0, 'in the record');
  eq(await verdict(printed.out.replace('"bytes_sent":', '"bytes_sent":1')), 8);
  eq(await verdict(printed.out.replace('The works', 'The wurks'), '--public-key', keyFile), 8);
  eq(await verdict(printed.out.replace(s.signature, (s.signature[0] === 'A' ? 'B' : 'A') + s.signature.slice(1))), 8);
  eq(await verdict('{"a":1}'), 1);
  eq(await verdict('no'), 1);
  eq((await cli('log', 'receipt', 'gen-0-nobody')).code, 6);
  eq((await cli('log', 'receipt', id, '--verify', '--url', g.url)).code, 0);
});

test('after kill -9 it says of whom nothing more is known', async () => {
  const content = `request ${++asked}`, said = g.log.length;
  chat(g, key, { model: 'm/all', stream: true, messages: [{ role: 'user', content }], provider: { order: ['fails3', 'slow'], only: ['fails3', 'slow'] } });
  await until('both to have it', () => got[content]?.length === 2);
  const id = await until('the first failure to be logged', () => /gen-\d+-\w+/.exec(g.log.slice(said))?.[0]);
  await g.kill();
  g = await startGateway(config(facts.works), { dir: g.home });
  const s = await receipt(id);
  ok(good(s), 'by the same key');
  eq(s.payload.attempts.map((a) => [a.endpoint, a.bytes_sent, a.outcome, a.data_policy]), [['m/all@fails3', null, null, null], ['m/all@slow', null, null, null]]);
});

test('a receipt that cannot be signed is a 503, and the record is told all the same', async () => {
  if (sanitized) skip('a sanitizer is loaded before all else');
  const c = join(dir, 'mute.c'), so = join(dir, 'mute.so');	// the library, but it does not sign
  writeFileSync(c, 'int EVP_DigestSign(void *c, unsigned char *out, unsigned long *n, const unsigned char *in, unsigned long len)\n{\n\treturn 0;\n}\n');
  execFileSync('cc', ['-shared', '-fPIC', '-o', so, c]);
  await g.stop();
  const mute = await startGateway(config(facts.works), { dir: g.home, env: { LD_PRELOAD: so } });
  const id = JSON.parse((await chat(mute, key, { model: 'm/sim' })).text).id;
  eq((await record(mute, key, id)).id, id);
  const r = await call(mute, `/api/v1/generation?id=${id}&receipt=true`, { headers: bearer(key) });
  eq([r.status, r.headers['retry-after'], JSON.parse(r.text).error.message], [503, '1', 'Service temporarily unavailable']);
  ok(/"event":"store_error"[^\n]*cannot be signed/.test(mute.log), mute.log.slice(-400));
  eq((await mute.stop()).code, 0);
  g = await startGateway(config(facts.works), { dir: g.home });
  ok(good(await receipt(id)), 'and then it is signed');
});

test('a key that others may read is refused', async () => {
  await g.stop();
  chmodSync(join(g.home, 'state/data/receipt.key'), 0o640);
  const r = await cli('serve');
  ok(r.code === 1 || r.code === 3, `${r.code}`);
  ok(/receipt\.key' may be read by others/.test(r.err) && /chmod 600/.test(r.err), r.err);
  rmSync(g.home, { recursive: true, force: true });
});

await run(async () => { await g.stop(); await up.stop(); rmSync(dir, { recursive: true, force: true }); });
