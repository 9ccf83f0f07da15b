#!/bin/sh
# A gateway that dies leaves no core: it would have prompts and keys in it.
binary=${MOONGATE:-$(dirname "$0")/../../build/moongate}
binary=$(realpath "$binary")
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/ours" "$tmp/other"
printf 'return { dev = true, listen = { "127.0.0.1:0" }, data_dir = "%s/data" }\n' "$tmp" >"$tmp/config.lua"
ulimit -c unlimited 2>/dev/null

cores() { ls "$1" | wc -l; }

# Another program in the same place, so that a core that is not there means something.
(cd "$tmp/other" && exec sh -c 'kill -ABRT $$') 2>/dev/null
here=$(cores "$tmp/other")

(cd "$tmp/ours" && exec "$binary" serve --config "$tmp/config.lua" >"$tmp/out" 2>"$tmp/log") &
child=$!
for i in $(seq 5000); do grep -q 'listening on' "$tmp/out" && break; sleep 0.02; done
grep -q 'listening on' "$tmp/out"; started=$?
# Nor may another process of the same user read its memory: the files of /proc are root's.
owner=$(stat -c %u "/proc/$child/mem")
kill -ABRT $child 2>/dev/null
wait $child 2>/dev/null
status=$?
[ $started = 0 ] && [ $status = 134 ]; ok=$?
[ $ok = 0 ] && echo "ok 1 - a gateway is killed by SIGABRT" || echo "not ok 1 - a gateway is killed by SIGABRT # $status"
if [ "$here" = 0 ]; then
	echo "ok 2 - it leaves no core # SKIP this machine writes none into the working folder"
elif [ "$(cores "$tmp/ours")" = 0 ]; then
	echo "ok 2 - it leaves no core"
else
	ok=1; echo "not ok 2 - it leaves no core"
fi
if [ "$owner" = 0 ]; then echo "ok 3 - its memory is not for its user's other programs"; else ok=1; echo "not ok 3 - its memory is not for its user's other programs"; fi
echo "1..3"
exit $ok
