// catalogue.test.js - models, endpoints and providers as clients see them, member
// by member (C1 to C7), and models that only a wildcard covers.
import { eq, ok, run, test } from './tap.js';
import { bearer, call, chat, events, metric, record } from './checks.js';
import { chunk, completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

const up = await startUpstream((req, res) => {
  if (!req.json.stream) return sendJson(res, 200, completion('fine', { prompt_tokens: 1000, completion_tokens: 10 }));
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write(chunk({ content: 'fi' }));
  setTimeout(() => res.end(chunk({ content: 'ne' }) + chunk({}, 'stop', { usage: { prompt_tokens: 1000, completion_tokens: 50, total_tokens: 1050 } }) + 'data: [DONE]\n\n'), 60);
});
const bad = await startUpstream((req, res) => sendJson(res, 500, { error: { message: 'no' } }));
const g = await startGateway(`
  providers = {
    acme = { name = "Acme", dialect = "openai", base_url = "${up.url}/v1", api_key = "k", privacy_url = "https://acme.example/privacy", terms_url = "https://acme.example/terms",
      status_url = "https://status.acme.example", headquarters = "DE", data = { trains = false, retains = false, zdr = true } },
    other = { dialect = "openai", base_url = "${bad.url}/v1", api_key = "k", region = "eu" },
  },
  models = {
    ["acme/large"] = { name = "Acme: Large", canonical = "acme/large-20260101", created = 1767225600, description = "big", context_length = 200000, max_output = 8192,
      modalities = { input = { "text", "image" }, output = { "text" } }, tokenizer = "GPT", knowledge_cutoff = "2025-06-01", hugging_face_id = "acme/large",
      default_parameters = { temperature = 0.7 }, categories = { "programming", "marketing/seo" },
      benchmarks = { artificial_analysis = { intelligence_index = 61.5, coding_index = 40, agentic_index = 55 }, tool_success_rate = 0.97,
        design_arena = { { arena = "web", category = "games", elo = 1100, rank = 3, win_rate = 0.4 }, { arena = "web", category = "data", elo = 1250, rank = 1, win_rate = 0.6 } } }, reasoning = { mandatory = false, default_enabled = true },
      endpoints = {
        { provider = "acme", params = { "tools", "tool_choice", "temperature", "max_tokens" }, quantization = "fp8", price = { input = 3, output = "15", cache_read = 0.3, request = "0.002",
            overrides = { { min_prompt_tokens = 200001, input = 6 } } } },
        { provider = "other", params = { "temperature" }, context_length = 100000, price = { input = 4, output = 20 } },
        { provider = "other", private = true, price = { input = 1, output = 1 } } } },
    ["acme/vec"] = { created = 1700000000, context_length = 8192, modalities = { input = { "text" }, output = { "embeddings" } }, endpoints = { { provider = "acme", price = { input = 0.02, output = 0 } } } },
    ["own/*"] = { context_length = 32000, endpoints = { { provider = "acme", price = { input = 1, output = 1 } } } },
    ["own/known"] = { endpoints = { { provider = "acme", model = "known-there", price = { input = 2, output = 2 } } } },
  },`);
const key = await g.newKey();
const get = async (path, headers = {}) => { const r = await call(g, '/api/v1' + path, { headers }); return { status: r.status, ...(r.text ? JSON.parse(r.text) : {}) }; };
const large = async (headers) => (await get('/models/acme/large/endpoints', headers)).data;

test('a model: every member of C1, and no other', async () => {
  const [{ benchmarks, ...m }] = (await get('/models')).data;
  ok(benchmarks, 'of them below');
  const pricing = { prompt: '0.000003', completion: '0.000015', request: '0.002', image: '0', web_search: '0', input_cache_read: '0.0000003', discount: 0,
    overrides: [{ min_prompt_tokens: 200000, prompt: '0.000006' }] };
  eq(m, { id: 'acme/large', canonical_slug: 'acme/large-20260101', name: 'Acme: Large', created: 1767225600, description: 'big', context_length: 200000,
    architecture: { input_modalities: ['text', 'image'], output_modalities: ['text'], modality: 'text+image->text', tokenizer: 'GPT', instruct_type: null },
    pricing, top_provider: { context_length: 200000, max_completion_tokens: 8192, is_moderated: false }, per_request_limits: null,
    supported_parameters: ['temperature', 'max_tokens', 'tools', 'tool_choice'], default_parameters: { temperature: 0.7 }, supported_voices: null, expiration_date: null,
    knowledge_cutoff: '2025-06-01', hugging_face_id: 'acme/large', reasoning: { mandatory: false, default_enabled: true }, links: { details: '/api/v1/models/acme/large/endpoints' } });
});

test('endpoints: every member of C5; private ones are not shown', async () => {
  const d = await large();
  eq(Object.keys(d), ['id', 'name', 'created', 'description', 'architecture', 'endpoints']);
  eq(d.endpoints.map((e) => e.tag), ['acme', 'other/eu']);
  const { pricing, ...e } = d.endpoints[0];
  eq(pricing.prompt, '0.000003');
  eq(e, { name: 'Acme | acme/large-20260101', model_id: 'acme/large', model_name: 'Acme: Large', provider_name: 'Acme', tag: 'acme', context_length: 200000,
    max_completion_tokens: 8192, max_prompt_tokens: null, quantization: 'fp8', supported_parameters: ['temperature', 'max_tokens', 'tools', 'tool_choice'],
    supports_implicit_caching: true, supports_voice_cloning: false, supports_tool_choice: { auto: true, none: true, required: true, function: true }, status: 0,
    uptime_last_5m: null, uptime_last_30m: null, uptime_last_1d: null, latency_last_30m: null, throughput_last_30m: null });
  eq(d.endpoints[1].supports_tool_choice, { auto: false, none: false, required: false, function: false });
});

test('uptime, latency and throughput as they were; the latter only for those who call', async () => {
  for (let i = 0; i < 3; i++) eq((await chat(g, key, { model: 'acme/large', stream: true, provider: { order: ['other', 'acme'] } })).status, 200);
  await until('the sums', async () => (await large()).endpoints.every((e) => e.uptime_last_1d !== null));
  const [a, b] = (await large(bearer(key))).endpoints;
  eq([a, b].map((e) => [e.uptime_last_5m, e.uptime_last_30m, e.uptime_last_1d]), [[100, 100, 100], [0, 0, 0]]);
  for (const p of [a.latency_last_30m, a.throughput_last_30m]) eq(Object.keys(p), ['p50', 'p75', 'p90', 'p99']);
  ok(a.latency_last_30m.p50 <= a.latency_last_30m.p99 && a.throughput_last_30m.p50 >= a.throughput_last_30m.p99 && a.throughput_last_30m.p50 > 0, 'which way they go');
  const anonymous = (await large()).endpoints[0];
  eq([anonymous.latency_last_30m, anonymous.throughput_last_30m], [null, null]);
});

for (const [query, ids] of [
  ['', ['acme/large', 'own/known']], ['?output_modalities=all', ['acme/large', 'acme/vec', 'own/known']], ['?output_modalities=embeddings', ['acme/vec']],
  ['?input_modalities=image', ['acme/large']], ['?input_modalities=text,image', ['acme/large']], ['?supported_parameters=tools&q=large', ['acme/large']],
  ['?q=LARGE', ['acme/large']], ['?q=Acme%3A%20Large', ['acme/large']], ['?context=100000', ['acme/large']], ['?max_price=2', ['own/known']], ['?min_price=2.5', ['acme/large']],
  ['?min_output_price=3', ['acme/large']], ['?max_output_price=2', ['own/known']], ['?arch=GPT', ['acme/large']], ['?model_authors=own,nobody', ['own/known']],
  ['?providers=other', ['acme/large']], ['?region=eu', ['acme/large']], ['?zdr=true&providers=Acme', ['acme/large', 'own/known']], ['?distillable=true', []],
  ['?sort=newest', ['acme/large', 'own/known']], ['?sort=pricing-low-to-high', ['own/known', 'acme/large']], ['?sort=context-high-to-low', ['acme/large', 'own/known']],
  ['?category=programming', ['acme/large']], ['?category=marketing', ['acme/large']], ['?category=marketing/seo', ['acme/large']], ['?category=legal', []],
  ['?min_intelligence_index=61.5', ['acme/large']], ['?min_intelligence_index=62', []], ['?max_coding_index=40', ['acme/large']], ['?max_coding_index=39.9', []],
  ['?min_agentic_index=0', ['acme/large']], ['?min_tool_success_rate=0.9&max_tool_success_rate=0.99', ['acme/large']], ['?min_tool_success_rate=0.98', []],
  ['?sort=intelligence-high-to-low', ['acme/large', 'own/known']], ['?sort=design-arena-elo-high-to-low', ['acme/large', 'own/known']],
  ['?max_age_days=1&q=large', []], ['?unheard_of=1', ['acme/large', 'own/known']], ['?limit=1&offset=1', ['own/known']],
])
  test(`models${query}`, async () => {
    const r = await get('/models' + query);
    eq(r.data.map((m) => m.id).sort(), [...ids].sort());
    if (query.startsWith('?sort')) eq(r.data.map((m) => m.id), ids);
  });

for (const query of ['?limit=0', '?limit=1001', '?offset=-1', '?context=x', '?sort=sideways', '?max_price=cheap', '?distillable=maybe', '?min_age_days=1.5',
  '?category=knitting', '?min_coding_index=much', '?max_tool_success_rate=2', '?min_intelligence_index=-1'])
  test(`models${query} is refused by name`, async () => {
    const r = await get('/models' + query);
    eq([r.status, r.error.code, r.error.message.startsWith(/\?(\w+)/.exec(query)[1])], [400, 400, true], r.error.message);
  });

test('what somebody measured is shown as the configuration has it', async () => {
  const { benchmarks } = (await get('/model/acme/large')).data;
  eq([benchmarks.artificial_analysis.coding_index, benchmarks.design_arena[1].elo], [40, 1250]);
});

test('parameters: those that clients know; all of them where nobody listed them; nothing of a private endpoint', async () => {
  const of = async (slug) => (await get('/model/' + slug)).data.supported_parameters;
  eq((await of('acme/large')).sort(), ['max_tokens', 'temperature', 'tool_choice', 'tools']);
  const all = await of('own/known');
  ok(['tools', 'response_format', 'reasoning', 'seed'].every((p) => all.includes(p)), String(all));
  eq((await get('/models?supported_parameters=seed')).data.map((m) => m.id), ['own/known']);
});

test('a feed of the newest, for readers of news', async () => {
  const r = await call(g, '/api/v1/models?use_rss=true&q=large');
  eq([r.status, r.headers['content-type']], [200, 'application/rss+xml; charset=utf-8']);
  eq(r.text.match(/<title>[^<]*<\/title>/g), ['<title>Models</title>', '<title>Acme: Large</title>']);
  ok(r.text.includes('<pubDate>Thu, 01 Jan 2026 00:00:00 +0000</pubDate>') && r.text.includes('<guid isPermaLink="false">acme/large</guid>'), r.text);
  ok(JSON.parse((await call(g, '/api/v1/models?use_rss=false')).text).data.length > 0, 'and no feed where it is not wanted');
});

test('pages: total_count and the link to the next, with the other parameters', async () => {
  const r = await get('/models?limit=1&output_modalities=all&q=a');
  eq([r.total_count, r.data.length], [2, 1]);
  const next = (await call(g, r.links.next)).text;
  eq([JSON.parse(next).data.length, JSON.parse(next).links.next], [1, null]);
});

test('an offset alone is a page of 500', async () => {
  const many = Array.from({ length: 503 }, (_, i) => `["many/m${i}"] = { endpoints = { { provider = "sim", price = { input = 0, output = 0 } } } }`);
  const h = await startGateway(`providers = { sim = { dialect = "sim", base_url = "sim:" } }, models = { ${many.join(', ')} },`);
  const list = async (q) => JSON.parse((await call(h, '/api/v1/models' + q)).text);
  const [all, first, second] = [await list(''), await list('?offset=0'), await list('?offset=500')];
  eq([all.data.length, all.links.next, first.data.length, first.links.next, second.data.length, second.links.next, first.total_count],
    [503, null, 500, '/api/v1/models?offset=500&limit=500', 3, null, 503]);
  await h.stop();
});

test('a way to pay that is gone', async () => {
  const r = await call(g, '/api/v1/credits/coinbase', { method: 'POST', headers: bearer(key), body: {} });
  eq([r.status, JSON.parse(r.text).error.code], [410, 410]);
});

test('count, one model, the user\'s models, providers, zero data retention', async () => {
  eq((await get('/models/count?output_modalities=all')).data, { count: 3 });
  eq((await get('/model/acme/large%3Anitro')).data.id, 'acme/large');
  eq((await get('/model/acme/large-20260101')).data.id, 'acme/large');
  eq((await get('/model/acme/none')).status, 404);
  eq((await get('/models/user')).status, 401);
  eq((await get('/models/user', bearer(key))).data.map((m) => m.id).sort(), ['acme/large', 'own/known']);
  eq((await get('/endpoints/zdr')).data.map((e) => e.provider_name).filter((n) => n !== 'Acme'), []);
  eq((await get('/providers')).data.find((p) => p.slug === 'acme'), { name: 'Acme', slug: 'acme', privacy_policy_url: 'https://acme.example/privacy',
    terms_of_service_url: 'https://acme.example/terms', status_page_url: 'https://status.acme.example', headquarters: 'DE', datacenters: null });
});

for (const [slug, forwarded] of [['own/llama', 'llama'], ['own/deep/er', 'deep/er'], ['own/llama3:8b', 'llama3:8b'], ['own/known', 'known-there']])
  for (const stream of [false, true])
    test(`a wildcard: ${slug}${stream ? ', streamed,' : ''} is ${forwarded} upstream`, async () => {
      up.asked.length = 0;
      const r = await chat(g, key, { model: slug, stream });
      eq([r.status, up.asked[0].json.model], [200, forwarded], r.text);
      eq((stream ? events(r.text)[0] : JSON.parse(r.text)).model, slug);
      const log = await record(g, key, r.headers['x-generation-id']);
      eq([log.model, log.total_cost > 0], [slug, true]);
    });

test('a wildcard: not listed, not a model itself, odd names are none; all it stands for are counted as one', async () => {
  for (const slug of ['own/*', 'own/', 'own', 'own/a b', 'own/a"b', 'own/../x', 'own//x']) {
    const r = await chat(g, key, { model: slug });
    eq([r.status, JSON.parse(r.text).error.availability?.code], [400, 'model_not_found'], slug);
  }
  ok(!(await call(g, '/api/v1/models?output_modalities=all')).text.includes('own/*'), 'not listed');
  const page = (await call(g, '/metrics')).text;
  ok(page.includes('model="own/*"') && !page.includes('own/llama'), 'one label');
  eq(await metric(g, 'moongate_metrics_dropped_series_total'), 0);
});

await run(async () => { await g.stop(); await up.stop(); await bad.stop(); });
