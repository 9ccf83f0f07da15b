// inline.test.js - addresses in a request for upstreams that take bytes alone: fetched once, from
// where it is allowed, without a credential; and what is not allowed is refused in one and the same words.
import { createServer } from 'node:net';
import { eq, ok, run, test } from './tap.js';
import { chat } from './checks.js';
import { completion, sendJson, startGateway, startUpstream, until } from './gateway.js';
import { ask } from './talk.js';

const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.from('pixels')]), pdf = Buffer.from('%PDF-1.7 x');
const b64 = (b) => b.toString('base64');

// What requests point to.
const files = {
  '/a.png': (res) => send(res, 'image/png', png), '/b.pdf': (res) => send(res, 'application/pdf', pdf),
  '/octets': (res) => send(res, 'application/octet-stream', png), '/named-wrong.jpg': (res) => send(res, 'image/jpeg', png),
  '/page': (res) => send(res, 'text/html', Buffer.from('<html>')), '/octets-of-nothing': (res) => send(res, 'binary/octet-stream', Buffer.from('x')),
  '/empty': (res) => send(res, 'image/png', Buffer.alloc(0)), '/gone': (res) => { res.writeHead(404, { 'content-type': 'image/png' }); res.end(png); },
  '/large': (res) => send(res, 'image/png', Buffer.concat([png, Buffer.alloc(70000)])), '/half': (res) => send(res, 'image/png', Buffer.concat([png, Buffer.alloc(40000)])),
  '/half2': (res) => send(res, 'image/png', Buffer.concat([png, Buffer.alloc(40001)])),
  '/elsewhere': (res) => { res.writeHead(302, { location: `${hidden.url}/a.png` }); res.end(); }, '/slow': () => {},
};
function send(res, type, bytes) {
  res.writeHead(200, { 'content-type': type });
  res.end(bytes);
}
const store = await startUpstream((req, res) => (files[req.url.split('?')[0]] ?? files['/gone'])(res));
const hidden = await startUpstream((req, res) => send(res, 'image/png', png));
// What is not allowed, and what nobody listens to, at https's port or at another.
let knocks = 0;
const silent = createServer((s) => { knocks++; s.destroy(); });
await new Promise((go) => silent.listen(0, '127.0.0.1', go));

let failing = 0;
const said = { message: { role: 'assistant', content: [{ text: 'ok' }] } };
const up = await startUpstream((req, res) => {
  if (failing && failing--) return sendJson(res, 503, { error: { message: 'busy', status: 'UNAVAILABLE', code: 503 }, message: 'busy' });
  if (req.url.includes('/converse')) return sendJson(res, 200, { output: said, stopReason: 'end_turn', usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } });
  if (req.url.includes('/api/chat')) return sendJson(res, 200, { model: 'm', message: { role: 'assistant', content: 'ok' }, done: true, done_reason: 'stop', prompt_eval_count: 1, eval_count: 1 });
  if (req.url.includes(':generateContent')) return sendJson(res, 200, { candidates: [{ content: { role: 'model', parts: [{ text: 'ok' }] }, finishReason: 'STOP', index: 0 }], usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1 }, modelVersion: 'm' });
  if (req.url.includes('/messages')) return sendJson(res, 200, { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'ok' }], stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 1 } });
  return sendJson(res, 200, completion('ok'));
});
const price = 'price = { input = 1, output = 1 }';
const model = (slug, ...providers) => `["i/${slug}"] = { max_output = 100, modalities = { input = { "text", "image", "file" }, output = { "text" } }, endpoints = { ${providers.map((p) => `{ provider = "${p}", model = "${p === 'aws' ? 'anthropic.x' : 'gemini-3-x'}", ${price} }`).join(', ')} } },`;
const providers = `
  providers = {
    aws = { dialect = "bedrock", base_url = "${up.url}", api_key = "CANARY-key", options = { region = "eu-west-1" } },
    ollama = { base_url = "${up.url}", api_key = "CANARY-key" },
    claude = { dialect = "anthropic", base_url = "${up.url}", api_key = "CANARY-key", quirks = { urls = false } },
    direct = { dialect = "anthropic", base_url = "${up.url}", api_key = "CANARY-key" },
    google = { dialect = "gemini", base_url = "${up.url}", api_key = "CANARY-key", quirks = { urls = { "https://youtu.be/" } } },
    open = { dialect = "openai", base_url = "${up.url}", api_key = "CANARY-key" },
  },
  models = { ${model('aws', 'aws')} ${model('ollama', 'ollama')} ${model('claude', 'claude')} ${model('direct', 'direct')} ${model('google', 'google')} ${model('both', 'aws', 'open')} ${model('twice', 'aws', 'claude')} },`;
const g = await startGateway(`${providers} fetch = { allow = { "${store.url}" }, size = "64KiB", count = 3, time = "3s" },`);
const key = await g.newKey();
const image = (url) => ({ type: 'image_url', image_url: { url } });
const file = (url) => ({ type: 'file', file: { filename: 'b.pdf', file_data: url } });
const asking = (slug, parts, more = {}) => ({ model: `i/${slug}`, messages: [{ role: 'user', content: [{ type: 'text', text: 'look' }, ...parts] }], ...more });
const look = (slug, parts, more) => ask(g, key, asking(slug, parts, more));
const fresh = () => { up.asked.length = store.asked.length = 0; };

const inside = {
  aws: (j) => j.messages[0].content.slice(1), ollama: (j) => j.messages[0].images, claude: (j) => j.messages[0].content.slice(1), google: (j) => j.contents[0].parts.slice(1),
};
const source = (media_type, b) => ({ type: 'base64', media_type, data: b64(b) });
const wanted = {
  aws: [{ image: { format: 'png', source: { bytes: b64(png) } } }, { document: { format: 'pdf', name: 'Document 1', source: { bytes: b64(pdf) } } }],
  claude: [{ type: 'image', source: source('image/png', png) }, { type: 'document', source: source('application/pdf', pdf), title: 'b.pdf' }],
  google: [{ inlineData: { mimeType: 'image/png', data: b64(png) } }, { inlineData: { mimeType: 'application/pdf', data: b64(pdf) } }],
};
for (const slug of ['aws', 'claude', 'google']) {
  test(`${slug} gets the bytes of an image and a document`, async () => {
    fresh();
    const a = await look(slug, [image(store.url + '/a.png?size=1#x'), file(store.url + '/b.pdf')]);
    eq([a.status, a.error?.message], [200, undefined]);
    eq(inside[slug](up.asked[0].json), wanted[slug]);
    for (const one of store.asked) ok(!JSON.stringify(one.headers).includes('CANARY') && !one.headers.authorization && !one.headers.cookie, 'no credential goes there');
  });
}

test('Ollama too, and an address that stands there twice is fetched once', async () => {
  fresh();
  const a = await look('ollama', [image(store.url + '/a.png'), image(store.url + '/octets'), image(store.url + '/a.png')]);
  eq([a.status, inside.ollama(up.asked[0].json)], [200, [b64(png), b64(png), b64(png)]]);
  eq(store.asked.map((r) => r.url).sort(), ['/a.png', '/octets']);
});

test('what the bytes are counts more than what they are called', async () => {
  fresh();
  eq((await look('claude', [image(store.url + '/named-wrong.jpg')])).status, 200);
  eq(inside.claude(up.asked[0].json)[0].source.media_type, 'image/png');
});

test('addresses go as they are to who takes them', async () => {
  fresh();
  eq((await look('direct', [image(hidden.url + '/x.png')])).status, 200);
  eq(up.asked[0].json.messages[0].content[1].source, { type: 'url', url: hidden.url + '/x.png' });
  eq((await look('google', [file('https://youtu.be/abc')])).status, 200);
  eq(up.asked[1].json.contents[0].parts[1].fileData.fileUri, 'https://youtu.be/abc');
  eq([store.asked.length, hidden.asked.length], [0, 0]);
});

test('a further attempt has them already', async () => {
  fresh();
  failing = 1;
  const a = await look('twice', [image(store.url + '/a.png')], { provider: { order: ['aws', 'claude'] } });
  eq([a.status, up.asked.length, store.asked.length], [200, 2, 1]);
  eq([inside.aws(up.asked[0].json), inside.claude(up.asked[1].json)], [[wanted.aws[0]], [wanted.claude[0]]]);
});

test('where they cannot be had, an upstream that takes addresses is asked', async () => {
  fresh();
  const a = await look('both', [image(hidden.url + '/x.png')], { provider: { order: ['aws', 'open'] } });
  eq([a.status, up.asked.length, up.asked[0]?.json.messages[0].content[1]], [200, 1, image(hidden.url + '/x.png')]);
});

const here = `127.0.0.1:${silent.address().port}`;
const same = 'could not be fetched; hint: give a data: URL';
const refused = [
  ['a private address', 'https://127.0.0.1/a.png', same], ['by its name', 'https://localhost/a.png', same], ['as a number', 'https://2130706433/a.png', same],
  ['with zeros', 'https://0177.0.0.1/a.png', same], ['of the sixth version', 'https://[::1]/a.png', same], ['mapped', 'https://[::ffff:127.0.0.1]/a.png', same],
  ['nothing at all', 'https://0/a.png', same], ['the cloud\'s own', 'https://169.254.169.254/latest/meta-data', same],
  ['another port', `https://${here}/a.png`, same], ['a user before it', 'https://x@127.0.0.1/a.png', same], ['a name that is none', 'https://no-such-name.invalid/a.png', same],
  ['an allowed origin as a user', `https://${store.url.slice(7)}@127.0.0.1/a.png`, same], ['a redirect', store.url + '/elsewhere', same], ['gone', store.url + '/gone', same],
  ['empty', store.url + '/empty', same], ['too slow', store.url + '/slow', same],
  ['plain http', `http://${here}/a.png`, 'is not https; hint: give a data: URL'],
  ['a page', store.url + '/page', 'is no image, audio or PDF; hint: give a data: URL'], ['octets of nothing', store.url + '/octets-of-nothing', 'is no image, audio or PDF; hint: give a data: URL'],
  ['too large', store.url + '/large', 'is too large; hint: give a data: URL'],
];
for (const [name, url, words] of refused) {
  test(`refused: ${name}`, async () => {
    fresh();
    hidden.asked.length = 0;
    const a = await look('aws', [image(url)]);
    eq([a.status, a.error?.message?.replace(/^.*?messages/, 'messages')], [400, `messages[0].content[1].image_url.url: ${words}`]);
    eq([up.asked.length, hidden.asked.length, knocks], [0, 0, 0], 'requests');
    ok(!g.log.includes(url), 'addresses are content');
  });
}

test('too many, and too large together', async () => {
  fresh();
  const many = await look('aws', [1, 2, 3, 4].map((n) => image(`${store.url}/a.png?${n}`)));
  eq([many.status, store.asked.length], [400, 0]);
  ok(many.error.message.includes('more than 3 addresses'), many.error.message);
  const large = await look('aws', [image(store.url + '/half'), image(store.url + '/half2')]);
  eq([large.status, /is too large/.test(large.error.message)], [400, true]);
  const twice = await look('aws', [1, 2, 3].map(() => image(store.url + '/half')));
  eq([twice.status, /too large together/.test(twice.error.message)], [400, true], twice.error?.message);
  eq(up.asked.length, 0);
});

test('a client that leaves takes the fetch with it', async () => {
  fresh();
  let req;
  const gone = chat(g, key, asking('aws', [image(store.url + '/slow')]), { onStart: (r) => { req = r; } });
  await until('the fetch', () => store.asked.length);
  req.destroy();
  await gone;
  await until('its end', () => store.asked[0].closed);
});

test('it may be switched off', async () => {
  const off = await startGateway(`${providers} fetch = { enabled = false, allow = { "${store.url}" } },`);
  fresh();
  const a = await ask(off, await off.newKey(), asking('aws', [image(store.url + '/a.png')]));
  await off.stop();
  eq([a.status, store.asked.length], [400, 0]);
  ok(a.error.message.includes('takes no URL'), a.error.message);
});

await run(async () => { await g.stop(); await up.stop(); await store.stop(); await hidden.stop(); silent.close(); });
