// bedrock.test.js - Bedrock behind the chat surface, an upstream that checks each signature.
import { eq, ok, run, test } from './tap.js';
import { event, frame, sendStream as stream } from './eventstream.js';
import { sendJson, startGateway, startUpstream } from './gateway.js';
import { wrongSignature } from './sigv4.js';
import { ask, talk, thoughts } from './talk.js';

const who = { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', region: 'eu-west-1', service: 'bedrock' };
const token = 'SESSION/TOKEN+EXAMPLE==';

// What the model says, and how both of Bedrock's forms say it.
const b64 = (s) => Buffer.from(s).toString('base64');
const first = [{ reasoningContent: { reasoningText: { text: 'Two calls, é.', signature: 'c2ln' } } }, { reasoningContent: { redactedContent: b64('hidden') } }, { text: 'Looking.' },
  { toolUse: { toolUseId: 'tooluse_1', name: 'weather', input: { city: 'Paris', n: 12345678901234567 } } }, { toolUse: { toolUseId: 'tooluse_2', name: 'people', input: { city: 'Paris' } } }];
const blocks = (n) => n === 1 ? first : [{ text: 'All fine.' }];
const usage = { inputTokens: 100, outputTokens: 20, totalTokens: 1120, cacheReadInputTokens: 1000, cacheReadInputTokenCount: 1000 };
// 12345678901234567 is no double: the text of the number must stay.
const exact = (json) => json.replace(/12345678901234568/g, '12345678901234567');
function pieces(b, i) {
  const delta = (d) => event('contentBlockDelta', { contentBlockIndex: i, delta: d });
  if (b.text) return [delta({ text: b.text.slice(0, 3) }), delta({ text: b.text.slice(3) })];
  if (b.reasoningContent?.reasoningText) return [delta({ reasoningContent: { text: 'Two calls' } }), delta({ reasoningContent: { text: ', é.' } }), delta({ reasoningContent: { signature: 'c2ln' } })];
  if (b.reasoningContent) return [delta({ reasoningContent: b.reasoningContent })];
  const input = exact(JSON.stringify(b.toolUse.input));
  return [event('contentBlockStart', { contentBlockIndex: i, start: { toolUse: { toolUseId: b.toolUse.toolUseId, name: b.toolUse.name } } }),
    delta({ toolUse: { input: input.slice(0, 5) } }), delta({ toolUse: { input: input.slice(5) } })];
}
const frames = (n) => [event('messageStart', { role: 'assistant' }),
  ...blocks(n).flatMap((b, i) => [...pieces(b, i), event('contentBlockStop', { contentBlockIndex: i })]),
  event('messageStop', { stopReason: n === 1 ? 'tool_use' : 'end_turn' }), event('metadata', { usage, metrics: { latencyMs: 1 } })];

// Claude's own API, by InvokeModel.
const claude = (n) => n === 1 ? [{ type: 'thinking', thinking: 'Two calls.', signature: 'c2ln' }, { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Paris' } }] : [{ type: 'text', text: 'All fine.' }];
const claudeEvents = (n) => [{ type: 'message_start', message: { id: 'msg_1', type: 'message', model: 'claude', content: [], usage: { input_tokens: 10, output_tokens: 1 } } },
  ...claude(n).flatMap((b, index) => [{ type: 'content_block_start', index, content_block: b.type === 'tool_use' ? { ...b, input: {} } : b.type === 'thinking' ? { type: 'thinking', thinking: '', signature: '' } : { type: 'text', text: '' } },
    ...(b.type === 'tool_use' ? [{ type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json: JSON.stringify(b.input) } }]
      : b.type === 'thinking' ? [{ type: 'content_block_delta', index, delta: { type: 'thinking_delta', thinking: b.thinking } }, { type: 'content_block_delta', index, delta: { type: 'signature_delta', signature: b.signature } }]
        : [{ type: 'content_block_delta', index, delta: { type: 'text_delta', text: b.text } }]), { type: 'content_block_stop', index }]),
  { type: 'message_delta', delta: { stop_reason: n === 1 ? 'tool_use' : 'end_turn' }, usage: { output_tokens: 9 } }, { type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: 10 } }];

let wrong = [];
let serve;
const turn = (req) => req.json.messages.some((m) => JSON.stringify(m.content).match(/tool_?[rR]esult/)) ? 2 : 1;
function usual(req, res) {
  const n = turn(req);
  if (req.url.endsWith('/converse-stream')) return stream(res, frames(n));
  if (req.url.endsWith('/invoke-with-response-stream')) return stream(res, claudeEvents(n).map((e) => event('chunk', { bytes: b64(JSON.stringify(e)) })));
  if (req.url.endsWith('/invoke'))
    return sendJson(res, 200, { type: 'message', id: 'msg_1', model: 'claude', content: claude(n), stop_reason: n === 1 ? 'tool_use' : 'end_turn', usage: { input_tokens: 10, output_tokens: 9 } });
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(exact(JSON.stringify({ output: { message: { role: 'assistant', content: blocks(n) } }, stopReason: n === 1 ? 'tool_use' : 'end_turn', usage, metrics: {} })));
}
const up = await startUpstream((req, res) => {
  const bad = wrongSignature(req, { ...who, token: req.headers['x-amz-security-token'] ? token : undefined });
  if (bad) wrong.push(bad);
  if (bad) return sendJson(res, 403, { message: 'The request signature we calculated does not match' }, { 'x-amzn-errortype': 'InvalidSignatureException' });
  return serve(req, res);
});
const pair = 'access_key_id = env "AWS_ACCESS_KEY_ID", secret_access_key = env "AWS_SECRET_ACCESS_KEY"';
const price = 'price = { input = 1, output = 1, cache_read = 1 }';
const model = (slug, provider, id, more = '') => `["${slug}"] = { max_output = 8000, endpoints = { { provider = "${provider}", model = "${id}", ${price}${more} } } },`;
const g = await startGateway(`
  providers = {
    aws = { dialect = "bedrock", base_url = "${up.url}", aws = { ${pair} }, options = { region = "eu-west-1" } },
    session = { dialect = "bedrock", base_url = "${up.url}/aws/", aws = { ${pair}, session_token = env "AWS_SESSION_TOKEN" }, options = { region = "eu-west-1" } },
    invoke = { dialect = "anthropic", base_url = "${up.url}", aws = { ${pair} }, options = { region = "eu-west-1" },
      quirks = { path = "/model/{model}/invoke", stream_path = "/model/{model}/invoke-with-response-stream", version_in_body = "bedrock-2023-05-31", stream_in_body = false, auth = "sigv4", urls = false } },
    wrong = { dialect = "bedrock", base_url = "${up.url}", aws = { access_key_id = env "AWS_ACCESS_KEY_ID", secret_access_key = env "WRONG_KEY" }, options = { region = "eu-west-1" } },
  },
  models = {
    ${model('c/claude', 'aws', 'eu.anthropic.claude-sonnet-4-5-20250929-v1:0')}
    ${model('c/session', 'session', 'arn:aws:bedrock:eu-west-1:1:inference-profile/x', ', quirks = { family = "anthropic" }')}
    ${model('c/invoke', 'invoke', 'eu.anthropic.claude-opus-4-1-20250805-v1:0')}
    ${model('c/wrong', 'wrong', 'anthropic.x')}
  },`, { env: { AWS_ACCESS_KEY_ID: who.id, AWS_SECRET_ACCESS_KEY: who.secret, AWS_SESSION_TOKEN: token, WRONG_KEY: 'CANARY-wrong' } });
const key = await g.newKey();
const fresh = () => { up.asked.length = 0; wrong = []; serve = usual; };
const more = { reasoning: { max_tokens: 2000 }, max_tokens: 4000 };
const answers = {};

for (const streamed of [false, true]) {
  const how = streamed ? 'streamed' : 'whole';
  test(`${how}: a conversation with tools keeps thoughts, ids, arguments and order`, async () => {
    fresh();
    const t = answers[how] = await talk(g, key, 'c/claude', { stream: streamed, more });
    eq(wrong, [], 'signatures');
    eq(t.first.finish, 'tool_calls');
    eq(t.first.message.content, 'Looking.');
    eq(t.first.message.tool_calls.map((c) => [c.id, c.function.name, c.function.arguments]), [['tooluse_1', 'weather', '{"city":"Paris","n":12345678901234567}'], ['tooluse_2', 'people', '{"city":"Paris"}']]);
    eq([t.second.finish, t.second.message.content], ['stop', 'All fine.']);
    eq([t.first.usage.prompt_tokens, t.first.usage.prompt_tokens_details.cached_tokens, t.first.usage.completion_tokens], [1100, 1000, 20]);
    const [one, two] = up.asked;
    eq(one.url, `/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse${streamed ? '-stream' : ''}`);
    eq(one.json.system, [{ text: 'be brief' }]);
    eq(one.json.inferenceConfig, { maxTokens: 4000 });
    eq(one.json.additionalModelRequestFields, { thinking: { type: 'enabled', budget_tokens: 2000 } });
    eq(one.json.toolConfig.tools.map((s) => s.toolSpec.name), ['weather', 'people']);
    eq(two.json.messages.map((m) => m.role), ['user', 'assistant', 'user']);
    eq(two.json.messages[1].content, first, 'what the model said');
    ok(two.text.includes('12345678901234567}'), 'a number that is no double');
    eq(two.json.messages[2].content, [['tooluse_1', 'weather'], ['tooluse_2', 'people']].map(([toolUseId, name]) => ({ toolResult: { toolUseId, content: [{ text: `${name} is fine` }], status: 'success' } })));
    eq(two.json.additionalModelRequestFields, { thinking: { type: 'enabled', budget_tokens: 2000 } }, 'thinking goes on');
  });
  test(`${how}: Claude's own API by InvokeModel is the anthropic dialect`, async () => {
    fresh();
    const t = await talk(g, key, 'c/invoke', { stream: streamed, more });
    eq(wrong, [], 'signatures');
    eq(t.first.message.tool_calls.map((c) => [c.id, c.function.arguments]), [['toolu_1', '{"city":"Paris"}']]);
    eq([t.second.finish, t.second.message.content], ['stop', 'All fine.']);
    const [one, two] = up.asked;
    eq(one.url, `/model/eu.anthropic.claude-opus-4-1-20250805-v1%3A0/invoke${streamed ? '-with-response-stream' : ''}`);
    eq([one.json.anthropic_version, one.json.model, one.json.stream], ['bedrock-2023-05-31', undefined, undefined]);
    eq(two.json.messages[1].content, claude(1), 'what the model said');
  });
}

test('a stream put together is the whole answer', () => {
  const { whole, streamed } = answers;
  eq(thoughts(streamed.first.message.reasoning_details), thoughts(whole.first.message.reasoning_details), 'thoughts');
  eq(streamed.first.message.tool_calls.map((c) => c.function), whole.first.message.tool_calls.map((c) => c.function), 'calls');
  const counts = (u) => [u.prompt_tokens, u.completion_tokens, u.total_tokens, u.cost];
  eq(counts(streamed.first.usage), counts(whole.first.usage), 'usage');
});

test('temporary credentials, an ARN, an address with a path', async () => {
  fresh();
  const a = await ask(g, key, { model: 'c/session', messages: [{ role: 'user', content: 'é' }] });
  eq([a.status, wrong], [200, []]);
  eq(up.asked[0].url, '/aws/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse');
  eq(up.asked[0].headers['x-amz-security-token'], token);
});

test('a wrong key is the gateway\'s fault, and shown to nobody', async () => {
  fresh();
  const a = await ask(g, key, { model: 'c/wrong', messages: [{ role: 'user', content: 'x' }] });
  ok(a.status >= 500, `not the client's fault: ${a.status}`);
  ok(wrong.length && !JSON.stringify(a).includes('CANARY') && !g.log.includes('CANARY') && !g.log.includes(who.secret), 'the key stays here');
});

const failing = [
  ['an exception instead of an answer', (res) => stream(res, [frame('exception', 'throttlingException', { message: 'slow down' })]), (a) => eq(a.status, 429)],
  ['an exception behind the first words', (res) => stream(res, [...frames(2).slice(0, 2), frame('exception', 'modelStreamErrorException', { message: 'broke' })]), (a) => eq([a.status, a.message.content, a.finish], [200, 'All', 'error'])],
  ['a wrong CRC', (res) => { const bad = frames(2); bad[1][bad[1].length - 6] ^= 1; stream(res, bad); }, (a) => ok(a.status === 502 || a.error, 'an upstream error')],
  ['a wrong CRC behind the first words', (res) => { const bad = frames(2); bad[2][bad[2].length - 6] ^= 1; stream(res, bad); }, (a) => eq([a.status, a.message.content, a.finish], [200, 'All', 'error'])],
  ['a stream cut short', (res) => stream(res, frames(2).slice(0, 3)), (a) => eq([a.status, a.message.content, a.finish], [200, 'All fine.', 'error'])],
  ['HTTP 429', (res) => sendJson(res, 429, { message: 'Too many requests' }, { 'x-amzn-errortype': 'ThrottlingException:http://x/' }), (a) => eq(a.status, 429)],
];
for (const [name, reply, check] of failing) {
  test(name, async () => {
    fresh();
    serve = (req, res) => reply(res);
    check(await ask(g, key, { model: 'c/claude', stream: true, messages: [{ role: 'user', content: 'x' }] }));
  });
}

await run(async () => { await g.stop(); await up.stop(); });
