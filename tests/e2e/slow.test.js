// slow.test.js - 500 clients that send a byte now and then (R8): others do not
// notice, and each is cut off at its deadline, however busy it looks.
import { connect } from 'node:net';
import { eq, ok, run, skip, test } from './tap.js';
import { call, chat, fds, pool } from './checks.js';
import { startGateway, until } from './gateway.js';

const config = `
  workers = 2,
  providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["acme/echo"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 1, output = 1 } } } } },`;
// The second one has no slow clients: what the machine does to both at the time is no difference between them.
const [g, calm] = [await startGateway(config), await startGateway(config)];
const key = await g.newKey(), calmKey = await calm.newKey(), agent = pool(4), port = Number(new URL(g.url).port);
// As many as the descriptors are for, of the gateway and of this process.
const many = Math.min(500, Number(/"event":"ready".*"connections":(\d+)/.exec(g.log)?.[1] ?? 0) - 40);
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

// Of both, by turns.
async function latencies(n) {
  const took = [[], []];
  for (let i = 0; i < 2 * n; i++) {
    const t = process.hrtime.bigint(), r = await (i % 2 ? chat(calm, calmKey, { model: 'acme/echo' }, { agent }) : chat(g, key, { model: 'acme/echo' }, { agent }));
    eq(r.status, 200);
    took[i % 2].push(Number(process.hrtime.bigint() - t) / 1e6);
  }
  return took.map(median);
}

const text = ['POST /api/v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Slow: ', `POST /api/v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"`];
test('500 slow clients, heads and bodies: others are served as fast, they are cut off in time', async () => {
  if (many < 50) skip(`the gateway may have ${many + 40} connections, for want of descriptors`);
  await latencies(100);
  const open = await fds(g), slow = new Set(), began = Date.now();
  for (let i = 0; i < many; i++) {
    const s = connect(port, '127.0.0.1', () => s.write(text[i % 2]));
    slow.add(s);
    s.resume();
    s.on('error', () => {});
    s.on('end', () => s.destroy());
    s.on('close', () => slow.delete(s));
  }
  await until('them to be in', async () => await fds(g) >= open + many - 20);
  const drip = setInterval(() => { for (const s of slow) s.write('x'); }, 1000);
  const [beside, alone] = await latencies(200);
  console.log(`# median alone ${alone.toFixed(2)} ms, beside them ${beside.toFixed(2)} ms`);
  ok(beside < alone * 2 + 1, `${beside} ms instead of ${alone}`);
  await until('all to be cut off', () => slow.size === 0, 16000).finally(() => clearInterval(drip));
  const took = Date.now() - began;
  ok(took > 8000, `after ${took} ms`);
  await until('their descriptors', async () => await fds(g) <= open + 4);
  eq((await call(g, '/livez')).status, 200);
});

run(async () => { agent.destroy(); for (const one of [g, calm]) eq(await one.stop(), { code: 0, signal: null }); });
