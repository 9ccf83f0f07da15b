// counters.test.js - a counter that declares a window counts in it, and begins again behind it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat, moongate } from './checks.js';
import { loads, startGateway, until } from './gateway.js';

const dir = mkdtempSync(join(tmpdir(), 'moongate-counters-'));
const policy = (counters) => {
  writeFileSync(join(dir, 'bundle.lua'), 'return { policies = { default = { { use = "p" } } } }');
  writeFileSync(join(dir, 'p.lua'), `return policy { name = "p", api = 1, counters = ${counters},
    admit = function(req)
      if counter.get(req.model == "m/short" and "short" or "long", "k") >= 2 then return deny { status = 429, code = "full", message = "full" } end
      return true
    end,
    observe = function(req, o) if o.status == 200 then counter.add(req.model == "m/short" and "short" or "long", "k", 1) end end }`);
  loads(dir, 'p');
};
policy('{ short = { window_s = 2 }, long = {} }');
const model = (slug) => `["${slug}"] = { endpoints = { { provider = "sim", model = "echo", price = { input = 1, output = 1 } } } },`;
const g = await startGateway(`workers = 1, policy = { bundle = "${dir}" }, providers = { sim = { dialect = "sim", base_url = "sim:" } }, models = { ${model('m/short')} ${model('m/long')} },`);
const key = await g.newKey();
const ask = async (slug) => (await chat(g, key, { model: slug })).status;
const fill = (slug) => until(`${slug} to be full`, async () => await ask(slug) === 429);

test('a counter with a window is empty again behind it, one without counts on', async () => {
  await fill('m/long');
  await fill('m/short');
  await until('the window to end', async () => await ask('m/short') === 200, 10000);
  eq(await ask('m/long'), 429);
  await fill('m/short');
});
for (const [what, counters] of [['a number', '{ short = 5 }'], ['another member', '{ short = { window = 5 } }'], ['none at all', '{ short = { window_s = 0 } }'], ['no table', '7'],
  ['too many', `{ ${Array.from({ length: 9 }, (_, i) => `c${i} = {}`).join(', ')} }`]]) {
  test(`a window that is ${what} is refused`, async () => {
    policy(counters);
    const r = await moongate(g, ['policy', 'check', dir]);
    ok(r.code === 8 && /p\.lua: counters/.test(r.out + r.err), r.out + r.err);
  });
}
await run(async () => { await g.stop(); rmSync(dir, { recursive: true }); });
