#!/bin/sh
# The shipped catalogue, and `moongate model import`: what is taken, kept, refused and said.
root=$(cd "$(dirname "$0")/../.." && pwd)
MOONGATE=${MOONGATE:-$root/build/moongate}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0 bad=0
unset MOONGATE_URL MOONGATE_KEY MOONGATE_CONFIG MOONGATE_MANAGEMENT_KEY
export NO_COLOR=1
ok() {	# NAME COMMAND...
	name=$1; shift; n=$((n + 1))
	if "$@" >"$dir/out" 2>"$dir/err" </dev/null; then echo "ok $n - $name"; else
		bad=1; echo "not ok $n - $name"; cat "$dir/out" "$dir/err" | tail -n 8 | sed 's/^/# /'; fi
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
status() { want=$1; shift; "$@"; [ $? -eq "$want" ]; }
says() { text=$1; shift; "$@" >"$dir/said" 2>&1; code=$?; cat "$dir/said"; grep -q -e "$text" "$dir/said" && return $code; return 99; }
import() { "$MOONGATE" model import --config "$dir/config.lua" "$@"; }
cd "$dir" || exit 1

printf 'return { dev = true, data_dir = "%s/data", providers = { groq = { api_key = "k" }, sim = { dialect = "sim", base_url = "sim:" } } }\n' "$dir" >config.lua

# ---- what is shipped
models() { cat "$root"/sdk/catalog/models/*.jsonl | sed -n 's/^{"id":"\([^"]*\)".*/\1/p' | sort -u | wc -l; }
priced() { grep -l '"price"' "$root"/sdk/catalog/models/*.jsonl | wc -l; }
ok "at least 1,500 models are known" test "$(models)" -ge 1500
ok "at least 100 providers have prices" test "$(priced)" -ge 100
ok "each price has its source and day" sh -c "! grep -h '\"price\":\[' '$root'/sdk/catalog/models/*.jsonl | grep -v '\"since\":\"20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]\",\"source\":\"'"
# All of them at once, as far as their addresses are known.
{
	echo "return { dev = true, data_dir = '$dir/all', providers = {"
	awk '/^\t"/ { gsub(/[\t":{ ]/, ""); slug = $0; url = "" } /"base_url": "http/ && !/[{]/ { url = 1 } /^\t}/ { if (url && slug != "amazon-bedrock") print "[\"" slug "\"] = { api_key = \"k\", models = true }," }' "$root/sdk/catalog/providers.json"
	echo "} }"
} >all.lua
dialects() { ls "${MOONGATE%/*}"/plugins/providers/*.so | sed 's|.*/||; s|\.so$||'; }
# A provider whose dialect is not built is not asked for.
awk -v have=" $(dialects | tr '\n' ' ') " 'NR == FNR { if (/^\t"/) { s = $0; gsub(/[\t":{ ]/, "", s) } if (/"dialect": /) { d = $2; gsub(/[",]/, "", d); if (!index(have, " " d " ")) drop[s] = 1 } next }
	{ s = $0; sub(/^\["/, "", s); sub(/".*/, "", s); if (!(s in drop)) print }' "$root/sdk/catalog/providers.json" all.lua >some.lua
whole() { says '"id"' "$MOONGATE" model list --config some.lua --json && [ "$(grep -o '"id":' said | wc -l)" -ge 1200 ]; }
ok "all of it loads at once" whole

# ---- one's own
cat >one.json <<'JSON'
{"groq":{"npm":"@ai-sdk/groq","models":{
 "fresh-1":{"id":"acme/fresh-1","name":"Fresh","release_date":"2026-03-05","tool_call":true,"limit":{"context":1000,"output":100},
  "modalities":{"input":["text"],"output":["text"]},"cost":{"input":0.10,"output":0.8999999999999999}},
 "gone":{"id":"gone","status":"deprecated","cost":{"input":1,"output":1}}}},
 "nobody":{"models":{"n":{"id":"n","cost":{"input":1}}}}}
JSON
sed 's/0\.10/0.25/' one.json >two.json
ok "--dry-run says what would be" says '^groq  *1  *0  *0  *1' import --from models.dev one.json --dry-run
ok "... and writes nothing" test ! -e data/catalog
ok "an import says what it passed over" says 'skipped 1: deprecated' import --from models.dev one.json --since 2026-01-01 --label "a test"
ok "its price is exact, with source and day" grep -q '"price":\[{"since":"2026-01-01","source":"a test","input":"0.1","output":"0.9"}\]' data/catalog/models/groq.jsonl
ok "the shipped rows stay beside it" test "$(grep -c . data/catalog/models/groq.jsonl)" -gt 5
ok "the gateway knows the model" says 'acme/fresh-1 .* 0.1 ' "$MOONGATE" model list --config config.lua
ok "the same again changes nothing" says '^groq  *0  *0  *1  *1' import --from models.dev one.json --since 2026-02-02
ok "another price is shown" says 'groq acme/fresh-1: 0.1/0.9 -> 0.25/0.9 USD/M' import --from models.dev two.json --since 2026-02-02
ok "a price of the future waits for its day" says '0.25' import --from models.dev one.json --since 2099-01-01
ok "... today's is in force" says 'acme/fresh-1 .* 0.25 ' "$MOONGATE" model list --config config.lua
ok "... and all three are in the file" test "$(grep 'acme/fresh-1' data/catalog/models/groq.jsonl | grep -o '"since"' | wc -l)" = 3
ok "--json: counts for machines" says '"provider":"groq","new":0,"changed":0,"same":1,"skipped":1' import --from models.dev one.json --since 2099-01-01 --json

echo '{"groq/lite-1":{"litellm_provider":"groq","mode":"chat","input_cost_per_token":5.9e-07,"output_cost_per_token":7.9e-07}}' >lite.json
ok "LiteLLM's list" says '^groq  *1  *0' import --from litellm lite.json
ok "... per token becomes per million" grep -q '"input":"0.59","output":"0.79"' data/catalog/models/groq.jsonl

ok "no source: 2" status 2 import one.json
ok "an unknown one: 2" status 2 import --from somewhere one.json
ok "a day that is none: 2" status 2 import --from models.dev one.json --since tomorrow
ok "no file: 6" status 6 import --from models.dev nothing.json
echo '{"groq":' >broken.json
ok "what is no JSON: 3, and nothing is written" status 3 import --from models.dev broken.json
echo 'nonsense' >>data/catalog/models/groq.jsonl
ok "a bad line of ours is named" says 'groq.jsonl:[0-9]*: ' status 3 "$MOONGATE" model list --config config.lua

if [ -r "$root/../shared/catalogue/models.dev.json" ]; then
	ok "the public list as a whole" says 'SKIPPED' import --from models.dev "$root/../shared/catalogue/models.dev.json" --into "$dir/whole" --label public
	unchanged() {
		import --from models.dev "$root/../shared/catalogue/models.dev.json" --label "models.dev f3fc692" --since 2026-07-02 --into none --dry-run --json | tr '{' '\n' >rows
		[ "$(grep -c '"same":' rows)" -gt 100 ] && [ "$(grep -c '"same":' rows)" = "$(grep -c '"new":0,"changed":0,' rows)" ]
	}
	ok "... is what is shipped: nothing is new, nothing has changed" unchanged
else
	skip "the public list as a whole" "it is not here"
	skip "... is what is shipped" "it is not here"
fi
echo "1..$n"
exit $bad
