#!/bin/sh
# bench.sh - the table of targets: the gateway with everything on, and nginx as a plain proxy,
# before the same upstream, in turns.  Medians of ROUNDS; ratios first, since a machine that is
# shared moves every absolute figure.  Needs nginx; ends by itself; ends only what it started.
#
#	MOONGATE=build/moongate BUILD=build tests/bench/bench.sh
#
# ROUNDS (5), REQUESTS a round (5000), STREAMS open at once (9000), KEYS (100000), MODELS (2000),
# POLICIES (50), LEDGER rows (50000), WORKERS (1), PORTKEY=1 to compare with Portkey's gateway,
# CALLGRIND=0 to leave out what valgrind counts.
set -u
: "${MOONGATE:?the gateway to measure}" "${BUILD:?where its parts are built}"
ROUNDS=${ROUNDS:-5} REQUESTS=${REQUESTS:-5000} STREAMS=${STREAMS:-9000} KEYS=${KEYS:-100000} MODELS=${MODELS:-2000}
POLICIES=${POLICIES:-50} LEDGER=${LEDGER:-50000} WORKERS=${WORKERS:-1} PORTKEY=${PORTKEY:-} CALLGRIND=${CALLGRIND:-1}
PORTKEY_VERSION=${PORTKEY_VERSION:-1.15.2}
# What nginx 1.22 took on the machine where the targets were set, where instructions were counted:
# the kernel's part of ours is told from it where they are not.
NGINX_REQUEST=50278 NGINX_EVENT=26250
here=$(dirname "$0")
tools=$BUILD/tests/bench
load=$tools/load
PATH=$PATH:/usr/sbin:/sbin
ended=
tmp=$(mktemp -d "${TMPDIR:-/tmp}/moongate-bench.XXXXXX") || exit 1
ulimit -n "$(ulimit -Hn)"
. "$here/measure.sh"
. "$here/servers.sh"

cleanup() {
	trap - EXIT INT TERM
	end_all
	rm -rf "$tmp"
	[ "$ended" ] || exit 1
}
trap cleanup EXIT INT TERM
die() { echo "bench: $*" >&2; exit 1; }

command -v nginx >/dev/null || { echo "SKIP: nginx is not installed (Debian: nginx-light); there is nothing to compare with"; ended=1; exit 0; }

plain() { cost "$1" "$2" "$REQUESTS" closed "$3" "$REQUESTS" 32; }	# NAME PID PORT

# Latency, aborts, large bodies and first tokens of one target: m, n or d (direct).
latencies() {	# TARGET PORT
	run open "$2" 4000 500 16; word p50 >>"$tmp/p50_$1"; word p99 >>"$tmp/p99_$1"
	run first "$2" 60; word p50 >>"$tmp/first_$1"
	run abort "$2" "$up" 20; word last >>"$tmp/abort_$1"
	run big "$2" 2 20000000; word p50 >>"$tmp/big_$1"
}
# The kernel's share of instructions is estimated: nginx's known one, times the kernel time of ours over nginx's.
estimate() {	# OURS_USER NGINX_USER NGINX_ALL OUR_TICKS NGINX_TICKS
	awk -v um="$1" -v un="$2" -v all="$3" -v sm="$4" -v sn="$5" 'BEGIN {
		if (sn + 0 <= 0 || un + 0 <= 0) print "-"; else printf "%.2f", (um + (all - un) * sm / sn) / all }'
}
ticks() {	# NAME PID COMMAND...: adds the kernel ticks of PID while the command runs to $tmp/NAME
	into=$1 whose=$2; shift 2
	was=$(kernel_ticks "$whose"); "$@"; echo $(($(kernel_ticks "$whose") - was)) >>"$tmp/$into"
}
total() { awk '{ n += $1 } END { print n + 0 }' "$tmp/$1"; }

# ---- the measures

measure_plain() {	# rows 1, 2, 4, 5, 11, 12, 13
	for _ in $(seq "$ROUNDS"); do
		ticks ticks_m "$gate" plain plain_m "$gate" "$port"; word persec >>"$tmp/rps_m"
		ticks ticks_n "$nginx" plain plain_n "$nginx" "$front"; word persec >>"$tmp/rps_n"
		latencies m "$port"; latencies n "$front"; latencies d "$up"
	done
}
measure_portkey() {	# row 3: fewer requests, each costs it much
	for _ in 1 2 3 4 5; do
		cost plain_beside "$gate" 1000 closed "$port" 1000 32
		portkey_env cost plain_p "$portkey" 500 closed "$portkey_port" 500 32
	done
}
measure_streams() {	# row 6: 500 streams, one event each 50 ms
	for _ in $(seq "$ROUNDS"); do
		ticks sticks_m "$gate" cost event_m "$gate" 15000 stream "$port" 500 30 50; word chunk_p50 >>"$tmp/late_m"
		ticks sticks_n "$nginx" cost event_n "$nginx" 15000 stream "$front" 500 30 50; word chunk_p50 >>"$tmp/late_n"
		BENCH_MODEL=bench/messages cost event_t "$gate" 15000 stream "$port" 500 30 50
	done
}
hold() {	# PORT; sets holder, or says why not
	rm -f "$tmp/hold"
	"$load" hold "$1" "$STREAMS" >"$tmp/hold" 2>"$tmp/hold.log" & holder=$!; started $!
	until grep -qs open= "$tmp/hold"; do
		kill -0 "$holder" 2>/dev/null || { head -1 "$tmp/hold.log"; return 1; }
		sleep 0.05
	done
}
# Rows 8, 9: two gateways alike, one of them with the streams, in turns.
measure_open() {
	start_gateway held
	run closed "$port" 1000 32
	before_m=$(rss "$gate") before_n=$(rss "$nginx")
	hold "$port" >"$tmp/why" || return 1
	held_m=$(rss "$gate")
	for _ in $(seq "$ROUNDS"); do
		for who in few held; do use $who; plain "open_$who" "$gate" "$port"; done
	done
	end "$holder"; end "$gate"
	hold "$front" >"$tmp/why" || return 1
	held_n=$(rss "$nginx")
	end "$holder"
}
measure_slopes() {
	start_gateway models; start_gateway policies; start_gateway ledger
	run closed "$port" "$LEDGER" 32
	for who in few many models policies; do use $who; run closed "$port" 1000 32; done
	for _ in $(seq "$ROUNDS"); do
		for who in few many models policies ledger; do use $who; plain "slope_$who" "$gate" "$port"; done
	done
	for who in models policies ledger; do use $who; end "$gate"; done
	use many
}
# Rows 1, 6 and 7 where there is no counter.
measure_callgrind() {
	config grind; start_gateway grind callgrind cg.m
	run closed "$port" 50 8; run stream "$port" 4 5 5; BENCH_MODEL=bench/messages run stream "$port" 4 5 5
	counted m_plain "$gate" closed "$port" 300 8; um=$((used / 300))
	counted m_few "$gate" stream "$port" 20 10 20; few=$used
	counted m_relayed "$gate" stream "$port" 20 60 20; relayed=$(((used - few) / 1000))
	export BENCH_MODEL=bench/messages
	counted m_few_t "$gate" stream "$port" 20 10 20; few=$used
	counted m_translated "$gate" stream "$port" 20 60 20; translated=$(((used - few) / 1000))
	unset BENCH_MODEL
	end "$gate"
	start_nginx callgrind cg.n
	run closed "$front" 50 8
	counted n_plain "$nginx" closed "$front" 300 8; un=$((used / 300))
	counted n_few "$nginx" stream "$front" 20 10 20; few=$used
	counted n_relayed "$nginx" stream "$front" 20 60 20; nrelayed=$(((used - few) / 1000))
	end "$nginx"
}
# Samples of the threads beside the worker (the store's writer), and of the worker those with a
# frame of the store, journal or ledger in them.
share_of_store() {
	perf record -q -e cpu-clock -F 997 -g -p "$gate" -o "$tmp/perf" -- "$load" closed "$port" $((REQUESTS * 3)) 32 >/dev/null 2>&1 &&
		perf script -i "$tmp/perf" -F tid,ip,sym 2>/dev/null | awk '
			$1 ~ /^[0-9]+$/ && NF == 1 { n++; tid = $1; all[tid]++; hit = 0; next }
			/ (store|journal|ledger|scope|record|carry)_/ { if (!hit++) yes[tid]++ }
			END {
				for (t in all) if (all[t] > all[worker]) worker = t
				if (n > 100) printf "%.1f", 100 * (n - all[worker] + yes[worker]) / n
			}'
}

# ---- the run

echo "moongate bench, $(date -u +%Y-%m-%d): nginx $(nginx -v 2>&1 | sed 's/.*nginx.//'); $WORKERS worker(s), $KEYS keys, 3 candidates; medians of $ROUNDS rounds of $REQUESTS requests, in turns"
machine
echo "the machine may be shared: the ratios of one run can be compared, microseconds of two cannot"
heading
start_upstream
start_nginx
config few; config held; config many; config models "$MODELS"; config policies 0 "$POLICIES"; config ledger
start_gateway many	# its store is made
end "$gate"
"$tools/keys" "$tmp/many/data/moongate.db" "$KEYS" || die "the keys could not be written"
start_gateway few; idle=$(rss "$gate")
start_gateway many; loaded=$(rss "$gate") loaded_us=$ready_us
run closed "$port" 1000 32
run closed "$front" 1000 32

measure_plain
c=$(deciding)
m() { median "$1" "$2"; }
um='' un=''
if [ ! "$counts" ] && [ "$CALLGRIND" = 1 ] && command -v valgrind >/dev/null; then
	kept="$front $nginx"
	measure_callgrind
	front=${kept% *} nginx=${kept#* }
	use many
fi
if [ "$counts" ]; then
	row 1 "instructions per plain request" "$(m plain_m 2)" "$(m plain_n 2)" "$(over "$(m plain_m 2)" "$(m plain_n 2)")" 3.0 2.4 "perf stat, user and kernel"
	row 2 "cycles per plain request" "$(m plain_m 3)" "$(m plain_n 3)" "$(over "$(m plain_m 3)" "$(m plain_n 3)")" 2.4 1.7 "perf stat"
elif [ "$um" ]; then
	row 1 "instructions per plain request, estimated" - - "$(estimate "$um" "$un" $NGINX_REQUEST "$(total ticks_m)" "$(total ticks_n)")" 3.0 2.4 \
		"callgrind, and the kernel's part by kernel time"
	row '' "  user instructions alone" "$um" "$un" "$(over "$um" "$un")" - - "callgrind, 300 requests, 1 key"
else
	skip 1 "instructions per plain request" 3.0 2.4 "no counter here, and no valgrind"
fi
[ "$counts" ] || row 2 "cycles per plain request" - - "$(over "$(m plain_m 1)" "$(m plain_n 1)")" 2.4 1.7 "CPU time in place of cycles"
row '' "  CPU us per plain request" "$(m plain_m 1)" "$(m plain_n 1)" "$(over "$(m plain_m 1)" "$(m plain_n 1)")" - - "the process's own accounting"
row '' "  requests/s, 32 connections" "$(median rps_m)" "$(median rps_n)" "$(over "$(median rps_m)" "$(median rps_n)")" - - "the load is on the same cores"
if [ ! "$PORTKEY" ]; then
	skip 3 "cycles per plain request / Portkey" 1/30 1/50 "make bench PORTKEY=1 installs and measures it"
elif start_portkey >"$tmp/why"; then
	portkey_env answering "$portkey_port" Portkey
	portkey_env run closed "$portkey_port" 500 32
	measure_portkey
	p=$([ "$counts" ] && echo 3 || echo 1)
	row 3 "cycles per plain request / Portkey $PORTKEY_VERSION" "$(m plain_beside "$p")" "$(m plain_p "$p")" \
		"1/$(over "$(m plain_p "$p")" "$(m plain_beside "$p")")" 1/30 1/50 "$([ "$counts" ] && echo 'perf stat' || echo 'CPU us'); node $(node --version)"
	end "$portkey"
else
	skip 3 "cycles per plain request / Portkey" 1/30 1/50 "$(cat "$tmp/why")"
fi
added() { minus "$(median "$1_$2")" "$(median "$1_d")"; }
compared() { row "$1" "$2" "$3" "$4" "$(over "$3" "$4")" "$5" "$6" "${7:-}"; }
compared 4 "added p50 at 4,000/s, us" "$(added p50 m)" "$(added p50 n)" 1.8 1.2 "over the upstream itself, $(median p50_d)"
compared 5 "p99 at 4,000/s, us" "$(median p99_m)" "$(median p99_n)" 2.0 1.3 "the scheduler's, mostly"

measure_streams
if [ "$counts" ]; then
	compared 6 "instructions per relayed event, 500 streams" "$(m event_m 2)" "$(m event_n 2)" 1.7 1.25 "perf stat, opening the streams included"
	row 7 "instructions per translated event / relayed" "$(m event_t 2)" "($(m event_m 2))" "$(over "$(m event_t 2)" "$(m event_m 2)")" 2.0 1.3 "perf stat; Anthropic to chat"
elif [ "$um" ]; then
	row 6 "instructions per relayed event, estimated" - - "$(estimate "$relayed" "$nrelayed" $NGINX_EVENT "$(total sticks_m)" "$(total sticks_n)")" 1.7 1.25 \
		"as row 1; 500 streams for the kernel's part"
	row '' "  user instructions alone" "$relayed" "$nrelayed" "$(over "$relayed" "$nrelayed")" - - "callgrind, 1,000 events"
	row 7 "instructions per translated event / relayed" "$translated" "($relayed)" "$(over "$translated" "$relayed")" 2.0 1.3 "callgrind, user; Anthropic to chat"
else
	skip 6 "instructions per relayed event" 1.7 1.25 "no counter here, and no valgrind"
	skip 7 "instructions per translated event / relayed" 2.0 1.3 "no counter here, and no valgrind"
fi
compared '' "  CPU us per relayed event, 500 streams" "$(m event_m 1)" "$(m event_n 1)" - -
row '' "  CPU us per translated event / relayed" "$(m event_t 1)" "($(m event_m 1))" "$(over "$(m event_t 1)" "$(m event_m 1)")" - -
compared '' "  delay of an event, p50 us" "$(median late_m)" "$(median late_n)" - -

unit=$([ "$counts" ] && echo instructions || echo 'CPU us')
need=$((STREAMS * 2 + 500))
if [ "$(ulimit -n)" -lt "$need" ]; then
	skip 8 "plain request with $STREAMS streams open / none" 1.15 1.05 "ulimit -n is $(ulimit -n), $need are needed"
	skip 9 "RSS KB per open stream" 1.8 1.1 "ulimit -n is $(ulimit -n), $need are needed"
elif measure_open; then
	kb() { awk -v a="$1" -v b="$2" -v n="$STREAMS" 'BEGIN { printf "%.1f", (b - a) / n }'; }
	row 8 "$unit per plain request, $STREAMS streams / none" "$(m open_held "$c")" "($(m open_few "$c"))" \
		"$(over "$(m open_held "$c")" "$(m open_few "$c")")" 1.15 1.05 "two gateways, in turns"
	compared 9 "RSS KB per open stream" "$(kb "$before_m" "$held_m")" "$(kb "$before_n" "$held_n")" 1.8 1.1 "$STREAMS streams"
else
	skip 8 "plain request with $STREAMS streams open / none" 1.15 1.05 "the streams did not open: $(cat "$tmp/why")"
	skip 9 "RSS KB per open stream" 1.8 1.1 "see row 8"
fi
use many
row 10 "idle RSS MB, no keys" "$(over "$idle" 1024)" - "$(over "$idle" 1024)" 16 8
row '' "idle RSS MB, $KEYS keys" "$(over "$loaded" 1024)" - "$(over "$loaded" 1024)" 30 18
compared 11 "client abort to upstream closed, last of 20, us" "$(median abort_m)" "$(median abort_n)" 2 0.5
compared 12 "20 MB request, p50 us" "$(median big_m)" "$(median big_n)" 0.4 0.15
compared 13 "added time to first token, p50 us" "$(added first m)" "$(added first n)" 2 1.2 "over the upstream itself, $(median first_d)"
share=$(share_of_store)
row 14 "store, journal and ledger, % of CPU per request" "${share:--}" - "${share:--}" 12 5 "$([ "$share" ] && echo 'perf record, samples of the clock' || echo 'perf cannot sample here')"
row 15 "start to ready with $KEYS keys, s" "$(over "$loaded_us" 1000000)" - "$(over "$loaded_us" 1000000)" 1 0.2

measure_slopes
slope() { row '' "$unit per request: $2 / few" "$(m "slope_$1" "$c")" "($(m slope_few "$c"))" "$(over "$(m "slope_$1" "$c")" "$(m slope_few "$c")")" 1.15 1.05 "slope: $3"; }
slope many "$KEYS keys" "1 and $((KEYS + 1)) keys"
slope models "$MODELS models" "2 and $((MODELS + 2)) models, 3 endpoints each"
slope policies "$POLICIES policies more" "6 and $((POLICIES + 6)) policies loaded, 6 of them in use"
slope ledger "$LEDGER rows in the ledger" "a ledger of $((REQUESTS * ROUNDS)) rows at most, and one of $LEDGER more"
ended=1
