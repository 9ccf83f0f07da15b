#!/bin/sh
# The README does what it says: its configuration loads, its policy passes, every
# command in it is run, in its order, by a stranger with an empty folder.  What is
# a command in the midst of a sentence, there and in the other documents, is at
# least one that there is, with options that it has.
. "$(dirname "$0")/typed.sh"
unset MAKEFLAGS MAKELEVEL MFLAGS PKG_CONFIG_PATH
unset XDG_STATE_HOME XDG_CONFIG_HOME OPENAI_API_KEY OPENAI_BASE_URL OPENROUTER_BASE_URL
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

# All that is indented by four is a command; a backslash goes on.
block() { awk -v want="$1" '/^```lua/ { on = ++k == want; next } /^```/ { on = 0 } on' "$root/README.md"; }
commands() { awk '/^```/ { fenced = !fenced } !fenced && /^    / { sub(/^ +/, ""); print }' "$root/README.md" |
	sed -e ':a' -e '/\\$/N; s/ *\\\n */ /; ta' | sed 's/  *#.*//'; }

serve() {
	"$MOONGATE" serve "$@" >"$dir/serve.out" 2>"$dir/serve.err" & gate=$!
	started "$gate" "$dir/serve.out" 'listening on http' && url=$(sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' "$dir/serve.out")
}
# make's child is the gateway.
stop() {
	child=$(sed -n "s/^\([0-9]*\) (.*) [A-Z] $gate .*/\1/p" /proc/[0-9]*/stat 2>/dev/null | head -n 1)
	kill -TERM ${child:-$gate}; wait "$gate"; code=$?; gate=; return $code
}

mkdir "$dir/bin" "$dir/policies" && ln -s "$MOONGATE" "$dir/bin/moongate" && ln -s "$BUILD" "$dir/build" || exit 1
cd "$dir" || exit 1

# As `make run` does, but for the port and the home: what it prints is pasted.
pasted() {
	sed -n '/^ *curl/,$p' "$dir/serve.out" >"$dir/paste"
	sh "$dir/paste" >"$dir/answer" 2>&1 && grep -q '^data: {.*"cost":' "$dir/answer" && grep -q '^data: \[DONE\]' "$dir/answer"
}
plain=; [ "$(basename "$BUILD")" = build ] || plain="the build is not a plain one"
first_run() {
	if [ ! "$plain" ]; then		# `make run` itself; make hands on what it is told
		HOME=$dir make -C "$root" --no-print-directory run LISTEN=127.0.0.1:0 B="$BUILD" >"$dir/serve.out" 2>"$dir/serve.err" & gate=$!
		started "$gate" "$dir/serve.out" '^ *curl'
		return
	fi
	HOME=$dir serve --first-key --listen 127.0.0.1:0 && started "$gate" "$dir/serve.out" '^ *curl'
}
beside() { HOME=$dir sh -c "$1"; }	# in another shell
pointed() {	# the variables are those of the gateway that runs
	HOME=$dir sh -c "$1"'; curl -fsS "$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" \
		-H "Content-Type: application/json" -d "{\"model\":\"sim/echo\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"' | grep '"cost":'
}
other() {
	printf 'return { dev = true, listen = { "127.0.0.1:0" }, data_dir = "%s/other", providers = { s = { dialect = "sim", base_url = "sim:" } },\n models = { ["our/own"] = { endpoints = { { provider = "s", model = "echo", price = { input = 1, output = 2 } } } } } }\n' "$dir" >other.lua
	serve --config other.lua --first-key && started "$gate" "$dir/serve.out" '"model":"our/own"' && pasted && stop
}
manage() {	# as written, but to the port that was given
	sh -c "$(printf '%s' "$1" | sed "s|localhost:8080|${url#http://}|; s|^curl|curl -fsS|")" >"$dir/key.json" && grep -q '"key":"sk-or-v1-' "$dir/key.json"
}
explained() {
	key=$(sed -n 's/.*"key":"\(sk-or-v1-[0-9a-f]*\)".*/\1/p' "$dir/key.json")
	id=$(curl -fsS "$url/api/v1/chat/completions" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
		-d '{"model":"sim/echo","messages":[{"role":"user","content":"hi"}]}' | sed -n 's/.*"id":"\(gen-[^"]*\)".*/\1/p')
	[ "$id" ] || return 1
	for _ in $(seq 1000); do
		"$MOONGATE" policy explain "$id" --config config.lua && return 0
		sleep 0.05
	done
	return 1
}
tested() { [ "$(block 2)" ] && block 2 >policies/cheapest.lua && cp "$root/policies/examples/cheapest_test.lua" policies && moongate policy check policies && moongate policy test policies; }
PATH=$dir/bin:$PATH

commands >"$dir/commands"
while IFS= read -r line; do
	case $line in
	"make run")
		ok "$line, or what it does, prints a request" first_run
		ok "pasted, it streams an answer with its cost" pasted ;;
	"build/moongate chat "*) ok "$line" beside "$line" ;;
	"build/moongate log tail") ok "$line" beside "for i in \$(seq 500); do $line | grep -q sim/echo && exit; sleep 0.02; done; exit 1" ;;
	"eval "*) ok "$line" pointed "$line" ;;
	"make test")	# this is it
		ok "SIGTERM ends it" stop
		ok "with a configuration of one's own it names a model of that" other ;;
	"export "*) n=$((n + 1)); eval "$line" && echo "ok $n - $line" ;;
	"moongate config check --config config.lua")
		block 1 | sed "s|127.0.0.1:8080|127.0.0.1:0|; s|/var/lib/moongate|$dir/data|; s|^  providers = {|  dev = true,\n&\n    sim = { dialect = \"sim\", base_url = \"sim:\" },|
			s|^  models = {|&\n    [\"sim/echo\"] = { endpoints = { { provider = \"sim\", model = \"echo\", price = { input = 1, output = 2 } } } },|" >config.lua
		ok "$line" $line ;;
	"moongate serve --config config.lua") ok "$line" serve --config config.lua ;;
	"moongate key create laptop "*) ok "$line, without any variable" env -u MOONGATE_MANAGEMENT_KEY -u OPENAI_API_KEY $line ;;
	"curl -X POST "*) ok "curl -X POST /api/v1/keys" manage "$line" ;;
	"moongate policy new cheap policies") rm -rf policies; ok "$line" $line ;;
	"moongate policy explain gen-...") ok "$line" explained ;;
	"moongate log "*) ok "$line" sh -c "$(printf '%s' "$line" | sed "s|gen-\.\.\.|$id|") --config config.lua" ;;
	"moongate policy publish "* | "moongate policy list" | "moongate policy rollback" | "moongate rate "*) ok "$line" env MOONGATE_URL="$url" $line ;;
	"moongate policy "*) ok "$line" $line ;;
	"make install")
		[ "$plain" ] && { skip "$line" "$plain"; continue; }
		ok "$line" make -C "$root" --no-print-directory install PREFIX="$dir/usr" B="$BUILD"
		export PKG_CONFIG_PATH="$dir/usr/lib/pkgconfig"
		PATH=$dir/usr/bin:$PATH ;;
	*acme*)
		[ "$plain" ] && { skip "$line" "$plain"; continue; }
		ok "$line" $line ;;
	*) n=$((n + 1)) bad=1; echo "not ok $n - the README has a command that is not tried here: $line" ;;
	esac
done <"$dir/commands"
unset PKG_CONFIG_PATH

unit() {	# its command line is one that starts
	file=$dir/usr/lib/systemd/system/moongate.service
	grep -q "^ExecStart=$dir/usr/bin/moongate serve --config /etc/moongate/config.lua\$" "$file" || return 1
	$(sed -n 's/^ExecStart=//p' "$file" | sed 's|/etc/moongate/|./|') --check || return 1
	if command -v systemd-analyze; then sed '/^Documentation/d' "$file" >moongate.service; systemd-analyze verify ./moongate.service; fi
}
if [ "$plain" ]; then skip "the service's unit" "$plain"; else ok "the service's unit" unit; fi

# `moongate key create legal --labels a=b` of a sentence: a command's name, and options of its help.
spans() { awk '/^ *```/ { fenced = !fenced } !fenced' "$@" | grep -o '`moongate [a-z][^`]*`' | tr -d '`' | sort -u; }
known() {
	words=$(printf '%s' "$1" | sed "s/ [A-Z.'\"\$-].*//; s/^moongate //")
	while ! moongate help $words >help 2>&1 || grep -q '^usage: moongate [a-z]* COMMAND$' help; do	# the last word may be an argument
		case $words in *" "*) words=${words% *} ;; *) return 1 ;; esac
	done
	for option in $(printf '%s' "$1" | grep -o ' --*[a-z][a-z-]*'); do grep -q -e "^  *$option " help || { echo "no $option"; return 1; }; done
}
spans "$root/README.md" "$root"/policies/*.md "$root"/sdk/template/README.md >spans
while IFS= read -r line; do ok "there is: $line" known "$line"; done <spans
ok "many of them are found" test "$(wc -l <spans)" -gt 15
ok "the policy that is printed passes the example's test" tested
ok "what is printed of folders is there" sh -c "cd '$root' && for d in gateway/cli gateway/api gateway/relay gateway/author gateway/replay gateway/policy gateway/account gateway/ledger \
	gateway/catalog gateway/store gateway/plugin gateway/net gateway/base plugins policies sdk tests; do [ -d \$d ] || exit 1; done"
[ -z "$gate" ] || ok "the gateway ends cleanly" stop
echo "1..$n"
exit $bad
