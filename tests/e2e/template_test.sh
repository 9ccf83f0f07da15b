#!/bin/sh
# The template's README does what it says: a stranger with an empty folder follows
# it step by step, and has a dialect of less than a hundred lines that answers.
. "$(dirname "$0")/typed.sh"
[ "$(basename "$BUILD")" = build ] || { echo "1..0 # SKIP the build is not a plain one"; exit 0; }
unset MAKEFLAGS MAKELEVEL MFLAGS
export HOME="$dir" ACME_API_KEY=CANARY-acme

# What stands indented by eight is a command; the one fenced block is the configuration.
readme=$dir/acme/README.md
commands() { sed -n 's/^        \([a-z].*\)$/\1/p' "$root/sdk/template/README.md" | sed 's/  *#.*//'; }
block() { awk '/^ *```lua/ { on = 1; next } /^ *```/ { on = 0 } on' "$readme"; }

# The API that acme.c speaks, and that it describes at its beginning.
cat >"$dir/acme.mjs" <<'END'
import { createServer } from 'node:http';
const server = createServer(async (req, res) => {
  let text = '';
  for await (const part of req) text += part;
  const asked = req.url === '/v1/acme' && req.headers.authorization === 'Bearer CANARY-acme' ? JSON.parse(text) : null;
  if (asked?.model !== 'm-1' || !Array.isArray(asked.turns)) { res.writeHead(400); return res.end('{"why":"not understood"}'); }
  res.writeHead(200, { 'content-type': 'application/x-ndjson' });
  res.end(`{"say":"You said: "}\n{"say":${JSON.stringify(asked.turns.at(-1).say)}}\n{"end":"done","read":3,"wrote":2}\n`);
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
END
node "$dir/acme.mjs" >"$dir/acme.out" & up=$!
ok "an upstream" started "$up" "$dir/acme.out" listening
upstream=$(sed -n 's/.*listening on //p' "$dir/acme.out")

ok "make install" make -C "$root" --no-print-directory install PREFIX="$dir/usr" B="$BUILD"
export PKG_CONFIG_PATH="$dir/usr/lib/pkgconfig"
PATH=$dir/usr/bin:$PATH
cd "$dir" || exit 1

small() {	# without blank lines and the comments before functions
	lines=$(awk '/^\/\*/ { c = 1 } !c && NF { n++ } /\*\// { c = 0 } END { print n }' acme.c acme_test.c)
	echo "$lines lines"
	[ "$lines" -lt 100 ]
}
serve() {
	moongate "$@" >"$dir/serve.out" 2>"$dir/serve.err" & gate=$!
	started "$gate" "$dir/serve.out" '^ *curl' || { cat "$dir/serve.err"; return 1; }
}
pasted() {
	sed -n '/^ *curl/,$p' "$dir/serve.out" >"$dir/paste"
	sh "$dir/paste" >"$dir/answer" 2>&1; cat "$dir/answer"
	grep -q 'You said: ' "$dir/answer" && grep -q '"cost":' "$dir/answer" && grep -q '^data: \[DONE\]' "$dir/answer"
}
tested() {	# TAP that ends well, and a plan
	"$@" >"$dir/tap"; status=$?
	cat "$dir/tap"
	[ $status -eq 0 ] && grep -q '^1\.\.[1-9]' "$dir/tap" && ! grep -q '^not ok' "$dir/tap"
}
stop() { kill -TERM "$gate"; wait "$gate"; code=$?; gate=; return $code; }

commands >"$dir/commands"
while IFS= read -r line; do
	case $line in
	"cd acme") cd acme || exit 1; ok "less than a hundred lines of code" small ;;
	"make test") ok "$line" tested make test ;;
	"moongate serve --config config.lua --first-key") ok "$line" serve ${line#moongate }; ok "pasted, it is answered by the dialect" pasted ;;
	"install "*) # shellcheck disable=SC2086 # words
		ok "$line" $(printf '%s' "$line" | sed "s|/usr/local|$dir/usr|")
		block | sed "s|127.0.0.1:8080|127.0.0.1:0|; s|https://api.acme.example|$upstream|; s|^ *return {|&\n  data_dir = \"$dir/data\",|" >config.lua ;;
	*) ok "$line" $line ;;
	esac
done <"$dir/commands"
ok "every step was there" sh -c "grep -q '^moongate plugin new' '$dir/commands' && grep -q '^install' '$dir/commands' && grep -q first-key '$dir/commands'"
[ -z "$gate" ] || ok "the gateway ends cleanly" stop
another() { cd "$dir" && moongate plugin new other-one && cd other-one && make test >"$dir/tap" && moongate plugin check other-one.so && ! grep -rq acme .; }
ok "under another name, nothing of the old one is left" another
echo "1..$n"
exit $bad
