// access.test.js - each route with each kind of key against a table of its own
// (R80), keys in odd shapes (R76, R77), browsers, aliases, methods.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { bearer, call, management, moongate } from './checks.js';
import { managementKey, startGateway, until } from './gateway.js';

const sim = `providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["sim/echo"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 1, output = 1 } } } } },`;
const g = await startGateway(`
  cors = { origins = { "https://chat.example" } }, ${sim}`);

const key = await g.newKey();
const disabled = await g.newKey({ name: 'off' });
const deleted = await g.newKey({ name: 'gone' });
const end = Date.now() + 5000, expired = await g.newKey({ name: 'late', expires_at: new Date(end).toISOString() });
const listed = (await management(g, '/keys')).data;
const hashOf = (name) => listed.find((k) => k.name === name).hash;
await management(g, '/keys/' + hashOf('off'), 'PATCH', { disabled: true });
await management(g, '/keys/' + hashOf('gone'), 'DELETE');

const kinds = { none: null, wrong: 'sk-or-v1-' + '0'.repeat(64), inference: key, management: managementKey, disabled, deleted, expired };

// What each kind gets: open to all, any valid key, keys that call models, keys that manage.
const PUBLIC = { none: 'in', wrong: 'in', inference: 'in', management: 'in', disabled: 'in', deleted: 'in', expired: 'in' };
const refused = { none: 401, wrong: 401, disabled: 401, deleted: 401, expired: 401 };
const KEY = { ...refused, inference: 'in', management: 'in' };
const INFERENCE = { ...refused, inference: 'in', management: 403 };
const MANAGEMENT = { ...refused, inference: 403, management: 'in' };

const table = {
  'POST /chat/completions': INFERENCE,
  'GET /models': PUBLIC, 'GET /models/user': KEY, 'GET /models/count': PUBLIC, 'GET /models/*/*/endpoints': PUBLIC, 'GET /model/*/*': PUBLIC, 'GET /models/*': PUBLIC, 'GET /models/*/*': PUBLIC,
  'GET /endpoints/zdr': PUBLIC, 'GET /providers': PUBLIC,
  'GET /generation': KEY, 'GET /generation/key': PUBLIC, 'GET /key': KEY, 'GET /auth/key': KEY,
  'GET /keys': MANAGEMENT, 'POST /keys': MANAGEMENT, 'GET /keys/*': MANAGEMENT, 'PATCH /keys/*': MANAGEMENT, 'DELETE /keys/*': MANAGEMENT,
  'GET /credits': MANAGEMENT, 'POST /credits/coinbase': PUBLIC,
  'POST !/api/admin/credits': MANAGEMENT,
  'GET !/api/admin/decision': MANAGEMENT, 'POST !/api/admin/decision': MANAGEMENT, 'POST !/api/admin/reload': MANAGEMENT, 'POST !/api/admin/rate': MANAGEMENT,
  'GET !/api/admin/policies': MANAGEMENT, 'POST !/api/admin/policies/publish': MANAGEMENT, 'POST !/api/admin/policies/rollback': MANAGEMENT,
  'GET !/livez': PUBLIC, 'GET !/readyz': PUBLIC, 'GET !/healthz': PUBLIC, 'GET !/health': PUBLIC, 'GET !/health/liveliness': PUBLIC,
  'GET !/health/readiness': PUBLIC, 'GET !/version': PUBLIC, 'GET !/metrics': PUBLIC,
  'HEAD !/': PUBLIC, 'HEAD !/api': PUBLIC, 'HEAD !/v1': PUBLIC, 'HEAD !/api/v1': PUBLIC,
};

const source = readFileSync(new URL('../../gateway/api/routes.c', import.meta.url), 'utf8');
const routes = [...source.matchAll(/\{ "([A-Z]+)",\s*"([^"]+)",\s*([A-Z]+),/g)].map((m) => ({ method: m[1], path: m[2] }));

test('every route of the gateway is in this table, and none other', () => {
  ok(routes.length > 20, 'the routes are found');
  eq(routes.map((r) => `${r.method} ${r.path}`).sort(), Object.keys(table).sort());
});

const body = (method, path) => (method === 'POST' || method === 'PATCH' ? {} : undefined);
const address = (path, prefix) => (path[0] === '!' ? path.slice(1) : prefix + path).replace('/models/*/*/', '/models/sim/echo/')
  .replace('/model/*/*', '/model/sim/echo').replace('*', 'ab'.repeat(32));

for (const { method, path } of routes) {
  test(`${method} ${path}: each kind of key`, async () => {
    if (Date.now() < end + 100) await new Promise((go) => setTimeout(go, end + 100 - Date.now()));
    for (const prefix of path[0] === '!' ? [''] : ['/api/v1', '/v1']) {
      for (const [kind, want] of Object.entries(table[`${method} ${path}`] || {})) {
        const r = await call(g, address(path, prefix), { method, headers: kinds[kind] ? bearer(kinds[kind]) : {}, body: body(method, path) });
        const said = `${prefix} ${kind}: ${r.status} ${r.text.slice(0, 200)}`;
        if (want === 'in') {
          ok(r.status > 0 && r.status < 500 && r.status !== 401 && r.status !== 403, 'lets in ' + said);
        } else {
          eq(r.status, want, said);
          eq(JSON.parse(r.text).error.code, want, said);
        }
      }
    }
  });
}

test('the words of each refusal', async () => {
  const words = async (k, path = '/api/v1/key') => JSON.parse((await call(g, path, { headers: k ? bearer(k) : {} })).text).error.message;
  eq(await words(null), 'Missing Authentication header');
  eq(await words(kinds.wrong), 'User not found.');
  eq(await words(deleted), 'User not found.');
  ok(/disabled/.test(await words(disabled)));
  ok(/expired/.test(await words(expired)));
  eq(await words(key, '/api/v1/keys'), 'Only management keys can perform this operation');
});

for (const [what, headers, status] of [
  ['bearer in small letters', { authorization: `bearer ${key}` }, 200],
  ['BEARER in capitals', { authorization: `BEARER ${key}` }, 200],
  ['x-api-key', { 'x-api-key': key }, 200],
  ['an empty token', { authorization: 'Bearer ' }, 401],
  ['an empty header', { authorization: '' }, 401],
  ['SQL', { authorization: "Bearer ' OR '1'='1" }, 401],
  ['a key with one letter changed', { authorization: `Bearer ${key.slice(0, -1)}${key.endsWith('0') ? 1 : 0}` }, 401],
  ['a key in capitals', { authorization: `Bearer ${key.toUpperCase()}` }, 401],
  ['a key and more', { authorization: `Bearer ${key}x` }, 401],
  ['a token of 4 KB', { authorization: `Bearer sk-${'a'.repeat(4000)}` }, 401],
  ['another scheme', { authorization: `Basic ${Buffer.from(`x:${key}`).toString('base64')}` }, 401],
  ['its own hash', { authorization: `Bearer ${listed.find((k) => k.name === 'e2e').hash}` }, 401],
]) {
  test(`a key as ${what} -> ${status}`, async () => eq((await call(g, '/api/v1/key', { headers })).status, status));
}

test('another key\'s generation does not exist', async () => {
  const a = await call(g, '/api/v1/chat/completions', { method: 'POST', headers: bearer(key), body: { model: 'sim/echo', messages: [{ role: 'user', content: 'x' }] } });
  const id = JSON.parse(a.text).id, other = await g.newKey();
  const ask = (k) => call(g, `/api/v1/generation?id=${id}`, { headers: bearer(k) }).then((r) => r.status);
  await until('the record', async () => await ask(key) === 200);
  eq([await ask(key), await ask(managementKey), await ask(other)], [200, 200, 404]);
});

test('a key is shown once, and its hash is not the key', async () => {
  const text = JSON.stringify(await management(g, '/keys')) + (await call(g, '/metrics')).text;
  for (const secret of [key, disabled, expired, managementKey]) ok(!text.includes(secret), 'a key in a list');
});

test('a disabled key works again at once when it is enabled', async () => {
  eq((await call(g, '/api/v1/key', { headers: bearer(disabled) })).status, 401);
  await management(g, '/keys/' + hashOf('off'), 'PATCH', { disabled: false });
  eq((await call(g, '/api/v1/key', { headers: bearer(disabled) })).status, 200);
});

test('paths and methods that are none', async () => {
  for (const [method, path, status] of [
    ['GET', '/api/v1/chat/completions', 405], ['DELETE', '/v1/models', 405], ['PUT', '/api/v1/keys', 405], ['GET', '/api/v1/nothing', 404],
    ['GET', '/api/v2/models', 404], ['GET', '/models', 404], ['GET', '/api/v1/models/', 404], ['GET', '/api/v1//models', 400],
    ['GET', '/api/v1x/models', 404], ['GET', '/api/v1/keys/', 404], ['GET', '/api/v1/model/a', 404], ['HEAD', '/api/v1/models', 200],
    ['HEAD', '/', 200], ['HEAD', '/api', 200], ['HEAD', '/v1', 200], ['HEAD', '/api/v1', 200], ['HEAD', '/api/v1/keys', 401],
  ]) {
    const r = await call(g, path, { method, headers: {} });
    eq(r.status, status, `${method} ${path}`);
    if (method === 'HEAD') eq(r.text, '', 'a body');
    else eq(JSON.parse(r.text).error.code, status, `${method} ${path}`);
  }
});

test('a method that a path has not: which it has is said once each', async () => {
  for (const [method, path, allow] of [['GET', '/api/v1/chat/completions', 'POST, OPTIONS'], ['PUT', '/api/v1/models/user', 'GET, HEAD, OPTIONS'],
    ['PUT', '/v1/keys/x', 'GET, HEAD, PATCH, DELETE, OPTIONS'], ['POST', '/', 'HEAD, OPTIONS']]) {
    const r = await call(g, path, { method });
    eq([r.status, r.headers.allow], [405, allow], `${method} ${path}`);
    ok(JSON.parse(r.text).error.message.includes(allow), r.text);
  }
});

test('browsers: the origins that are named, and no others', async () => {
  const from = (origin, method = 'GET', more = {}) => call(g, '/api/v1/models', { method, headers: { origin, ...more } });
  const asked = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,x-custom' };
  const yes = await from('https://chat.example', 'OPTIONS', asked);
  eq(yes.status, 204);
  eq(yes.headers['access-control-allow-origin'], 'https://chat.example');
  eq(yes.headers['access-control-allow-headers'], 'authorization,x-custom');
  ok(/\bPOST\b/.test(yes.headers['access-control-allow-methods']));
  eq((await from('https://chat.example')).headers['access-control-allow-origin'], 'https://chat.example');
  eq((await from('https://chat.example')).headers.vary, 'Origin');
  for (const origin of ['https://evil.example', 'null', 'https://chat.example.evil', 'http://chat.example', 'https://CHAT.example', '*', '']) {
    const no = await from(origin, 'OPTIONS', asked);
    eq(no.headers['access-control-allow-origin'], undefined, origin);
    eq((await from(origin)).headers['access-control-allow-origin'], undefined, origin);
  }
  const refusal = await call(g, '/api/v1/key', { headers: { origin: 'https://chat.example' } });
  eq([refusal.status, refusal.headers['access-control-allow-origin']], [401, 'https://chat.example'], 'an error is readable, too');
  const admin = await call(g, '/api/admin/reload', { method: 'POST', headers: { ...bearer(managementKey), origin: 'https://chat.example' } });
  eq(admin.headers['access-control-allow-origin'], undefined, 'never for the console');
});

test('/metrics asks for its token where there is one, or for a management key that is good', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'moongate-access-')), config = `${sim}
  telemetry = { metrics = { token = "scrape-me-0123456789" } },`;
  let own = await startGateway(config, { dir });
  await own.stop();
  const ops = (await moongate(own, ['key', 'create', 'ops', '--management'])).out.trim();
  own = await startGateway(config, { dir });
  const scrape = (headers) => call(own, '/metrics', { headers }).then((r) => r.status);
  eq(await scrape(bearer('scrape-me-0123456789')), 200);
  eq(await scrape(bearer(managementKey)), 200);
  eq(await scrape(bearer(ops)), 200);
  await management(own, '/keys/' + (await management(own, '/keys')).data.find((k) => k.name === 'ops').hash, 'PATCH', { disabled: true });
  for (const k of [null, 'scrape-me-012345678', 'scrape-me-01234567890', '', await own.newKey(), ops])
    eq(await scrape(k === null ? {} : bearer(k)), 401, `${k}`);
  await own.stop();
  rmSync(dir, { recursive: true });
});

run(async () => eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly'));
