// limits.test.js - headers of an upstream's limits become health: where nothing is left, the next request goes elsewhere, for a while.
import { eq, ok, run, test } from './tap.js';
import { completion, sendJson, startGateway, startUpstream, until } from './gateway.js';

let says = {};
const tight = await startUpstream((req, res) => sendJson(res, 200, req.url.endsWith('/messages') ? { type: 'message', id: 'm', model: 'x', content: [{ type: 'text', text: 'tight' }], stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 1 } }
  : completion('tight'), says));
const wide = await startUpstream((req, res) => sendJson(res, 200, completion('wide')));
const kinds = { chat: 'dialect = "openai"', passed: 'dialect = "openai", quirks = { pass_through = true }', claude: 'dialect = "anthropic"', much: 'dialect = "openai"' };
// So much cheaper that chance never takes the other one while this one is well.
const price = (n) => `price = { input = ${n}, output = ${n} }`;
const g = await startGateway(`
  providers = { ${Object.entries(kinds).map(([n, k]) => `${n} = { base_url = "${tight.url}", ${k} },`).join(' ')} wide = { dialect = "openai", base_url = "${wide.url}" } },
  models = { ${Object.keys(kinds).map((n) => `["l/${n}"] = { endpoints = { { provider = "${n}", model = "x", ${price('"0.001"')} }, { provider = "wide", model = "x", ${price(100)} } } },`).join(' ')} },`);
const key = await g.newKey();
const who = async (name) => {
  const r = await fetch(g.api + '/chat/completions', { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'l/' + name, messages: [{ role: 'user', content: 'x' }] }) });
  return (await r.json()).choices[0].message.content;
};

for (const name of ['chat', 'passed', 'claude']) {
  const headers = (left, s) => name === 'claude' ? { date: new Date().toUTCString(), 'anthropic-ratelimit-requests-limit': '1', 'anthropic-ratelimit-requests-remaining': left, 'anthropic-ratelimit-requests-reset': new Date(Date.now() + s * 1000 + 999).toISOString() }
    : { 'x-ratelimit-limit-requests': '1', 'x-ratelimit-remaining-requests': left, 'x-ratelimit-reset-requests': `${s}s` };
  test(`${name}: nothing left: others are asked until it is back`, async () => {
    says = headers('7', 60);
    eq([await who(name), await who(name)], ['tight', 'tight'], 'some left');
    says = headers('0', 6);
    eq(await who(name), 'tight', 'the last one');
    says = {};
    eq([await who(name), await who(name)], ['wide', 'wide'], 'none left');
    await until('it to be back', async () => await who(name) === 'tight');
  });
}
test('what is no number says nothing', async () => {
  for (const left of ['unlimited', '', '-1']) {
    says = { 'x-ratelimit-limit-requests': '1', 'x-ratelimit-remaining-requests': left, 'x-ratelimit-reset-requests': '60s' };
    eq([await who('chat'), await who('chat')], ['tight', 'tight'], left);
  }
});
test('of a large limit a hundredth is soon there again', async () => {
  says = { 'x-ratelimit-limit-requests': '10000', 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '60s' };
  eq(await who('much'), 'tight');
  says = {};
  const began = Date.now();
  await until('it to be back', async () => await who('much') === 'tight');
  ok(Date.now() - began < 50000, 'not the whole minute');
});

await run(async () => { await g.stop(); await Promise.all([tight.stop(), wide.stop()]); });
