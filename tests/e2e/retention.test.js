// retention.test.js - what is left of a request: markers in all that a client, an
// upstream and a policy say, and then a look at every byte on the disk and in the log.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { eq, ok, run, test } from './tap.js';
import { audit, bearer, call, record } from './checks.js';
import { chunk, completion, loads, sendJson, managementKey, startGateway, startUpstream, until } from './gateway.js';

// How much is kept, by the model's name; what each policy says of a request is a marker of its own.
const dir = mkdtempSync(join(tmpdir(), 'moongate-retention-'));
writeFileSync(join(dir, 'bundle.lua'), 'return { base = "openrouter", policies = { guard = { { use = "keeps" }, { use = "more" } } } }\n');
writeFileSync(join(dir, 'keeps.lua'), `
local WAYS = {
  none = { store = "none", ttl_s = 3600, cache = true }, metadata = { store = "metadata", ttl_s = 3600 }, hashed = { store = "hashed", ttl_s = 3600 },
  full = { store = "full", ttl_s = 3600, cache = true }, logonly = { store = "metadata", ttl_s = 3600, sinks = { "log" } },
  recordonly = { store = "metadata", ttl_s = 3600, sinks = { "record" } }, brief = { store = "metadata", ttl_s = 1 }, zero = { store = "full", ttl_s = 0 },
  odd = { store = "metadata", sinks = { "logs" } }, wrong = { store = "some" }, less = { store = "full", ttl_s = 3600, sinks = { "log", "decision" } } }
local function says(req) log.warn("zz-log-" .. req.session); note("zz-note-%s", req.session) end
return policy { name = "keeps", api = 1, version = "1.0.0",
  retain = function(req)
    if not req.model:starts("keep/") then return { store = "none", ttl_s = 0 } end
    log.warn("zz-early-" .. req.session)
    if req.model == "keep/raises" then error("zz-raised-" .. req.session) end
    return WAYS[req.model:sub(6)]
  end,
  admit = function(req)
    says(req)
    if req.key.user:has("refused") then return deny { status = 429, code = "slowly", message = "slowly" } end
    return true
  end,
  rank = function(req, eps) says(req); if req.model:starts("keep/") then error("zz-error-" .. req.session) end; return eps end,
  filter = function(req, ep) if req.key.user:has("filtered") then return false, "zz-why-" .. req.session end; return true end,
  plan = function(req) if req.key.user:has("stream") then return { ["zz-plan-" .. req.session] = 1 } end; return { sticky = { key = req.session, ttl_s = 600 } } end,
}
`);
// The stricter word wins, whoever says it, whichever comes last.
writeFileSync(join(dir, 'more.lua'), `
return policy { name = "more", api = 1, version = "1.0.0",
  retain = function(req) return { store = "full", ttl_s = 86400 * 365, cache = true, sinks = req.model == "keep/less" and { "record", "decision" } or nil } end }
`);

loads(dir, 'keeps');
loads(dir, 'more');

// An upstream that repeats whatever it was told, in every place that it has, by what the model at the end says.
const up = await startUpstream((req, res) => {
  const who = req.json.messages.at(-1).content.split(' ')[0], text = `zz-${who}-answer`;
  if (req.url.startsWith('/fails')) return sendJson(res, 500, { error: { message: `zz-${who}-error said`, code: `zz-${who}-code`, type: 'x' } });
  if (req.json.stream) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(chunk({ content: text }, null, { id: `zz ${who} upstream id` }));
    if (req.url.startsWith('/breaks')) return res.end(`data: ${JSON.stringify({ error: { message: `zz-${who}-midway`, code: 500 } })}\n\n`);
    res.write(chunk({}, 'stop'));
    return res.end('data: [DONE]\n\n');
  }
  sendJson(res, 200, { ...completion(text), id: `zz ${who} upstream id`, system_fingerprint: `zz-${who}-print` }, { 'x-request-id': `zz-${who}-upstream-request` });
});
const ways = ['none', 'metadata', 'hashed', 'full', 'logonly', 'recordonly', 'brief', 'zero', 'odd', 'wrong', 'less', 'raises'];
const price = 'price = { input = 1, output = 2 }';
const provider = (name) => `${name} = { dialect = "openai", base_url = "${up.url}/${name}/v1", api_key = "sk-of-upstream" },`;
const g = await startGateway(`
  policy = { bundle = "${dir}", unchecked = true },
  providers = { ${['works', 'fails', 'breaks'].map(provider).join('')} },
  models = { ${ways.map((w) => `["keep/${w}"] = { endpoints = { { provider = "fails", ${price} }, { provider = "works", ${price} }, { provider = "breaks", ${price} } } },`).join('')} },
  logging = { level = "debug" },`);
const key = await g.newKey();

// What a client says in all its places; each word has the way's name in it.
function asked(way, kind, more = {}, session = `zz-${way}-session-${kind}`) {
  const at = (what) => `zz-${way}-${what}-${kind}`;
  return call(g, '/api/v1/chat/completions', { method: 'POST', headers: { ...bearer(key), 'http-referer': `https://${at('referer')}.example`, 'x-title': at('title'),
    'user-agent': at('agent'), 'x-request-id': at('request'), 'x-moongate-data-class': at('class') },
    body: { model: `keep/${way}`, messages: [{ role: 'system', content: at('system') }, { role: 'user', content: `${way} zz-${way}-prompt` }],
      user: at('user'), session_id: session, metadata: { team: at('metadata') }, trace: { trace_id: at('trace') },
      tools: [{ type: 'function', function: { name: 'zz_tool', description: at('tool'), parameters: { type: 'object', properties: {} } } }],
      ...more } });
}
const order = (...tags) => ({ provider: { order: tags, only: tags } });

// All that is on the disk under the data directory, as one text.
function disk() {
  const read = (at) => readdirSync(at).map((n) => (statSync(join(at, n)).isDirectory() ? read(join(at, n)) : readFileSync(join(at, n), 'latin1'))).join('\n');
  return read(join(g.home, 'state'));
}
const words = (text, way) => [...new Set([...text.matchAll(new RegExp(`zz-(?:[a-z]+-)*${way}-[a-z]+|zz ${way} upstream id`, 'g'))].map((m) => m[0]))].sort();

const ids = {};
test('requests of every way: answered, streamed, failed over, failed, broken, refused, filtered, denied', async () => {
  for (const way of ways) {
    const r = await asked(way, 'whole', { ...order('works'), debug: { echo_upstream_body: true } });
    eq(r.status, 200, `${way}: ${r.text}`);
    ids[way] = [r.headers['x-generation-id']];
    ok(r.text.includes(`zz-${way}-answer`), 'the client has its answer');
    eq(r.headers['x-request-id'], `zz-${way}-request-whole`, 'and the id that it gave');
    const s = await asked(way, 'stream', { ...order('works'), stream: true, debug: { echo_upstream_body: true } });
    ok(s.text.includes(`zz-${way}-prompt`), 'the echo is for the client');
    ids[way].push(s.headers['x-generation-id']);
    for (const [kind, more, status] of [['over', order('fails', 'works'), 200], ['fails', order('fails'), 502], ['breaks', { ...order('breaks'), stream: true }, 200]]) {
      const f = await asked(way, kind, more);
      eq(f.status, status, f.text);
      ids[way].push(f.headers['x-generation-id']);
    }
    eq((await asked(way, 'refused')).status, 429);
    eq((await asked(way, 'filtered')).status, 404);
    eq((await asked(way, 'missing', { model: `zz-${way}-model` })).status, 400);
    eq((await asked(way, 'bad', { max_tokens: `zz-${way}-bad` })).status, 400);
    for (const id of ids[way]) await record(g, key, id);
  }
});

// Never, however much is kept.
const content = ['prompt', 'system', 'answer', 'error', 'midway', 'tool', 'trace', 'bad', 'print', 'code'];
test('content is nowhere, with the most that a policy can allow', () => {
  for (const way of ways)
    for (const [where, text] of [['log', g.log], ['disk', disk()]])
      for (const what of content) ok(!text.includes(`zz-${way}-${what}`), `zz-${way}-${what} is not in the ${where}`);
});

test('store = "none" leaves nothing that anybody said, on the disk or in the log', () => {
  for (const way of ['none', 'zero', 'odd', 'wrong', 'raises']) {
    eq(words(disk(), way), [], `${way}: on the disk`);
    // Before there is a model there is no policy for it: the name of a wrong one is kept as others are.
    eq(words(g.log, way).filter((w) => w !== `zz-${way}-model`), [], `${way}: in the log`);
  }
});

test('it leaves the billing row: ids, tokens, money, and who answered', async () => {
  const r = await record(g, key, ids.none[2]);
  eq([r.tokens_prompt, r.tokens_completion, r.total_cost, r.model, r.provider_name, r.provider_responses.map((p) => [p.provider_name, p.status])],
    [10, 5, 0.00002, 'keep/none', 'works', [['fails', 500], ['works', 200]]]);
  eq([r.request_id, r.session_id, r.external_user, r.http_referer, r.origin, r.user_agent, r.upstream_id], [ids.none[2], null, null, null, '', null, null]);
  const lines = g.log.split('\n').filter((l) => l.includes(ids.none[0])).map((l) => JSON.parse(l)).filter((l) => l.event === 'generation');
  eq(lines.length, 1);
  eq([lines[0].tokens_in, lines[0].cost_usd, lines[0].app, lines[0].client, lines[0].session_id, lines[0].model_requested, lines[0].request_id], [10, '0.00002', '', '', '', '', ids.none[0]]);
  const a = await audit(g);
  eq(a.code, 0, a.text);
});

test('of such a request there is no decision, of others there is', async () => {
  const decision = async (id) => (await call(g, `/api/admin/decision?id=${id}`, { headers: bearer(managementKey) })).status;
  for (const way of ['none', 'zero', 'odd', 'wrong', 'raises', 'logonly', 'recordonly']) eq(await decision(ids[way][0]), 404, way);
  for (const way of ['metadata', 'hashed', 'full', 'less']) eq(await decision(ids[way][0]), 200, way);
});

test('what may be kept is: the same places have it, so they were looked at', async () => {
  const r = await record(g, key, ids.metadata[0]);
  eq([r.request_id, r.session_id, r.external_user, r.user_agent, r.upstream_id],
    ['zz-metadata-request-whole', 'zz-metadata-session-whole', 'zz-metadata-user-whole', 'zz-metadata-agent-whole', null]);
  const log = words(g.log, 'metadata');
  for (const what of ['zz-metadata-session', 'zz-metadata-title', 'zz-metadata-agent', 'zz-metadata-request', 'zz-log-zz-metadata-session', 'zz-error-zz-metadata-session', 'zz-plan-zz-metadata-session'])
    ok(log.includes(what), `${what} in ${log}`);
  ok(!log.some((w) => w.startsWith('zz-early')), 'what is said before it is decided is not kept');
  ok(disk().includes('zz-note-zz-metadata-session-whole'), 'a note is in the decision');
  ok(/"policy":"keeps[^"]*","hook":"retain","error":"keeps.lua:\d+"/.test(g.log), 'where a policy raised is said, though not what');
});

test('into no sink but those that are named by all', async () => {
  eq(words(disk(), 'logonly'), []);
  ok(words(g.log, 'logonly').includes('zz-logonly-session'));
  eq(words(g.log, 'recordonly').filter((w) => w !== 'zz-recordonly-model'), []);
  eq((await record(g, key, ids.recordonly[0])).session_id, 'zz-recordonly-session-whole');
  // log and decision, and record and decision: the decision.
  eq(words(g.log, 'less').filter((w) => w !== 'zz-less-model'), []);
  eq((await record(g, key, ids.less[0])).session_id, null);
  ok(disk().includes('zz-note-zz-less-session-whole'));
});

test('metrics have none of it', async () => {
  const text = (await call(g, '/metrics')).text;
  ok(!/zz[- ]/.test(text), text.split('\n').find((l) => /zz[- ]/.test(l)));
});

test('the conversation stays with its endpoint all the same', async () => {
  const r = await asked('none', 'again', {}, 'zz-none-session-over');
  eq(r.status, 200, r.text);
  eq(words(disk(), 'none'), []);
});

test('what is kept for a second goes by itself, from every file; the billing row stays', async () => {
  await until('the labels to go', () => words(disk(), 'brief').length === 0, 20000);
  ok(/^moongate_store_expired_total [1-9]/m.test((await call(g, '/metrics')).text), 'counted');
  const r = await record(g, key, ids.brief[0]);
  eq([r.session_id, r.user_agent, r.tokens_prompt, r.total_cost], [null, null, 10, 0.00002]);
  eq((await record(g, key, ids.metadata[0])).session_id, 'zz-metadata-session-whole', 'what is kept longer');
  const a = await audit(g);
  eq(a.code, 0, a.text);
});

await run(async () => { await g.stop(); await up.stop(); rmSync(dir, { recursive: true, force: true }); });
