// labels.test.js - what is written on a key, in a header or in the metadata of a request
// is what policies decide by; it is in the record, and a value that cannot be taken whole is refused.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { bearer, call, management, moongate } from './checks.js';
import { binary, managementKey, startGateway } from './gateway.js';
import { admin, decision, files, folder } from './policies_world.js';

const dir = folder({ ...files('us'), 'bundle.lua': `return { base = "openrouter", policies = { guard = { { use = "pii" }, { use = "gold" }, { use = "said" } }, request = { allow = { "asked" } } } }\n`,
  'said.lua': `return policy { name = "said", api = 1,
  filter = function(req, ep)
    if ep.provider == "eu" then return true end
    if req.data_class == "secret" then return false, "class" end
    if req.session == "s-9" then return false, "session" end
    if req.labels.team == "blue" then return false, "team" end
    return true
  end }\n`,
  'said_test.lua': `local P = use("said")
test("by class, by session", function(t)
  local us = t.ep { provider = "us" }
  t.eq(P.filter(t.req { data_class = "secret" }, t.ep { provider = "eu" }), true); t.eq(P.filter(t.req { data_class = "x", session = "y" }, us), true)
  t.eq(P.filter(t.req { data_class = "secret" }, us), false); t.eq(P.filter(t.req { session = "s-9" }, us), false)
  t.eq(P.filter(t.req { labels = { team = "blue" } }, us), false)
end)\n`,
  'asked.lua': 'return policy { name = "asked", api = 1, filter = function(req, ep) if ep.provider == "us" then return false, "asked" end return true end }\n',
  'asked_test.lua': `local P = use("asked")
test("by name", function(t)
  t.eq(P.filter(t.req {}, t.ep { provider = "us" }), false); t.eq(P.filter(t.req {}, t.ep { provider = "eu" }), true)
end)\n`,
  'pii.lua': `return policy { name = "pii", api = 1, memo = { filter = { "labels", "key.labels" } },
  filter = function(req, ep)
    if req.labels.pii ~= "true" and req.key.labels.pii ~= "true" then return true end
    if not glob.any({ "eu", "eu-*" }, ep.region) then return false, "pii_region" end
    if not ep.data.known or not ep.data.zdr then return false, "pii_zdr" end
    return true
  end }\n`,
  'pii_test.lua': `local P = use("pii")
test("only to the EU, where nothing is kept", function(t)
  local here, there = t.ep { region = "eu-west" }, t.ep { region = "us" }
  t.eq(P.filter(t.req {}, there), true)
  for _, r in ipairs { t.req { labels = { pii = "true" } }, t.req { key = { labels = { pii = "true" } } } } do
    t.eq(P.filter(r, here), true); t.eq(P.filter(r, there), false)
    t.eq(P.filter(r, t.ep { region = "eu", data = { zdr = false } }), false); t.eq(P.filter(r, t.ep { region = "eu", data = { known = false } }), false)
  end
end)\n`,
  'gold.lua': `return policy { name = "gold", api = 1,
  admit = function(req)
    if req.feat.user_chars ~= 5 or req.key.plan == "gold" then return true end
    local text = ("plan %s team %s"):format(req.key.plan, req.labels.team or "none")
    return deny { status = 402, code = "plan", message = text }
  end }\n`,
  'gold_test.lua': `local P = use("gold")
test("gold may", function(t)
  t.eq(P.admit(t.req { feat = { user_chars = 5 }, key = { plan = "gold" } }), true); t.eq(P.admit(t.req { feat = { user_chars = 5 }, key = { plan = "tin" } }).status, 402)
end)\n` });
const home = mkdtempSync(join(tmpdir(), 'moongate-labels-'));
const conf = `
  workers = 2, policy = { bundle = "${dir}", labels = { pii = "metadata.pii", team = "x-team" } },
  providers = {
    us = { dialect = "sim", base_url = "sim:", data = { trains = false, retains = false, zdr = true } },
    eu = { dialect = "sim", base_url = "sim:", data = { trains = false, retains = false, zdr = true } },
  },
  models = { ["acme/one"] = { endpoints = {
    { provider = "us", model = "echo", region = "us", price = { input = 1, output = 1 }, options = { words = 3 } },
    { provider = "eu", model = "echo", region = "eu-west", price = { input = 9, output = 9 }, options = { words = 3 } },
  } } },`;
let g = await startGateway(conf, { dir: home });
const ask = async (key, body = {}, headers = {}) => {
  const r = await call(g, '/api/v1/chat/completions', { method: 'POST', headers: { ...bearer(key), ...headers },
    body: { model: 'acme/one', provider: { sort: 'price' }, messages: [{ role: 'user', content: 'x' }], ...body } });
  return { ...r, json: JSON.parse(r.text) };
};
const served = async (...more) => (await ask(...more)).json.provider;
const plain = await g.newKey(), patient = await g.newKey({ name: 'patient', labels: { pii: 'true', ward: 'é 3=b' } }), gold = await g.newKey({ name: 'gold', labels: { plan: 'gold' } });

test('a label in the metadata decides', async () => {
  eq(await served(plain), 'us');
  eq(await served(plain, { metadata: { pii: 'true' } }), 'eu');
  eq(await served(plain, { metadata: { pii: 'false', other: 'true' } }), 'us');
  eq(await served(plain), 'us', 'and not for the next one');
});
test('a label of the key decides, whatever the request says', async () => {
  eq(await served(patient), 'eu');
  eq(await served(patient, { metadata: { pii: 'false' } }), 'eu');
});
test('a header, and the plan of a key', async () => {
  const five = { messages: [{ role: 'user', content: 'abcde' }] };
  eq((await ask(gold, five)).status, 200);
  eq((await ask(plain, five)).json.error.message, 'plan  team none');
  eq((await ask(plain, five, { 'X-Team': 'blue' })).json.error.message, 'plan  team blue');
  eq((await ask(plain, five, { 'x-pii': 'true' })).json.error.message, 'plan  team none', 'no other header');
});
test('the record has them, and the same is decided again', async () => {
  const r = await ask(patient, { metadata: { pii: 'yes' } }, { 'x-team': 'red' }), d = await decision(g, r.json.id);
  eq([d.labels, d.key.labels], [{ pii: 'yes', team: 'red' }, { pii: 'true', ward: 'é 3=b' }]);
  const said = execFileSync(binary, ['policy', 'explain', r.json.id, '--url', g.url], { env: { ...process.env, MOONGATE_MANAGEMENT_KEY: managementKey, HOME: g.home }, encoding: 'utf8' });
  eq(/pii_region/.test(said), true, said);
});
test('what cannot be taken whole is refused: a filter may depend on it', async () => {
  const long = await ask(plain, { metadata: { pii: 'x'.repeat(257) } });
  eq([long.status, long.json.error.message.includes('metadata.pii: is longer than 256 bytes')], [400, true], long.text);
  const header = await ask(plain, {}, { 'x-team': 'x'.repeat(300) });
  eq([header.status, header.json.error.message.includes('x-team: is longer than 256 bytes')], [400, true], header.text);
  eq((await ask(plain, { metadata: { pii: 'x'.repeat(256) } })).status, 200);
});
test('labels of keys: told, changed, taken away; and what they may be', async () => {
  const of = async (name) => (await management(g, '/keys')).data.find((k) => k.name === name);
  eq((await of('patient')).labels, { pii: 'true', ward: 'é 3=b' });
  eq((await of('e2e')).labels, undefined);
  const patch = async (labels) => {
    const r = await call(g, `/api/v1/keys/${(await of('patient')).hash}`, { method: 'PATCH', headers: bearer(managementKey), body: { labels } });
    return r.status === 200 ? JSON.parse(r.text).data.labels : `${r.status} ${JSON.parse(r.text).error.message}`;
  };
  eq(await patch({ team: 'a' }), { team: 'a' });
  eq(await served(patient), 'us', 'the next request has the new ones');
  eq(await patch('x'), '400 labels: must be an object of strings, such as {"team":"blue"}');
  eq(await patch({ team: 5 }), '400 labels.team: must be a string of at most 128 bytes');
  eq(await patch({ team: 'x'.repeat(129) }), '400 labels.team: must be a string of at most 128 bytes');
  eq(await patch({ 'a=b': 'c' }), '400 labels: a name has 1 to 40 letters, digits or any of _ . -');
  eq(await patch({ '': 'c' }), '400 labels: a name has 1 to 40 letters, digits or any of _ . -');
  eq(await patch({ a: 'b\nc=d' }), '400 labels.a: must have no control characters');
  eq(await patch({ a: 'x'.repeat(120), b: 'x'.repeat(120), c: 'x'.repeat(120) }), '400 labels: are longer than 319 bytes together');
  eq(await patch({ a: '', b: 'c' }), { a: '', b: 'c' });
  eq(await patch(null), undefined);
});
test('a request that is only tried has them', async () => {
  await call(g, `/api/v1/keys/${(await management(g, '/keys')).data.find((k) => k.name === 'patient').hash}`, { method: 'PATCH', headers: bearer(managementKey), body: { labels: { pii: 'true' } } });
  const body = { model: 'acme/one', provider: { sort: 'price' }, messages: [{ role: 'user', content: 'x' }] };
  const tried = async (query, more = {}) => (await admin(g, `/decision${query}`, 'POST', { ...body, ...more })).data.candidates.filter((c) => c.dropped).map((c) => c.dropped);
  const hash = (await management(g, '/keys')).data.find((k) => k.name === 'patient').hash;
  eq([await tried(''), await tried('', { metadata: { pii: 'true' } }), await tried(`?key=${hash}`)], [[], ['pii_region'], ['pii_region']]);
});
test('a key of the command line has an organization, a workspace and labels; policy run is given them', async () => {
  const cli = (...args) => execFileSync(binary, args, { env: { ...process.env, MOONGATE_MANAGEMENT_KEY: managementKey, HOME: g.home }, encoding: 'utf8' });
  cli('key', 'create', 'ward', '--url', g.url, '--org', 'org_9', '--workspace', 'ws_9', '--labels', 'pii=true,team=a b');
  const k = (await management(g, '/keys')).data.find((one) => one.name === 'ward');
  eq([k.organization_id, k.workspace_id, k.labels], ['org_9', 'ws_9', { pii: 'true', team: 'a b' }]);
  cli('key', 'update', 'ward', '--url', g.url, '--labels', '');
  eq((await management(g, '/keys')).data.find((one) => one.name === 'ward').labels, undefined);
  const file = join(g.home, 'r.json');
  writeFileSync(file, JSON.stringify({ model: 'acme/one', metadata: { pii: 'true' }, messages: [{ role: 'user', content: 'x' }] }));
  const dropped = (...more) => JSON.parse(cli('policy', 'run', dir, '--config', g.file, '--request', file, '--json', ...more)).data.candidates.filter((c) => c.dropped).length;
  eq([dropped(), dropped('--labels', 'pii=no'), dropped('--labels', 'pii=no', '--key-labels', 'pii=true')], [1, 0, 1]);
  let said = '';
  try { cli('policy', 'run', dir, '--config', g.file, '--request', file, '--labels', 'pii'); } catch (e) { said = `${e.status} ${e.stderr}`; }
  eq(/^2 .*--labels: must be such as team=blue,plan=gold/s.test(said), true, said);
});
test('a configuration that says where no label can be is refused', async () => {
  const file = join(g.home, 'wrong.lua');
  for (const source of ['x team', 'metadata.', '']) {
    writeFileSync(file, `return { dev = true, data_dir = "${g.home}/x", policy = { labels = { team = "${source}" } } }`);
    let said = '';
    try { execFileSync(binary, ['config', 'check', '--config', file], { encoding: 'utf8', stdio: 'pipe' }); } catch (e) { said = String(e.stderr); }
    eq(/policy\.labels\.team: /.test(said), true, `${source}: ${said}`);
  }
});
test('they are there after a restart', async () => {
  eq((await management(g, '/keys')).data.find((k) => k.name === 'gold').labels, { plan: 'gold' });
  await g.stop();
  g = await startGateway(conf, { dir: home });
  eq((await management(g, '/keys')).data.find((k) => k.name === 'gold').labels, { plan: 'gold' });
  eq([await served(patient), await served(plain)], ['eu', 'us']);
});
test('explain --request honours the headers that a request is decided by, at a gateway and without one', async () => {
  const file = join(home, 'ask.json'), nowhere = join(home, 'nowhere.lua');
  writeFileSync(nowhere, readFileSync(g.file, 'utf8').replace('/state/data"', '/state/other"'));
  const explain = (body, headers, where, env) => {
    writeFileSync(file, JSON.stringify({ model: 'acme/one', provider: { sort: 'price' }, messages: [{ role: 'user', content: 'x' }], ...body }));
    return moongate(g, ['policy', 'explain', '--request', file, '--json', ...headers ? ['--headers', headers] : [], ...where], env);
  };
  for (const where of [[], ['--config', nowhere]]) {
    const env = where.length ? { MOONGATE_URL: '' } : {};
    const told = async (body, headers) => {
      const r = await explain(body, headers, where, env);
      eq(r.code, 0, r.err);
      const d = JSON.parse(r.out).data;
      return d.candidates.map((c) => c.dropped ?? 'kept').sort().join(' ');
    };
    eq(await told({}), 'kept kept');
    eq(await told({}, 'X-Moongate-Data-Class=secret'), 'class kept');
    eq(await told({}, 'x-session-id=s-9'), 'kept session');
    eq(await told({ session_id: 's-8' }, 'x-session-id=s-9'), 'kept kept', 'the body says it first');
    eq(await told({}, 'x-moongate-policy=asked'), 'asked kept');
    eq(await told({}, 'x-other=1,x-team=blue'), 'kept team');
  }
  for (const [name, value] of [['x-moongate-data-class', 'secret'], ['x-session-id', 's-9'], ['x-moongate-policy', 'asked'], ['x-team', 'blue']])
    eq([await served(plain), await served(plain, {}, { [name]: value })], ['us', 'eu'], `as when it is sent: ${name}`);
  for (const bad of ['authorization=Bearer x', 'Host=x', 'a b=c', 'x-team=', 'x-team']) {
    const r = await explain({}, bad, []);
    ok(r.code === 2 && /--headers/.test(r.err), `${bad}: ${r.code} ${r.err}`);
  }
  const r = await moongate(g, ['policy', 'explain', 'gen-1', '--headers', 'x-team=blue']);
  ok(r.code === 2 && /--request/.test(r.err), r.err);
});

await run();
await g.stop();
rmSync(home, { recursive: true, force: true });
