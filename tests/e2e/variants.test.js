// variants.test.js - what stands behind a model's colon: who is asked then, what is listed, and what is no variant.
import { eq, ok, run, test } from './tap.js';
import { bearer, chat, record } from './checks.js';
import { completion, sendJson, startGateway, startUpstream } from './gateway.js';

const u = await startUpstream((req, res) => req.json.model === 'down' ? sendJson(res, 500, { error: { message: 'no' } }) : sendJson(res, 200, completion(req.json.model)));
const at = (model, more = 'price = { input = 1, output = 2 }') => `{ provider = "up", model = "${model}", ${more} }`;
const free = 'price = { input = 0, output = 0 }, free = true';
const g = await startGateway(`
  providers = { up = { dialect = "openai", base_url = "${u.url}/v1", api_key = "k" } },
  models = {
    ["acme/both"] = { name = "Acme: Both", canonical = "acme/both-20260101", endpoints = { ${at('paid')}, ${at('gratis', free)} } },
    ["acme/paid"] = { endpoints = { ${at('only-paid')} } },
    ["acme/gratis"] = { endpoints = { ${at('only-gratis', free)} } },
    ["fam/big-1.5"] = { created = 100, endpoints = { ${at('big-1.5')} } }, ["fam/big-2"] = { created = 200, endpoints = { ${at('big-2')} } },
    ["fam/big-9-mini"] = { created = 900, endpoints = { ${at('mini')} } }, ["fam/big-3"] = { created = 300, endpoints = { ${at('secret', 'private = true, price = { input = 1, output = 1 }')} } },
    ["fam/big-9-fast"] = { created = 999, endpoints = { ${at('fast')} } }, ["~named/so-latest"] = { endpoints = { ${at('so')} } },
    ["anthropic/claude-x"] = { endpoints = { ${at('claude')} } }, ["openai/x"] = { tokenizer = "Other", endpoints = { ${at('x')} } },
    ["acme/weak"] = { endpoints = { ${at('down', free)}, ${at('strong')} } } },`);
const key = await g.newKey();
const ask = async (body) => { const r = await chat(g, key, body); return { status: r.status, ...JSON.parse(r.text) }; };
const said = async (body) => { const a = await ask(body); return a.choices ? a.choices[0].message.content : [a.status, a.error.message]; };
const list = async (query = '') => (await (await fetch(`${g.api}/models${query}`)).json());

test(':free asks the free endpoints alone, and without it they are never asked', async () => {
  eq(await said({ model: 'acme/both:free' }), 'gratis');
  eq(await said({ model: 'acme/both' }), 'paid');
  const none = await ask({ model: 'acme/paid:free' });
  eq([none.status, none.error.availability.code], [404, 'no_endpoints']);
  ok(none.error.message.startsWith('No endpoints found for acme/paid:free'), none.error.message);
  eq(none.error.availability.requested_models, ['acme/paid:free']);
  eq((await ask({ model: 'acme/gratis' })).status, 404);
});

test('the canonical slug has the same variants', async () => {
  eq([await said({ model: 'acme/both-20260101' }), await said({ model: 'acme/both-20260101:free' })], ['paid', 'gratis']);
});

test(':online and plugins that nobody runs are refused by name, with what to do', async () => {
  const no = (id) => `plugins: this gateway has no '${id}'`, web = no('web') + ', which :online behind a model asks for, too; leave it out, or offer a search of your own in tools';
  for (const model of ['acme/both:online', 'acme/both:free:online']) eq(await said({ model }), [400, web], model);
  eq(await said({ models: ['acme/both', 'acme/paid:online'] }), [400, web]);
  for (const id of ['web', 'web-fetch', 'moderation', 'fusion'])
    eq((await said({ model: 'acme/both', plugins: [{ id: 'response-healing' }, { id }] }))[1].startsWith(no(id)), true, id);
  eq(await said({ model: 'acme/both', plugins: [{ id: 'web', enabled: false }, { id: 'response-healing' }, { id: 'unheard-of', anything: 1 }] }), 'paid');
});

test('a router that there is not says so', async () => {
  for (const model of ['openrouter/free', 'openrouter/pareto-code', 'openrouter/fusion', 'openrouter/bodybuilder', 'openrouter/auto-beta', 'openrouter/free:nitro']) {
    const a = await ask({ model }), slug = model.split(':')[0];
    eq([a.status, a.error.availability.code, a.error.message], [400, 'model_not_found',
      `${slug} is not a valid model ID: no policy here answers for it; GET /api/v1/models lists what model may be`]);
  }
});

test('of several models each is asked for as it was written; one may be both ways', async () => {
  const a = await ask({ model: 'acme/weak:free', models: ['acme/weak'] });
  eq([a.choices?.[0].message.content, a.model], ['strong', 'acme/weak'], 'the free one fails, then it is paid for');
  eq(await said({ models: ['acme/weak:free', 'acme/both:free'] }), 'gratis');
  eq((await ask({ model: 'acme/weak:free' })).status, 502, 'nobody said that it may cost something');
  eq(await said({ model: 'acme/paid:free', models: ['acme/both'] }), 'paid');
  eq(await said({ model: 'acme/gratis', models: ['acme/both:free'] }), 'gratis');
  eq(u.asked.filter((r) => r.json.model === 'only-gratis').length, 0);
});

test('nitro, floor and exacto choose among those that cost something', async () => {
  for (const v of ['nitro', 'floor', 'exacto']) eq(await said({ model: 'acme/both:' + v }), 'paid', v);
});

test('a suffix that nobody hears is no model, whatever it may have meant elsewhere', async () => {
  for (const v of ['nope', 'thinking', 'extended', 'batch', 'Free', '']) {
    const a = await ask({ model: 'acme/both:' + v });
    if (v === '') { eq(a.status, 200, 'nothing behind the colon'); continue; }
    eq([a.status, a.error?.availability?.code], [400, 'model_not_found'], v);
    ok(a.error.message.includes('is not a valid model ID'), a.error.message);
  }
  eq((await ask({ model: 'acme/both:free:nitro' })).status, 400);
  eq((await ask({ model: 'acme/none:free' })).error.message, 'acme/none:free is not a valid model ID');
});

test('a model is listed for what it costs, and once more as :free; what is not to be had is not listed', async () => {
  const all = await list('?model_authors=acme');
  eq(all.data.map((m) => m.id), ['acme/both', 'acme/both:free', 'acme/gratis:free', 'acme/paid', 'acme/weak', 'acme/weak:free']);
  eq(all.total_count, 6);
  eq((await (await fetch(g.api + '/models/count?model_authors=acme')).json()).data.count, 6);
  const of = (id) => all.data.find((m) => m.id === id);
  eq([of('acme/both').name, of('acme/both').pricing.prompt], ['Acme: Both', '0.000001']);
  eq([of('acme/both:free').name, of('acme/both:free').pricing.prompt, of('acme/both:free').pricing.completion], ['Acme: Both (free)', '0', '0']);
  eq(of('acme/both:free').canonical_slug, 'acme/both-20260101');
  eq((await list('?max_price=0')).data.map((m) => m.id), ['acme/both:free', 'acme/gratis:free', 'acme/weak:free']);
  eq((await list('?sort=pricing-high-to-low')).data[0].id, 'acme/both');
  for (const m of all.data) eq((await ask({ model: m.id })).status, m.id === 'acme/weak:free' ? 502 : 200, m.id);
});

test('one row by its id, as it is listed', async () => {
  for (const path of ['/model/', '/models/']) {
    const one = async (id) => { const a = await (await fetch(g.api + path + id)).json(); return (a.data ?? a).id; };
    eq([await one('acme/both'), await one('acme/both:free'), await one('acme/both%3Afree'), await one('acme/gratis'), await one('acme/both:nitro')],
      ['acme/both', 'acme/both:free', 'acme/both:free', 'acme/gratis:free', 'acme/both'], path);
  }
});

test('~author/family-latest: the newest of a family that may be seen, versions alone apart', async () => {
  const meta = async (model) => { const r = await chat(g, key, { model }, { headers: { ...bearer(key), 'x-openrouter-metadata': 'enabled' } }); return JSON.parse(r.text); };
  const a = await meta('~fam/big-latest');
  eq([a.model, a.choices[0].message.content, a.openrouter_metadata.strategy, a.openrouter_metadata.requested], ['fam/big-2', 'big-2', 'latest', '~fam/big-latest']);
  eq((await meta('~fam/big-mini-latest')).model, 'fam/big-9-mini');
  eq((await meta('~fam/big-latest:nitro')).model, 'fam/big-2');
  eq((await meta('~named/so-latest')).openrouter_metadata.strategy, 'direct', 'a model of that very name');
  for (const none of ['~fam/small-latest', '~fam/-latest', '~fam/latest', '~/big-latest', '~nobody/big-latest', '~fam/big', 'fam/big-latest', '~latest'])
    eq((await ask({ model: none })).status, 400, none);
  eq((await (await fetch(g.api + '/model/~fam/big-latest')).json()).data.id, 'fam/big-2');
});

test('whose words a model reads: as the configuration says, or as its author\'s do', async () => {
  const of = async (id) => (await (await fetch(`${g.api}/model/${id}`)).json()).data.architecture.tokenizer;
  eq([await of('anthropic/claude-x'), await of('openai/x'), await of('acme/paid')], ['Claude', 'Other', 'Other']);
  eq((await list('?arch=gpt')).data.length, 0);
});

test('the record says what was asked for', async () => {
  const a = await ask({ model: 'acme/both:free' });
  const kept = await record(g, key, a.id);
  eq([kept.model, kept.usage], ['acme/both', 0]);
});

await run(async () => { eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly'); await u.stop(); });
