#!/bin/sh
# What is built is hardened, as it says of itself: the program, each plugin, each object.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-$PWD/build}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0

ok() {	# ok STATUS CLAIM
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else bad=1; echo "not ok $n - $2"; head -20 "$tmp/out" | sed 's/^/# /'; fi
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

command -v readelf >/dev/null || { echo "1..0 # SKIP no readelf"; exit 0; }
[ -x "$BUILD/moongate" ] || { echo "1..0 # SKIP $BUILD/moongate is not built"; exit 0; }

# Each says on stdout what a file lacks.
linked() {	# all is bound before main(), read-only from then on; no stack is run; nothing is writable and run
	for file in "$@"; do
		readelf -ldW "$file" >"$tmp/elf"
		grep -q 'GNU_RELRO' "$tmp/elf" || echo "$file: no RELRO"
		grep -q 'BIND_NOW' "$tmp/elf" || echo "$file: bound when it is called"
		grep 'GNU_STACK' "$tmp/elf" | grep -q ' RW ' || echo "$file: its stack can be run"
		grep '^  LOAD' "$tmp/elf" | grep -q 'RWE' && echo "$file: a part is written and run"
		grep -q 'TEXTREL' "$tmp/elf" && echo "$file: its text is written to"
		grep -qi 'rpath\|runpath' "$tmp/elf" && echo "$file: looks for libraries in a place of its own"
	done
}
position() { for file in "$@"; do readelf -dW "$file" | grep -q 'FLAGS_1.*PIE' || echo "$file: is no PIE"; done; }
guarded() { for file in "$@"; do readelf --dyn-syms -W "$file" | grep -q ' __stack_chk_fail' || echo "$file: no guard on its stack"; done; }
fortified() { for file in "$@"; do readelf --dyn-syms -W "$file" | grep -q ' __[a-z]*_chk' || echo "$file: no function is checked"; done; }
tracked() { for file in "$@"; do readelf -nW "$file" | grep -q 'IBT, SHSTK' || echo "$file: jumps and returns anywhere"; done; }

plain=$(find "$BUILD/gateway" "$BUILD/plugins" -name '*.o' | head -500)
linked "$BUILD/moongate" "$BUILD"/plugins/*/*.so >"$tmp/out"; [ ! -s "$tmp/out" ]; ok $? "the program and the plugins: RELRO, bound at once, no stack is run"
position "$BUILD/moongate" >"$tmp/out"; [ ! -s "$tmp/out" ]; ok $? "the program lies anywhere"
guarded "$BUILD/moongate" "$BUILD"/plugins/*/*.so >"$tmp/out"; [ ! -s "$tmp/out" ]; ok $? "stacks are guarded"
if readelf --dyn-syms -W "$BUILD/moongate" | grep -q '__[atu]*san_'; then
	skip "what copies and prints is checked" "a sanitizer does that"
else
	fortified "$BUILD/moongate" "$BUILD/plugins/stores/sqlite.so" "$BUILD/plugins/providers/openai.so" >"$tmp/out"; [ ! -s "$tmp/out" ]; ok $? "what copies and prints is checked"
fi
if readelf -hW "$BUILD/moongate" | grep -q 'X86-64'; then
	tracked $plain >"$tmp/out"; [ ! -s "$tmp/out" ]; ok $? "each object is ready for control-flow protection"
else
	skip "each object is ready for control-flow protection" "not of this machine"
fi

# What is linked, by name: a library more is a decision.
readelf -d "$BUILD/moongate" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
	grep -vE '^(libmicrohttpd\.so\.12|libcurl\.so\.4|liblua5\.4\.so\.0|libjansson\.so\.4|libcrypto\.so\.3|libgnutls\.so\.30|libm\.so\.6|libc\.so\.6|ld-linux.*|lib[a-z]*san\.so.*|libgcc_s\.so\.1|libdl\.so\.2|libpthread\.so\.0)$' >"$tmp/out"
[ ! -s "$tmp/out" ]; ok $? "the program is linked with no other library than it says"

# The checks can fail.
printf 'int puts(const char *);\nint main(void) { char at[64]; return puts(at); }\n' >"$tmp/soft.c"
if ${CC:-cc} -O0 -fno-stack-protector -fcf-protection=none -no-pie -Wl,-z,lazy -Wl,-z,norelro -Wl,-z,execstack -o "$tmp/soft" "$tmp/soft.c" 2>/dev/null; then
	{ linked "$tmp/soft"; position "$tmp/soft"; guarded "$tmp/soft"; fortified "$tmp/soft"; tracked "$tmp/soft"; } >"$tmp/out"
	[ "$(grep -c . "$tmp/out")" = 7 ]; ok $? "they find what is soft"
else
	skip "they find what is soft" "no compiler"
fi
echo "1..$n"
exit $bad
