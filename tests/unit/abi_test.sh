#!/bin/sh
# The plugin ABI as an author meets it: the header alone, the template out of
# tree through pkg-config, and what our own plugins export.
B=${B:-build}
n=0 bad=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

ok() {	# ok NAME COMMAND...
	name=$1; shift; n=$((n + 1))
	if "$@" >"$dir/out" 2>&1; then echo "ok $n - $name"; else
		bad=1; echo "not ok $n - $name"; sed 's/^/# /' "$dir/out"; fi
}

skip() { n=$((n + 1)); echo "ok $n - # SKIP $1"; }

exports_one() { [ "$(nm -D --defined-only "$1" | awk '{ print $3 }' | grep -v -e '^__odr_asan' -e '^_init$' -e '^_fini$')" = mg_plugin_entry ]; }

# Another size moves a member under the feet of plugins that are built already.
cat >"$dir/sizes.c" <<'C'
#include "moongate_store.h"
#define IS(type, n) _Static_assert(sizeof(struct type) == (n), #type)
IS(mg_str, 16); IS(mg_view, 16); IS(mg_usage, 136); IS(mg_failure, 56); IS(mg_event, 120); IS(mg_http, 56);
IS(mg_frame, 64); IS(mg_call, 32); IS(mg_host, 232); IS(mg_operation, 72); IS(mg_provider, 24); IS(mg_plugin, 56);
IS(mg_store, 112);
C
for header in moongate moongate_store rig; do
	echo "#include \"$header.h\"" >"$dir/$header.c"
	ok "$header.h needs nothing but C11" cc -std=c11 -Wall -Wextra -Werror -Isdk -fsyntax-only "$dir/$header.c"
done
if [ "$(getconf LONG_BIT)" = 64 ]; then
	ok "the sizes of ABI 2.0" cc -std=c11 -Isdk -fsyntax-only "$dir/sizes.c"
else
	skip "the sizes are those of a 64-bit machine"
fi

# A member that nobody reads asks an author for nothing.
unread() {
	members=$(sed -n '/^struct mg_operation {/,/};/p' sdk/moongate.h | sed 's|/\*.*||; s|/\*.*\*/||' | grep -o '(\*[a-z_]*)\|[a-z_]*[;,]' | tr -d '(*);,' | sort -u)
	for member in $members; do
		grep -rqE "(o|op|\]|operation)(->|\)->)$member\b" gateway --include=*.c || echo "$member"
	done >"$dir/unread"
	cat "$dir/unread"
	[ "$(echo "$members" | wc -w)" -ge 11 ] && [ ! -s "$dir/unread" ]
}
ok "every member of an operation is read" unread

for so in "$B"/plugins/*/*.so; do
	[ -f "$so" ] && ok "$(basename "$so") exports mg_plugin_entry alone" exports_one "$so"
done

if [ -f "$B/librig.a" ] && command -v pkg-config >/dev/null && [ "$B" = build ]; then
	mkdir -p "$dir/include/moongate" "$dir/lib/moongate" "$dir/lib/pkgconfig"
	cp sdk/*.h "$dir/include/moongate/"
	cp "$B/librig.a" "$dir/lib/moongate/"
	sed "s|@PREFIX@|$dir|g; s|@VERSION@|0.0.0|g" sdk/moongate-plugin.pc.in >"$dir/lib/pkgconfig/moongate-plugin.pc"
	cp -r sdk/template "$dir/acme"
	PKG_CONFIG_PATH=$dir/lib/pkgconfig MAKEFLAGS= MAKELEVEL=
	export PKG_CONFIG_PATH MAKEFLAGS MAKELEVEL
	ok "the template builds out of tree and its test passes" make -s -C "$dir/acme" test
	ok "its plugin exports one symbol" exports_one "$dir/acme/acme.so"
else
	skip "no plain build with librig.a and pkg-config"
fi
echo "1..$n"
exit $bad
