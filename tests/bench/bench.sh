#!/bin/sh
# bench.sh - the table of targets: the gateway with everything on, and nginx as a plain proxy,
# before the same upstream, in turns.  Medians of ROUNDS; ratios first, since a machine that is
# shared moves every absolute figure.  Needs nginx; ends by itself; ends only what it started.
#
#	MOONGATE=build/moongate BUILD=build tests/bench/bench.sh
#
# ROUNDS (5), REQUESTS a round (5000), STREAMS open at once (2000), KEYS (100000), WORKERS (1)
set -u
: "${MOONGATE:?the gateway to measure}" "${BUILD:?where its parts are built}"
ROUNDS=${ROUNDS:-5} REQUESTS=${REQUESTS:-5000} STREAMS=${STREAMS:-2000} KEYS=${KEYS:-100000} WORKERS=${WORKERS:-1}
tools=$BUILD/tests/bench
load=$tools/load
PATH=$PATH:/usr/sbin:/sbin
ended=
tmp=$(mktemp -d "${TMPDIR:-/tmp}/moongate-bench.XXXXXX") || exit 1
ulimit -n "$(ulimit -Hn)"

end() {	# pid
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}
cleanup() {
	trap - EXIT INT TERM
	for pid in ${gate:-} ${nginx:-} ${upstream:-} ${holder:-}; do end "$pid"; done
	rm -rf "$tmp"
	[ "$ended" ] || exit 1
}
trap cleanup EXIT INT TERM
die() { echo "bench: $*" >&2; [ -s "$tmp/log" ] && tail -3 "$tmp/log" >&2; exit 1; }

command -v nginx >/dev/null || { echo "SKIP: nginx is not installed (Debian: nginx-light); there is nothing to compare with"; ended=1; exit 0; }

# ---- what is measured

word() { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p"; }	# the value of NAME=value
median() { sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'; }
over() { awk -v a="$1" -v b="$2" 'BEGIN { if (b + 0 == 0) print "-"; else printf "%.2f", a / b }'; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a - b }'; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
# ns on the CPU, all threads
cpu() {
	cat /proc/"$1"/task/*/schedstat 2>/dev/null | awk '{ n += $1 } END { if (n) printf "%.0f\n", n; else exit 1 }' ||
		awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.0f\n", ($12 + $13) * 1e9 / hz }' "/proc/$1/stat"
}
run() { "$load" "$@" || die "load $* failed"; }
cpu_of() {	# PID, then a load; prints us of PID's CPU for each of the $per
	pid=$1; shift
	before=$(cpu "$pid")
	run "$@" >"$tmp/last" || exit 1
	awk -v a="$before" -v b="$(cpu "$pid")" -v n="$per" 'BEGIN { printf "%.2f\n", (b - a) / 1000 / n }'
}

# ---- who is measured

start_upstream() {
	"$tools/upstream" >"$tmp/upstream" & upstream=$!
	until read -r _ up <"$tmp/upstream" && [ "$up" ]; do kill -0 "$upstream" || die "no upstream"; sleep 0.01; done 2>/dev/null
}
start_nginx() {	# [wrapper]
	front=$("$tools/ready")
	cat >"$tmp/nginx.conf" <<-EOT
		daemon off; master_process off; worker_processes 1; worker_rlimit_nofile $(ulimit -n);
		pid $tmp/nginx.pid; error_log $tmp/nginx.log;
		events { worker_connections 19000; }
		http {
			access_log off; client_max_body_size 64m; keepalive_requests 100000000;
			client_body_temp_path $tmp/body; proxy_temp_path $tmp/proxy; fastcgi_temp_path $tmp/f; uwsgi_temp_path $tmp/u; scgi_temp_path $tmp/s;
			upstream up { server 127.0.0.1:$up; keepalive 64; keepalive_requests 100000000; }
			server {
				listen 127.0.0.1:$front backlog=4096;
				location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
			}
		}
	EOT
	"$@" nginx -p "$tmp" -c "$tmp/nginx.conf" 2>>"$tmp/nginx.out" & nginx=$!
	tries=0
	until "$load" closed "$front" 1 1 >/dev/null 2>&1; do
		tries=$((tries + 1)); [ $tries -lt 300 ] || die "nginx does not answer: $(tail -1 "$tmp/nginx.log")"
		sleep 0.02
	done
}
config() {
	cat >"$tmp/config.lua" <<-EOT
		local p = { dialect = "openai", base_url = "http://127.0.0.1:$up/v1", api_key = "sk-upstream" }
		local price = { input = "1", output = "2" }
		return {
			dev = true, listen = { "127.0.0.1:0" }, data_dir = "$tmp/data", workers = $WORKERS,
			providers = { one = p, two = p, three = p },
			models = { ["bench/one"] = { endpoints = {
				{ provider = "one", model = "up-model", price = price },
				{ provider = "two", model = "up-model", price = price },
				{ provider = "three", model = "up-model", price = price },
			} } },
		}
	EOT
}
start_gateway() {	# [wrapper]; sets gate, port, started (us until ready)
	: >"$tmp/out"
	began=$(date +%s%N)
	"$@" "$MOONGATE" serve --config "$tmp/config.lua" --first-key --drain 1 >"$tmp/out" 2>"$tmp/log" & gate=$!
	port=$("$tools/ready" "$tmp/out") || die "the gateway did not start"
	started=$((($(date +%s%N) - began) / 1000))
	until grep -q sk- "$tmp/data/first.key" 2>/dev/null; do kill -0 "$gate" || die "no key"; sleep 0.02; done
	read -r BENCH_KEY <"$tmp/data/first.key"; export BENCH_KEY
}

# ---- the table

row() { printf '%-3s %-58s %12s %12s %8s   %-12s %s\n' "$1" "$2" "$3" "$4" "$5" "$6" "${7:-}"; }
machine() {
	printf '%s cores, %s, Linux %s; nginx %s; %s worker(s); %s keys; %s rounds of %s requests\n' "$(nproc)" \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(uname -r)" "$(nginx -v 2>&1 | sed 's/.*nginx.//')" \
		"$WORKERS" "$KEYS" "$ROUNDS" "$REQUESTS"
}
start_upstream
start_nginx
config
echo "moongate bench: $(machine)"
echo "the machine may be shared: compare within one run only"
row '#' what moongate nginx ratio foundation note

# Idle, without keys and with them; the cost of a request must not grow with the keys.
start_gateway
idle=$(rss "$gate")
per=$REQUESTS
run closed "$port" 1000 32 >/dev/null
few=$(for _ in 1 2 3; do cpu_of "$gate" closed "$port" "$REQUESTS" 32; done | median)
end "$gate"
"$tools/keys" "$tmp/data/moongate.db" "$KEYS" || die "the keys could not be written"
start_gateway
loaded=$(rss "$gate")
ready_us=$started

# Rows 1, 2: closed loop, in turns.
run closed "$port" 1000 32 >/dev/null
run closed "$front" 1000 32 >/dev/null
for _ in $(seq "$ROUNDS"); do
	cpu_of "$gate" closed "$port" "$REQUESTS" 32 >>"$tmp/cpu_m" || exit 1
	word persec <"$tmp/last" >>"$tmp/rps_m"
	cpu_of "$nginx" closed "$front" "$REQUESTS" 32 >>"$tmp/cpu_n" || exit 1
	word persec <"$tmp/last" >>"$tmp/rps_n"
	for t in "m $port" "n $front" "d $up"; do
		set -- $t
		run open "$2" 4000 500 16 >"$tmp/last" || exit 1
		word p50 <"$tmp/last" >>"$tmp/p50_$1"; word p99 <"$tmp/last" >>"$tmp/p99_$1"
		run first "$2" 60 >"$tmp/last" || exit 1
		word p50 <"$tmp/last" >>"$tmp/first_$1"
		run abort "$2" "$up" 20 >"$tmp/last" || exit 1
		word last <"$tmp/last" >>"$tmp/abort_$1"
		run big "$2" 2 20000000 >"$tmp/last" || exit 1
		word p50 <"$tmp/last" >>"$tmp/big_$1"
	done
done
m() { median <"$tmp/$1"; }
counted() {	# PID PORT: instructions per request where the machine counts them
	perf stat -x, -e instructions -p "$1" -- "$load" closed "$2" "$REQUESTS" 32 2>&1 >/dev/null |
		awk -F, -v n="$REQUESTS" '/instructions/ && $1 + 0 > 0 { printf "%.0f", $1 / n }'
}
im=$(counted "$gate" "$port" 2>/dev/null); in=$(counted "$nginx" "$front" 2>/dev/null)
if [ "$im" ] && [ "$in" ]; then row 1 "instructions per plain request" "$im" "$in" "$(over "$im" "$in")" 3.0; fi
row "$([ "$im" ] || echo 1)" "CPU us per plain request" "$(m cpu_m)" "$(m cpu_n)" "$(over "$(m cpu_m)" "$(m cpu_n)")" 3.0 \
	"$([ "$im" ] || echo 'proxy: no instruction counter here')"
row '' "requests/s, 32 connections" "$(m rps_m)" "$(m rps_n)" "$(over "$(m rps_m)" "$(m rps_n)")" - "one round, load on the same cores"
row 2 "cycles per plain request" - - - 2.4 "not measured: see row 1"
row 3 "cycles per plain request, against Portkey" - - - 1/30 "not measured: not installed"
row 4 "added p50 at 4,000/s, us" "$(minus "$(m p50_m)" "$(m p50_d)")" "$(minus "$(m p50_n)" "$(m p50_d)")" \
	"$(over "$(minus "$(m p50_m)" "$(m p50_d)")" "$(minus "$(m p50_n)" "$(m p50_d)")")" 1.8
row 5 "p99 at 4,000/s, us" "$(m p99_m)" "$(m p99_n)" "$(over "$(m p99_m)" "$(m p99_n)")" 2.0 "the scheduler's, mostly"

# Row 6: 500 streams, one event each 50 ms.
per=$((500 * 40))
for _ in 1 2 3; do
	cpu_of "$gate" stream "$port" 500 40 50 >>"$tmp/chunk_m" || exit 1
	word chunk_p50 <"$tmp/last" >>"$tmp/late_m"
	cpu_of "$nginx" stream "$front" 500 40 50 >>"$tmp/chunk_n" || exit 1
	word chunk_p50 <"$tmp/last" >>"$tmp/late_n"
done
row 6 "CPU us per relayed event, 500 streams" "$(m chunk_m)" "$(m chunk_n)" "$(over "$(m chunk_m)" "$(m chunk_n)")" 1.7 "proxy for instructions; 3 rounds"
row '' "delay of an event, p50 us" "$(m late_m)" "$(m late_n)" "$(over "$(m late_m)" "$(m late_n)")" -
row 7 "instructions per translated event / relayed event" - - - 2.0 "not measured here"

# Rows 8, 9: many streams open.
hold() {	# PORT
	"$load" hold "$1" "$STREAMS" >"$tmp/hold" & holder=$!
	until grep -q open= "$tmp/hold"; do kill -0 "$holder" 2>/dev/null || die "the streams do not open"; sleep 0.05; done
}
per=$REQUESTS
none=$(for _ in 1 2 3; do cpu_of "$gate" closed "$port" "$REQUESTS" 32; done | median)
before=$(rss "$gate"); hold "$port"; held=$(rss "$gate")
some=$(for _ in 1 2 3; do cpu_of "$gate" closed "$port" "$REQUESTS" 32; done | median)
end "$holder"
nbefore=$(rss "$nginx"); hold "$front"; nheld=$(rss "$nginx"); end "$holder"; holder=
row 8 "CPU us per plain request, $STREAMS streams open / none" "$some" "($none)" "$(over "$some" "$none")" 1.15 "STREAMS=9000 for the target's own number"
kb() { awk -v a="$1" -v b="$2" -v n="$STREAMS" 'BEGIN { printf "%.1f", (b - a) / n }'; }
row 9 "RSS KB per open stream" "$(kb "$before" "$held")" "$(kb "$nbefore" "$nheld")" "$(over "$(kb "$before" "$held")" "$(kb "$nbefore" "$nheld")")" 1.8
row 10 "idle RSS MB, no keys / $KEYS keys" "$(over "$idle" 1024) / $(over "$loaded" 1024)" - - "16 / 30"
row 11 "client abort until upstream closed, last of 20, us" "$(m abort_m)" "$(m abort_n)" "$(over "$(m abort_m)" "$(m abort_n)")" 2
row 12 "20 MB request, p50 us" "$(m big_m)" "$(m big_n)" "$(over "$(m big_m)" "$(m big_n)")" 0.4
row 13 "added time to first token, p50 us" "$(minus "$(m first_m)" "$(m first_d)")" "$(minus "$(m first_n)" "$(m first_d)")" \
	"$(over "$(minus "$(m first_m)" "$(m first_d)")" "$(minus "$(m first_n)" "$(m first_d)")")" 2

# Row 14: samples of the threads beside the worker (the store's writer), and of the worker
# those with a frame of the store, journal or ledger in them.
perf record -q -e cpu-clock -F 997 -g -p "$gate" -o "$tmp/perf" -- "$load" closed "$port" $((REQUESTS * 3)) 32 >/dev/null 2>&1 &&
	share=$(perf script -i "$tmp/perf" -F tid,ip,sym 2>/dev/null | awk '
		$1 ~ /^[0-9]+$/ && NF == 1 { n++; tid = $1; all[tid]++; hit = 0; next }
		/ (store|journal|ledger|scope|record|carry)_/ { if (!hit++) yes[tid]++ }
		END {
			for (t in all) if (all[t] > all[worker]) worker = t
			if (n > 100) printf "%.1f%%", 100 * (n - all[worker] + yes[worker]) / n
		}') || share=
row 14 "store, journal and ledger, share of CPU" "${share:--}" - - 12% "$([ "$share" ] && echo samples || echo 'not measured: no perf here')"
row 15 "start to ready with $KEYS keys, s" "$(over "$ready_us" 1000000)" - - 1
row '' "CPU us per plain request, $KEYS keys / 1 key" "$none" "($few)" "$(over "$none" "$few")" 1.0 "slope; must not grow with keys"
end "$gate"; gate=

# User instructions, where there is no counter: exact, but without the kernel's part.
if [ ! "$im" ] && command -v valgrind >/dev/null && [ "${CALLGRIND:-1}" = 1 ]; then
	n=200
	rm -rf "$tmp/data"	# reading many keys under valgrind takes minutes
	instructions() { awk '/^(summary|totals):/ { print $2; exit }' "$1"; }
	for count in $n $((n * 3)); do
		start_gateway valgrind -q --tool=callgrind --callgrind-out-file="$tmp/cg.m.$count"
		run closed "$port" "$count" 8 >/dev/null; end "$gate"; gate=
	done
	end "$nginx"
	for count in $n $((n * 3)); do
		start_nginx valgrind -q --tool=callgrind --callgrind-out-file="$tmp/cg.n.$count"
		run closed "$front" "$count" 8 >/dev/null; end "$nginx"; nginx=
	done
	um=$(($(instructions "$tmp/cg.m.$((n * 3))") - $(instructions "$tmp/cg.m.$n")))
	un=$(($(instructions "$tmp/cg.n.$((n * 3))") - $(instructions "$tmp/cg.n.$n")))
	row 1u "user instructions per plain request (callgrind)" $((um / n / 2)) $((un / n / 2)) "$(over $um $un)" - "without the kernel's part, libraries included"
fi
ended=1
