// acts.test.js - what a policy's on_error says after a failed attempt is done: the next
// endpoint, none of the model, none of the provider, the same again after a pause, another
// model by way of expand, filter and rank, or the end.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat, events, nanos, ownKey, record, settled, terminals } from './checks.js';
import { chunk, loads, startGateway, startUpstream, until } from './gateway.js';

const usage = { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000 };
const fine = (one, res) => {
  if (one.json.stream) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.end(chunk({ content: one.at }) + chunk({}, 'stop', { usage }) + 'data: [DONE]\n\n');
  } else {
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: one.at }, finish_reason: 'stop' }], usage }));
  }
};
const down = (status = 500, headers = {}) => (one, res) => { res.writeHead(status, { 'content-type': 'application/json', ...headers }); res.end('{"error":{"message":"down"}}'); };
// Health and retries are a provider's: each case has providers and models of its own, a-7, acme/first-7.
let does = {}, now = 0;
const up = await startUpstream((one, res) => { one.at = /^\/([a-z]+)/.exec(one.url)[1]; one.ms = Date.now(); return (does[one.at] || fine)(one, res); });
const start = (behaviour) => { does = behaviour; up.asked.length = 0; now++; };
const asked = () => up.asked.map((o) => o.at);

const dir = mkdtempSync(join(tmpdir(), 'moongate-acts-'));
const acts = {
  next: 'act.next()', skip_model: 'act.next { skip = "model" }', skip_provider: 'act.next { skip = "provider" }', again: 'act.retry(200)', at_once: 'act.retry(0)',
  other: 'err.n == 1 and act.model("acme/other-" .. case) or nil', unknown: 'act.model("acme/nowhere")', forbidden: 'act.model("acme/forbidden-" .. case)', loop: 'act.model("acme/first-" .. case)', stop: 'act.stop()', nobody: 'nil', nonsense: '{ action = "dance" }',
};
writeFileSync(join(dir, 'bundle.lua'), `return { base = "openrouter", policies = { guard = { { use = "guarding" } }, request = { allow = { ${Object.keys(acts).map((n) => `"${n}"`).join(', ')} } } } }\n`);
writeFileSync(join(dir, 'guarding.lua'), `return policy { name = "guarding", api = 1, version = "1.0.0",
  filter = function(req, ep) if ep.provider:starts("never") then return false, "never" end return true end,
  on_error = function(req, err) if err.status == 529 and err.tries_here == 1 then return act.retry(0) end end }\n`);
loads(dir, 'guarding');
for (const [name, does_] of Object.entries(acts)) {
  loads(dir, name);
  writeFileSync(join(dir, `${name}.lua`), `return policy { name = "${name}", api = 1, version = "1.0.0",
  on_error = function(req, err, rest)
    local case = req.model:split("-")[2]
    log.info("${name} n=" .. err.n .. " here=" .. err.tries_here .. " kind=" .. err.kind .. " phase=" .. err.phase .. " status=" .. err.status
    .. " rest=" .. #rest .. " wait=" .. err.retry_after_ms .. " sent=" .. err.bytes_sent .. " retryable=" .. tostring(err.retryable))
    return ${does_}
  end }\n`);
}
const price = 'price = { input = 1, output = 1 }', half = 'price = { input = 2, output = 2 }';
const cases = Array.from({ length: 40 }, (_, i) => i + 1);
const provider = (n) => cases.map((i) => `["${n}-${i}"] = { dialect = "openai", base_url = "${up.url}/${n}", api_key = "k" },`).join(' ');
const model = (n, ...list) => cases.map((i) => `["acme/${n}-${i}"] = { max_output = 2000, endpoints = { ${list.map(([p, more = '', pr = price]) => `{ provider = "${p}-${i}", ${pr}, ${more} }`).join(', ')} } },`).join('\n');
const g = await startGateway(`
  workers = 1, policy = { bundle = "${dir}" },
  providers = { ${['a', 'b', 'c', 'never'].map(provider).join(' ')} },
  models = { ${model('first', ['a', 'region = "eu"'], ['a', 'region = "us"'], ['b'])} ${model('second', ['a'], ['c'])} ${model('other', ['never'], ['c', '', half], ['b', '', half])}
    ${model('forbidden', ['never'])} ${model('one', ['a'])} },`);
const key = await g.newKey();
const text = (r, stream) => (stream ? events(r.text).map((e) => e.choices?.[0]?.delta?.content || '').join('') : JSON.parse(r.text).choices[0].message.content);
const logged = (name) => g.log.split('\n').filter((l) => l.includes(`"${name} n=`)).map((l) => JSON.parse(l).text);

for (const stream of [false, true]) {
  const ask = (policy, models = ['first', 'second'], order = ['a/eu', 'a/us', 'b']) => chat(g, key, { models: models.map((m) => `acme/${m}-${now}`), stream, policy,
    provider: { order: order.map((p) => p.replace(/^\w+/, `$&-${now}`)) } });
  const way = stream ? 'streamed' : 'whole';

  test(`act.next(): the next endpoint of the order (${way})`, async () => {
    start({ a: down() });
    const r = await ask('next');
    eq([r.status, text(r, stream), asked()], [200, 'b', ['a', 'a', 'b']], r.text);
  });

  test(`act.next{skip = "provider"}: none of its endpoints (${way})`, async () => {
    start({ a: down() });
    const r = await ask('skip_provider');
    eq([text(r, stream), asked()], ['b', ['a', 'b']], r.text);
    start({ a: down(), b: down() });
    eq([text(await ask('skip_provider'), stream), asked()], ['c', ['a', 'b', 'c']], 'not of the next model either');
  });

  test(`act.next{skip = "model"}: the next model (${way})`, async () => {
    start({ a: down() });
    const r = await ask('skip_model', ['first', 'second'], ['a/eu', 'c']);
    eq([text(r, stream), asked()], ['c', ['a', 'c']], r.text);
  });

  test(`act.retry(ms): the same endpoint after the pause, three times at most (${way})`, async () => {
    start({ a: (one, res) => (up.asked.length < 3 ? down(503, { 'retry-after': '7' })(one, res) : fine(one, res)) });
    const r = await ask('again', ['one']);
    eq([r.status, text(r, stream), asked(), r.headers['x-moongate-attempts']], [200, 'a', ['a', 'a', 'a'], '3'], r.text);
    for (const i of [1, 2]) ok(up.asked[i].ms - up.asked[i - 1].ms >= 195, 'a pause');
    await until('the log', () => logged('again').length >= 2);
    eq(logged('again').slice(-2), ['again n=1 here=1 kind=overloaded phase=headers status=503 rest=0 wait=7000 sent=0 retryable=true', 'again n=2 here=2 kind=overloaded phase=headers status=503 rest=0 wait=7000 sent=0 retryable=true']);
    start({ a: down() });
    const gone = await ask('at_once', ['one']);
    eq([gone.status, asked().length], [502, 3], gone.text);
  });

  test(`a guard's opinion comes before the shipped one's (${way})`, async () => {
    start({ a: (one, res) => (up.asked.length < 2 ? down(529)(one, res) : fine(one, res)) });
    eq([text(await ask(undefined, ['first'], ['a/eu', 'b']), stream), asked()], ['a', ['a', 'a']]);
    start({ a: down(529) });
    eq([text(await ask(undefined, ['first'], ['a/eu', 'b']), stream), asked()], ['b', ['a', 'a', 'b']], 'where it has none the shipped one decides');
  });

  test(`act.model: another model, expanded, filtered and ranked as any; held and charged at its price (${way})`, async () => {
    start({ a: down() });
    const before = nanos((await ownKey(g, key)).usage);
    const r = await ask('other', ['first'], ['a/eu', 'c']);
    eq([r.status, text(r, stream), asked()], [200, 'c', ['a', 'c']], r.text);
    const rec = await record(g, key, r.headers['x-generation-id']);
    eq([rec.model, rec.provider_name, rec.provider_responses.map((p) => p.endpoint_id)], [`acme/other-${now}`, `c-${now}`, [`acme/first-${now}@a-${now}/eu`, `acme/other-${now}@c-${now}`]]);
    eq(nanos((await ownKey(g, key)).usage) - before, 4000000n);
    if (stream) eq(terminals(events(r.text)), { ends: 1, usages: 1, done: 1 });
    start({ a: down(), c: down() });
    eq([text(await ask('other', ['first'], ['a/eu', 'c']), stream), asked()], ['b', ['a', 'c', 'b']], 'and its own fallbacks');
  });

  test(`act.model: a model that is not there, or that no filter lets through, is the end (${way})`, async () => {
    for (const policy of ['unknown', 'forbidden']) {
      start({ a: down() });
      const r = await ask(policy, ['first']);
      eq([r.status, asked()], [502, ['a']], r.text);
      eq(JSON.parse(r.text).error.message, 'Provider returned error');
    }
  });

  test(`act.model in a circle ends at the bound of attempts (${way})`, async () => {
    start({ a: down(), b: down() });
    const r = await ask('loop', ['first']);
    eq([r.status, asked()], [502, ['a', 'a', 'b']], r.text);
    const rec = await record(g, key, r.headers['x-generation-id']);
    eq(rec.provider_responses.map((p) => p.endpoint_id.split('@')[1]), [`a-${now}/eu`, `a-${now}/us`, `b-${now}`], 'none twice while there is another');
  });

  test(`act.stop(): the client is told of this failure (${way})`, async () => {
    start({ a: down(429, { 'retry-after': '3' }) });
    const r = await ask('stop');
    eq([r.status, asked(), r.headers['retry-after']], [429, ['a'], '3'], r.text);
  });

  test(`nil and nonsense leave it to the policies behind (${way})`, async () => {
    for (const policy of ['nobody', 'nonsense']) {
      start({ a: down() });
      eq([text(await ask(policy), stream), asked()], ['b', ['a', 'a', 'b']], policy);
    }
    await until('the log', () => g.log.includes('on_error must return an action of act, or nil'));
  });
}

test('the ledger is whole, no hold is left', () => settled(g));

run(async () => {
  await g.stop();
  await up.stop();
  rmSync(dir, { recursive: true, force: true });
});
