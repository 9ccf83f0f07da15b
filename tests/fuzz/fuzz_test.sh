#!/bin/sh
# Each *_fuzz.c of this folder for some seconds ($FUZZ_SECONDS, 5).  A target
# names in a comment what it is made of:
#
#	 * sources: base/json.c net/frame.c		(below gateway/)
#	 * libs: jansson				(optional, for pkg-config)
#
# A folder NAME_corpus beside NAME_fuzz.c is where it starts from.
cd "$(dirname "$0")/../.." || exit 1
CC=$(command -v clang || command -v clang-14)
[ -n "$CC" ] || { echo "1..0 # SKIP clang is missing"; exit 0; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
echo 'int LLVMFuzzerTestOneInput(const unsigned char *at, unsigned long n) { return at && n ? 0 : 0; }' >"$tmp/try.c"
"$CC" -fsanitize=fuzzer,address,undefined -o "$tmp/try" "$tmp/try.c" 2>/dev/null ||
	{ echo "1..0 # SKIP this clang has no libFuzzer"; exit 0; }

words() { sed -n "s/^ \* $1: *//p" "$2"; }

n=0 bad=0
for target in tests/fuzz/*_fuzz.c; do
	name=$(basename "$target" _fuzz.c)
	n=$((n + 1))
	set --
	for source in $(words sources "$target"); do set -- "$@" "gateway/$source"; done
	mkdir "$tmp/$name"
	if [ -d "tests/fuzz/${name}_corpus" ]; then
		cp "tests/fuzz/${name}_corpus"/* "$tmp/$name/"
	fi
	packages=$(words libs "$target")
	# shellcheck disable=SC2046 # flags are words
	if "$CC" -std=c11 -D_GNU_SOURCE -DSANITIZED -O1 -g -include gateway/base/banned.h -Isdk -Igateway \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$([ -z "$packages" ] || pkg-config --cflags $packages) -o "$tmp/${name}_fuzz" "$target" "$@" \
		$([ -z "$packages" ] || pkg-config --libs $packages) -pthread >"$tmp/log" 2>&1 &&
	   "$tmp/${name}_fuzz" -max_total_time="${FUZZ_SECONDS:-5}" -timeout=10 -rss_limit_mb=1024 -max_len=4096 \
		-artifact_prefix="$tmp/" -print_final_stats=0 "$tmp/$name" >"$tmp/log" 2>&1
	then
		echo "ok $n - $name: $(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' "$tmp/log")"
	else
		bad=1
		echo "not ok $n - $name"
		tail -n 40 "$tmp/log" | sed 's/^/# /'
		for input in "$tmp"/crash-* "$tmp"/timeout-* "$tmp"/oom-* "$tmp"/leak-*; do
			[ ! -f "$input" ] || { echo "# input (base64):"; base64 "$input" | sed 's/^/# /'; }
		done
	fi
done
echo "1..$n"
exit $bad
