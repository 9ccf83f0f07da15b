#!/bin/sh
# Each *_fuzz.c of this folder for some seconds ($FUZZ_SECONDS, 5).  A target
# names in a comment what it is made of:
#
#	 * sources: base/json.c net/frame.c		(below gateway/, patterns too)
#	 * libs: jansson				(optional, for pkg-config)
#	 * plugins: plugins/providers			(optional: once for each plugin of
#							 that folder, with $MOONGATE_PLUGIN)
#
# A folder NAME_corpus beside NAME_fuzz.c is where it starts from; of a plugin
# NAME_corpus/PLUGIN.  $FUZZ_ONLY: one target, or one plugin, alone.  $FUZZ_KEEP:
# a folder where the inputs that were found are kept and taken up again.  The words
# of the sources are the dictionary.
cd "$(dirname "$0")/../.." || exit 1
CC=$(command -v clang || command -v clang-14)
[ -n "$CC" ] || { echo "1..0 # SKIP clang is missing"; exit 0; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
SAN=address,undefined
echo 'int LLVMFuzzerTestOneInput(const unsigned char *at, unsigned long n) { return at && n ? 0 : 0; }' >"$tmp/try.c"
"$CC" -fsanitize=fuzzer,$SAN -o "$tmp/try" "$tmp/try.c" 2>/dev/null ||
	{ echo "1..0 # SKIP this clang has no libFuzzer"; exit 0; }

# Where the kernel scatters addresses widely, a sanitizer of this age now and then does not
# find the place for its shadow, and dies, or hangs, before it begins.
FIXED=$(setarch -R true 2>/dev/null && echo setarch -R)
started() { grep -q -e INITED -e '^Running' -e '^Done' "$tmp/log"; }
# run SECONDS COMMAND...: with what it says in $tmp/log; once more where it did not begin
run() {
	seconds=$1; shift
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		# shellcheck disable=SC2086 # words
		timeout -k 5 $((seconds + 120)) $FIXED "$@" >"$tmp/log" 2>&1 && return 0
		started && return 1
	done
	return 1
}
run 0 "$tmp/try" -runs=10
# It looks for leaks by a debugger's means, which some machines do not allow.
grep -q 'LeakSanitizer has encountered a fatal error' "$tmp/log" && export ASAN_OPTIONS=detect_leaks=0 && run 0 "$tmp/try" -runs=10
grep -q '^Done 10 runs' "$tmp/log" || { echo "1..0 # SKIP a sanitizer's programs do not run here"; exit 0; }
# Without a time of its own each try is the same, as far as a machine comes with it; no further than was tried.
SAME=
[ -n "$FUZZ_SECONDS" ] || SAME="-seed=1 -runs=200000"

words() { sed -n "s/^ \* $1: *//p" "$2"; }
compile() {
	"$CC" -std=c11 -D_GNU_SOURCE -DSANITIZED -O1 -g -include gateway/base/banned.h -Isdk -Igateway \
		-Wno-unknown-attributes -fno-sanitize-recover=all "$@"
}
wanted() { [ -z "$FUZZ_ONLY" ] || [ "$FUZZ_ONLY" = "$1" ]; }

# build TARGET BINARY
build() {
	target=$1 binary=$2
	packages=$(words libs "$target")
	set --
	# shellcheck disable=SC2086 # patterns
	for source in $(words sources "$target"); do set -- "$@" gateway/$source; done
	# shellcheck disable=SC2046 # flags are words
	compile -fsanitize=fuzzer,$SAN $([ -z "$packages" ] || pkg-config --cflags $packages) -o "$binary" "$target" "$@" \
		$([ -z "$packages" ] || pkg-config --libs $packages) -pthread -ldl
}

n=0 bad=0
# dictionary SOURCE...
dictionary() {
	grep -oh '"[A-Za-z0-9_./:-]\{2,40\}"' "$@" | sort -u >"$tmp/words"
}
# fuzz NAME BINARY CORPUS SECONDS, with the compiler's complaints in $tmp/log if BINARY is not there
fuzz() {
	n=$((n + 1))
	inputs=${FUZZ_KEEP:-$tmp/inputs}/$1
	mkdir -p "$inputs"
	[ ! -d "$3" ] || cp "$3"/* "$inputs/"
	# shellcheck disable=SC2086 # words
	if [ -x "$2" ] && run "$4" "$2" $SAME -max_total_time="$4" -timeout=120 -rss_limit_mb=2048 -max_len=4096 -dict="$tmp/words" \
		-artifact_prefix="$tmp/" -print_final_stats=0 "$inputs"
	then
		echo "ok $n - $1: $(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' "$tmp/log")"
		return
	fi
	bad=1
	echo "not ok $n - $1"
	tail -n 60 "$tmp/log" | sed 's/^/# /'
	for input in "$tmp"/crash-* "$tmp"/timeout-* "$tmp"/oom-* "$tmp"/leak-*; do
		[ ! -f "$input" ] || { echo "# input (base64):"; base64 "$input" | sed 's/^/# /'; rm -f "$input"; }
	done
}

# Their own seconds are fewer, because they are many.
fuzz_plugins() {
	for source in "$2"/*.c; do
		plugin=$(basename "$source" .c)
		wanted "$plugin" || wanted "$1" || continue
		[ ! -x "$tmp/$1" ] || compile -fPIC -fvisibility=hidden -fsanitize=fuzzer-no-link,$SAN -shared -o "$tmp/$plugin.so" "$source" >"$tmp/log" 2>&1
		dictionary "$source" "${source%.c}"*.h "${source%.c}"/*.h 2>/dev/null
		MOONGATE_PLUGIN=$tmp/$plugin.so
		export MOONGATE_PLUGIN
		fuzz "$plugin" "$tmp/$1" "tests/fuzz/$1_corpus/$plugin" "${FUZZ_SECONDS:-2}"
	done
}

for target in tests/fuzz/*_fuzz.c; do
	name=$(basename "$target" _fuzz.c)
	plugins=$(words plugins "$target")
	wanted "$name" || { [ -n "$plugins" ] && [ -f "$plugins/$FUZZ_ONLY.c" ]; } || continue
	build "$target" "$tmp/$name" >"$tmp/log" 2>&1
	dictionary "$target"
	if [ -n "$plugins" ]; then
		fuzz_plugins "$name" "$plugins"
	else
		fuzz "$name" "$tmp/$name" "tests/fuzz/${name}_corpus" "${FUZZ_SECONDS:-5}"
	fi
done
echo "1..$n"
exit $bad
