#!/bin/sh
# Every example of every command's help is typed, in the order of the help, beside a
# running gateway: it must end well.  What stands for something of the reader's own
# (a generation, a version, a file) is put in first; a new example that needs more
# fails until it is given here.
. "$(dirname "$0")/typed.sh"
unset OPENROUTER_BASE_URL OPENROUTER_API_KEY XDG_STATE_HOME XDG_CONFIG_HOME
export HOME="$dir" TERM=dumb

mkdir "$dir/bin" "$dir/etc" "$dir/.codex" && ln -s "$MOONGATE" "$dir/bin/moongate" && cd "$dir" || exit 1
PATH=$dir/bin:$PATH

# ---- an upstream that lists a model and answers
cat >up.mjs <<'END'
import { createServer } from 'node:http';
const chunk = (delta, finish_reason, more) => `data: ${JSON.stringify({ id: '1', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta, finish_reason }], ...more })}\n\n`;
const server = createServer(async (req, res) => {
  for await (const part of req) void part;
  if (req.method === 'GET') return res.end('{"object":"list","data":[{"id":"llama-4","object":"model"}]}');
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.end(chunk({ role: 'assistant', content: 'Hello.' }, null) + chunk({}, 'stop', { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }) + 'data: [DONE]\n\n');
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
END
node up.mjs >up.out & up=$!
ok "an upstream" started "$up" up.out listening
upstream=$(sed -n 's/.*listening on //p' up.out)

# ---- the reader's own things
price='price = { input = 1, output = 2 }'
cat >config.lua <<END
return {
  dev = true, listen = "127.0.0.1:0", data_dir = "data", policy = { bundle = "policies" },
  providers = {
    sim = { dialect = "sim", base_url = "sim:" },
    openai = { api_key = "sk-none", base_url = "$upstream/v1", models = false },
    vllm = { dialect = "openai", base_url = "$upstream/v1" }, groq = { api_key = "gsk-none", base_url = "$upstream/v1", models = false },
  },
  models = {
    ["sim/echo"] = { endpoints = { { provider = "sim", model = "echo", $price } } },
    ["meta/llama-4"] = { endpoints = { { provider = "vllm", model = "llama-4", $price } } },
    ["openai/gpt-4o"] = { endpoints = { { provider = "openai", model = "gpt-4o", $price } } },
  },
}
END
cp config.lua new.lua
cp "$BUILD/plugins/providers/ollama.so" acme.so
echo 'notes' >notes.txt
echo '{"model":"sim/echo","messages":[{"role":"user","content":"hi"}]}' | tee r.json >chat.json
echo '{"groq":{"id":"groq","models":{"llama-x":{"id":"llama-x","name":"X","cost":{"input":1,"output":2},"limit":{"context":1000,"output":100}}}}}' >api.json
echo '{"groq/llama-y":{"litellm_provider":"groq","mode":"chat","input_cost_per_token":1e-06,"output_cost_per_token":2e-06,"max_input_tokens":1000}}' >prices.json
moongate policy new first policies >/dev/null 2>&1
moongate policy new spare new >/dev/null 2>&1
moongate serve --first-key >serve.out 2>serve.err & gate=$!
ok "a gateway" started "$gate" serve.out '^curl'
kept() { moongate log tail -n 1 --output jsonl >tail && sed 's/"provider_responses.*//; s/.*"id":"\(gen-[^"]*\)".*/\1/' tail | grep . >id; }
asked() { moongate chat sim/echo hello || return 1; for _ in $(seq 500); do kept && return 0; sleep 0.02; done; return 1; }
ok "a generation" asked
ok "another version" moongate policy publish new --drop-guards
moongate policy publish policies --drop-guards >/dev/null 2>&1
moongate log key >moongate.pem
moongate key create shown >/dev/null 2>&1
live() { moongate policy list --json | grep -o '"version":"[0-9a-f]*"' | sed -n "$1s/.*\"\([0-9a-f]\{12\}\).*/\1/p"; }

# What is typed for an example.
typed() {
	printf '%s\n' "$1" | sed "s|gen-1764031697-vqvW0uz7ouT4gsp3FYqp|$(cat id)|; s|/etc/|$dir/etc/|g; s|^moongate serve.*|& --check|; s|^moongate restore.*|& --yes|
		s|^moongate chat\$|echo hello \| & sim/echo|; s|^moongate man .*|moongate man|; s|^export \([A-Z_]*\)=\(.*\)|\1=\2; [ \"\$\1\" ]|
		s|key show 3f2a9c|key show $(moongate key show shown --json | grep -o '"hash":"[0-9a-f]*' | cut -c9-18)|; s|3f2a9c|$(live 2)|; s|8d01be|$(live 1)|"
}
mkdir -p etc/moongate etc/bash_completion.d && cp config.lua etc/moongate/config.lua && sed -i "s|bundle = \"|&$dir/|" etc/moongate/config.lua
moongate help | sed -n 's/^  \([a-z]* *[a-z]*\)  .*/\1/p' | sed 's/ *$//' >names
while read -r name; do
	# shellcheck disable=SC2086 # two words
	moongate $name --help | sed -n '/^examples:/,/^$/s/^  //p' >examples
	if [ "$name" = restore ]; then
		kill -TERM "$gate"; wait "$gate"; gate=
		cp moongate-*.db moongate-2026-11-21.db
	fi
	while IFS= read -r line; do ok "$line" sh -c "$(typed "$line")"; done <examples
done <names
ok "there are many" test "$n" -gt 85
echo "1..$n"
exit $bad
