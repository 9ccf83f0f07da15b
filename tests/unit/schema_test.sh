#!/bin/sh
# What the schema offers, somebody reads: a member that the gateway takes and does
# nothing with would promise what it does not keep.
root=$(cd "$(dirname "$0")/../.." && pwd)
MOONGATE=${MOONGATE:-$root/build/moongate}
names=$("$MOONGATE" config schema | node -e '
	const names = new Set();
	const walk = (s) => {
		if (!s || typeof s !== "object") return;
		for (const [name, sub] of Object.entries(s.properties ?? {})) { if (!name.startsWith("$")) names.add(name); walk(sub); }
		for (const sub of [s.additionalProperties, s.items, ...s.anyOf ?? []]) walk(sub);
	};
	let text = "";
	process.stdin.on("data", (d) => { text += d; }).on("end", () => { walk(JSON.parse(text)); console.log([...names].sort().join("\n")); });')
count=$(echo "$names" | wc -l) unread=
for name in $names; do
	case $name in telemetry | otlp | ui) continue ;; esac	# told at each start: config.unread
	# "name" in a call, or name in a table that makes words of names
	grep -rqE "\"$name\"|[{ (]$name," "$root/gateway" "$root/plugins" --include='*.[ch]' --exclude=config_schema.c || unread="$unread $name"
done
if [ "$count" -gt 120 ]; then echo "ok 1 - the schema has $count members"; else echo "not ok 1 - the schema has $count members"; fi
if [ -z "$unread" ]; then echo "ok 2 - each is read somewhere"; else echo "not ok 2 - nobody reads:$unread"; fi
echo 1..2
[ -z "$unread" ] && [ "$count" -gt 120 ]
