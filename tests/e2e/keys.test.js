// keys.test.js - many clients with keys of their own, several credentials to one
// upstream, connections shared at both ends (R26): every request goes up with its own
// credential, every answer comes to who asked, whatever the others break off.
// MOONGATE_INTERLEAVED: how many requests.
import { eq, ok, run, test } from './tap.js';
import { bearer, call, chat, events, nanos, ownKey, pool, record, settled, terminals } from './checks.js';
import { chunk, completion, sendJson, startGateway, startUpstream } from './gateway.js';

const count = Number(process.env.MOONGATE_INTERLEAVED || 600), part = 1000;
const providers = [0, 1, 2, 3], clients = 24;
const secret = (p) => `sk-upstream-of-${p}-0123456789`;
const soon = () => new Promise((go) => (Math.random() < 0.5 ? setImmediate(go) : setTimeout(go, Math.random() * 3)));

// What the upstream finds wrong, and how it answers: with the marker, the model and the
// credential that came with it.
const wrong = [];
let connections = 0;
const lastOn = new WeakSet();
const up = await startUpstream(async (req, res) => {
  if (!lastOn.has(res.socket)) { lastOn.add(res.socket); connections++; }
  const sent = req.headers['x-api-key'] ?? req.headers.authorization?.replace('Bearer ', '');
  const content = req.json.messages[0].content, marker = typeof content === 'string' ? content : content[0].text;
  if (sent !== secret(req.json.model.slice(1))) wrong.push(`${req.json.model} came with ${sent}`);
  const text = `${marker} ${req.json.model} ${sent}`, words = text.split(/(?= )/);
  const clay = req.url.includes('/messages');
  res.on('error', () => {});
  await soon();
  if (!req.json.stream)
    return sendJson(res, 200, clay ? { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text }], stop_reason: 'end_turn',
      usage: { input_tokens: 10, output_tokens: 5 } } : completion(text));
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  const say = async (bytes) => { res.write(bytes); await soon(); };
  const event = (type, more) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  if (clay) {
    await say(event('message_start', { message: { id: 'msg_1', role: 'assistant', model: 'm', content: [], usage: { input_tokens: 10, output_tokens: 1 } } }) +
      event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }));
    for (const word of words) await say(event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: word } }));
    return res.end(event('content_block_stop', { index: 0 }) + event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } }) + event('message_stop'));
  }
  for (const word of words) await say(chunk({ content: word }));
  return res.end(chunk({}, 'stop', { usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } }) + 'data: [DONE]\n\n');
});
const g = await startGateway(`
  workers = 2,
  providers = {
    ${providers.map((p) => `p${p} = { dialect = "${p === 3 ? 'anthropic' : 'openai'}", base_url = "${up.url}", api_key = "${secret(p)}" },`).join('\n    ')}
  },
  models = {
    ${providers.map((p) => `["acme/m${p}"] = { endpoints = { { provider = "p${p}", model = "m${p}", price = { input = "1", output = "2", request = "0.0${p + 1}" } } } },`).join('\n    ')}
  },`);
const keys = await Promise.all(Array.from({ length: clients }, () => g.newKey()));
const agent = pool(clients);
const costs = keys.map(() => 0n), left = keys.map(() => 0), ids = new Map();

// One request; now and then its client goes in the middle of the answer.
async function one(n) {
  const who = n % clients, p = Math.floor(Math.random() * providers.length), stream = Math.random() < 0.6, goes = Math.random() < 0.15;
  const marker = `marker-${n}-of-${who}-${Math.random().toString(36).slice(2)}`, asked = Date.now();
  const after = Math.random() * 12;
  const r = await chat(g, keys[who], { model: `acme/m${p}`, stream, messages: [{ role: 'user', content: marker }] },
    { agent, onStart: (req) => { if (goes) { const t = setTimeout(() => req.destroy(), after); req.on('close', () => clearTimeout(t)); } } });
  const whole = r.text.slice(0, r.text.lastIndexOf('\n\n') + 2);
  const list = stream ? events(whole) : r.cut || !r.text ? [] : [JSON.parse(r.text)];
  const said = list.map((e) => e.choices?.[0]?.delta?.content ?? e.choices?.[0]?.message?.content ?? '').join('');
  const want = `${marker} m${p} ${secret(p)}`;
  if (goes && (r.cut || r.error)) {
    ok(want.startsWith(said), `a part of another's answer: ${said}, not ${want}`);
    left[who]++;
    return;
  }
  eq([r.status, r.cut, said], [200, false, want], `${r.error} ${Date.now() - asked} ms ${r.text.slice(0, 200)}`);
  if (stream) eq(terminals(list), { ends: 1, usages: 1, done: 1 });
  const id = list[0].id;
  ok(!ids.has(id), `an id twice: ${id}`);
  ids.set(id, who);
  costs[who] += nanos(list.find((e) => e.usage).usage.cost);
}

for (let from = 0; from < count; from += part) {
  const n = Math.min(part, count - from);
  test(`${n} requests of ${clients} keys over shared connections, from ${from} on: each has its own answer`, async () => {
    let i = 0;
    await Promise.all(Array.from({ length: clients }, async () => { while (i < n) await one(from + i++); }));
    eq(wrong, []);
  });
}

test('connections to the upstream were shared', () => {
  console.log(`# ${up.asked.length} requests over ${connections} connections, ${left.reduce((a, b) => a + b)} left`);
  ok(connections < up.asked.length / 3, `${connections} connections for ${up.asked.length} requests`);
});

test('records belong to their key: others do not see them', async () => {
  for (const [id, who] of [...ids].slice(-100)) {
    eq((await record(g, keys[who], id)).id, id);
    eq((await call(g, `/api/v1/generation?id=${id}`, { headers: bearer(keys[(who + 1) % clients]), agent })).status, 404);
  }
});

test('every key paid for what it asked', async () => {
  await settled(g);
  for (let who = 0; who < clients; who++) {
    const paid = nanos((await ownKey(g, keys[who])).usage);
    if (left[who]) ok(paid >= costs[who] && paid <= costs[who] + BigInt(left[who]) * 50000000n, `${who}: ${paid}, its answers ${costs[who]}, ${left[who]} left`);
    else eq(paid, costs[who], `key ${who}`);
  }
});

run(async () => {
  agent.destroy();
  const exit = await g.stop();
  await up.stop();
  eq(exit, { code: 0, signal: null }, 'the gateway ends cleanly');
});
