# typed.sh - for tests that type what a document says, in a folder of their own; they source it first.
# Gives them root, MOONGATE, BUILD and dir; ok NAME COMMAND... counts in n and bad; what runs as
# $gate and $up ends with the test.
root=$(cd "$(dirname "$0")/../.." && pwd)
MOONGATE=${MOONGATE:-$root/build/moongate} BUILD=${BUILD:-$root/build}
unset MOONGATE_URL MOONGATE_KEY MOONGATE_KEY_FILE MOONGATE_CONFIG MOONGATE_MANAGEMENT_KEY
dir=$(mktemp -d) || exit 1
n=0 bad=0 gate= up=
export NO_COLOR=1

cleanup() {
	trap - EXIT INT TERM
	for pid in $gate $up; do kill -TERM "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ok() {	# NAME COMMAND...
	name=$1; shift; n=$((n + 1))
	if "$@" >"$dir/out" 2>"$dir/err" </dev/null; then echo "ok $n - $name"; else
		bad=1; echo "not ok $n - $name"; cat "$dir/out" "$dir/err" | tail -n 12 | sed 's/^/# /'; fi
}

started() {	# PID FILE PATTERN: it writes that, sooner or later
	for _ in $(seq 5000); do
		grep -q "$3" "$2" 2>/dev/null && return 0
		kill -0 "$1" 2>/dev/null || return 1
		sleep 0.02
	done
	return 1
}
