// h2.test.js - an upstream over TLS that speaks HTTP/2: many streams share a connection,
// a client that leaves ends its stream alone, what it refuses or breaks off is told apart.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, createSecureServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat, events, metric, terminals } from './checks.js';
import { chunk, completion, startGateway, until } from './gateway.js';

const dir = mkdtempSync(join(tmpdir(), 'moongate-h2-'));
const at = (name) => join(dir, name);
try {
  for (const name of ['up', 'other'])
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', at(name + '.key'),
      '-out', at(name + '.pem'), '-subj', '/CN=up', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'], { stdio: 'ignore' });
} catch {
  console.log('1..0 # SKIP no openssl');
  process.exit(0);
}

let behave;
const up = { sessions: new Set(), all: 0, asked: 0 };
const server = createSecureServer({ cert: readFileSync(at('up.pem')), key: readFileSync(at('up.key')) });
server.on('session', (s) => { up.all++; up.sessions.add(s); s.on('close', () => up.sessions.delete(s)); s.on('error', () => {}); });
server.on('stream', async (s, headers) => {
  const parts = [];
  s.on('error', () => {});
  for await (const part of s) parts.push(part);
  up.asked++;
  if (!s.destroyed) await behave(s, JSON.parse(Buffer.concat(parts).toString()), headers);
});
await new Promise((go) => server.listen(0, '127.0.0.1', go));
const url = `https://127.0.0.1:${server.address().port}`;
const usage = { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const price = 'price = { input = "1", output = "2" }';
const g = await startGateway(`
  workers = 1,
  providers = {
    up = { dialect = "openai", base_url = "${url}", api_key = "sk-CANARY-up", ca = "${at('up.pem')}" },
    wary = { dialect = "openai", base_url = "${url}", api_key = "sk-CANARY-up", ca = "${at('other.pem')}" },
  },
  models = {
    ["acme/up"] = { endpoints = { { provider = "up", model = "m", ${price} } } },
    ["acme/wary"] = { endpoints = { { provider = "wary", model = "m", ${price} } } },
  },`);
const key = await g.newKey();
const sse = (s) => s.respond({ ':status': 200, 'content-type': 'text/event-stream' });
const answer = (s, q) => {
  if (q.stream) { sse(s); s.end(chunk({ role: 'assistant', content: 'fine' }) + chunk({}, 'stop', usage) + 'data: [DONE]\n\n'); return; }
  s.respond({ ':status': 200, 'content-type': 'application/json' });
  s.end(JSON.stringify(completion('fine')));
};
const quiet = () => until('nothing to be in flight', async () => await metric(g, 'moongate_upstream_in_flight') === 0);

test('a whole answer and a stream', async () => {
  behave = answer;
  eq(JSON.parse((await chat(g, key, { model: 'acme/up' })).text).choices[0].message.content, 'fine');
  eq(terminals(events((await chat(g, key, { model: 'acme/up', stream: true })).text)), { ends: 1, usages: 1, done: 1 });
});

test('an issuer that is not trusted is refused, without a word of the upstream', async () => {
  const before = up.asked, r = await chat(g, key, { model: 'acme/wary' });
  eq([r.status, up.asked], [502, before]);
  ok(!r.text.includes('127.0.0.1'), r.text);
});

test('100 streams at once share few connections', async () => {
  const open = [];
  behave = (s) => { sse(s); s.write(chunk({ role: 'assistant', content: 'wait' })); open.push(s); };
  const before = up.all, all = Array.from({ length: 100 }, () => chat(g, key, { model: 'acme/up', stream: true }));
  await until('all to be open', () => open.length === 100);
  ok(up.all - before <= 10, `${up.all - before} new connections`);
  console.log(`# ${up.all - before} new connections`);
  for (const s of open) s.end(chunk({}, 'stop', usage) + 'data: [DONE]\n\n');
  for (const r of await Promise.all(all)) eq(terminals(events(r.text)), { ends: 1, usages: 1, done: 1 });
});

test('a client that leaves ends its stream; the others on the connection go on', async () => {
  const open = [];
  behave = (s, q) => { sse(s); s.write(chunk({ role: 'assistant', content: 'wait' })); open.push({ s, q }); };
  const kept = Array.from({ length: 5 }, () => chat(g, key, { model: 'acme/up', stream: true, messages: [{ role: 'user', content: 'stay' }] }));
  await until('them to be open', () => open.length === 5);
  const left = chat(g, key, { model: 'acme/up', stream: true, messages: [{ role: 'user', content: 'go' }] }, { onData: (d, req) => req.destroy() });
  await until('the stream to be closed', () => open.find((o) => o.q.messages[0].content === 'go')?.s.closed);
  ok((await left).cut);
  for (const o of open) if (!o.s.closed) o.s.end(chunk({}, 'stop', usage) + 'data: [DONE]\n\n');
  for (const r of await Promise.all(kept)) eq(terminals(events(r.text)), { ends: 1, usages: 1, done: 1 });
});

test('a client that leaves, alone on its connection: that is closed', async () => {
  await quiet();
  let open;
  behave = (s) => { sse(s); s.write(chunk({ role: 'assistant', content: 'wait' })); open = s; };
  ok((await chat(g, key, { model: 'acme/up', stream: true }, { onData: (d, req) => req.destroy() })).cut);
  await until('the stream to be closed', () => open.closed);
});

test('a stream that is reset behind its first event: an error event; before it: 502', async () => {
  behave = (s) => { sse(s); s.write(chunk({ role: 'assistant', content: 'half' }), () => s.close(constants.NGHTTP2_INTERNAL_ERROR)); };
  const list = events((await chat(g, key, { model: 'acme/up', stream: true })).text);
  eq([list.at(-1), list.find((e) => e.error).choices[0].finish_reason], ['[DONE]', 'error']);
  behave = (s) => s.close(constants.NGHTTP2_INTERNAL_ERROR);
  eq((await chat(g, key, { model: 'acme/up' })).status, 502);
});

test('a connection that ends under way: each stream on it gets its error event', async () => {
  const open = [];
  behave = (s) => { sse(s); s.write(chunk({ role: 'assistant', content: 'wait' })); open.push(s); };
  const all = Array.from({ length: 5 }, () => chat(g, key, { model: 'acme/up', stream: true }));
  await until('them to be open', () => open.length === 5);
  for (const s of up.sessions) s.destroy();
  for (const r of await Promise.all(all)) eq(terminals(events(r.text)).done, 1, r.text);
  behave = answer;
  eq((await chat(g, key, { model: 'acme/up' })).status, 200);
  await quiet();
});

run(async () => {
  const exit = await g.stop();
  for (const s of up.sessions) s.destroy();
  server.close();
  rmSync(dir, { recursive: true, force: true });
  ok(!g.log.includes('CANARY'), 'no secret in the log');
  eq(exit, { code: 0, signal: null }, 'the gateway ends cleanly');
});
