// room.test.js - the disk is full under a running gateway (R58, R59, R98): new requests are refused with 503
// and when to come again, what is under way ends and is charged, and with room again all goes on.
//
// A limit on the size of its files stands in for the disk: what is written beyond it fails.
import { execFileSync } from 'node:child_process';
import { eq, ok, run, skip, test } from './tap.js';
import { audit, bearer, call, chat, events, ownKey, record, settled } from './checks.js';
import { managementKey, startGateway } from './gateway.js';

const g = await startGateway(`
  workers = 1,
  providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["acme/cent"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 0, output = 0, request = "0.01" },
    options = { words = 20, tokens_per_s = 40 } } } } },`);
const key = await g.newKey();
let id;

// Of the running gateway: all that it writes from now on is beyond a file of one byte.
function room(bytes) {
  try { execFileSync('prlimit', ['--pid', String(g.child.pid), `--fsize=${bytes}:`]); } catch { skip('prlimit is not here, or not allowed'); }
}

test('no room: what is under way ends whole, the next is refused with 503 and Retry-After', async () => {
  await settled(g);
  let first;
  const begun = new Promise((go) => { first = go; });
  const under = chat(g, key, { model: 'acme/cent', stream: true }, { onData: () => first() });
  await begun;
  room(1);
  const end = await under;
  id = end.headers['x-generation-id'];
  eq(end.cut, false);
  eq(events(end.text).find((e) => e.usage)?.usage.cost, 0.01, end.text);
  const refused = await chat(g, key, { model: 'acme/cent' });
  eq([refused.status, refused.headers['retry-after']], [503, '1'], refused.text);
  ok(!/disk|journal|File too large|fsize/i.test(refused.text), refused.text);
  eq((await ownKey(g, key)).usage, 0.01, 'it is charged, and the refused one is not');
  const made = await call(g, '/api/v1/keys', { method: 'POST', headers: bearer(managementKey), body: { name: 'no room' } });
  eq([made.status, made.headers['retry-after']], [503, '1'], made.text);
});

test('room again: what waited is written without being asked, and requests are taken', async () => {
  room('unlimited');
  eq((await record(g, key, id)).usage, 0.01, 'its record');
  await g.newKey();
  const r = await chat(g, key, { model: 'acme/cent' });
  eq(r.status, 200, r.text);
  await settled(g);
  eq((await ownKey(g, key)).usage, 0.02);
  eq((await audit(g)).code, 0);
});

run(async () => { eq(await g.stop(), { code: 0, signal: null }); });
