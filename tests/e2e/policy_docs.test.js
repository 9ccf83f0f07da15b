// policy_docs.test.js - every block of code in the documentation of policies is run:
// Lua as policies and their tests, in a bundle; shell against a gateway, in its order.
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat } from './checks.js';
import { binary, managementKey, startGateway, until } from './gateway.js';

const root = new URL('../../policies/', import.meta.url).pathname;
const home = mkdtempSync(join(tmpdir(), 'moongate-docs-'));
const bundle = join(home, 'policies');
mkdirSync(join(home, 'bin'));
symlinkSync(binary, join(home, 'bin/moongate'));

// { page, line, kind, text, name }
function blocks(page) {
  const out = [];
  let open = null;
  readFileSync(join(root, page), 'utf8').split('\n').forEach((l, i) => {
    if (!l.startsWith('```')) { if (open) open.text += l + '\n'; return; }
    if (open) { out.push(open); open = null; return; }
    open = { page, line: i + 2, kind: l.slice(3), text: '' };
  });
  return out.map((b) => ({ ...b, name: /^-- (\S+\.lua)\n/.exec(b.text)?.[1], at: `${b.page}:${b.line}` }));
}
const all = ['README.md', 'HOOKS.md', 'LIBRARY.md'].flatMap(blocks);

let g, env = { PATH: `${home}/bin:${process.env.PATH}`, HOME: home, NO_COLOR: '1' };
const moongate = (...words) => new Promise((done) => execFile(binary, words, { env, cwd: home, maxBuffer: 1 << 26 },
  (e, out, err) => done({ code: e ? e.code : 0, text: out + err })));
const shell = (text) => new Promise((done) => execFile('sh', ['-eu', '-c', text], { env, cwd: home }, (e, out, err) => done({ code: e ? e.code : 0, text: out + err })));

async function start() {
  g = await startGateway(`
    policy = { bundle = "${bundle}" },
    providers = { dear = { dialect = "sim", base_url = "sim:" }, cheap = { dialect = "sim", base_url = "sim:" } },
    models = { ["acme/one"] = { endpoints = {
      { provider = "dear", model = "echo", price = { input = 9, output = 9 }, options = { words = 3 } },
      { provider = "cheap", model = "echo", price = { input = 8, output = 8 }, options = { words = 3 } } } } },`);
  env = { ...env, MOONGATE_URL: g.url, MOONGATE_KEY: managementKey, MOONGATE_MANAGEMENT_KEY: managementKey, MOONGATE_CONFIG: g.file, KEY: await g.newKey() };
  for (let i = 0; i < 3; i++) eq((await chat(g, env.KEY, { model: 'acme/one' })).status, 200);	// decisions to make again
  await until('them to be kept', async () => /\b3 /.test((await moongate('policy', 'backtest', '--candidate', 'policies')).text));
}

// A folder with everything so far, and another bundle.lua.
function variant(b) {
  const dir = join(home, dirname(b.name));
  cpSync(bundle, dir, { recursive: true });
  if (b.name.startsWith('recipes/')) for (const f of readdirSync(join(root, 'examples'))) copyFileSync(join(root, 'examples', f), join(dir, f));
  writeFileSync(join(dir, 'bundle.lua'), b.text);
  return dir;
}

test('each block is Lua with the name of its file, or shell', () => {
  ok(all.length > 40, `${all.length} blocks`);
  eq(all.filter((b) => b.kind === 'lua' ? !b.name : b.kind !== 'sh').map((b) => b.at), []);
});

let variants = [];
for (const b of all) {
  if (b.kind === 'sh')
    test(`${b.at}: ${b.text.split('\n')[0]}`, async () => {
      const r = await shell(b.text);
      eq(r.code, 0, r.text);
      if (!g) await start();	// the first block makes the folder that it serves
    });
  else if (b.name.includes('/'))
    variants.push(b);
  else
    test(`${b.at}: ${b.name}`, async () => {
      writeFileSync(join(bundle, b.name), b.text);
      if (!b.name.endsWith('_test.lua')) return;
      const r = await moongate('policy', 'test', 'policies', '--only', b.name);
      eq(r.code, 0, r.text);
      ok(/^ok 1 /m.test(r.text), r.text);
    });
}

test('all of it together is checked, and goes live', async () => {
  for (const f of readdirSync(bundle).filter((f) => f.endsWith('.lua') && !f.endsWith('_test.lua') && !/^bundle|_lib|\.d\.lua$/.test(f)))
    ok(readdirSync(bundle).includes(f.replace('.lua', '_test.lua')), `${f} has its test`);
  for (const words of [['check'], ['test'], ['publish']]) {
    const r = await moongate('policy', ...words, 'policies');
    eq(r.code, 0, r.text);
  }
});

for (const b of variants)
  test(`${b.at}: ${b.name}`, async () => {
    const r = await moongate('policy', 'check', variant(b));
    eq(r.code, 0, r.text);
  });

// A block that breaks is noticed: each, with one word of it spoilt.
const broken = (text) => text.replace(/\breturn (policy|library|\{)/, 'retrun $1').replace(/\bt\.(eq|ok)\(/, 't.$1(nil == 1, ').replace(/\buse\("/, 'use("no_such_');
test('and none of these tests passes when its block is broken', async () => {
  for (const b of all.filter((b) => b.kind === 'lua')) {
    const file = b.name.includes('/') ? join(variant(b), 'bundle.lua') : join(bundle, b.name);
    ok(broken(b.text) !== b.text, b.at);
    writeFileSync(file, broken(b.text));
    const whole = dirname(file);
    const r = b.name.endsWith('_test.lua') ? await moongate('policy', 'test', whole, '--only', b.name) : await moongate('policy', 'check', whole);
    writeFileSync(file, b.text);
    ok(r.code !== 0, `${b.at} ${b.name}\n${r.text}`);
  }
}, 400000);

test('README.md of the project leads here', () => { ok(readFileSync(join(root, '../README.md'), 'utf8').includes('policies/README.md')); });

await run(async () => { if (g) await g.stop(); rmSync(home, { recursive: true, force: true }); });
