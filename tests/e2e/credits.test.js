// credits.test.js - where requests are paid from a balance: who fills it, once for a payment, and what an empty one means.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { bearer, call, chat } from './checks.js';
import { binary, managementKey, startGateway } from './gateway.js';

const config = `
  credits = { enabled = true, initial = "0.002" },
  providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["sim/echo"] = { endpoints = { { provider = "sim", model = "echo", price = { request = "0.001", input = 0, output = 0 } } } } },`;
const dir = mkdtempSync(join(tmpdir(), 'moongate-credits-'));
let g = await startGateway(config, { dir });
const key = await g.newKey();
const ask = async () => (await chat(g, key, { model: 'sim/echo', max_tokens: 5 })).status;
const post = (body, as = managementKey) => call(g, '/api/admin/credits', { method: 'POST', headers: bearer(as), body });
const cli = (...args) => new Promise((done) => execFile(binary, [args[0], ...args[0] === 'audit' ? [] : [args[1]], '--config', g.file, ...args.slice(args[0] === 'audit' ? 1 : 2)],
  { env: { PATH: process.env.PATH, HOME: g.home, MOONGATE_MANAGEMENT_KEY: managementKey } }, (e, out, err) => done({ status: e ? e.code : 0, out, err })));
const balance = async () => JSON.parse((await call(g, '/api/v1/credits', { headers: bearer(managementKey) })).text).data;

test('what the configuration gives to begin with pays for so many requests, and then it is 402', async () => {
  eq(await balance(), { total_credits: 0.002, total_usage: 0 });
  eq([await ask(), await ask(), await ask()], [200, 200, 402]);
  const r = await chat(g, key, { model: 'sim/echo', max_tokens: 5 });
  const e = JSON.parse(r.text).error;
  ok(e.message.startsWith('Insufficient credits'), r.text);
  eq(e.metadata, { error_type: 'payment_required', limit_source: 'openrouter_credits', provider_name: null });
});

test('a payment is added once for its id; requests are answered again', async () => {
  const one = await post({ amount: 0.001, id: 'invoice-17' });
  eq([one.status, JSON.parse(one.text).data], [201, { id: 'invoice-17', applied: true, total_credits: 0.003, total_usage: 0.002 }]);
  const again = await post({ amount: 0.001, id: 'invoice-17' });
  eq([again.status, JSON.parse(again.text).data.applied, (await balance()).total_credits], [201, false, 0.003]);
  eq([await ask(), await ask()], [200, 402]);
});

test('below zero it is given back; without an id one is made', async () => {
  const made = JSON.parse((await post({ amount: 1 })).text).data;
  ok(/^credit-\d+-\w{20}$/.test(made.id), made.id);
  eq(JSON.parse((await post({ amount: -1.0005 })).text).data.total_credits, 0.0025, 'used more than there is');
  eq(await ask(), 402);
});

test('what is no payment is named, and changes nothing', async () => {
  const before = await balance();
  for (const [body, word] of [[{}, 'amount'], [{ amount: '5' }, 'amount'], [{ amount: 0 }, 'amount'], [{ amount: 1e-10 }, 'amount'], [{ amount: 1e7 }, 'a million'],
    [{ amount: 1, id: '' }, 'id'], [{ amount: 1, id: 7 }, 'id'], [{ amount: 1, id: 'a b' }, 'id'], [{ amount: 1, id: 'x'.repeat(129) }, 'id']]) {
    const r = await post(body);
    ok(r.status === 400 && JSON.parse(r.text).error.message.includes(word), JSON.stringify(body).slice(0, 60) + ' ' + r.text);
  }
  eq([(await post({ amount: 1 }, key)).status, (await call(g, '/api/admin/credits', { method: 'POST', body: { amount: 1 } })).status], [403, 401]);
  eq(await balance(), before);
});

test('the command line does it, too, while the gateway runs', async () => {
  const shown = await cli('credits', 'show', '--url', g.url);
  ok(shown.status === 0 && /paid in, USD +0\.0025/.test(shown.out), JSON.stringify(shown));
  const added = await cli('credits', 'add', '0.0025', '--id', 'invoice-18', '--url', g.url);
  ok(added.status === 0 && /applied +yes/.test(added.out) && /paid in, USD +0\.005/.test(added.out), JSON.stringify(added));
  eq(await ask(), 200);
  for (const args of [['x'], [''], ['1e999'], ['5 ']]) eq((await cli('credits', 'add', ...args, '--url', g.url)).status, 2, args[0]);
});

test('and while none runs; what the balance began with is not given again', async () => {
  await g.stop();
  const added = await cli('credits', 'add', '--json', '--', '-0.001');
  eq([added.status, JSON.parse(added.out).data.total_credits], [0, 0.004], added.err);
  g = await startGateway(config, { dir });
  eq(await balance(), { total_credits: 0.004, total_usage: 0.004 });
  eq(await ask(), 402);
  const audit = await cli('audit');
  ok(audit.status === 0 && audit.out.includes('clean'), audit.out + audit.err);
});

await run(async () => {
  eq(await g.stop(), { code: 0, signal: null }, 'the gateway ends cleanly');
  rmSync(dir, { recursive: true, force: true });
});
