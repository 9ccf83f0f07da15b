// tokens.test.js - credentials that are exchanged for access tokens, against a token server on loopback.
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { binary, completion, managementKey, retried, sendJson, startGateway, startUpstream, until } from './gateway.js';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const dir = mkdtempSync(join(tmpdir(), 'moongate-tokens-'));
const secret = 'CANARY-client-secret+/&';
let answer;		// (request, response, n): of the token server
let given = 0;
const give = (res, more = {}) => sendJson(res, 200, { access_token: `tok-CANARY-${++given}`, expires_in: 3599, token_type: 'Bearer', ...more });
const tokens = await startUpstream((req, res, n) => answer(req, res, n));
let serve = (req, res) => sendJson(res, 200, { candidates: [{ content: { parts: [{ text: 'hi' }] }, finishReason: 'STOP' }],
  usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 1 }, modelVersion: 'm', responseId: 'r' });
const up = await startUpstream((req, res, n) => serve(req, res, n));
const chat = await startUpstream((req, res) => sendJson(res, 200, completion('hello')));

function file(name, text) {
  const path = join(dir, name);
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  return path;
}
const account = (name, more = {}) => file(name + '.json', JSON.stringify({ type: 'service_account', project_id: 'p-1', private_key_id: 'kid-1',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }), client_email: `${name}@p-1.example`, token_uri: tokens.url + '/token/' + name, ...more }, null, 2));
const names = ['once', 'many', 'short', 'fails', 'back', 'silly', 'leaves', ...[1, 2, 3].flatMap((n) => [`ahead${n}`, `harm${n}`])];
const config = names.map((n) => `    ${n} = { dialect = "gemini", base_url = "${up.url}/v1", google = { credentials = file "${account(n)}" }, quirks = { auth = "google" } },`).join('\n');
const models = [...names, 'user', 'machine'].map((n) => `["g/${n}"] = { endpoints = { { provider = "${n}", model = "gemini-3.5-flash", price = { input = 1, output = 1 } } } },`)
  .concat(['openapi', 'secret', 'federated', 'managed'].map((n) => `["o/${n}"] = { endpoints = { { provider = "${n}", model = "x", price = { input = 1, output = 1 } } } },`)).join('\n');
const user = file('user.json', JSON.stringify({ type: 'authorized_user', client_id: 'c&1', client_secret: secret, refresh_token: 'r/1', token_uri: tokens.url + '/user' }));
const federated = file('federated', 'eyJfederated.a.b\n');
const g = await startGateway(`
  workers = 2,
  providers = {
${config}
    user = { dialect = "gemini", base_url = "${up.url}/v1", api_key = file "${user}", quirks = { auth = "google" } },
    machine = { dialect = "gemini", base_url = "${up.url}/v1", google = { metadata_url = "${tokens.url}" }, quirks = { auth = "google" } },
    openapi = { dialect = "openai", base_url = "${chat.url}/v1", google = { credentials = file "${account('openapi')}" } },
    secret = { dialect = "openai", base_url = "${chat.url}/v1", entra = { tenant_id = "t-1", client_id = "c-1", client_secret = env "CLIENT_SECRET", authority = "${tokens.url}" } },
    federated = { dialect = "openai", base_url = "${chat.url}/v1", entra = { tenant_id = "t-1", client_id = "c-1", federated_token_file = "${federated}", authority = "${tokens.url}" } },
    managed = { dialect = "openai", base_url = "${chat.url}/v1", entra = { client_id = "c-2", authority = "${tokens.url}" } },
  },
  models = { ${models} },`, { env: { CLIENT_SECRET: secret } });
const key = await g.newKey();
const ask = (model) => fetch(g.api + '/chat/completions', { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  body: JSON.stringify({ model, messages: [{ role: 'user', content: 'x' }] }) });
const form = (one) => Object.fromEntries(new URLSearchParams(one.text));
const fresh = () => { tokens.asked.length = 0; up.asked.length = 0; chat.asked.length = 0; answer = (req, res) => give(res); };
const part = (jwt, n) => JSON.parse(Buffer.from(jwt.split('.')[n], 'base64url'));

test('a service account: its JWT is signed, and its token goes to the upstream', async () => {
  fresh();
  const r = await ask('g/once');
  eq((await r.json()).choices[0].message.content, 'hi');
  eq(tokens.asked.length, 1, 'exchanges');
  const sent = form(tokens.asked[0]), [head, claims, signature] = sent.assertion.split('.');
  eq(sent.grant_type, 'urn:ietf:params:oauth:grant-type:jwt-bearer');
  eq(tokens.asked[0].headers['content-type'], 'application/x-www-form-urlencoded');
  eq(part(sent.assertion, 0), { alg: 'RS256', typ: 'JWT', kid: 'kid-1' });
  const c = part(sent.assertion, 1), now = Date.now() / 1000;
  eq({ ...c, iat: 0, exp: c.exp - c.iat }, { iss: 'once@p-1.example', scope: 'https://www.googleapis.com/auth/cloud-platform', aud: tokens.url + '/token/once', iat: 0, exp: 3600 });
  ok(Math.abs(now - c.iat) < 60, 'iat is now');
  ok(verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })), Buffer.from(signature, 'base64url')), 'the signature');
  eq(up.asked[0].headers.authorization, `Bearer tok-CANARY-${given}`);
  eq(up.asked[0].url, '/v1/models/gemini-3.5-flash:generateContent');
});

test('the token is used again', async () => {
  fresh();
  for (let i = 0; i < 5; i++) eq((await ask('g/once')).status, 200);
  eq(tokens.asked.length, 0, 'exchanges');
  eq(new Set(up.asked.map((a) => a.headers.authorization)).size, 1, 'tokens');
});

test('fifty at once: one exchange', async () => {
  fresh();
  const held = [];
  answer = (req, res) => { held.push(res); };
  const all = Array.from({ length: 50 }, () => ask('g/many'));
  await until('the exchange to begin', () => held.length);
  await new Promise((go) => setTimeout(go, 100));	// the others come meanwhile; the claim is the count below
  eq(held.length, 1, 'exchanges that run');
  give(held[0]);
  for (const r of await Promise.all(all)) { eq(r.status, 200, 'status'); await r.text(); }
  eq(tokens.asked.length, 1, 'exchanges');
  eq(up.asked.length, 50, 'requests');
});

test('a token that is over is renewed', async () => {
  fresh();
  answer = (req, res) => give(res, { expires_in: 1 });	// good for half of it
  eq((await ask('g/short')).status, 200);
  const first = up.asked[0].headers.authorization;
  await until('another token', async () => { await (await ask('g/short')).text(); return up.asked.at(-1).headers.authorization !== first; });
});

test('before its end it is renewed in the background: nobody waits, one exchange runs, and its failure harms nobody', () => retried(async (n) => {	// who sleeps over that last second waits, rightly
  const ahead = `g/ahead${n}`, harm = `g/harm${n}`;
  fresh();
  answer = (req, res) => give(res, { expires_in: 8 });	// good for four seconds, renewed in the last of them
  eq((await ask(ahead)).status, 200);
  const first = up.asked[0].headers.authorization, held = [];
  answer = (req, res) => { held.push(res); };
  const soon = (model) => Promise.race([ask(model), new Promise((_, no) => setTimeout(() => no(new Error('it waits')), 2000))]);
  await until('a renewal to begin', async () => { eq((await soon(ahead)).status, 200); return held.length; });
  for (const r of await Promise.all(Array.from({ length: 10 }, () => soon(ahead)))) eq(r.status, 200);
  eq([held.length, new Set(up.asked.map((a) => a.headers.authorization)).size], [1, 1], 'exchanges, tokens that were used');
  give(held[0]);
  await until('the new one', async () => { eq((await ask(ahead)).status, 200); return up.asked.at(-1).headers.authorization !== first; });
  fresh();
  answer = (req, res) => give(res, { expires_in: 8 });
  eq((await ask(harm)).status, 200);
  answer = (req, res) => sendJson(res, 503, { error: 'unavailable' });
  await until('a renewal that fails', async () => { eq((await ask(harm)).status, 200); return tokens.asked.length > 1; });
  eq((await ask(harm)).status, 200);
  await until('its line in the log', () => new RegExp(`credential_failed.*harm${n}.*answered 503, unavailable`).test(g.log));
  const page = await (await fetch(g.url + '/metrics')).text();
  ok(new RegExp(`moongate_credential_seconds\\{provider="ahead${n}"\\} 3[0-9]{3}\n`).test(page) && page.includes(`moongate_credential_failing{provider="harm${n}"} 1\n`)
    && page.includes(`moongate_credential_failing{provider="ahead${n}"} 0\n`),
    page.split('\n').filter((l) => l.includes('credential')).join('\n'));
  eq(tokens.asked.length, 2, 'it is not asked again and again');
}, 3));

test('no token: a failure of the credential, which says what was wrong, and no secret', async () => {
  fresh();
  answer = (req, res) => sendJson(res, 400, { error: 'invalid_grant', error_description: 'Invalid JWT: CANARY-description ' + req.text });
  const r = await ask('g/fails'), a = await r.json();
  eq(r.status, 502);
  eq(up.asked.length, 0, 'upstream requests');
  const text = JSON.stringify(a);
  ok(/no access token: the token server answered 400, invalid_grant/.test(text), text);
  ok(!text.includes('CANARY') && !g.log.includes('CANARY'), 'nothing leaks');
  answer = (req, res) => give(res);
  eq((await ask('g/fails')).status === 200 || (await until('the endpoint to be tried again', async () => (await ask('g/fails')).status === 200)), true, 'then it works');
});

test('an answer that is none', async () => {
  fresh();
  answer = (req, res) => sendJson(res, 200, { access_token: 'a\r\nb: c', expires_in: 5 });
  const text = await (await ask('g/silly')).text();
  ok(/an answer without a token/.test(text), text);
});

test('a token that the upstream takes back is dropped, and another one got, once', async () => {
  fresh();
  const was = serve;
  serve = (req, res, n) => (up.asked.length % 2 ? sendJson(res, 401, { error: { code: 401, message: 'no', status: 'UNAUTHENTICATED' } }) : was(req, res, n));
  eq((await ask('g/back')).status, 200);
  eq([tokens.asked.length, up.asked.length], [2, 2], 'exchanges, requests');
  ok(up.asked[0].headers.authorization !== up.asked[1].headers.authorization, 'another token');
  fresh();
  serve = (req, res) => sendJson(res, 401, { error: { code: 401, message: 'no', status: 'UNAUTHENTICATED' } });
  eq((await ask('g/back')).status, 502);
  eq([tokens.asked.length, up.asked.length], [1, 2], 'exchanges, requests');
  serve = was;
});

test('a user, the metadata server', async () => {
  fresh();
  eq((await ask('g/user')).status, 200);
  eq(form(tokens.asked[0]), { grant_type: 'refresh_token', client_id: 'c&1', client_secret: secret, refresh_token: 'r/1' });
  fresh();
  eq((await ask('g/machine')).status, 200);
  eq([tokens.asked[0].method, tokens.asked[0].url, tokens.asked[0].headers['metadata-flavor']], ['GET',
    '/computeMetadata/v1/instance/service-accounts/default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform', 'Google']);
});

test('a dialect that takes a bearer gets the token, never the key file', async () => {
  fresh();
  eq((await ask('o/openapi')).status, 200);
  eq(chat.asked[0].headers.authorization, `Bearer tok-CANARY-${given}`);
  ok(!JSON.stringify(chat.asked[0].headers).includes('PRIVATE'), 'no key');
});

test('Entra: a client\'s secret, a federated token, the managed identity', async () => {
  fresh();
  eq((await ask('o/secret')).status, 200);
  eq(tokens.asked[0].url, '/t-1/oauth2/v2.0/token');
  eq(form(tokens.asked[0]), { grant_type: 'client_credentials', client_id: 'c-1', scope: 'https://cognitiveservices.azure.com/.default', client_secret: secret });
  eq(chat.asked[0].headers.authorization, `Bearer tok-CANARY-${given}`);
  fresh();
  eq((await ask('o/federated')).status, 200);
  eq(form(tokens.asked[0]), { grant_type: 'client_credentials', client_id: 'c-1', scope: 'https://cognitiveservices.azure.com/.default',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: 'eyJfederated.a.b' });
  fresh();
  answer = (req, res) => give(res, { expires_in: '3599' });
  eq((await ask('o/managed')).status, 200);
  eq([tokens.asked[0].method, tokens.asked[0].url, tokens.asked[0].headers.metadata], ['GET',
    '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=c-2', 'true']);
});

test('a client that leaves while a token is got harms nobody', async () => {
  fresh();
  const held = [], off = new AbortController(), before = g.log.length;
  answer = (req, res) => { held.push(res); };
  const gone = fetch(g.api + '/chat/completions', { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, signal: off.signal,
    body: JSON.stringify({ model: 'g/leaves', stream: true, messages: [{ role: 'user', content: 'x' }] }) }).catch(() => null);
  await until('the exchange to begin', () => held.length);
  off.abort();
  await gone;
  const stays = ask('g/leaves');
  await until('its end in the log', () => /"outcome":"cancelled"/.test(g.log.slice(before)));
  give(held[0]);
  eq((await stays).status, 200);
  eq([tokens.asked.length, up.asked.length], [1, 1], 'exchanges, requests');
});

test('tokens outlive a reload', async () => {
  fresh();
  const done = () => (g.log.match(/config[._](loaded|refused)/g) || []).length, before = done();
  g.child.kill('SIGHUP');
  await until('the reload', () => done() > before);
  eq((await ask('g/once')).status, 200);
  eq(tokens.asked.length, 0, 'exchanges');
});

test('no secret is in the log', async () => {
  ok(!g.log.includes('CANARY') && !g.log.includes('PRIVATE KEY') && !g.log.includes('eyJhbGci') && !g.log.includes('eyJfederated'), g.log);
});

test('commands ask for a token, too', async () => {
  fresh();
  const was = serve;
  serve = (req, res) => sendJson(res, 200, { models: [{ name: 'models/gemini-x' }] });
  const discover = () => new Promise((done) => execFile(binary, ['provider', 'discover', 'once', '--json', '--config', g.file],
    { env: { ...process.env, HOME: g.home, CLIENT_SECRET: secret, MOONGATE_MANAGEMENT_KEY: managementKey } }, (e, out, err) => done({ code: e ? e.code : 0, out, err })));
  const good = await discover();
  eq([good.code, good.err], [0, '']);
  eq(JSON.parse(good.out).data[0].model, 'gemini-x');
  eq(up.asked[0].headers.authorization, `Bearer tok-CANARY-${given}`);
  answer = (req, res) => sendJson(res, 401, { error: 'unauthorized_client' });
  const bad = await discover();
  eq(bad.code, 5);
  ok(bad.err.includes('no access token: the token server answered 401, unauthorized_client') && !bad.err.includes('CANARY'), bad.err);
  serve = was;
});

test('a key file that is none is refused at the start, without a word of it', async () => {
  const bad = file('bad.json', JSON.stringify({ type: 'service_account', client_email: 'x', private_key: 'CANARY-no-pem' }));
  const why = spawnSync(binary, ['config', 'check', '--config', file('bad.lua', `return { providers = { x = { dialect = "gemini", base_url = "${up.url}", google = { credentials = file "${bad}" } } } }`)],
    { encoding: 'utf8' }).stderr;
  ok(/providers\.x\.google: the private key is no RSA key in PEM/.test(why), why);
  ok(!why.includes('CANARY'), 'nothing of it');
});

await run(async () => { await g.stop(); await Promise.all([up.stop(), tokens.stop(), chat.stop()]); rmSync(dir, { recursive: true, force: true }); });
