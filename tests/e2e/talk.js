// talk.js - a chat client that calls tools: two turns, streamed or not, with
// everything sent back that came.
import { bearer, events } from './checks.js';

export const tools = ['weather', 'people'].map((name) => ({ type: 'function', function: { name, description: name, parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } }));

// What a client makes of a stream: text joined, calls by index, thoughts as their pieces.
export function assembled(chunks) {
  const message = { role: 'assistant', content: '', tool_calls: [], reasoning_details: [], annotations: [] };
  let finish = null, usage = null, error = null;
  for (const chunk of chunks) {
    error ??= chunk.error ?? null;
    usage = chunk.usage ?? usage;
    for (const c of chunk.choices ?? []) {
      finish = c.finish_reason ?? finish;
      message.content += c.delta.content ?? '';
      message.reasoning_details.push(...c.delta.reasoning_details ?? []);
      message.annotations.push(...c.delta.annotations ?? []);
      for (const t of c.delta.tool_calls ?? []) {
        const call = message.tool_calls[t.index] ??= { id: '', type: 'function', function: { name: '', arguments: '' } };
        call.id ||= t.id ?? '';
        call.function.name ||= t.function?.name ?? '';
        call.function.arguments += t.function?.arguments ?? '';
      }
    }
  }
  return { message, finish, usage, error };
}

export async function ask(g, key, body) {
  const r = await fetch(g.api + '/chat/completions', { method: 'POST', headers: bearer(key), body: JSON.stringify(body) });
  const text = await r.text();
  if (r.headers.get('content-type')?.startsWith('text/event-stream'))
    return { status: r.status, ...assembled(events(text).filter((e) => e !== '[DONE]')) };
  const j = JSON.parse(text), c = j.choices?.[0];
  return { status: r.status, message: c?.message, finish: c?.finish_reason, usage: j.usage, error: j.error ?? null };
}

// The pieces of one thought as the thought: what two ways to say the same have in common.
export const thoughts = (details) => details.reduce((all, d) => {
  const last = all.at(-1), same = last && last.index === d.index && last.format === d.format && d.type === last.type && !last.signature && !last.data;
  if (!same) return [...all, { ...d }];
  for (const m of ['text', 'summary']) if (d[m]) last[m] = (last[m] ?? '') + d[m];
  for (const m of ['signature', 'data', 'id']) if (d[m]) last[m] = d[m];
  return all;
}, []);

// Two turns; the answer of each, and what was said.
export async function talk(g, key, model, { stream, more = {} }) {
  const messages = [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'weather and people of Paris?' }];
  const first = await ask(g, key, { model, messages, tools, stream, ...more });
  const { role, content, tool_calls, reasoning_details } = first.message ?? {};
  messages.push({ role, content, tool_calls, reasoning_details });
  for (const call of tool_calls ?? []) messages.push({ role: 'tool', tool_call_id: call.id, content: `${call.function.name} is fine` });
  const second = await ask(g, key, { model, messages, tools, stream, ...more });
  return { first, second, messages };
}
