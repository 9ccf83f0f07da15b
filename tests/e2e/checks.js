// checks.js - what holds after every test: the ledger audits, the holds are
// gone, descriptors are back.  And a client that can be many and leave early.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { binary, managementKey, until } from './gateway.js';

export const bearer = (key) => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' });

// Without a pool behind it, unlike fetch(): a connection for each, or those of `agent`.
// Resolves at the end of the answer, also a cut one: cut says which it was.
export function call(g, path, { method = 'GET', headers = {}, body, agent = false, onData, onStart } = {}) {
  return new Promise((done) => {
    const text = body === undefined ? null : JSON.stringify(body);
    const req = request(g.url + path, { method, agent, headers: text === null ? headers : { ...headers, 'content-length': Buffer.byteLength(text) } });
    const out = { status: 0, headers: {}, text: '', cut: false };
    req.on('response', (res) => {
      out.status = res.statusCode;
      out.headers = res.headers;
      res.setEncoding('utf8');
      res.on('data', (d) => { out.text += d; onData?.(d, req, res); });
      res.on('close', () => { out.cut = !res.complete; done(out); });
      res.on('error', () => {});
    });
    req.on('error', (e) => { out.cut = true; out.error = e.code; done(out); });
    onStart?.(req);
    req.end(text ?? undefined);
  });
}

export const chat = (g, key, body, more = {}) => call(g, '/api/v1/chat/completions', { method: 'POST', headers: bearer(key),
  body: { messages: [{ role: 'user', content: 'x' }], ...body }, ...more });

export const pool = (n) => new Agent({ keepAlive: true, maxSockets: n });

export const events = (text) => text.split('\n\n').filter((e) => e.startsWith('data: ')).map((e) => {
  const data = e.slice(6);
  return data === '[DONE]' ? '[DONE]' : JSON.parse(data);
});

// How a stream that came to its end did: every one has exactly one of these.
export function terminals(list) {
  const ends = list.filter((e) => e.choices?.[0]?.finish_reason).length;
  return { ends, usages: list.filter((e) => e.usage).length, done: list.filter((e) => e === '[DONE]').length };
}

export async function metric(g, name) {
  const text = (await call(g, '/metrics')).text;
  return text.split('\n').filter((l) => l.startsWith(name + ' ') || l.startsWith(name + '{'))
    .reduce((sum, l) => sum + Number(l.slice(l.lastIndexOf(' ') + 1)), 0);
}

// As the gateway counts them: who is not root sees no other program's.
export async function fds(g) {
  const n = await metric(g, 'process_open_fds');
  if (!(n > 0)) throw new Error('the gateway does not say how many files it has open');
  return n;
}
// Built with a sanitizer, which has a heap and a pace of its own.
export const sanitized = /lib[at]san/.test(readFileSync(binary, 'latin1'));
export const rss = (g) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${g.child.pid}/status`, 'utf8'))[1]) * 1024;
// Of user and system, in seconds.
export function cpu(g) {
  const rest = readFileSync(`/proc/${g.child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(rest[11]) + Number(rest[12])) / 100;
}

export const management = (g, path, method = 'GET', body = undefined) =>
  call(g, '/api/v1' + path, { method, headers: bearer(managementKey), body }).then((r) => (r.text ? JSON.parse(r.text) : null));

export async function record(g, key, id, ms = 30000) {
  return until(`the record of ${id}`, async () => {
    const r = await call(g, `/api/v1/generation?id=${id}`, { headers: bearer(key) });
    return r.status === 200 ? JSON.parse(r.text).data : null;
  }, ms);
}

export const ownKey = async (g, key) => JSON.parse((await call(g, '/api/v1/key', { headers: bearer(key) })).text).data;

// USD as they are printed, summed without a double in between.
export const nanos = (usd) => BigInt(Math.round(usd * 1e9));

// A command with the gateway's configuration and the management key; more: of the environment.
export function moongate(g, args, more = {}) {
  return new Promise((done) => {
    execFile(binary, args, { cwd: g.home, env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_CONFIG: g.file, MOONGATE_MANAGEMENT_KEY: managementKey,
      ...(g.exit ? {} : { MOONGATE_URL: g.url }), ...more } }, (e, out, err) => done({ code: e ? e.code : 0, out, err }));
  });
}

// No hold is open, and the audit is clean: a settlement is in the file only after its
// answer, some 25 ms, or more where the disk is slow.
export async function settled(g) {
  const a = await until('no hold to be open', async () => { const r = await audit(g); return r.open === 0 || r.code ? r : null; });
  if (a.code) throw new Error(a.text);
}

// `moongate audit` over the data directory, beside the gateway or without one.
export function audit(g) {
  return new Promise((done) => {
    execFile(binary, ['audit', '--config', g.file], { env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_MANAGEMENT_KEY: managementKey } },
      (e, stdout, stderr) => done({ code: e ? e.code : 0, text: stdout + stderr, open: Number(/(\d+) holds open/.exec(stdout)?.[1] ?? -1) }));
  });
}
