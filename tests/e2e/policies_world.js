// policies_world.js - a gateway with two providers, a folder of policies that
// says which is asked, and what tests of their going live have in common.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bearer, call, chat } from './checks.js';
import { managementKey, until } from './gateway.js';

// slow: the address of an upstream for acme/slow, which says when its streams end.
export const world = (dir, more = '', slow = '') => `
  workers = 2, ${dir ? `policy = { bundle = "${dir}" },` : ''} ${more}
  providers = { ${slow ? `slow = { dialect = "openai", base_url = "${slow}" },` : ''} alpha = { dialect = "sim", base_url = "sim:" }, beta = { dialect = "sim", base_url = "sim:" } },
  models = { ["acme/one"] = { endpoints = {
    { provider = "alpha", model = "echo", price = { input = 1, output = 1 }, options = { words = 3 } },
    { provider = "beta", model = "echo", price = { input = 1, output = 1 }, options = { words = 3 } },
  } }, ["acme/slow"] = { endpoints = {
    { provider = "${slow ? 'slow' : 'alpha'}", model = "echo", price = { input = 1, output = 1 } },
  } } },`;

// hash.u32(): by it a policy knows a word that no check of its bundle comes upon.
export const hash = (text) => {
  let h = 2166136261;
  for (const c of Buffer.from(text)) h = Math.imul(h ^ c, 16777619) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
};

const rest = '{ use = "or_eligibility" }, { use = "pick" }, { use = "or_fallback" }, { use = "price_tiers" }';
export const files = (provider, { guard = '', top = '', extra = '' } = {}) => ({
  'bundle.lua': `return { base = "openrouter", ${top} policies = { guard = { ${guard ? `{ use = "${guard}" }` : ''} }, default = { ${rest} } } }\n`,
  'pick.lua': `-- ${extra}
return policy {
  name = "pick", api = 1, version = "1.0.0",
  rank = function(req, eps) return rank.by(eps, function(e) return e.provider == "${provider}" and 0 or 1 end) end,
}
`,
  'pick_test.lua': `local P = use("pick")
test("${provider} is first", function(t)
  t.eq(P.rank(t.req {}, { t.ep { id = "x", provider = "other" }, t.ep { id = "y", provider = "${provider}" } })[1].id, "y")
end)
`,
  ...(guard ? { [`${guard}.lua`]: `return policy { name = "${guard}", api = 1,
  admit = function(req) if req.feat.user_chars == 7 then return deny { status = 403, code = "${guard}", message = "${guard} says no" } end return true end }
`, [`${guard}_test.lua`]: `local P = use("${guard}")
test("seven characters are refused", function(t) t.eq(P.admit(t.req { feat = { user_chars = 7 } }).code, "${guard}") end)
` } : {}),
});

export function write(dir, all) {
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries(all)) writeFileSync(join(dir, name), text);
}
export function folder(all) {
  const dir = mkdtempSync(join(tmpdir(), 'moongate-policies-'));
  write(dir, all);
  return dir;
}

export const admin = (g, path, method = 'GET', body = undefined, key = managementKey) =>
  call(g, '/api/admin' + path, { method, headers: bearer(key), body }).then((r) => ({ status: r.status, ...(r.text ? JSON.parse(r.text) : {}) }));
export const live = async (g) => (await admin(g, '/policies')).data.find((v) => v.live);

// The provider that answers.
export async function provider(g, key) {
  const r = await chat(g, key, { model: 'acme/one' });
  return r.status === 200 ? JSON.parse(r.text).provider : `${r.status} ${r.text}`;
}
export const decision = (g, id) => until(`the decision of ${id}`, async () => {
  const r = await admin(g, `/decision?id=${id}`);
  return r.status === 200 ? r.data : null;
});

const done = (g) => (g.log.match(/config[._](loaded|refused)/g) || []).length;
export async function sighup(g) {
  const before = done(g);
  g.child.kill('SIGHUP');
  await until('the reload', () => done(g) > before);
}
