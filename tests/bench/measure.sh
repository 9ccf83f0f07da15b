# measure.sh - what a load costs a process, the statistics of it, and the lines of the table.
# Read by bench.sh, which has set $tmp, $load and $tools.

# ---- statistics: $tmp/NAME holds one round a line

median() {	# NAME [COLUMN]
	sort -n -k"${2:-1}" "$tmp/$1" 2>/dev/null | awk -v c="${2:-1}" '{ v[NR] = $c } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}
word() { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p" "$tmp/last"; }	# the value of NAME=value that the load printed
over() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "-" || b + 0 <= 0) print "-"; else printf "%.2f", a / b }'; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "-" || b == "-") print "-"; else printf "%.1f", a - b }'; }

# ---- what a process used

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
cpu_ns() {	# all threads
	cat /proc/"$1"/task/*/schedstat 2>/dev/null | awk '{ n += $1 } END { if (n) printf "%.0f\n", n; else exit 1 }' ||
		awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.0f\n", ($12 + $13) * 1e9 / hz }' "/proc/$1/stat"
}
kernel_ticks() { awk '{ sub(/.*\) /, ""); print $13 }' "/proc/$1/stat"; }	# its time in the kernel

counters() { perf stat -x, -e instructions:u,instructions:k,cycles "$@"; }
counts=
command -v perf >/dev/null && counters true 2>&1 | awk -F, '$1 + 0 > 0 { n++ } END { exit n != 3 }' && counts=1

run() { "$load" "$@" >"$tmp/last" || die "load $* failed"; }

# cost NAME PID UNITS LOAD...: appends "us instructions cycles" for each unit to $tmp/NAME;
# without counters the last two are "-".
cost() {
	name=$1 pid=$2 units=$3; shift 3
	before=$(cpu_ns "$pid")
	if [ "$counts" ]; then
		counters -o "$tmp/counted" -p "$pid" -- "$load" "$@" >"$tmp/last" || die "load $* failed"
	else
		: >"$tmp/counted"; run "$@"
	fi
	awk -F, -v a="$before" -v b="$(cpu_ns "$pid")" -v n="$units" '
		$3 ~ /^instructions/ { i += $1 } $3 ~ /^cycles/ { c += $1 }
		END { printf "%.2f %s %s\n", (b - a) / 1000 / n, i ? int(i / n) : "-", c ? int(c / n) : "-" }' "$tmp/counted" >>"$tmp/$name"
}
# The column that decides: instructions where they are counted, else CPU time.
deciding() { if [ "$counts" ]; then echo 2; else echo 1; fi; }

# ---- user instructions, where there are no counters: exact, but without the kernel's part;
# a repeated string instruction (large memset) counts once for each repetition

# Valgrind counts every byte of a `rep stosb` as an instruction; a processor does not: libc is told to do without.
callgrind() {	# FILE COMMAND..., in the background: the id is the command's
	out=$1; shift
	export GLIBC_TUNABLES=glibc.cpu.x86_rep_stosb_threshold=16777216:glibc.cpu.x86_rep_movsb_threshold=16777216
	exec valgrind -q --tool=callgrind --callgrind-out-file="$tmp/$out" "$@"
}
# Of the dumps, the one that was asked for by this name.
dumped() { grep -l "^desc: Trigger: dump $1\$" "$tmp"/cg.* | head -1 | xargs awk '/^summary:/ { print $2; exit }'; }
# counted NAME PID LOAD...: the instructions of a process under callgrind while the load runs; sets $used
counted() {
	name=$1 pid=$2; shift 2
	callgrind_control -z "$pid" >/dev/null 2>&1
	run "$@"
	sleep 0.1	# the store's thread gathers for some ms
	callgrind_control --dump="$name" "$pid" >/dev/null 2>&1
	used=$(dumped "$name")
	[ "$used" ] || die "callgrind says nothing about $name"
}

# ---- the table

# "3.0 met"; a target of "1/30" is a quotient; "-" is no target, or nothing to judge.
judge() {	# VALUE TARGET
	awk -v v="$1" -v t="$2" 'BEGIN {
		n = split(t, q, "/"); x = n == 2 ? q[1] / q[2] : t
		n = split(v, q, "/"); y = n == 2 ? q[1] / q[2] : v
		print t == "-" ? "-" : v == "-" ? t " ?" : t (y + 0 <= x + 0 ? " met" : " not met") }'
}
row() {	# NUMBER WHAT MOONGATE PEER VALUE FOUNDATION GOAL HOW
	printf '%-3s %-50s %11s %11s %7s   %-13s %-13s %s\n' "$1" "$2" "$3" "$4" "$5" "$(judge "$5" "$6")" "$(judge "$5" "$7")" "${8:-}"
}
heading() {
	printf '%-3s %-50s %11s %11s %7s   %-13s %-13s %s\n' '#' what moongate nginx ratio foundation goal how
}
skip() { printf '%-3s %-50s %11s %11s %7s   %-13s %-13s %s\n' "$1" "$2" SKIP - - "$3" "$4" "$5"; }
machine() {
	printf '%s cores, %s, Linux %s, %s, open files %s, load average %s\n' "$(nproc)" \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(uname -r)" \
		"$(systemd-detect-virt 2>/dev/null || { grep -q '^flags.* hypervisor' /proc/cpuinfo && echo 'virtual machine'; } || echo 'no virtual machine')" "$(ulimit -n)" "$(cut -d' ' -f1 /proc/loadavg)"
	if [ "$counts" ]; then
		echo 'instructions (user and kernel) and cycles: perf stat on the process, all threads'
	else
		echo 'no instruction counter here: user instructions by callgrind on a fixed count; cycles by CPU time (one clock, so in proportion)'
	fi
}
