#!/bin/sh
# Nobody gets past the gate of base/keep.h, and the check that says so can fail.
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0

ok() {	# ok STATUS CLAIM
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else bad=1; echo "not ok $n - $2"; fi
}

# What a client said is opened where it goes back to the client, on to its upstream or to the policies;
# permits are made by the gate, what may be kept is decided by policies; facts are in no line of the log.
sinks() {	# sinks ROOT
	(cd "$1" && {
		grep -rn 'in_confidence' gateway | grep -vE '^gateway/(base/keep\.[ch]|api/chat\.c|relay/send\.c):'
		grep -rnE 'struct permit\)? *[a-z]* *=? *\{' gateway | grep -vE '^gateway/base/keep\.[ch]:'
		grep -rnE 'struct keep\)? *[a-z]* *=? *\{' gateway | grep -vE '^gateway/base/keep\.[ch]:'
		grep -rnE 'LOG_[SW]\(.*facts\.' gateway | grep -v 'confided_words(log, (struct confided){ r->d.facts.model }, r->pool)'
	}) >"$tmp/out" 2>&1
	[ ! -s "$tmp/out" ]
}

sinks .; rc=$?
[ $rc = 0 ] || sed 's/^/# /' "$tmp/out"
ok $rc "the gateway keeps nothing but through the gate"

plant() {	# plant FILE LINE CLAIM: is found
	mkdir -p "$tmp/root/$(dirname "$1")"
	printf '%s\n' "$2" >"$tmp/root/$1"
	sinks "$tmp/root"
	[ $? = 1 ] && grep -q "^$1:1:" "$tmp/out"
	ok $? "$3"
	rm -r "$tmp/root/gateway"
}

plant gateway/relay/trace.c '	put(out, r->client.user.in_confidence);' "who opens what a client said is found"
plant gateway/relay/trace.c '	write(out, (struct permit){ SINK_TRACE, KEEP_FULL, 0 });' "and who gives itself a permit"
plant gateway/api/cache.c '	struct permit p = { .level = KEEP_FULL };' "by another name, too"
plant gateway/api/cache.c '	struct keep all = { .store = KEEP_FULL };' "and who decides for itself what may be kept"
plant gateway/relay/settle.c '	log_at(LOG_INFO, EV_X, r->name, LOG_S("session", r->d.facts.session.at));' "and who logs facts"

echo "1..$n"
exit $bad
