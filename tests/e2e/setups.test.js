// setups.test.js - each ready set-up of sdk/config, as it lies there: with the variables
// that it names it is good, without them the first that is missing is told, and what it
// says of each of its providers is answered, by a stand-in at the provider's place.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { chat } from './checks.js';
import { binary, completion, sendJson, startGateway, startUpstream } from './gateway.js';

const folder = new URL('../../sdk/config/', import.meta.url).pathname;
const all = readdirSync(folder).map((f) => f.replace('.lua', ''));
const home = mkdtempSync(join(tmpdir(), 'moongate-setups-'));

// What each API answers, by the end of its address.
const claude = { id: 'msg_1', type: 'message', role: 'assistant', model: 'up', content: [{ type: 'text', text: 'fine' }], stop_reason: 'end_turn', usage: { input_tokens: 3, output_tokens: 2 } };
const answers = [
  [/\/chat\/completions(\?|$)/, completion('fine')], [/\/(messages|invoke)$|:rawPredict$/, claude],
  [/\/converse$/, { output: { message: { role: 'assistant', content: [{ text: 'fine' }] } }, stopReason: 'end_turn', usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 } }],
  [/:generateContent$/, { candidates: [{ content: { role: 'model', parts: [{ text: 'fine' }] }, finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } }],
  [/\/responses$/, { id: 'r1', object: 'response', model: 'up', status: 'completed', usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 },
    output: [{ type: 'message', id: 'm1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'fine', annotations: [] }] }] }],
  [/\/token$/, { access_token: 'ya29.given', expires_in: 3600, token_type: 'Bearer' }],
];
let failing = '';	// whoever is asked at an address with this in it is out of order
const u = await startUpstream((req, res) => {
  const answer = answers.find(([end]) => end.test(req.url));
  if (failing && req.url.includes(failing)) return sendJson(res, 500, { error: { message: 'out of order' } });
  return answer ? sendJson(res, 200, answer[1]) : sendJson(res, 404, { error: { message: `nothing is at ${req.url}` } });
});

const account = JSON.stringify({ type: 'authorized_user', client_id: 'id', client_secret: 'secret', refresh_token: 'refresh', quota_project_id: 'p-1', project_id: 'p-1', token_uri: `${u.url}/token` });
const named = (name) => [...new Set([...readFileSync(join(folder, `${name}.lua`), 'utf8').replace(/--.*/g, '').matchAll(/env\(? ?"([A-Z_]+)"/g)].map((m) => m[1]))];
const values = (name) => Object.fromEntries(named(name).map((v) => [v, v === 'VERTEX_CREDENTIALS' ? account : `value-of-${v}`]));
const cli = (name, env, ...args) => execFileSync(binary, [...args, '--config', join(folder, `${name}.lua`)],
  { env: { PATH: process.env.PATH, HOME: home, MOONGATE_DATA_DIR: home, ...env }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const shown = (name, member) => JSON.parse(cli(name, values(name), 'config', 'show', member));

// A model that the provider serves: one that the set-up names, else one that is known.
async function modelOf(g, name, slug) {
  for (const [id, m] of Object.entries(shown(name, 'models'))) if (m.endpoints.some((e) => e.provider === slug)) return id;
  const list = (await (await fetch(g.api + '/models')).json()).data.filter((m) => m.architecture.output_modalities.join() === 'text');
  for (const { id } of list) {
    const { data } = await (await fetch(`${g.api}/models/${id}/endpoints`)).json();
    if (data.endpoints.some((e) => e.tag.split('/')[0] === slug)) return id;
  }
  throw new Error(`${slug} serves nothing`);
}

async function served(name, go) {
  const slugs = Object.keys(shown(name, 'providers')), env = values(name);
  for (const s of slugs) env[`MOONGATE_PROVIDERS__${s.toUpperCase()}__BASE_URL`] = `${u.url}/${s}/v1`;
  const aws = name.startsWith('bedrock') ? { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' } : {};
  const g = await startGateway('', { own: join(folder, `${name}.lua`), env: { ...env, ...aws } });
  try {
    const key = await g.newKey();
    const ask = async (slug, model, by = key) => {
      const before = u.asked.length, r = await chat(g, by, { model: model ?? await modelOf(g, name, slug), max_tokens: 100, ...slug ? { provider: { only: [slug] } } : {} });
      return { status: r.status, text: r.text, said: r.status === 200 && JSON.parse(r.text).choices[0].message.content, asked: u.asked.slice(before).filter((a) => !a.url.endsWith('/token')) };
    };
    for (const slug of slugs) {
      const a = await ask(slug);
      eq(a.said, 'fine', `${slug}: ${a.text.slice(0, 300)}`);
      eq(a.asked.map((x) => x.url.split('/')[1]), [slug]);
    }
    await go?.({ g, ask });
  } finally { await g.stop(); }
}

const more = {
  'two-providers-fallback': async ({ ask }) => {
    failing = '/groq/';
    const a = await ask(null, 'meta-llama/llama-3.3-70b-instruct');
    failing = '';
    eq([a.said, a.asked.map((x) => x.url.split('/')[1]).at(-1)], ['fine', 'together']);
  },
  'own-keys': async ({ g, ask }) => {
    const acme = await g.newKey({ workspace_id: 'ws_acme' }), who = async (key) => (await ask('openai', 'openai/gpt-5', key)).asked[0].headers.authorization;
    eq([await who(), await who(acme)], ['Bearer value-of-OPENAI_API_KEY', 'Bearer value-of-ACME_OPENAI_API_KEY']);
  },
};

for (const name of all) {
  test(`${name}: config check`, () => {
    ok(/ is good: [1-9]\d* providers, [1-9]\d* models, /.test(cli(name, values(name), 'config', 'check')));
    if (!named(name).length) return;
    let said = '';
    try { cli(name, {}, 'config', 'check'); } catch (e) { said = e.stderr; }
    ok(/^moongate: .*\.lua:\d+: .*: environment variable [A-Z_]+ is not set\nhint: export it/.test(said), said);
  });
  test(`${name}: each of its providers answers`, () => served(name, more[name]));
}
test('what is asked of one alone belongs to one that there is', () => { eq(Object.keys(more).filter((n) => !all.includes(n)), []); ok(all.length > 10); });

await run(async () => { rmSync(home, { recursive: true }); await u.stop(); });
