// clients_world.js - the gateway as a client's SDK meets it: sim for what can be
// answered without an upstream, and a scripted upstream for what sim never does.
import { managementKey, startGateway, startUpstream } from './gateway.js';

export async function startWorld() {
  const world = { behave: null, managementKey };
  world.up = await startUpstream((req, res, n) => world.behave(req, res, n));
  world.g = await startGateway(`
  providers = {
    sim = { dialect = "sim", base_url = "sim:", name = "Sim" },
    acme = { dialect = "openai", base_url = "${world.up.url}", api_key = "sk-upstream-secret-1234567890", name = "Acme" },
  },
  models = {
    ["sim/one"] = { endpoints = { { provider = "sim", model = "one", price = { input = "0.10", output = "0.40" } } } },
    ["acme/one"] = { endpoints = { { provider = "acme", model = "up-one", price = { input = "1", output = "2" } } } },
  },`);
  world.key = await world.g.newKey();
  world.generation = async (id) => {
    const r = await fetch(`${world.g.api}/generation?id=${id}`, { headers: { authorization: `Bearer ${world.key}` } });
    return r.status === 200 ? (await r.json()).data : null;
  };
  // Another gateway, where requests are paid from a balance, and nobody has bought any.
  world.broke = async () => {
    if (!world.other) {
      world.other = await startGateway(`
  credits = { enabled = true },
  providers = { sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["sim/one"] = { endpoints = { { provider = "sim", model = "one", price = { input = "0.10", output = "0.40" } } } } },`);
      world.other.key = await world.other.newKey();
    }
    return world.other;
  };
  world.stop = async () => {
    await world.other?.stop();
    const exit = await world.g.stop();
    await world.up.stop();
    if (exit.code !== 0) throw new Error(`the gateway ended with ${JSON.stringify(exit)}\n${world.g.log}`);
  };
  return world;
}

// Is this node new enough for the package?  The reason to skip, in words, or null.
export function tooOld(pkg) {
  const want = /(\d+)/.exec(pkg.engines?.node || '')?.[1];
  return want && Number(process.versions.node.split('.')[0]) < Number(want)
    ? `${pkg.name} ${pkg.version} wants node ${pkg.engines.node}, this is ${process.versions.node}` : null;
}

export const openStream = (res) => res.writeHead(200, { 'content-type': 'text/event-stream' });

// A PNG of one red pixel.
export const pixel = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

export const weatherSchema = { type: 'object', properties: { city: { type: 'string', description: 'The city' } }, required: ['city'], additionalProperties: false };
export const personSchema = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } }, required: ['name', 'age'], additionalProperties: false };

export async function thrown(fn) {
  try { await fn(); } catch (e) { return e; }
  throw new Error('expected it to throw');
}
