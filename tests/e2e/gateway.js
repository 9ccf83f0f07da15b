// gateway.js - starts the real binary on a port of its own, with a scripted
// upstream beside it; ends only what it started.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const binary = process.env.MOONGATE || new URL('../../build/moongate', import.meta.url).pathname;
// What it runs under, words with blanks between: valgrind and its options.
const under = (process.env.MOONGATE_UNDER || '').split(' ').filter(Boolean);
export const managementKey = 'sk-or-v1-' + 'ab'.repeat(32);

// A condition with a deadline, instead of a sleep.  Counted is the time in which this process
// is served: what a busy machine takes from it, it most likely takes from the gateway, too.
export async function until(what, probe, ms = 30000) {
  for (let left = ms; ;) {
    const began = Date.now(), value = await probe();
    if (value) return value;
    if (left < 0) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((go) => setTimeout(go, 5));
    left -= Math.min(Date.now() - began, 50);
  }
}

// What is a matter of time by its nature, and so can be spoilt by a machine that stood still:
// again from the beginning, some times, each with a number of its own.
export async function retried(fn, times = 5) {
  for (let n = 1; ; n++) {
    try { return await fn(n); } catch (e) { if (n === times) throw e; console.log(`# try ${n}: ${e.message.slice(0, 200)}`); }
  }
}

// A day's sums are those of one day: not over midnight in UTC.
export async function sameDay(seconds = 60) {
  const left = 86400000 - Date.now() % 86400000;
  if (left < seconds * 1000) await new Promise((go) => setTimeout(go, left + 100));
}

// What no gateway may do, whatever the test looks at: a sanitizer's report, an end by
// itself, another status than it should.  Told when the test file ends, which then has failed.
const faults = [];
const report = /^.*(?:ERROR: (?:Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: |FATAL: ThreadSanitizer)/m;
const running = new Set();	// none outlives its test, however that ends
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const text of faults) console.log(text.split('\n').slice(0, 60).map((l) => '# ' + l).join('\n'));
  if (faults.length) process.exitCode = 1;
});
// The tools' options are the gateway's, too.
const options = Object.fromEntries(Object.entries(process.env).filter(([k]) => /^[A-Z]+SAN_OPTIONS$/.test(k)));

function faultOf(g) {
  const at = g.log.search(report);
  if (at >= 0) return g.log.slice(at);
  if (g.killed ? g.exit.signal !== 'SIGKILL' : g.exit.code !== g.status)
    return `a gateway ended: ${JSON.stringify(g.exit)}\n${g.log.slice(-4000)}`;
  return null;
}

// config: the Lua text of the table's members; listen and data_dir are added.  Or own: a file that is one.
export async function startGateway(config = '', { dir, env = {}, args = [], listen = '"127.0.0.1:0"', own } = {}) {
  const home = dir || mkdtempSync(join(tmpdir(), 'moongate-e2e-'));
  const file = own ?? join(home, 'config.lua');
  if (own) [env, args] = [{ MOONGATE_DATA_DIR: `${home}/state/data`, ...env }, ['--listen', '127.0.0.1:0', ...args]];
  else writeFileSync(file, `return {\n  dev = true,\n  listen = { ${listen} },\n  data_dir = "${home}/state/data",\n` +
    `  management_key = env "MOONGATE_MANAGEMENT_KEY",\n${config}\n}\n`);
  const child = spawn(under[0] || binary, [...under.slice(1), ...under.length ? [binary] : [], 'serve', '--config', file, ...args],
    { env: { PATH: process.env.PATH, HOME: home, MOONGATE_MANAGEMENT_KEY: managementKey, ...options, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const g = { child, home, file, log: '', out: '', url: null, status: 0 };	// status: what it is to end with
  child.stdout.on('data', (d) => { g.out += d; });
  child.stderr.on('data', (d) => { g.log += d; });
  running.add(child);
  g.exited = new Promise((done) => child.on('close', (code, signal) => {
    running.delete(child);
    g.exit = { code, signal };
    const fault = faultOf(g);
    if (fault) faults.push(fault);
    done(g.exit);
  }));
  await until('the gateway to listen', () => {
    if (g.exit) throw new Error(`the gateway ended: ${JSON.stringify(g.exit)}\n${g.log}`);
    g.url = /listening on (http\S+)/.exec(g.out)?.[1];
    return g.url;
  }, 120000);
  await until('the gateway to be ready', async () => (await fetch(g.url + '/readyz').catch(() => null))?.status === 200);
  g.api = g.url + '/api/v1';
  g.newKey = async (body = {}) => {
    const r = await fetch(g.api + '/keys', { method: 'POST', headers: { authorization: `Bearer ${managementKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'e2e', ...body }) });
    if (r.status !== 201) throw new Error(`POST /keys: ${r.status} ${await r.text()}`);
    return (await r.json()).key;
  };
  g.stop = async () => {
    if (!g.exit) child.kill('SIGTERM');
    await g.exited;
    if (!dir) rmSync(home, { recursive: true, force: true });
    return g.exit;
  };
  g.kill = async () => { g.killed = !g.exit; child.kill('SIGKILL'); await g.exited; };
  return g;
}

// An upstream that does what `script(request, response, n)` says; keeps what it was asked.
export async function startUpstream(script) {
  const asked = [];
  const sockets = new Set();
  const server = createServer(async (req, res) => {
    const parts = [];
    for await (const part of req) parts.push(part);
    const text = Buffer.concat(parts).toString();
    const one = { method: req.method, url: req.url, headers: req.headers, text, json: /^\s*[[{]/.test(text) ? JSON.parse(text) : null, closed: false };
    asked.push(one);
    res.on('close', () => { one.closed = true; });
    await script(one, res, asked.length);
  });
  server.keepAliveTimeout = 600000;	// what is idle is closed by who says so, not by node in the midst of a test
  server.on('connection', (s) => { sockets.add(s); s.on('close', () => sockets.delete(s)); });
  await new Promise((go) => server.listen(0, '127.0.0.1', go));
  const port = server.address().port;
  return { asked, port, server, url: `http://127.0.0.1:${port}`,
    stop: () => new Promise((go) => { for (const s of sockets) s.destroy(); server.close(go); }) };
}

// A policy without a test goes live nowhere.  This is the least one: it loads.
export const loads = (dir, name) => writeFileSync(join(dir, `${name}_test.lua`),
  `local P = use("${name}")\ntest("it loads", function(t) t.eq(P.name, "${name}") end)\n`);

export const completion = (text, usage = { prompt_tokens: 10, completion_tokens: 5 }) => ({
  id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'up',
  choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
  usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens } });

export const chunk = (delta, finish = null, more = {}) => 'data: ' + JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk',
  created: 1, model: 'up', choices: [{ index: 0, delta, finish_reason: finish }], ...more }) + '\n\n';

export function sendJson(res, status, value, headers = {}) {
  res.writeHead(status, { 'content-type': 'application/json', ...headers });
  res.end(JSON.stringify(value));
}

// The events of a stream as they came: data objects, '[DONE]', and comments.
export async function readStream(response) {
  const text = await response.text();
  return text.split('\n\n').filter(Boolean).map((e) => {
    if (e.startsWith(':')) return { comment: e };
    const data = e.replace(/^data: /, '');
    return data === '[DONE]' ? '[DONE]' : JSON.parse(data);
  });
}
