// clients_world.js - the gateway as a client's SDK meets it: sim for what can be
// answered without an upstream, and a scripted upstream for what sim never does.
import { managementKey, sendJson, startGateway, startUpstream } from './gateway.js';

export async function startWorld() {
  const world = { behave: null, managementKey };
  world.up = await startUpstream((req, res, n) => world.behave(req, res, n));
  world.g = await startGateway(`
  providers = {
    sim = { dialect = "sim", base_url = "sim:", name = "Sim" },
    clay = { dialect = "anthropic", base_url = "${world.up.url}", api_key = "sk-ant-upstream-1234567890", name = "Clay" },
    acme = { dialect = "openai", base_url = "${world.up.url}", api_key = "sk-upstream-secret-1234567890", name = "Acme" },
  },
  models = {
    ["sim/one"] = { endpoints = { { provider = "sim", model = "one", price = { input = "0.10", output = "0.40" } } } },
    ["rich/one"] = { name = "Rich: One", description = "All that can be said", created = 1700000000, context_length = 8000, max_output = 1000,
      modalities = { input = { "text", "image", "file", "audio", "video" }, output = { "text", "image" } }, tokenizer = "Mine", instruct_type = "chatml",
      canonical = "rich/one-2024", default_parameters = { temperature = 0.5 }, reasoning = { mandatory = false, supported_efforts = { "low", "high" } },
      hugging_face_id = "rich/one", knowledge_cutoff = "2024-01-01", expiration_date = "2099-01-01", moderated = true,
      endpoints = {
        { provider = "acme", model = "up-rich", quantization = "nvfp4", params = { "tools", "tool_choice" }, context_length = 4000, max_output = 500,
          price = { input = "1", output = "2", cache_read = "0.1", cache_write = "1.5", request = "0.001", image = "0.01" } },
        { provider = "sim", model = "rich", region = "eu", params = { "tools" }, price = { input = "3", output = "4" } } } },
    ["clay/one"] = { endpoints = { { provider = "clay", model = "up-clay", price = { input = "3", output = "15" } } } },
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
// MOONGATE_ANY_NODE: try nevertheless.
export function tooOld(pkg) {
  const want = /(\d+)/.exec(pkg.engines?.node || '')?.[1];
  return want && !process.env.MOONGATE_ANY_NODE && Number(process.versions.node.split('.')[0]) < Number(want)
    ? `${pkg.name} ${pkg.version} wants node ${pkg.engines.node}, this is ${process.versions.node}` : null;
}

export const openStream = (res) => res.writeHead(200, { 'content-type': 'text/event-stream' });

// What a thinking model of Anthropic says, whole or as its events: thoughts with a
// signature, what it hides, words, and two calls.
const thinking = [{ type: 'thinking', thinking: 'Two cities, two calls.', signature: 'EqQBsignature==' }, { type: 'redacted_thinking', data: 'EmwKhidden==' },
  { type: 'text', text: 'I look it up.' }, { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Paris' } },
  { type: 'tool_use', id: 'toolu_2', name: 'get_weather', input: { city: 'Oslo' } }];
export const thoughts = thinking.slice(0, 2);

const deltas = (b) => ({
  thinking: () => [{ type: 'thinking_delta', thinking: b.thinking.slice(0, 10) }, { type: 'thinking_delta', thinking: b.thinking.slice(10) },
    { type: 'signature_delta', signature: b.signature }],
  redacted_thinking: () => [],
  text: () => [{ type: 'text_delta', text: b.text }],
  tool_use: () => [{ type: 'input_json_delta', partial_json: '{"city":' }, { type: 'input_json_delta', partial_json: JSON.stringify(b.input.city) + '}' }],
})[b.type]();
const empty = (b) => ({ thinking: { thinking: '', signature: '' }, text: { text: '' }, tool_use: { input: {} } })[b.type] ?? {};

// The first time it thinks and calls; with results it answers.
export function clay(req, res) {
  const results = JSON.stringify(req.json.messages).includes('tool_result');
  const content = results ? [{ type: 'text', text: 'Both are sunny.' }] : thinking;
  const stop_reason = results ? 'end_turn' : 'tool_use';
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'up-clay', stop_sequence: null };
  if (!req.json.stream)
    return sendJson(res, 200, { ...message, content, stop_reason, usage: { input_tokens: 20, output_tokens: 30 } });
  const events = [{ type: 'message_start', message: { ...message, content: [], stop_reason: null, usage: { input_tokens: 20, output_tokens: 1 } } }];
  content.forEach((b, index) => events.push({ type: 'content_block_start', index, content_block: { ...b, ...empty(b) } },
    ...deltas(b).map((delta) => ({ type: 'content_block_delta', index, delta })), { type: 'content_block_stop', index }));
  events.push({ type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 30 } }, { type: 'message_stop' });
  openStream(res);
  return res.end(events.map((e) => `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`).join(''));
}

// A PNG of one red pixel.
export const pixel = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

export const weatherSchema = { type: 'object', properties: { city: { type: 'string', description: 'The city' } }, required: ['city'], additionalProperties: false };
export const personSchema = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } }, required: ['name', 'age'], additionalProperties: false };

export async function thrown(fn) {
  try { await fn(); } catch (e) { return e; }
  throw new Error('expected it to throw');
}
