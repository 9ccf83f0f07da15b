// discover.test.js - `moongate provider discover`: an upstream's own list, and what of it is configured.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { binary, sendJson, startUpstream } from './gateway.js';
import { wrongSignature } from './sigv4.js';

let behave = (req, res) => sendJson(res, 200, { object: 'list', data: [
  { id: 'llama-3.3-70b-versatile', object: 'model', context_window: 131072 }, { id: 'mine', object: 'model' }, { id: 'Qwen/Qwen3-32B', object: 'model' }] });
const up = await startUpstream((req, res) => behave(req, res));
const home = mkdtempSync(join(tmpdir(), 'moongate-discover-'));
const config = join(home, 'config.lua');
writeFileSync(config, `return { dev = true, data_dir = "${home}/data", providers = {
  aws = { dialect = "bedrock", base_url = "http://bedrock-runtime.localhost:${up.port}", aws = { access_key_id = "AKIAX", secret_access_key = "CANARY-secret", session_token = "CANARY-token" }, options = { region = "eu-west-1" } },
  apikey = { dialect = "bedrock", base_url = "${up.url}/aws", api_key = "bedrock-CANARY", options = { region = "eu-west-1" } },
  pages = { dialect = "anthropic", base_url = "${up.url}/pages", api_key = "sk-CANARY" }, endless = { dialect = "cohere", base_url = "${up.url}/endless", api_key = "sk-CANARY" },
  up = { dialect = "openai", base_url = "${up.url}/v1", api_key = "sk-CANARY" }, gone = { dialect = "openai", base_url = "http://127.0.0.1:1" },
  sim = { dialect = "sim", base_url = "sim:" } },
  models = { ["meta-llama/llama-3.3-70b-instruct"] = { endpoints = { { provider = "up", model = "other", price = { input = 1, output = 1 } } } },
    ["acme/mine"] = { endpoints = { { provider = "up", model = "mine", price = { input = 1, output = 1 } } } } } }`);
const discover = (...args) => new Promise((done) => execFile(binary, ['provider', 'discover', '--config', config, ...args], { env: { PATH: process.env.PATH, HOME: home, NO_COLOR: '1' } },
  (e, stdout, stderr) => done({ code: e ? e.code : 0, out: stdout, err: stderr })));

test('its models, the names that they would have here, and which are configured', async () => {
  const r = await discover('up', '--json');
  eq([r.code, r.err], [0, '']);
  eq(JSON.parse(r.out).data.map((m) => [m.model, m.slug, m.configured]), [
    ['llama-3.3-70b-versatile', 'meta-llama/llama-3.3-70b-instruct', 'no'], ['mine', 'acme/mine', 'yes'], ['Qwen/Qwen3-32B', 'qwen/qwen3-32b', 'no']]);
  eq(JSON.parse(r.out).data[0].upstream.context_window, 131072);
  eq([up.asked[0].method, up.asked[0].url, up.asked[0].headers.authorization], ['GET', '/v1/models', 'Bearer sk-CANARY']);
});
test('as a table, with what to write', async () => {
  const r = await discover('up');
  ok(/mine +acme\/mine +yes/.test(r.out) && r.out.includes('3 models; add one:'), r.out);
});
test('a key that is refused: 5, and it is not shown', async () => {
  behave = (req, res) => sendJson(res, 401, { error: { message: 'Incorrect API key provided: sk-CANARY' } });
  const r = await discover('up');
  eq(r.code, 5);
  ok(r.err.includes('up answers 401') && !(r.out + r.err).includes('CANARY'), r.err);
});
test('an answer that is none: 8', async () => {
  behave = (req, res) => { res.writeHead(200); res.end('<html>'); };
  eq((await discover('up')).code, 8);
});
test('Bedrock: models and profiles of the control plane, by pages, each request signed', async () => {
  const wrong = [];
  behave = (req, res) => {
    const bad = wrongSignature(req, { id: 'AKIAX', secret: 'CANARY-secret', token: 'CANARY-token', region: 'eu-west-1', service: 'bedrock' });
    if (bad) wrong.push(bad);
    if (bad) return sendJson(res, 403, { message: 'no' });
    if (req.url === '/foundation-models') return sendJson(res, 200, { modelSummaries: [{ modelId: 'anthropic.claude-x-v1:0', modelLifecycle: { status: 'ACTIVE' } }] });
    if (!req.url.includes('nextToken')) return sendJson(res, 200, { inferenceProfileSummaries: [{ inferenceProfileId: 'eu.anthropic.claude-x-v1:0' }], nextToken: 'a/b+c=' });
    sendJson(res, 200, { inferenceProfileSummaries: [{ inferenceProfileId: 'global.anthropic.claude-x-v1:0' }] });
  };
  up.asked.length = 0;
  const r = await discover('aws', '--json');
  eq([r.code, r.err, wrong], [0, '', []]);
  eq(JSON.parse(r.out).data.map((m) => m.model), ['anthropic.claude-x-v1:0', 'eu.anthropic.claude-x-v1:0', 'global.anthropic.claude-x-v1:0']);
  eq(new Set(up.asked.map((a) => a.headers.host)), new Set([`bedrock.localhost:${up.port}`]), 'hosts');
  eq(up.asked.map((a) => a.url), ['/foundation-models', '/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED', '/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED&nextToken=a%2Fb%2Bc%3D']);
});
test('Bedrock with an API key; a refusal shows no secret', async () => {
  behave = (req, res) => sendJson(res, 403, { message: `you sent ${req.headers.authorization}` });
  up.asked.length = 0;
  const r = await discover('apikey');
  eq([r.code, up.asked[0].headers.authorization], [5, 'Bearer bedrock-CANARY']);
  ok(!(r.out + r.err).includes('CANARY'), r.err);
});
test('a list by pages; one without an end has one here', async () => {
  behave = (req, res) => req.url.includes('after_id=b') ? sendJson(res, 200, { data: [{ id: 'c' }], has_more: false, last_id: 'c' }) : sendJson(res, 200, { data: [{ id: 'a' }, { id: 'b' }], has_more: true, last_id: 'b' });
  const r = await discover('pages', '--json');
  eq(JSON.parse(r.out).data.map((m) => m.model), ['a', 'b', 'c'], r.err);
  behave = (req, res) => sendJson(res, 200, { models: [{ name: 'm' }], next_page_token: 'again' });
  const endless = await discover('endless', '--json');
  eq([endless.code, JSON.parse(endless.out).data.length], [0, 100]);
});
test('nobody there: 4', async () => eq((await discover('gone')).code, 4));
test('simulated: 8', async () => eq((await discover('sim')).code, 8));
test('no such provider: 6', async () => eq((await discover('nobody')).code, 6));

run(async () => { await up.stop(); rmSync(home, { recursive: true }); });
