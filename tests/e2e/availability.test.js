// availability.test.js - error.availability (F2): which code and status when nothing can answer, what it went by, who is affected.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat } from './checks.js';
import { completion, loads, sendJson, startGateway, startUpstream } from './gateway.js';

const u = await startUpstream((req, res) => {
  const status = Number(/^down-(\d+)$/.exec(req.json.model)?.[1] ?? 200);
  sendJson(res, status, status === 200 ? completion('hi') : { error: { message: 'no' } }, status === 429 ? { 'retry-after': '40' } : {});
});
const dir = mkdtempSync(join(tmpdir(), 'moongate-availability-'));
writeFileSync(join(dir, 'abroad.lua'), `return policy { name = "abroad", api = 1, filter = function(req, ep)
  if ep.model == "acme/abroad" then return false, "abroad" end
  return true
end }`);
loads(dir, 'abroad');
writeFileSync(join(dir, 'bundle.lua'), `return { base = "openrouter", policies = { guard = { { use = "abroad" } } },
  answers = { abroad = "region_restricted: Not where you are" }, excluded_by = { abroad = "geo" } }`);
const at = (provider, model, more = '') => `{ provider = "${provider}", model = "${model}", price = { input = 1, output = 2 }, ${more} }`;
const g = await startGateway(`
  policy = { bundle = "${dir}" },
  providers = { a = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k", data = { trains = true, retains = true, zdr = false } }, b = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k", data = { trains = false, retains = false, zdr = true } } },
  models = {
    ["acme/one"] = { context_length = 1000, endpoints = { ${at('a', 'well', 'params = { "temperature" }, quantization = "fp8"')} } },
    ["acme/two"] = { endpoints = { ${at('a', 'well')}, ${at('b', 'well', 'quantization = "int4"')} } },
    ["acme/full"] = { endpoints = { ${at('a', 'down-429')}, ${at('b', 'down-429')} } },
    ["acme/over"] = { endpoints = { ${at('a', 'down-503')}, ${at('a', 'down-503', 'region = "eu"')}, ${at('b', 'down-503')} } },
    ["acme/vec"] = { modalities = { input = { "text" }, output = { "embeddings" } }, endpoints = { ${at('a', 'well')} } },
    ["acme/painter"] = { modalities = { input = { "text" }, output = { "image" } }, endpoints = { ${at('a', 'well')} } },
    ["acme/abroad"] = { endpoints = { ${at('a', 'well')} } },
  },`);
const key = await g.newKey();
const ask = async (body) => { const r = await chat(g, key, body); return { status: r.status, headers: r.headers, ...JSON.parse(r.text).error }; };

test('what is as dear as is allowed is left; audio that has no price of its own has that of the prompt', async () => {
  eq((await ask({ model: 'acme/one', provider: { max_price: { prompt: 1, completion: '2', request: 0, image: 0, audio: '0.000001' } } })).status, 200);
  eq((await ask({ model: 'acme/one', provider: { max_price: { audio: 'cheap' } } })).message.includes('provider.max_price.audio'), true);
});

for (const [what, body, status, code, type, excluded] of [
  ['a model that nobody has', { model: 'acme/none' }, 400, 'model_not_found', 'invalid_request', undefined],
  ['a model that gives no text', { model: 'acme/vec' }, 400, 'wrong_endpoint', 'invalid_request', undefined],
  ['zero retention', { model: 'acme/one', provider: { zdr: true } }, 404, 'privacy_restricted', 'not_found', ['data_policy:zdr']],
  ['no training', { model: 'acme/one', provider: { data_collection: 'deny' } }, 404, 'privacy_restricted', 'not_found', ['data_policy:training']],
  ['a price', { model: 'acme/one', provider: { max_price: { prompt: 0.5 } } }, 404, 'constraint_filtered', 'not_found', ['max_price']],
  ['a price of audio, a token', { model: 'acme/one', provider: { max_price: { audio: '0.000000999' } } }, 404, 'constraint_filtered', 'not_found', ['max_price']],
  ['a quantization', { model: 'acme/one', provider: { quantizations: ['fp16'] } }, 404, 'constraint_filtered', 'not_found', ['quantization']],
  ['all parameters', { model: 'acme/one', provider: { require_parameters: true }, seed: 7 }, 404, 'constraint_filtered', 'not_found', ['require_parameters']],
  ['tools among them', { model: 'acme/one', provider: { require_parameters: true }, seed: 7, tools: [{ type: 'function', function: { name: 'f' } }] }, 404, 'constraint_filtered', 'not_found', ['require_parameters']],
  ['providers', { model: 'acme/one', provider: { only: ['b'] } }, 404, 'constraint_filtered', 'not_found', ['allowed_providers']],
  ['no such provider', { model: 'acme/one', provider: { ignore: ['a'] } }, 404, 'constraint_filtered', 'not_found', ['allowed_providers']],
  ['a long prompt', { model: 'acme/one', messages: [{ role: 'user', content: 'x'.repeat(9000) }] }, 404, 'constraint_filtered', 'not_found', ['context_length']],
  ['one wish here, one there', { model: 'acme/two', provider: { zdr: true, quantizations: ['unknown'] } }, 404, null, 'not_found', ['data_policy:zdr', 'quantization']],
  ['free where nothing is', { model: 'acme/one:free' }, 404, 'no_endpoints', 'not_found', undefined],
  ['a region of a policy of the operator', { model: 'acme/abroad' }, 403, 'region_restricted', 'permission_denied', ['geo']],
])
  test(`nothing is left: ${what}`, async () => {
    const e = await ask(body);
    eq([e.status, e.code, e.http_status, e.error_type, e.metadata.error_type], [status, status, status, type, type], JSON.stringify(e));
    if (code) eq(e.availability.code, code);
    if (body.tools) ok(e.message.startsWith('No endpoints found that support tool use'), e.message);
    eq([e.availability.retryable, e.availability.requested_models, typeof e.availability.docs_url], [false, [body.model], 'string']);
    eq([e.availability.excluded_by?.sort(), e.availability.affected_providers, e.availability.retry_after], [excluded, undefined, undefined], 'absent members are left out');
  });

test('who gives pictures may be chatted with', async () => {
  eq((await chat(g, key, { model: 'acme/painter' })).status, 200);
  eq((await chat(g, key, { models: ['acme/one', 'acme/vec'] })).status, 400, 'each of the list must be a model for it');
});

test('all are at capacity, or overloaded: who is, and when it may be tried again', async () => {
  const full = await ask({ model: 'acme/full' });
  eq([full.status, full.availability.code, full.availability.retryable, full.availability.retry_after, full.headers['retry-after']], [429, 'capacity_exhausted', true, 40, '40']);
  eq([full.availability.affected_providers.sort(), full.availability.excluded_by], [['a', 'b'], undefined]);
  const over = await ask({ model: 'acme/over' });
  eq([over.status, over.error_type, over.availability.code, over.availability.retryable, over.availability.affected_providers.sort()], [503, 'provider_overloaded', 'temporarily_unavailable', true, ['a', 'b']]);
  ok(over.metadata.previous_errors.length === 3 && over.metadata.previous_errors.every((p) => p.status === 503));
});

await run(async () => { eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly'); await u.stop(); rmSync(dir, { recursive: true }); });
