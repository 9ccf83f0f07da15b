#!/bin/sh
# Provider plugins know the SDK and the C library alone, and stay small.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-$PWD/build}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0

ok() {	# ok STATUS CLAIM
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else bad=1; echo "not ok $n - $2"; sed 's/^/# /' "$tmp/out"; fi
}

# What a file includes that is neither the SDK's, nor a plugin's own, nor of C and POSIX.
strangers() {
	: >"$tmp/out"
	for file in "$@"; do
		sed -n 's/^ *# *include *\([<"][^">]*\)[">].*/\1/p' "$file" | while read -r name; do
			case $name in
			'"'*) [ -f "sdk/${name#?}" ] || [ -f "$(dirname "$file")/${name#?}" ] || echo "$file: ${name#?}" ;;
			*) dpkg -S "/usr/include/${name#?}" 2>/dev/null | grep -qv '^libc6-dev' && echo "$file: ${name#?}" ;;	# the compiler's own are not there
			esac
		done
	done >"$tmp/out"
	[ ! -s "$tmp/out" ]
}

strangers plugins/providers/*.[ch] plugins/providers/*/*.[ch]; ok $? "no provider plugin includes anything but the SDK and the C library"
mkdir "$tmp/p" && printf '#include "base/json.h"\n#include <jansson.h>\n' >"$tmp/p/planted.c"
strangers "$tmp/p/planted.c"; [ $? = 1 ] && [ "$(grep -c . "$tmp/out")" = 2 ]; ok $? "the check finds a header of the gateway, and a library's"

for so in "$BUILD"/plugins/providers/*.so; do
	readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^libc\.so\|^ld-linux\|^lib[a-z]*san\.so' | sed "s|^|$(basename "$so"): |"
done >"$tmp/out"
[ ! -s "$tmp/out" ]; ok $? "and none is linked with another one"

# Of a folder that a test reads whole, its name is enough.
recordings=${MOONGATE_FIXTURES:-../shared/fixtures}
if [ -d "$recordings" ]; then
	for file in "$recordings"/*/*.json; do
		name=${file#"$recordings"/}
		grep -qF -e "\"${name%.json}\"" -e "run_folder(\"${name%/*}\")" tests/plugins/*.[ch] || echo "$name"
	done >"$tmp/out"
	[ ! -s "$tmp/out" ]; ok $? "each recorded exchange is read by a dialect's test"
else
	n=$((n + 1)); echo "ok $n - each recorded exchange is read by a dialect's test # SKIP not here"
fi

wc -l plugins/providers/*.c plugins/providers/*.h plugins/providers/*/*.h | grep -v ' total$' | sort -n | awk '{ print $1, $2 }' >"$tmp/sizes"
awk '{ n[NR] = $1 } END { m = n[int((NR + 1) / 2)]; print "the median is " m " lines"; exit m >= 450 }' "$tmp/sizes" >"$tmp/out"
ok $? "the median source of a plugin has less than 450 lines: $(cat "$tmp/out")"
awk '$1 > 600' "$tmp/sizes" >"$tmp/out"
[ ! -s "$tmp/out" ]; ok $? "and none has more than 600"
echo "1..$n"
exit $bad
