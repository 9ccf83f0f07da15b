// auto.test.js - openrouter/auto: the gateway chooses the model, and says so.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { eq, ok, run, test } from './tap.js';
import { call, chat, record } from './checks.js';
import { binary, completion, managementKey, retried, sendJson, startGateway, startUpstream, until } from './gateway.js';

const broken = new Set();	// these models
const u = await startUpstream((req, res) => broken.has(req.json.model) ? sendJson(res, 500, { error: { message: 'no' } })
  : sendJson(res, 200, completion(req.json.model)));
const service = await startUpstream((req, res) => sendJson(res, 200, req.json.tokens > 1000 ? 'large' : 'small'));
const dir = mkdtempSync(join(tmpdir(), 'moongate-auto-'));
const lists = 'small = { "acme/mini", "acme/nano", "acme/not-configured" }, medium = { "acme/mid" }, large = { "acme/big" }, vision = { "acme/eye" }';
const line = (more) => `{ { use = "auto_router", with = { ${lists}, ${more} } } }`;
writeFileSync(join(dir, 'bundle.lua'), `return { base = "openrouter", policies = { workspace = { ws_auto = ${line('')}, ws_asks = ${line('classifier = "difficulty"')} } } }`);
const models = ['mini', 'nano', 'mid', 'big', 'eye'].map((m) => `["acme/${m}"] = { ${m === 'eye' ? 'context_length = 200000, modalities = { input = { "text", "image" }, output = { "text" } },' : 'context_length = 32000,'} endpoints = { { provider = "up", model = "${m}", price = { input = 1, output = 1, cache_read = "0.1" } } } }`);
const g = await startGateway(`
  policy = { bundle = "${dir}", lookups = { difficulty = { url = "${service.url}/" } } },
  providers = { up = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k" } },
  models = { ${models.join(', ')} },`);
const key = await g.newKey({ workspace_id: 'ws_auto' });
const ask = async (body, k = key) => {
  const r = await chat(g, k, { model: 'openrouter/auto', ...body }, { headers: { authorization: `Bearer ${k}`, 'content-type': 'application/json', 'x-openrouter-metadata': 'enabled' } });
  return { ...JSON.parse(r.text), status: r.status };
};
const router = (more) => ({ plugins: [{ id: 'web' , enabled: false }, { id: 'auto-router', ...more }] });
const fence = '```\ncode\n```';

test('small talk goes to the first small model; answer, metadata and record say who answered and who chose', async () => {
  const a = await ask({});
  eq([a.model, a.openrouter_metadata.strategy, a.openrouter_metadata.requested], ['acme/mini', 'auto', 'openrouter/auto']);
  const kept = await record(g, key, a.id);
  eq([kept.model, kept.router], ['acme/mini', 'openrouter/auto']);
});

test('code and tools go to a medium model, reasoning about them to a large one, a picture to one that sees', async () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
  eq((await ask({ tools, messages: [{ role: 'user', content: fence }] })).model, 'acme/mid');
  eq((await ask({ tools, messages: [{ role: 'user', content: fence }], reasoning: { effort: 'high' } })).model, 'acme/big');
  eq((await ask({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] }] })).model, 'acme/eye');
});

test('allowed and excluded models, cost_tier; a plugin that is not enabled says nothing', async () => {
  eq((await ask(router({ allowed_models: ['acme/n*'] }))).model, 'acme/nano');
  eq((await ask(router({ excluded_models: ['acme/mini'] }))).model, 'acme/nano');
  eq((await ask(router({ cost_tier: 'high' }))).model, 'acme/big');
  eq((await ask(router({ cost_tier: 'high', enabled: false }))).model, 'acme/mini');
  const a = await ask(router({ allowed_models: ['nobody/*'] }));
  eq([a.status, a.error.message], [404, 'No models match your request and model restrictions']);
});

test('what is wrong in the plugin is named', async () => {
  for (const [more, word] of [[{ allowed_models: 'acme/*' }, 'allowed_models'], [{ excluded_models: [7] }, 'excluded_models[0]'], [{ cost_tier: 'tiny' }, 'cost_tier'],
    [{ allowed_models: ['x'.repeat(1025)] }, 'allowed_models[0]'], [{ allowed_models: Array(1025).fill('x') }, '1024']]) {
    const a = await ask(router(more));
    ok(a.status === 400 && a.error.message.includes(word), JSON.stringify(a));
  }
});

test('the other models of the list are fallbacks', async () => {
  broken.add('mini');
  const a = await ask({});
  eq([a.model, a.openrouter_metadata.strategy, a.openrouter_metadata.attempt], ['acme/nano', 'auto', 2]);
  broken.clear();
});

test('a conversation stays with its model while that may be chosen', async () => {
  broken.add('mini');
  eq((await ask({ session_id: 'talk' })).model, 'acme/nano');
  broken.clear();
  eq((await ask({ session_id: 'talk' })).model, 'acme/nano');
  eq((await ask({ session_id: 'another' })).model, 'acme/mini');
  eq((await ask({ session_id: 'talk', ...router({ excluded_models: ['acme/nano'] }) })).model, 'acme/mini');
});

test('a classifier of the operator decides, and does no harm when it is gone', async () => {
  const asks = await g.newKey({ workspace_id: 'ws_asks' });
  eq((await ask({}, asks)).model, 'acme/mini');
  // A service has a fifth of a second: on a machine that stands still for as long the rules decide, rightly.
  await retried(async (n) => eq((await ask({ messages: [{ role: 'user', content: 'x'.repeat(9000 + n) }] }, asks)).model, 'acme/big'), 20);
  await service.stop();
  eq((await ask({ messages: [{ role: 'user', content: 'x'.repeat(9100) }] }, asks)).model, 'acme/mini');
});

test('none of the shipped lists is configured: it says so, and names nothing', async () => {
  const plain = await g.newKey();
  const a = await ask({}, plain);
  eq([a.status, a.error.message], [404, 'No models match your request and model restrictions']);
  eq(a.error.availability.requested_models, ['openrouter/auto'], 'not whom the router would have chosen');
});

test('it is listed for those who get an answer from it, with what its models can', async () => {
  const get = async (path, k) => { const r = await call(g, '/api/v1' + path, { headers: k ? { authorization: `Bearer ${k}` } : {} }); return { status: r.status, ...JSON.parse(r.text) }; };
  const ids = async (path, k) => (await get(path, k)).data.map((m) => m.id);
  const plain = await g.newKey();
  for (const k of [undefined, plain]) {
    eq((await ids('/models', k)).includes('openrouter/auto'), false);
    eq((await get('/model/openrouter/auto', k)).status, 404);
    eq((await get('/models/count', k)).data.count, models.length);
  }
  eq((await ids('/models', key)).at(-1), 'openrouter/auto');
  eq((await ids('/models/user', key)).at(-1), 'openrouter/auto');
  eq((await get('/models/count', key)).data.count, models.length + 1);
  eq(await ids('/models?q=auto', key), ['openrouter/auto']);
  eq((await ids('/models?sort=pricing-low-to-high', key)).at(-1), 'openrouter/auto', 'nobody knows its price');
  eq(await ids('/models?model_authors=openrouter&providers=up&supported_parameters=tools', key), ['openrouter/auto']);
  const { data } = await get('/model/openrouter/auto', key);
  eq([data.name, data.canonical_slug, data.pricing.prompt, data.pricing.completion, data.architecture.tokenizer, data.architecture.modality], ['Auto Router', 'openrouter/auto', '-1', '-1', 'Router', 'text+image->text']);
  eq([data.context_length, data.top_provider, data.links], [200000, { context_length: null, max_completion_tokens: null, is_moderated: false }, { details: '/api/v1/models/openrouter/auto/endpoints' }]);
  ok(!('reasoning' in data) && data.supported_parameters.includes('tools'));
  const e = await get('/models/openrouter/auto/endpoints', key);
  eq([e.status, e.data.id, e.data.endpoints], [200, 'openrouter/auto', []]);
  eq((await get('/models/openrouter/auto', key)).owned_by, 'openrouter');
});

test('explain tells who chose, and why', async () => {
  const a = await ask(router({ excluded_models: ['acme/nano'], cost_tier: 'high' }));
  const explain = () => new Promise((done) => execFile(binary, ['policy', 'explain', a.id, '--config', g.file],
    { env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_MANAGEMENT_KEY: managementKey } }, (e, out) => done(out)));
  const text = await until('the record', async () => { const t = await explain(); return t.includes('auto_router') && t; });
  ok(text.includes('large: cost_tier high'), text);
});

await run(async () => { await g.stop(); await u.stop(); rmSync(dir, { recursive: true }); });
