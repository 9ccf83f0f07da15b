#!/bin/sh
# Every command against the built binary: exit statuses, streams, what is printed; first
# without a gateway, then beside a running one, then after it.
MOONGATE=${MOONGATE:-$(cd "$(dirname "$0")/../.." && pwd)/build/moongate}
DIR=$(mktemp -d)
N=0 BAD=0 PID=
unset MOONGATE_URL MOONGATE_KEY MOONGATE_KEY_FILE MOONGATE_MANAGEMENT_KEY MOONGATE_CONFIG OPENROUTER_BASE_URL OPENROUTER_API_KEY
export NO_COLOR=1

finish() {
	[ -z "$PID" ] || { kill -TERM "$PID" 2>/dev/null; wait "$PID" 2>/dev/null; }
	rm -rf "$DIR"
}
trap finish EXIT
trap 'exit 1' INT TERM

# ok NAME, after a command whose status counts
ok() {
	if [ $? -eq 0 ]; then N=$((N + 1)); echo "ok $N - $1"; else N=$((N + 1)) BAD=$((BAD + 1)); echo "not ok $N - $1"; show; fi
}
show() {
	sed 's/^/# out: /' "$DIR/out" | head -12
	sed 's/^/# err: /' "$DIR/err" | head -12
}
# run STATUS ARGS...: the command's exit status is STATUS
run() {
	want=$1
	shift
	"$MOONGATE" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null
	got=$?
	[ $got -eq "$want" ] || { echo "# moongate $*: status $got, not $want"; return 1; }
}
out() { grep -q -e "$1" "$DIR/out"; }
err() { grep -q -e "$1" "$DIR/err"; }
# soon COMMAND...: what is written by a thread of the gateway's is there after a while
soon() { for _ in $(seq 1500); do "$@" >/dev/null && break; sleep 0.02; done; "$@"; }
silent() { ! [ -s "$DIR/$1" ]; }

[ -x "$MOONGATE" ] || { echo "1..0 # SKIP $MOONGATE is not built"; exit 0; }
cd "$DIR" || exit 1

# ---- help and mistakes
run 2 && silent out && err 'usage: moongate COMMAND'; ok "alone: usage on stderr, 2"
run 0 --help && out 'policy explain' && silent err && ! awk 'length($0) > 80' "$DIR/out" | grep -q .; ok "--help: usage on stdout, 0"
sed -n 's/^  \([a-z]* *[a-z]*\)  .*/\1/p' "$DIR/out" | sed 's/ *$//' >"$DIR/names"
[ "$(wc -l <"$DIR/names")" -gt 50 ]; ok "--help lists them all"
while read -r c; do	# two words
	# shellcheck disable=SC2086
	run 0 $c --help && out "^usage: moongate $c" && out '^examples:' && ! awk 'length($0) > 80' "$DIR/out" | grep -q .
	ok "$c --help: usage, examples, in 80 columns"
done <"$DIR/names"
run 2 statsu && err "did you mean 'status'"; ok "a mistyped command is suggested"
run 2 key lst && err "did you mean 'key list'"; ok "a mistyped second word, too"
run 2 usage --sicne 1h && err "did you mean '--since'"; ok "a mistyped option, too"
run 2 serve --cnofig x && err "did you mean '--config'"; ok "also of serve"
run 2 serve --drain soon && err 'write 250ms, 30s'; ok "serve --drain takes a duration"
run 2 version there && err "unexpected argument 'there'" && run 2 man --bogus && err "unknown option '--bogus'"; ok "also of version and man"
run 0 version --json && out '^{"name":"moongate","version":"[0-9.]*","commit":".*","plugin_abi":{"major":2,"minor":[0-9]*},"policy_api":1}$'; ok "version --json"
run 2 key list --color sometimes && err 'auto, always or never'; ok "--color: unknown"
run 2 usage --since && err 'needs a value'; ok "an option without its value"
run 2 usage --since=soon && err 'no duration'; ok "a duration that is none"
run 2 usage --by planet && err 'hint: model, key'; ok "--by what cannot be"
run 2 audit --json=yes && err 'takes no value'; ok "a switch with a value"
run 2 key show && err 'argument is missing'; ok "a missing argument"
run 2 status there && err "unexpected argument 'there'"; ok "an argument too many"
run 2 usage --since x --json && err '^{"error":{"code":"usage","message":.*"hint":"write'; ok "--json: errors are JSON on stderr"

# ---- init, config
run 0 init gw && [ -f gw/config.lua ] && [ -f gw/.env.example ] && [ -f gw/policies/bundle.lua ]; ok "init writes three files"
echo '-- mine' >>gw/config.lua
run 0 init gw && out '^kept .*config.lua' && grep -q '^-- mine' gw/config.lua; ok "init overwrites nothing"
rm gw/.env.example; run 0 init gw --json && out '^{"data":{"dir":"gw","wrote":\["gw/.env.example"\],"kept":\["gw/config.lua","gw/policies/bundle.lua"\]}}$' && silent err; ok "init --json"
cd gw || exit 1
sed -i 's/127.0.0.1:8080/127.0.0.1:0/' config.lua
run 0 config check && out 'is good: 1 providers, 1 models'; ok "config check"
MOONGATE_UI__ENABLED=true run 0 config check && err '^ui.enabled: this build has no console'; ok "config check: what is asked for and not done"
run 0 config show limits.idle && [ "$(cat "$DIR/out")" = 90000 ]; ok "config show MEMBER"
run 6 config show limits.idel; ok "config show: no such member, 6"
MOONGATE_MANAGEMENT_KEY=sk-management-0123456789abcdef run 0 config show && ! out 456789ab && out '"management_key": "••••cdef"'; ok "config show masks secrets"
run 0 config schema && out 'json-schema.org'; ok "config schema"
echo 'return { lisen = {} }' >bad.lua
run 3 config check --config bad.lua && err 'bad.lua:1' && err '^hint: '; ok "a wrong configuration: 3, file, line, hint"
run 3 key list --config none.lua; ok "no such configuration: 3"

# ---- without a gateway
run 6 audit && err 'there is no store'; ok "audit without a store: 6"
run 0 init gw -q && silent err && ! silent out; ok "-q: nothing on stderr"
run 0 key create first --limit 25 --reset monthly && grep -q '^sk-or-v1-[0-9a-f]*$' "$DIR/out" && [ "$(wc -l <"$DIR/out")" -eq 1 ]; ok "key create: the key alone on stdout"
run 0 key create admin --management && cp "$DIR/out" "$DIR/admin.key"; ok "key create --management"
run 0 key list && out '^first .* 25 .*monthly'; ok "key list"
bold() { printf '\033[1mNAME' >"$DIR/bold"; head -c 8 "$DIR/out" | cmp -s - "$DIR/bold"; }
run 0 key list --color always && bold && ! { run 0 key list && bold; }; ok "--color always, where NO_COLOR and no terminal say none"
CLICOLOR_FORCE=1 NO_COLOR='' run 0 key list && bold; ok "CLICOLOR_FORCE"
CLICOLOR_FORCE=1 NO_COLOR=1 run 0 key list && ! bold; ok "NO_COLOR wins over it"
CLICOLOR_FORCE=1 NO_COLOR='' run 0 key list --no-color && ! bold; ok "--no-color, too"
run 0 key list --json && out '^{"data":\[{"hash":"[0-9a-f]\{64\}"' && out '"total_count":2}'; ok "key list --json"
run 0 key list --output csv && out '^name,hash,label,disabled,limit'; ok "key list --output csv"
run 0 key list --output jsonl && [ "$(wc -l <"$DIR/out")" -eq 2 ]; ok "key list --output jsonl"
run 2 key list --output yaml; ok "--output: unknown"
run 0 key update first --limit 0.5 --reset none && out '^limit, USD  *0.5$'; ok "key update"
run 2 key update first; ok "key update without a change"
run 2 key update first --limit lots; ok "a limit that is no amount"
run 0 key disable first && out '^disabled  *yes'; ok "key disable"
run 0 key show first && out '^hash  *[0-9a-f]\{64\}$'; ok "key show by name"
HASH=$(sed -n 's/^hash  *//p' "$DIR/out" | cut -c1-8)
run 0 key show "$HASH" && out '^name  *first'; ok "key show by the hash's beginning"
run 6 key show nobody; ok "no such key: 6"
run 2 key delete first && err '--yes'; ok "key delete asks first"
run 0 key delete first --yes && run 6 key show first; ok "key delete --yes"
run 0 model list && out '^sim/echo .* 0.1  *0.4 '; ok "model list, prices per million"
run 0 model show sim/echo && out '^sim  *Simulated'; ok "model show"
run 6 model show acme/none; ok "no such model: 6"
run 0 provider list --known && out '^sim ' && out 'set OPENAI_API_KEY'; ok "provider list --known"
run 6 provider test nobody; ok "no such provider: 6"
run 0 plugin list && out '^sqlite  *store' && out '^sim  *provider'; ok "plugin list"
run 0 plugin info sim --json && out '"operations":\["chat"'; ok "plugin info"
run 6 plugin info nobody; ok "no such plugin: 6"
run 0 plugin new brook && [ -f brook/brook.c ] && run 1 plugin new brook; ok "plugin new, once"
printf 'return { data_dir = "%s/d", plugins = { sha256 = { "%064d" } } }\n' "$DIR" 0 >sums.lua
run 3 config check --config sums.lua && err "is not one of plugins.sha256" && err 'hint: if it is to be loaded, add "[0-9a-f]\{64\}"'; ok "plugins.sha256: what is not listed is not loaded"
printf 'return { data_dir = "%s/d", plugins = { sha256 = { "abc" } } }\n' "$DIR" >sums.lua; run 3 config check --config sums.lua && err 'plugins.sha256: must be 64'; ok "plugins.sha256: no sum"
for so in "$(dirname "$MOONGATE")"/plugins/*/*.so; do "$MOONGATE" plugin info "$so" --json | grep -o '"sha256":"[0-9a-f]*"' | cut -d: -f2; done >sums
printf 'return { data_dir = "%s/d", plugins = { sha256 = { %s } } }\n' "$DIR" "$(paste -sd, sums)" >sums.lua
run 0 config check --config sums.lua; ok "plugins.sha256: what plugin info prints is what is listed"
run 0 plugin new rill --json && out '^{"data":{"dir":"rill","wrote":\["rill"\],"kept":\[\]}}$' && silent err && run 1 plugin new rill --json && err '^{"error":{"code":.*rill' && silent out; ok "plugin new --json"
echo nonsense >wrong.so
run 8 plugin check ./wrong.so && out '^not ok'; ok "plugin check: 8"
run 0 policy new no_slow && run 0 policy check && run 0 policy test --only no_slow && out '^ok 1 '; ok "policy new, check, test"
run 0 policy test -k no_slow --fuel && out '^ok 1 ' && out '^# no_slow  *filter  *20 candidates: .* 200: .* of 2000, ' && ! out or_ranking && out '^# a whole request: '; ok "policy test -k, --fuel"
run 8 policy test -k no_slwo && err "no file of tests has 'no_slwo' in its name" && run 8 policy test --mutate -k no_slwo && err "no policy has 'no_slwo' in its name"; ok "policy test: a name that no file has is a failure"
run 0 policy test --mutate -k no_slow && out '^ok 1 - no_slow.lua: [0-9]* changes, ' && out '^1..1$'; ok "policy test --mutate"
sed -i '/drop/,/^end)/d' policies/no_slow_test.lua && printf 'test("none", function(t) t.eq(P.filter(t.req {}, t.ep {}), true) end)\n' >>policies/no_slow_test.lua
run 8 policy test --mutate -k no_slow && out '^not ok 1 - no_slow.lua' && out "no_slow.lua:[0-9]*: 'false' to 'true' is not noticed, and keeps more: ep.provider=slow-"; ok "policy test --mutate: a weak test is 8, with the line"
run 7 policy new no_slow; ok "policy new overwrites nothing"
run 0 policy new one_more made --json && out '^{"data":{"dir":"made","wrote":\["made/one_more.lua","made/one_more_test.lua","made/bundle.lua"\],"kept":\[\]}}$' && silent err && rm -r made; ok "policy new --json"
run 0 policy check && err '^note: no_slow.lua runs nowhere: bundle.lua does not name it' && printf 'return { base = "openrouter", policies = { guard = { { use = "no_slow" } } } }\n' >b.lua &&
	mv policies/bundle.lua kept && mv b.lua policies/bundle.lua && run 0 policy check && ! err note; ok "a policy that no list names is a note"
mv kept policies/bundle.lua
run 2 policy new No-Slow; ok "policy new: a name that is none"
echo 'local x = ' >policies/broken.lua
run 8 policy check && out 'broken.lua'; ok "policy check: 8, with the file"
rm policies/broken.lua
echo '{"model":"sim/echo","messages":[{"role":"user","content":"to the moon"}]}' >r.json
run 0 policy run --request r.json && out '^candidates 1 -> 1' && out '^price .*sim/echo@sim: cost' && ! out 'answer'; ok "policy run: a request that nobody made"
run 0 policy run --request r.json --org org_9 --json && out '"org":"org_9"' && out '"order":\["sim/echo@sim"\]' && ! out 'to the moon'; ok "policy run --json"
sed 's/"messages"/"provider":{"zdr":true,"only":["nobody"]},"messages"/' r.json >n.json
run 0 policy run --request n.json && out '^candidates 1 -> 0' && out 'or_eligibility.lua:' && out '^answer  *404 '; ok "policy run: nothing is left, and why"
echo '{"model":"sim/echo","messages":5}' >n.json
run 1 policy run --request n.json && err 'messages'; ok "policy run: a request that is none"
run 2 policy run && err -- '--request'; ok "policy run without a request"
cp -r policies other && echo 'return { base = "openrouter", policies = { org = { org_7 = { { use = "no_slow", with = { avoid = { "slow-*" } }, share_bps = 500 } } } } }' >other/bundle.lua
run 0 policy diff policies policies && silent out && err '^0 differences'; ok "policy diff: nothing differs"
run 0 policy diff policies other && out '^file    ~ bundle.lua: ' && out '^policy  + org org_7 no_slow$' && out '^chain   ~ filter: or_eligibility, .* -> or_eligibility, .*no_slow (org_7)$'; ok "policy diff: files, policies, chains"
cp -r other third && sed -i 's/"slow-\*"/"slow-*", "old"/; s/500/1000/' third/bundle.lua
run 0 policy diff other third --json && out 'param   ~ org org_7 no_slow: avoid { .\"slow-.*old.* }' && out 'share   ~ org org_7 no_slow: 500 -> 1000 of 10000 keys'; ok "policy diff: parameters and shares"
run 6 policy diff other 3f2a9c && err 'hint: .*policy list'; ok "policy diff: no such version"
rm -r other third
run 0 policy types && out '^---@class'; ok "policy types"
[ -s policies/moongate.d.lua ] && grep -q undefined-global policies/.luarc.json; ok "policy new wrote what editors read"
rm policies/moongate.d.lua && echo '{}' >policies/.luarc.json
run 0 policy types policies && grep -q '^function rank.by(eps, key, dir) end' policies/moongate.d.lua && [ "$(cat policies/.luarc.json)" = '{}' ] && run 0 policy check; ok "policy types DIR: an author's .luarc.json stays, and it is no policy"
run 6 log show gen-none; ok "no such generation: 6"
run 4 status --url http://127.0.0.1:1 && err '^hint: '; ok "nothing answers: 4"
run 2 status --url ftp://there; ok "no URL of a gateway"
run 5 chat sim/echo hello --url http://127.0.0.1:1; ok "chat without a key: 5"
run 0 env && out '^claude-code'; ok "env lists clients"
run 0 env claude-code --url http://gw:8080 && out "^export ANTHROPIC_BASE_URL='http://gw:8080/api'" && out "^export ANTHROPIC_API_KEY=''"; ok "env claude-code"
run 0 env codex --url http://gw:8080/v1 && out 'base_url = "http://gw:8080/api/v1"' && out 'wire_api = "responses"'; ok "env codex"
run 0 env --json && out '^{"data":\[{"name":"moongate","about":".*{"name":"zed",' && silent err; ok "env --json"
run 0 env claude-code --url http://gw:8080 --json && out '^{"data":{"ANTHROPIC_BASE_URL":"http://gw:8080/api","ANTHROPIC_AUTH_TOKEN":".*","ANTHROPIC_API_KEY":""}}$'; ok "env claude-code --json"
run 0 env codex --url http://gw:8080/v1 --json && out '^{"data":{"config.toml":"# .*wire_api = ."responses' ; ok "env codex --json"
run 2 env emacs; ok "env: unknown client"

# ---- beside a running gateway
cat >policies/dearest.lua <<'END'
return policy { name = "dearest", api = 1, admit = function(req) return deny { status = 429, code = "not_now", message = "later" } end,
  retain = function(req) return { store = "none", ttl_s = 0, cache = false } end }
END
echo 'local P = use("dearest") test("denies", function(t) t.eq(P.admit(t.req {}).status, 429) end)' >policies/dearest_test.lua
echo 'local P = use("dearest") test("it denies", function(t) t.eq(P.admit(t.req {}).code, "not_now") end)' >policies/dearest_test.lua
echo 'return { base = "openrouter", policies = { guard = { { use = "dearest", mode = "shadow" } } } }' >policies/bundle.lua
MOONGATE_MANAGEMENT_KEY=$(cat "$DIR/admin.key")
export MOONGATE_MANAGEMENT_KEY
mkfifo "$DIR/ready"
MOONGATE_POLICY__UNCHECKED=true MOONGATE_LOGGING__FILE="$DIR/gw.log" "$MOONGATE" serve >"$DIR/ready" 2>"$DIR/serve.err" &
PID=$!
while read -r line; do
	case $line in 'listening on http'*) MOONGATE_URL=${line#listening on }; break;; esac
done <"$DIR/ready"
export MOONGATE_URL
[ -n "$MOONGATE_URL" ] || sed 's/^/# serve: /' "$DIR/serve.err"
[ -n "$MOONGATE_URL" ]; ok "serve says where it listens"
run 0 status && out '^status  *ok'; ok "status"
run 1 status --url "$MOONGATE_URL/elsewhere" && err 'is no gateway'; ok "something else answers: 1, and that it is no gateway"
run 0 status --json && out '"status":"ok"'; ok "status --json"
run 0 key create app --limit 5 && cp "$DIR/out" "$DIR/app.key"; ok "key create over HTTP"
run 7 key create other --management; ok "a management key is not made over HTTP"
run 0 key list && out '^app '; ok "key list over HTTP"
run 5 key list --key-file "$DIR/app.key" && err 'MOONGATE_MANAGEMENT_KEY'; ok "a key that may not: 5 and what to set"
run 5 chat sim/echo hi --key-file "$DIR/none" && err "cannot read '$DIR/none'"; ok "no such file of a key: 5, and which"
run 5 chat sim/echo hi --key-file /etc/passwd && err 'is no key'; ok "a file that holds another thing than a key is not sent: 5"
run 6 model show nope && err "no model 'nope'"; ok "a model without an author: 6 and its name"
export MOONGATE_KEY_FILE="$DIR/app.key"
run 0 chat sim/echo "Say hello to the moon" --cost && ! silent out && err 'tokens  \$0\.0'; ok "chat: the answer on stdout, its cost on stderr"
echo 'and from stdin' | "$MOONGATE" chat sim/echo "words" --json >"$DIR/out" 2>"$DIR/err" && out '"content":"' && out '"cost":0\.0'; ok "chat: stdin joins the prompt; --json"
run 1 chat acme/none hello && err 'answers 400'; ok "chat with an unknown model"
run 2 chat && err 'no prompt'; ok "chat without a prompt"
run 0 provider test sim && out '^auth  *ok' && out '^answer  *ok'; ok "provider test"
run 0 model list && out '^sim/echo'; ok "model list over HTTP"
run 0 model show sim/echo && out Simulated; ok "model show over HTTP"
run 0 reload && err reloaded && silent out; ok "reload"
run 0 reload --json && out '^{"data":{"status":"reloaded"}}$' && silent err && run 0 reload -q && silent err; ok "reload --json, -q"
echo 'return { lisen = {} }' >config.bad && cp config.lua config.good && cp config.bad config.lua
run 3 reload && err refused; ok "a wrong configuration is refused on reload: 3"
cp config.good config.lua
three_lines() { run 0 log tail -n 2 && [ "$(wc -l <"$DIR/out")" -eq 3 ]; }
soon three_lines; ok "log tail -n 2"
run 2 log tail -n 0; ok "log tail -n 0"
run 0 log tail -n 1 --output jsonl
ID=$(sed 's/"provider_responses.*//; s/.*"id":"\(gen-[^"]*\)".*/\1/' "$DIR/out")
(unset MOONGATE_URL; run 0 log show "$ID" && out "^id  *$ID" && out '^sim\|^Simulated'); ok "log show, from the store"
run 0 log show "$ID" && out "^id  *$ID"; ok "log show, over HTTP"
(unset MOONGATE_URL; run 0 policy explain "$ID" && out 'sim'); ok "policy explain, from the store"
run 0 policy explain "$ID" && out 'sim'; ok "policy explain, over HTTP"
three_decisions() { run 0 policy shadow && out '^dearest *admit  *3  *3  *0  deny 429 not_now 3$' && out '^dearest *retain  *3  *3  *0  store none 3$' && err '3 decisions'; }
soon three_decisions; ok "policy shadow: how often, and how"
run 0 policy shadow --since 1h --json && out '"differences":\[{"what":"deny 429 not_now","count":'; ok "policy shadow --json"
run 0 policy test --from "$ID" && out "^test(\"as $ID" && cp "$DIR/out" policies/kept_test.lua && run 0 policy test -k kept && out '^ok 1 - kept_test: as gen-'; ok "policy test --from: a decision that was made is a test"
rm -f policies/kept_test.lua
run 6 policy test --from gen-none; ok "policy test --from: no such decision"
run 0 policy diff live policies && silent out && err '^0 differences'; ok "policy diff: the version that is live"
run 0 usage --by key,model && out '^app ('; ok "usage --by key,model"
run 0 usage --json && out '"total":{"requests":3'; ok "usage --json"
run 0 provider test sim --json && out '^{"problems":0,"lines":\["auth .*"answer '; ok "provider test --json"
run 0 audit && out '^clean: 0 findings'; ok "audit beside the gateway"
run 0 backup "$DIR/b.db" && [ -s "$DIR/b.db" ]; ok "backup"
run 0 backup "$DIR/c.db" --json && out "^{\"data\":{\"file\":\"$DIR/c.db\"}}$" && silent err; ok "backup --json"
run 7 backup "$DIR/b.db" --json && err '"code":"conflict"'; ok "its errors, too"
run 7 backup "$DIR/b.db"; ok "backup overwrites nothing"
run 7 restore "$DIR/b.db" --yes && err 'gateway runs'; ok "restore refuses while a gateway runs"
(unset MOONGATE_URL MOONGATE_MANAGEMENT_KEY MOONGATE_KEY_FILE; run 0 key list && out '^app ' && run 0 status && out "^gateway  *http://127.0.0.1:[1-9]" && run 0 key create two && run 0 reload &&
	MOONGATE_KEY=$(cat "$DIR/app.key") run 0 policy list); ok "beside the gateway, on port 0, its user needs to say neither where nor with which key"
[ "$(stat -c %a data/running)" = 600 ]; ok "what tells them is for that user alone"
mv data/running kept
(MOONGATE_LISTEN=${MOONGATE_URL#http://}; export MOONGATE_LISTEN; unset MOONGATE_URL MOONGATE_MANAGEMENT_KEY MOONGATE_KEY_FILE; run 5 key list) && err '^hint: .*MOONGATE_MANAGEMENT_KEY'; ok "without that: said with a hint"
mv kept data/running

mv "$DIR/gw.log" "$DIR/gw.log.1" && kill -USR1 "$PID"
soon test -e "$DIR/gw.log"
run 0 chat sim/echo hello && grep -q '^{"ts":".*"event":"ready"' "$DIR/gw.log.1" && soon grep -q '"event":"generation"' "$DIR/gw.log"; ok "logging.file, opened again on SIGUSR1"

# ---- after it
kill -TERM "$PID"; wait "$PID" || { grep -v '"info"' "$DIR/gw.log" "$DIR/serve.err" | sed 's/^/# serve: /' | head -20; false; }; ok "serve ends with 0 on SIGTERM"
PID=
unset MOONGATE_URL
! [ -e data/running ] && run 4 status; ok "at the end it takes back what it told the commands"
(export MOONGATE_MANAGEMENT_KEY=geheim; run 1 key list && err 'management_key: has less' && run 3 serve && err '^hint: .*openssl rand'); ok "a management key that could be guessed is refused"
run 2 restore "$DIR/b.db"; ok "restore asks first"
run 0 restore "$DIR/b.db" --yes && ls data/moongate.db.before-* >/dev/null; ok "restore keeps what was there"
run 0 restore "$DIR/c.db" --yes --json && out '^{"data":{"file":".*moongate.db","kept":".*before-.*"}}$' && silent err; ok "restore --json"
run 0 audit && run 0 key list && out '^app '; ok "what was restored is whole"
dd if=/dev/urandom of="$DIR/b.db" bs=4096 seek=3 count=4 conv=notrunc 2>/dev/null
run 1 restore "$DIR/b.db" --yes || run 8 restore "$DIR/b.db" --yes; ok "a damaged backup is not restored"
run 0 audit; ok "and the store is as it was"
# Another user is told whose it is.
chmod 755 "$DIR"
stranger() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$MOONGATE" "$@" >"$DIR/out" 2>"$DIR/err"
	[ $? -eq $want ] && err "^hint: data_dir is another user's: be that one (sudo -u)"
}
if setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$MOONGATE" 2>/dev/null; then
	(want=5; stranger log tail) && (want=1; stranger key list) && (want=3; stranger serve); ok "who may not read the store is told why"
else
	N=$((N + 1)); echo "ok $N - who may not read the store is told why # SKIP nobody else may run it here"
fi
run 6 restore "$DIR/none.db"; ok "no such backup: 6"
run 0 version && run 0 man && out '^.TH MOONGATE' && [ "$(grep -c '^.SH \(COMMANDS\|FILES\|ENVIRONMENT\|EXIT STATUS\)' "$DIR/out")" -eq 4 ]; ok "version, man"
if command -v groff >/dev/null; then groff -man -Tutf8 -ww "$DIR/out" >/dev/null 2>"$DIR/err" && silent err; ok "groff finds nothing to say about it"; fi
run 2 completion tcsh && err 'bash, zsh or fish'; ok "completion: a shell that is none"

echo "1..$N"
exit $((BAD > 0))
