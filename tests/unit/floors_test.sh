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

echo "1..$n"
exit $bad
