// roundtrip.test.js - a chat client, the gateway, and each dialect: two turns with tools and thoughts,
// and what the third sends back of them is what the model said: ids, arguments, signatures, order.
import { eq, ok, run, test } from './tap.js';
import { sendJson, startGateway, startUpstream } from './gateway.js';
import { ask, thoughts as merged, tools } from './talk.js';
import { big, calls, dialects, exact, idForm, kin, results, saying, secrets, texts, thoughts, words } from './dialects.js';

// As strict as the real ones: nothing unknown, at no other address, with no other key.
const up = {};
for (const [slug, d] of Object.entries(dialects)) {
  up[slug] = await startUpstream((req, res) => {
    const wrong = !d.path.test(req.url) ? `no such address: ${req.url}` : Object.entries(d.headers).find(([n, v]) => req.headers[n] !== v)?.join(': ');
    if (wrong) return sendJson(res, 400, { error: { message: wrong }, message: wrong });
    const n = d.turn(req.json);
    if (req.json.stream || /stream/i.test(req.url)) return d.stream(res, n);
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(exact(d.whole(n)));
  });
}
const g = await startGateway(`
  providers = {
    ${Object.entries(dialects).map(([slug, d]) => `["${slug}"] = { base_url = "${up[slug].url}", api_key = "${words.key}", data = { trains = false, retains = false }, ${d.row} },`).join('\n')}
  },
  models = {
    ${Object.entries(dialects).map(([slug, d]) => `["t/${slug}"] = { max_output = 8000, endpoints = { { provider = "${slug}", model = "${d.model ?? 'up'}", price = { input = 1, output = 1 } } } },`).join('\n')}
  },`);
const key = await g.newKey();

// What clients keep of an answer.
const clients = {
  'all that came': { stream: false, keep: (m) => m },
  'the pieces of a stream': { stream: true, keep: (m) => m },
  'a stream put together': { stream: true, keep: (m) => ({ ...m, reasoning_details: merged(m.reasoning_details) }) },
  'the text of thoughts alone': { stream: false, unsigned: true, keep: ({ role, content, tool_calls, reasoning }) => ({ role, content, tool_calls, reasoning }) },
  'the text by its other name': { stream: false, unsigned: true, keep: ({ role, content, tool_calls, reasoning }) => ({ role, content, tool_calls, reasoning_content: reasoning }) },
};

const shown = (m) => m.reasoning ?? (m.reasoning_details ?? []).map((d) => d.text ?? d.summary ?? '').join('');
async function converse(slug, { stream, keep }) {
  const messages = [{ role: 'system', content: words.system }, { role: 'user', content: words.question }];
  const send = async () => {
    const a = await ask(g, key, { model: `t/${slug}`, messages, tools, stream, reasoning: { effort: 'high' }, max_tokens: 4000 });
    eq([a.status, a.error?.message ?? null], [200, null], 'the answer');
    messages.push(JSON.parse(JSON.stringify(keep(a.message))));
    return a;
  };
  const first = await send();
  for (const [i, call] of (first.message.tool_calls ?? []).entries()) messages.push({ role: 'tool', tool_call_id: call.id, content: results[i] });
  const second = await send();
  messages.push({ role: 'user', content: words.next });
  await send();
  return { first, second, messages, said: [null, messages[2], messages.at(-3)] };
}

const sorted = (v) => Array.isArray(v) ? v.map(sorted) : v && typeof v === 'object' ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, sorted(v[k])])) : v;
// The first place where two values differ, and both there.
function difference(a, b, at = '') {
  if (JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))) return null;
  if (!a || !b || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return `${at}: ${JSON.stringify(a)}, not ${JSON.stringify(b)}`;
  for (const k of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const d = difference(a[k], b[k], `${at}.${k}`);
    if (d) return d;
  }
  return `${at}: order`;
}

for (const [slug, d] of Object.entries(dialects)) {
  for (const [name, client] of Object.entries(clients)) {
    if (client.unsigned && d.signed) continue;
    test(`${slug}: ${name}`, async () => {
      up[slug].asked.length = 0;
      const { first, second, said } = await converse(slug, client);
      eq([first.finish, first.message.content], ['tool_calls', texts[1]]);
      eq(first.message.tool_calls.map((c) => [c.id, c.function.name, c.function.arguments]), calls.map(([n, args], i) => [d.ids[i], n, args]), 'calls');
      eq([second.finish, second.message.content], ['stop', texts[2]]);
      eq([shown(first.message), shown(second.message)], d.silent ? ['', ''] : [d.silentFirst ? '' : thoughts[1], thoughts[2]], 'thoughts');
      eq([first.usage.prompt_tokens, first.usage.completion_tokens], [50, 20], 'usage');
      const { text, json } = up[slug].asked[2], want = JSON.parse(JSON.stringify(d.body(client.stream, said, d)));
      eq(difference(json, want), null, 'the third request');
      ok(text.includes(`${big}`), 'a number that is no double');
    });
  }
}

// A conversation goes on elsewhere, since endpoints fail: calls and results as they were, ids that
// the other one takes, and nothing sealed that it could not open.
const history = {};
for (const from of Object.keys(dialects)) {
  test(`what ${from} said goes to every other`, async () => {
    history[from] ??= (await converse(from, { stream: true, keep: (m) => m })).messages.slice(0, -1);
    for (const to of Object.keys(dialects)) {
      if (to === from) continue;
      up[to].asked.length = 0;
      const a = await ask(g, key, { model: `t/${to}`, messages: history[from], tools, max_tokens: 4000 });
      eq([a.status, a.error?.message ?? null, a.message?.content], [200, null, texts[2]], to);
      const { text, json } = up[to].asked[0], said = saying(to, json);
      eq(said.calls.map(([, name, args]) => [name, args]), calls.map(([name, args]) => [name, JSON.parse(args)]), `${to}: calls`);
      eq(said.results.map(([, words_]) => words_), results, `${to}: results`);
      eq(said.results.map(([id]) => id), said.calls.map(([id]) => id), `${to}: each result at its call`);
      eq(new Set(said.calls.map(([id]) => id)).size, 2, `${to}: ids of their own`);
      for (const [id] of said.calls) ok(!idForm[to] || idForm[to].test(id), `${to}: ${id}`);
      if (!idForm[to] || dialects[from].ids.every((id) => idForm[to].test(id))) eq(said.calls.map(([id]) => id), dialects[from].ids, `${to}: ids`);
      ok(text.includes(big), `${to}: a number that is no double`);
      const roles = (json.contents ?? (['anthropic', 'bedrock'].includes(to) ? json.messages : [])).map((m) => m.role);
      ok(roles.every((role, i) => (role === 'user') === (i % 2 === 0)), `${to}: they take turns: ${roles}`);
      if (to === 'google-ai-studio') eq(json.contents[1].parts.filter((p) => p.functionCall).map((p) => p.thoughtSignature ?? null), ['skip_thought_signature_validator', null], 'a call that it did not make');
      if (to === 'deepseek') ok(json.messages.filter((m) => m.role === 'assistant').every((m) => m.reasoning_content), 'a thought in every answer');
      const foreign = kin[from] && kin[from] === kin[to] ? [] : (secrets[from] ?? []).filter((s) => text.includes(s));
      eq(to === 'openrouter' ? [] : foreign, [], `${to}: seals`);	// it sorts them out itself
    }
  });
}

await run(async () => { await g.stop(); for (const u of Object.values(up)) await u.stop(); });
