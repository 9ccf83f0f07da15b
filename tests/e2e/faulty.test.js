// faulty.test.js - a provider plugin that does what none may (R70): the request that it
// serves fails in words, and nothing else does.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { chat, events, record, rss, sanitized, settled, terminals } from './checks.js';
import { binary, sendJson, startGateway, startUpstream } from './gateway.js';
import { eq, ok, run, test } from './tap.js';

const here = dirname(fileURLToPath(import.meta.url)), sdk = join(here, '../../sdk');
const dir = mkdtempSync(join(tmpdir(), 'moongate-faulty-'));
cpSync(join(dirname(binary), 'plugins'), join(dir, 'plugins'), { recursive: true });
mkdirSync(join(dir, 'plugins/providers'), { recursive: true });
execFileSync('cc', ['-std=c11', '-O1', '-fPIC', '-fvisibility=hidden', '-shared', `-I${sdk}`, '-o', join(dir, 'plugins/providers/faulty.so'), join(here, 'faulty.c')]);

const up = await startUpstream((req, res) => {
  if (req.headers['x-planted']) return sendJson(res, 418, {});
  if (req.url.startsWith('/fails')) return sendJson(res, 500, { error: 'no' });
  if (req.url.startsWith('/streams')) { res.writeHead(200, { 'content-type': 'text/event-stream' }); return res.end('data: {}\n\n'); }
  return sendJson(res, 200, {});
});
const names = Object.fromEntries(Object.entries({
  request: 'code mute words nothing hole elsewhere split header host early crash block',
  frame: 'code latin hole name extra kind size usage error header deaf flood tools notes greedy endless quiet',
  late: 'code latin error', finish: 'odd none never twice code', usage: 'most', failure: 'code kind latin hole long size',
}).map(([k, v]) => [k, v.split(' ').map((f) => `${k}-${f}`)]));
const price = 'price = { input = 1, output = 2 }';
const config = `
  workers = 1, plugins = { dir = "${dir}/plugins" },
  providers = { ${['plain', 'streams', 'fails'].map((n) => `${n} = { dialect = "faulty", base_url = "${up.url}/${n}", api_key = "sk-CANARY" },`).join('')}
    sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["m/fine"] = { endpoints = { { provider = "sim", model = "echo", ${price} } } },
    ${Object.values(names).flat().flatMap((f) => ['plain', 'streams', 'fails'].map((n) => `["${n}/${f}"] = { endpoints = { { provider = "${n}", model = "${f}", ${price} } } },`)).join('\n')} },`;
const g = await startGateway(config);
const key = await g.newKey();
const asked = async (fault, { at = 'plain', stream = false, ...more } = {}) => {
  const r = await chat(g, key, { model: `${at}/${fault}`, stream, max_tokens: 50, ...more });
  const list = r.status === 200 && stream ? events(r.text) : [], error = r.status === 200 ? list.find((e) => e.error)?.error : JSON.parse(r.text).error;
  return { ...r, list, error, why: error?.metadata?.raw };
};
// One end, said once; an error in it.
const cut = (r, why) => {
  eq(r.status, 200);
  eq(terminals(r.list), { ends: 1, usages: 1, done: 1 });
  eq(r.error?.code, 502, r.text.slice(-900));
  ok(why.test(r.why), r.why);
};
const refused = (r, why) => {
  eq(r.status, 502, r.text.slice(0, 400));
  ok(why.test(r.why), r.why);
};

const request = {
  code: /'faulty' returned 7, which means nothing/, mute: /'faulty' refused and did not say why/, nothing: /'faulty' gave no method of HTTP/,
  hole: /'faulty' gave a body with a hole/, elsewhere: /named another host than provider 'plain'/, split: /'faulty' gave a path that is none/,
  host: /header 'Host' is not for a plugin to set/, early: /events are for frame/,
};
for (const [fault, why] of Object.entries(request)) {
  test(`request(), ${fault}: the plugin's fault is not the client's, and nothing is sent`, async () => {
    const before = up.asked.length;
    refused(await asked(`request-${fault}`), why);
    eq(up.asked.length, before);
  });
}
test('what the plugin says is wrong with the request is told to the client, whatever bytes it says it with', async () => {
  const r = await asked('request-words');
  eq(r.status, 400);
  ok(r.error.message.startsWith('caf') && !r.text.includes('\x1b'), r.error.message);
  eq((await asked('request-header')).status, 400);
});
test('another endpoint takes what this plugin cannot ask', async () => {
  for (const fault of ['request-nothing', 'request-elsewhere', 'frame-latin', 'finish-never'])
    eq((await asked(fault, { models: ['m/fine'] })).status, 200, fault);
});

const frame = {
  'frame-code': /returned -77, which means nothing/, 'frame-latin': /not UTF-8/, 'frame-hole': /'faulty' emitted an event with a hole/, 'frame-name': /not UTF-8/,
  'frame-extra': /'faulty' emitted what is not JSON/, 'frame-kind': /event of unknown kind 999/, 'frame-size': /without a size/, 'frame-usage': /usage without usage/,
  'frame-header': /headers are set in request/, 'frame-quiet': /without a finish reason/, 'frame-deaf': /not UTF-8/,
};
for (const [fault, why] of Object.entries(frame)) {
  test(`${fault}: no answer, in words`, async () => {
    refused(await asked(fault), why);
    refused(await asked(fault, { at: 'streams', stream: true }), why);
  });
}
const late = {
  'late-code': /returned -77/, 'late-latin': /not UTF-8/, 'finish-never': /without a finish reason/, 'finish-code': /returned 9/, 'finish-odd': /an end that means nothing \(99\)/,
  'finish-none': /an end that means nothing \(0\)/, 'frame-flood': /more than \d+ MiB at once/, 'frame-notes': /more than \d+ MiB at once/, 'frame-tools': /more than 1024 tools/,
  'frame-greedy': /without a finish reason/,
};
for (const [fault, why] of Object.entries(late)) {
  test(`${fault}: an answer that has begun ends once, with an error`, async () => {
    refused(await asked(fault), fault === 'frame-notes' ? /more than 96 MiB/ : why);
    cut(await asked(fault, { at: 'streams', stream: true }), why);
  });
}
test('an error of a kind that nobody knows, in words that are none', async () => {
  for (const at of ['plain', 'streams']) {
    const r = await asked('frame-error', { at, stream: at === 'streams' });
    eq(r.status, 502);
    eq(r.why, undefined, 'no words');
  }
  const r = await asked('late-error', { at: 'streams', stream: true });
  eq(terminals(r.list), { ends: 1, usages: 1, done: 1 });
  eq(r.error.metadata.raw, undefined, 'no words');
});
test('an end that is said twice is told once', async () => {
  const r = await asked('finish-twice', { at: 'streams', stream: true });
  eq(terminals(r.list), { ends: 1, usages: 1, done: 1 });
  eq((await asked('finish-twice')).status, 200);
});
test('one exchange behind the other without a wait has an end, soon', async () => {
  for (const at of ['plain', 'streams']) {
    const before = up.asked.length;
    refused(await asked('frame-endless', { at, stream: at === 'streams' }), /asks again and again without a wait/);
    ok(up.asked.length - before < 150, `${up.asked.length - before} exchanges`);
  }
});
test('counts beyond all measure do not make a bill beyond all measure', async () => {
  const r = JSON.parse((await asked('usage-most')).text);
  ok(r.usage.cost >= 0 && r.usage.cost < 100, JSON.stringify(r.usage));
});
test('failure(): a code, a kind, a size that mean nothing, words that are none or too many', async () => {
  for (const fault of ['code', 'kind', 'latin', 'hole', 'long', 'size']) {
    const r = await asked(`failure-${fault}`, { at: 'fails' });
    eq(r.status, 502, fault);
    eq(r.why?.length, fault === 'long' ? 1000 : undefined, fault);
  }
});
test('after all that the others are served, and the money is in order', async () => {
  eq((await chat(g, key, { model: 'm/fine' })).status, 200);
  await settled(g);
  ok(sanitized || rss(g) < 1 << 30, `${rss(g)} bytes`);
});

// What no check contains ends the process, and what was paid for is known to the next one.
for (const [fault, how] of [['crash', 'a plugin that crashes takes the process along'], ['block', 'one that waits is seen by the watchdog, and ends it']]) {
  test(`${how}; the next one knows what was paid`, async () => {
    const first = await startGateway(config);
    const own = await first.newKey(), fine = await chat(first, own, { model: 'm/fine' });
    first.status = null;	// by a signal
    const r = await chat(first, own, { model: `plain/request-${fault}` });
    eq([r.status, r.cut], [0, true]);
    eq((await first.exited).signal, 'SIGABRT');
    if (fault === 'block') {
      ok(/"event":"stuck"[^\n]*"worker":0/.test(first.log), first.log.slice(-500));
      ok(/worker 0 has not turned for 10 s/.test(first.log), 'in words');
    }
    const second = await startGateway(config, { dir: first.home });
    eq((await record(second, own, fine.headers['x-generation-id'])).id, fine.headers['x-generation-id']);
    await settled(second);
    eq((await second.stop()).code, 0);
    rmSync(first.home, { recursive: true });
  });
}
await run(async () => { await g.stop(); await up.stop(); rmSync(dir, { recursive: true }); });
