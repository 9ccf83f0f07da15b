// streams.test.js - streams that go wrong at either end (R17-R24): the client that
// does not read or leaves, the upstream that breaks off, says nonsense or nothing.
// MOONGATE_CANCELS: how many leave at random.
import { readFileSync } from 'node:fs';
import { eq, ok, run, test } from './tap.js';
import { bearer, call, chat, cpu, events, fds, metric, record, rss, sanitized, settled, terminals } from './checks.js';
import { chunk, startGateway, startUpstream, until } from './gateway.js';

let behave;
const up = await startUpstream((req, res, n) => behave(req, res, n));
const price = 'price = { input = "1", output = "2" }';
const config = (limits) => `
  workers = 2,
  limits = { ${limits} },
  providers = {
    sim = { dialect = "sim", base_url = "sim:" },
    up = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream", timeouts = { idle = "500ms" } },
    brief = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream", timeouts = { first_output = "700ms", idle = "500ms" } },
    patient = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream" },
    long = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream", timeouts = { idle = "5m" } },
    passed = { dialect = "openai", base_url = "${up.url}", api_key = "sk-CANARY-upstream", timeouts = { idle = "5m" }, quirks = { pass_through = true } },
  },
  models = {
    ["acme/up"] = { endpoints = { { provider = "up", model = "m", ${price} } } },
    ["acme/brief"] = { endpoints = { { provider = "brief", model = "m", ${price} } } },
    ["acme/long"] = { endpoints = { { provider = "long", model = "m", ${price} } } },
    ["acme/passed"] = { endpoints = { { provider = "passed", model = "m", ${price} } } },
    ["acme/patient"] = { endpoints = { { provider = "patient", model = "m", ${price} } } },
    ["acme/sim"] = { endpoints = { { provider = "sim", model = "echo", ${price}, options = { words = 60, ttft_ms = 3, tokens_per_s = 1500 } } } },
  },`;
const g = await startGateway(config('stall = "2s", upstream_idle = "1s"'));
const key = await g.newKey();
const sse = (res) => res.writeHead(200, { 'content-type': 'text/event-stream' });
const usage = { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const whole = chunk({ role: 'assistant', content: 'hel' }) + chunk({ content: 'lo é' }) + chunk({}, 'stop', usage) + 'data: [DONE]\n\n';
const content = (list) => list.map((e) => e.choices?.[0]?.delta?.content || '').join('');
const stream = (model, more = {}) => chat(g, key, { model, stream: true }, more);
const quiet = () => until('nothing to be in flight', async () => await metric(g, 'moongate_http_requests_in_flight') <= 1 && await metric(g, 'moongate_upstream_in_flight') === 0);

await stream('acme/sim');
const baseline = await fds(g);

// ---------------------------------------------- what upstreams write

for (const [what, bytes] of [
  ['as it should be', whole],
  ['CRLF', whole.replaceAll('\n', '\r\n')],
  ['comments and empty events between', whole.replaceAll('data:', ': keep-alive\n\n\n\ndata:')],
  ['other fields beside data', whole.replaceAll('data:', 'event: message\nid: 7\nretry: 3\ndata:')],
  ['no space behind data:', whole.replaceAll('data: ', 'data:')],
  ['JSON over two data lines', whole.replaceAll('{"id"', '{\ndata: "id"')],
  ['a byte order mark', '\ufeff' + whole],
  ['events behind [DONE]', whole + chunk({ content: 'too late' }) + 'data: nonsense\n\n'],
]) {
  for (const step of [0, 1]) {
    test(`an upstream writes ${what}${step ? ', byte by byte' : ''}: one clean answer`, async () => {
      behave = async (req, res) => {
        sse(res);
        const all = Buffer.from(bytes);
        if (!step) return res.end(all);
        res.socket.setNoDelay(true);
        for (let i = 0; i < all.length; i += 7) { res.write(all.subarray(i, i + 1)); await new Promise(setImmediate); res.write(all.subarray(i + 1, i + 7)); }
        return res.end();
      };
      const list = events((await stream('acme/patient')).text);
      eq(content(list), 'hello é');
      eq(terminals(list), { ends: 1, usages: 1, done: 1 });
      eq(list.at(-1), '[DONE]');
      eq(list.filter((e) => e.error).length, 0);
    });
  }
}

for (const [what, after] of [['does not end it', () => {}], ['breaks it off', (res) => res.destroy()]])
  test(`an upstream that has said all and ${what}: one clean answer`, async () => {
    behave = (req, res) => { sse(res); res.on('error', () => {}); res.write(whole); setTimeout(() => after(res), 10); };
    const r = await stream('acme/up'), list = events(r.text);
    eq([content(list), list.filter((e) => e.error).length, r.cut], ['hello é', 0, false], r.text);
    eq(terminals(list), { ends: 1, usages: 1, done: 1 });
    const rec = await record(g, key, list[0].id);
    eq([rec.finish_reason, rec.native_tokens_completion], ['stop', 2]);
  });

for (const model of ['acme/long', 'acme/passed'])
  test(`${model}: an upstream that may be silent for minutes, and has said all, is not waited for`, async () => {
    const began = performance.now();
    behave = (req, res) => { sse(res); res.on('error', () => {}); res.write(whole); };
    const list = events((await stream(model)).text);
    eq([content(list), list.filter((e) => e.error).length, list.at(-1)], ['hello é', 0, '[DONE]']);
    ok(performance.now() - began < 60000, 'seconds, not minutes');
  });

const half = chunk({ role: 'assistant', content: 'half' });
for (const [what, bytes, after] of [
  ['breaks off in an event', half + 'data: {"id":"chatcmpl', (res) => res.destroy()],
  ['ends without a finish', half, (res) => res.end()],
  ['ends in the middle of an event', half + 'data: {"id":', (res) => res.end()],
  ['writes what is no JSON', half + 'data: {"id": oops}\n\n', (res) => res.end()],
  ['writes a page', half + '<html><body>502 Bad Gateway</body></html>\n\n', (res) => res.end()],
  ['writes a line without an end', half + 'data: ' + 'x'.repeat(3 * 1024 * 1024), (res) => res.end()],
  ['says an error', half + 'data: {"error":{"message":"overloaded","type":"server_error","code":503}}\n\n', (res) => res.end()],
  ['falls silent', half, () => {}],
]) {
  test(`an upstream ${what} after output: one error event, one [DONE], and the record`, async () => {
    behave = (req, res) => { sse(res); res.on('error', () => {}); res.write(bytes); setTimeout(() => after(res), 10); };
    const r = await stream('acme/up');
    const list = events(r.text);
    eq(r.status, 200, r.text);
    eq(content(list).startsWith('half'), true, r.text);
    eq(terminals(list), { ends: 1, usages: 1, done: 1 }, r.text);
    eq(list.filter((e) => e.error).length, 1, r.text);
    eq(list.find((e) => e.error).choices[0].finish_reason, 'error');
    eq([list.at(-1), r.cut], ['[DONE]', false]);
    const rec = await record(g, key, list[0].id);
    eq(rec.cancelled, false);
    eq(rec.usage, list.find((e) => e.usage).usage.cost, 'the record costs what the client was told');
  });
  test(`an upstream ${what} before output: a status, no stream`, async () => {
    behave = (req, res) => { sse(res); res.on('error', () => {}); res.write(bytes.slice(half.length) || ': nothing\n\n'); setTimeout(() => after(res), 10); };
    const r = await stream('acme/brief');
    ok(r.status >= 500 && r.status <= 504, `${r.status} ${r.text}`);
    eq(JSON.parse(r.text).error.code, r.status);
  });
}

test('an upstream that never answers: 504 after its time, and its call is closed', async () => {
  let asked;
  behave = (req) => { asked = req; };
  const t = Date.now();
  const r = await stream('acme/brief');
  ok([504, 502, 408].includes(r.status), r.text);
  ok(Date.now() - t < 30000, 'in time');	// two minutes, else
  await until('the upstream to be closed', () => asked.closed, 1000);
});

// ---------------------------------------------- clients

const room = (res) => new Promise((go) => { const on = () => { res.off('drain', on); res.off('close', on); go(); }; res.on('drain', on); res.on('close', on); });

test('readers that do not read: memory is bounded, the upstream waits, then all of it comes', async () => {
  const size = 32 * 1024 * 1024, piece = chunk({ content: 'y'.repeat(16000) }), n = 2;	// the kernel alone holds megabytes
  let written = 0;
  behave = async (req, res) => {
    sse(res);
    res.on('error', () => {});
    for (let i = 0; i < size / 16000 && !req.closed; i++) {
      written += piece.length;
      if (!res.write(piece)) await room(res);
    }
    res.end(chunk({}, 'stop', usage) + 'data: [DONE]\n\n');
  };
  const lax = await startGateway(config('')), k = await lax.newKey();	// whose clients are not cut off so soon
  await chat(lax, k, { model: 'acme/sim', stream: true });
  const before = rss(lax), paused = [];
  const all = Array.from({ length: n }, () => chat(lax, k, { model: 'acme/patient', stream: true }, { onData: (d, req, res) => { if (!res.held) { res.held = true; res.pause(); paused.push(res); } } }));
  let last = -1;
  await until('the upstream to wait', async () => {
    const now = written;
    await new Promise((go) => setTimeout(go, 100));
    const still = paused.length === n && now === last;
    last = written;
    return still && written === now;
  });
  const grown = rss(lax) - before;
  ok(written < n * size / 2, `the upstream wrote ${written} of ${n * size}`);
  ok(grown < n * 1024 * 1024 * (sanitized ? 4 : 1) + 4 * 1024 * 1024, `grew by ${grown}`);
  for (const res of paused) res.resume();
  for (const r of await Promise.all(all)) {
    const list = events(r.text);
    eq(content(list).length, Math.ceil(size / 16000) * 16000, 'length');
    eq(terminals(list), { ends: 1, usages: 1, done: 1 });
  }
  eq(await lax.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
});

test('a reader that reads nothing for too long is cut off, and it is settled', async () => {
  let asked;
  behave = async (req, res) => {
    asked = req;
    sse(res);
    res.on('error', () => {});
    while (!req.closed)
      if (!res.write(chunk({ content: 'z'.repeat(16000) }))) await room(res);
  };
  let held;
  const over = stream('acme/patient', { onData: (d, req, res) => { if (!held) { held = res; res.pause(); } } });
  await until('the upstream to be closed', () => asked?.closed);
  held.resume();
  const r = await over;
  ok(r.cut, 'cut');
  const rec = await record(g, key, r.headers['x-generation-id']);
  eq(rec.cancelled, true);
  ok(rec.usage > 0, 'what was delivered costs');
});

// A client that leaves: by a close or a reset.
function leave(req, hard) {
  if (hard) req.socket?.resetAndDestroy();
  else req.destroy();
}

for (const hard of [false, true]) {
  test(`clients that leave by ${hard ? 'a reset' : 'a close'} at 20 points: the upstream is closed within a second, cancelled`, async () => {
    const asked = new Map();
    behave = async (req, res) => {
      asked.set(req.json.messages[0].content, req);
      res.on('error', () => {});
      const at = Number(req.json.messages[0].content.slice(1));
      if (at > 2) { sse(res); for (let i = 0; i < at - 2; i++) res.write(chunk({ content: 'word ' })); }
    };
    const left = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
      const name = `n${i}`;
      let went;
      const over = chat(g, key, { model: 'acme/patient', stream: true, messages: [{ role: 'user', content: name }] }, {
        onStart: (req) => { if (i <= 2) until('it to arrive', () => asked.has(name)).then(() => { went = Date.now(); leave(req, hard); }); },
        onData: (d, req) => { if (!went) { went = Date.now(); leave(req, hard); } } });
      await until('the client to leave', () => went);
      await until('the upstream to be closed', () => asked.get(name).closed, 1000);
      return over;
    }));
    for (const r of left.filter((x) => x.headers['x-generation-id'])) {
      const rec = await record(g, key, r.headers['x-generation-id']);
      eq([rec.cancelled, rec.usage > 0], [true, true]);
    }
    ok(left.filter((x) => x.headers['x-generation-id']).length >= 17, 'streams had begun');
  });
}

const cancels = Number(process.env.MOONGATE_CANCELS || 500), part = 500;	// a test has three minutes
for (let from = 0; from < cancels; from += part) test(`${Math.min(part, cancels - from)} clients that leave at random: one terminal event at most, one record each`, async () => {
  const n = Math.min(part, cancels - from);
  const ids = new Set(), began = Date.now();
  await stream('acme/sim');
  const most = Math.max(160, 3 * (Date.now() - began));	// some leave before it begins, some behind its end, also on a slow machine
  let finished = 0, i = 0;
  const one = async (k) => {
    const at = Math.random() * most, hard = k % 2 === 0;
    const r = await stream('acme/sim', { onStart: (req) => { const t = setTimeout(() => leave(req, hard), at); req.on('close', () => clearTimeout(t)); } });
    const list = events(r.text.slice(0, r.text.lastIndexOf('\n\n') + 2)), t = terminals(list);
    ok(t.ends <= 1 && t.usages <= t.ends && t.done <= t.usages, JSON.stringify(t));
    if (!r.cut && r.status === 200) { finished++; eq(t, { ends: 1, usages: 1, done: 1 }); }
    if (r.headers['x-generation-id']) { ok(!ids.has(r.headers['x-generation-id'])); ids.add(r.headers['x-generation-id']); }
  };
  await Promise.all(Array.from({ length: 25 }, async () => { while (i < n) await one(i++); }));
  await quiet();
  console.log(`# ${ids.size} begun, ${finished} finished`);
  ok(ids.size > 0, 'some had begun');
  for (const id of ids) ok((await record(g, key, id)).usage > 0, id);
  await settled(g);
});

test('an unstreamed client that leaves: it runs to its end and is charged', async () => {
  let asked;
  behave = (req, res) => { asked = { req, res }; };
  const before = await metric(g, 'moongate_cost_usd_total');
  await chat(g, key, { model: 'acme/patient' }, { onStart: (req) => until('it to arrive', () => asked).then(() => leave(req, false)) });
  asked.res.writeHead(200, { 'content-type': 'application/json' });
  asked.res.end(JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'late' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000 } }));
  await until('the charge', async () => await metric(g, 'moongate_cost_usd_total') >= before + 0.0029);
});

test('clients that leave while the store is asked', async () => {
  await Promise.all(Array.from({ length: 60 }, (_, i) => call(g, '/api/v1/generation?id=gen-1-abcdefghijklmnopqrst', { headers: bearer(key),
    onStart: (req) => setTimeout(() => leave(req, i % 2 === 0), i % 6) })));
  eq((await call(g, '/livez')).status, 200);
});

test('many idle streams cost no time', async () => {
  const files = Number(/Max open files +\S+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] || 1e6);	// unlimited is no number
  const n = Math.min(sanitized ? 200 : 1000, Math.floor(files / 8)), open = [];	// of what the gateway may open, connections of clients are a part
  const held = [];
  behave = (req, res) => { sse(res); res.on('error', () => {}); res.write(chunk({ role: 'assistant', content: 'wait' })); held.push(res); };
  for (let i = 0; i < n; i++) open.push(stream('acme/patient', { onData: (d, req, res) => { res.begun = true; } }));
  await until('all to be open', () => held.length === n, 60000);
  await until('all to be told', async () => await metric(g, 'moongate_http_requests_in_flight') >= n);
  const most = sanitized ? 0.2 : 0.021;
  let share = 1;	// the least of some: a machine that does other things makes what there is to do dearer, never cheaper
  for (let i = 0; i < 5 && share > most; i++) {
    const from = cpu(g), t = Date.now();
    await new Promise((go) => setTimeout(go, 1500));
    share = Math.min(share, (cpu(g) - from) * 1000 / (Date.now() - t));
  }
  for (const res of held) res.end(chunk({}, 'stop', usage) + 'data: [DONE]\n\n');
  for (const r of await Promise.all(open)) eq(terminals(events(r.text)), { ends: 1, usages: 1, done: 1 });
  console.log(`# ${n} streams, ${(share * 100).toFixed(2)} % of a core`);
  ok(share <= most, `${share * 100} %`);
});

test('descriptors are back where they were, the process lives', async () => {
  await quiet();
  await until('the descriptors', async () => await fds(g) <= baseline + 4).catch(async (e) => { throw new Error(`${e.message}: ${await fds(g)}, before ${baseline}`); });
  const took = [];	// a busy machine delays one or another, a gateway that is stuck or slow each of them
  for (let i = 0; i < 10 || (i < 100 && Math.min(...took) >= 100); i++) {
    const t = Date.now();
    eq((await call(g, '/livez')).status, 200);
    took.push(Date.now() - t);
  }
  ok(Math.min(...took) < 100, `at once: ${took} ms`);
  ok(!g.log.includes('CANARY'), 'no secret in the log');
});

run(async () => {
  const exit = await g.stop();
  await up.stop();
  eq(exit, { code: 0, signal: null }, 'the gateway ends cleanly');
});
