#!/bin/sh
# The floors hold, and the check that says so can fail.
cd "$(dirname "$0")/../.." || exit 1
order=$(sed -n 's/^FLOORS *:= *//p' GNUmakefile)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0

ok() {	# ok STATUS CLAIM
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else bad=1; echo "not ok $n - $2"; fi
}

floors() { awk -f tests/floors.awk -v order="$order" "$@" >"$tmp/out" 2>&1; }

plant() {	# plant FLOOR LINE: a file on that floor with that line, checked
	mkdir -p "$tmp/gateway/$1"
	printf '%s\n' "$2" >"$tmp/gateway/$1/planted.c"
	floors "$tmp/gateway/$1/planted.c"
}

floors gateway/*/*.[ch]; rc=$?
[ $rc = 0 ] || grep '^#' "$tmp/out"
ok $rc "no file of the gateway includes from above"

plant base '#include "net/server.h"'
[ $? = 1 ] && grep -q "planted.c:1: base must not know 'net/server.h'" "$tmp/out"
ok $? "an include from above is found, with its line"
plant net '  # include	"relay/breaker.h"'
[ $? = 1 ]; ok $? "however it is spaced"
plant relay '#include "attic/old.h"'
[ $? = 1 ] && grep -q 'on no floor' "$tmp/out"
ok $? "an include from no floor is found"
plant attic '#include "base/err.h"'
[ $? = 1 ] && grep -q 'is no floor' "$tmp/out"
ok $? "so is a file on no floor"
plant relay '#include "base/err.h"'; ok $? "from below is fine"
plant relay '#include "relay/other.h"'; ok $? "from beside is fine"
plant base '#include "moongate.h"'; ok $? "the sdk is below everything"
awk -f tests/floors.awk gateway/base/err.h >/dev/null 2>&1
[ $? = 2 ]; ok $? "without an order it says so"

# Declared below and defined above is a call from above, too: what the objects say.
symbols() {	# FLOOR OBJECT
	nm "$2" | awk -v floor="$1" '$1 == "U" { print "needs", floor, $2 } $2 ~ /^[TDBR]$/ { print "has", floor, $3 }'
}
calls() {
	awk -v order="$order" '
		BEGIN { n = split(order, name, " "); for (i = 1; i <= n; i++) level[name[i]] = i }
		$1 == "has" { has[$3] = $2 }
		$1 == "needs" { needs[$3 " " $2] }
		END {
			for (k in needs) {
				split(k, p, " ")
				if ((p[1] in has) && level[has[p[1]]] > level[p[2]]) { print "# " p[2] " calls " p[1] " of " has[p[1]]; bad = 1 }
			}
			exit bad
		}' "$@"
}
if [ -f "${BUILD:-build}/gateway/relay/relay.o" ]; then
	for f in gateway/*/*.c; do symbols "$(basename "$(dirname "$f")")" "${BUILD:-build}/${f%.c}.o"; done >"$tmp/symbols"
	calls "$tmp/symbols" >"$tmp/out"; rc=$?
	[ $rc = 0 ] || cat "$tmp/out"
	ok $rc "no file of the gateway calls what is defined above"
	{ cat "$tmp/symbols"; echo "needs base relay_start"; } >"$tmp/planted"
	calls "$tmp/planted" | grep -q 'base calls relay_start of relay'
	ok $? "a call from above is found"
else
	ok 0 "calls from above # SKIP nothing is built"; ok 0 "they are found # SKIP nothing is built"
fi

echo "1..$n"
exit $bad
