# servers.sh - who is measured: gateways, nginx as a plain proxy, Portkey; and what is behind them.
# Read by bench.sh.  Each ends by the id it was started with.

end() {	# PID
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null || :
}
running=
started() { running="$running $1"; }
end_all() { for pid in $running; do end "$pid"; done; }

start_upstream() {
	"$tools/upstream" >"$tmp/upstream" & started $!
	until read -r _ up <"$tmp/upstream" && [ "$up" ]; do kill -0 $! || die "no upstream"; sleep 0.01; done 2>/dev/null
}
answering() {	# PORT WHO
	tries=0
	until "$load" closed "$1" 1 1 >/dev/null 2>&1; do
		tries=$((tries + 1)); [ $tries -lt 300 ] || die "$2 does not answer"
		sleep 0.05
	done
}

start_nginx() {	# [WRAPPER...]; sets nginx, front
	front=$("$tools/ready")
	cat >"$tmp/nginx.conf" <<-EOT
		daemon off; master_process off; worker_processes 1; worker_rlimit_nofile $(ulimit -n);
		pid $tmp/nginx.pid; error_log $tmp/nginx.log;
		events { worker_connections 19900; }
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
	"$@" nginx -p "$tmp" -c "$tmp/nginx.conf" 2>>"$tmp/nginx.out" & nginx=$!; started $!
	answering "$front" nginx
}

# ---- gateways.  Everything is on: key check, default bundle, holds, ledger, access log, metrics.
# Three candidates.  What is before the third argument is what the gateways of the slopes differ in.

config() {	# NAME [MODELS [POLICIES]]
	mkdir -p "$tmp/$1"
	cat >"$tmp/$1/config.lua" <<-EOT
		local chat = { dialect = "openai", base_url = "http://127.0.0.1:$up/v1", api_key = "sk-upstream", quirks = { pass_through = true } }
		local messages = { dialect = "anthropic", base_url = "http://127.0.0.1:$up", api_key = "sk-upstream" }
		local price = { input = "1", output = "2" }
		local function three(a, b, c) return { endpoints = {
			{ provider = a, model = "up-model", price = price }, { provider = b, model = "up-model", price = price },
			{ provider = c, model = "up-model", price = price } } }
		end
		local models = { ["bench/one"] = three("one", "two", "three"), ["bench/messages"] = three("four", "five", "six") }
		for i = 1, ${2:-0} do models["bench/more-" .. i] = three("one", "two", "three") end
		return {
			dev = true, listen = { "127.0.0.1:0" }, data_dir = "$tmp/$1/data", workers = $WORKERS, models = models,
			providers = { one = chat, two = chat, three = chat, four = messages, five = messages, six = messages },
			policy = $(if [ "${3:-}" ]; then echo "{ bundle = \"$tmp/$1/policies\", unchecked = true }"; else echo nil; fi),
		}
	EOT
	[ "${3:-}" ] || return 0
	mkdir -p "$tmp/$1/policies"
	for i in $(seq "$3"); do
		cat >"$tmp/$1/policies/more_$i.lua" <<-EOT
			return policy {
			  name = "more_$i", api = 1, version = "1.0.0",
			  rank = function(req, eps, my) return rank.by(eps, function(e) return e.usd.prompt end) end,
			}
		EOT
	done
	{
		echo 'return { base = "openrouter", policies = { key = {'
		for i in $(seq "$3"); do printf '["%064d"] = { { use = "more_%d" } },\n' "$i" "$i"; done
		echo '} } }'
	} >"$tmp/$1/policies/bundle.lua"
}
start_gateway() {	# NAME [WRAPPER...]; sets gate, port, BENCH_KEY, and for `use` to find: gate_NAME ...
	at=$tmp/$1 who=$1; shift
	: >"$at/out"
	began=$(date +%s%N)
	"$@" "$MOONGATE" serve --config "$at/config.lua" --first-key --drain 1s >"$at/out" 2>"$at/log" & gate=$!; started $!
	port=$("$tools/ready" "$at/out") || { tail -3 "$at/log" >&2; die "the gateway '$who' did not start"; }
	ready_us=$((($(date +%s%N) - began) / 1000))
	until grep -q sk- "$at/data/first.key" 2>/dev/null; do kill -0 "$gate" || die "no key"; sleep 0.02; done
	read -r BENCH_KEY <"$at/data/first.key"; export BENCH_KEY
	eval "gate_$who=$gate port_$who=$port key_$who=$BENCH_KEY"
}
use() { eval "gate=\$gate_$1 port=\$port_$1 BENCH_KEY=\$key_$1"; }

# ---- Portkey's gateway, from npm into the build folder, never into the tree

start_portkey() {	# sets portkey, portkey_port; says why not
	home=$(cd "$BUILD" && pwd)/portkey
	command -v npm >/dev/null && command -v node >/dev/null || { echo "node and npm are not installed"; return 1; }
	[ -e "$home/node_modules/@portkey-ai/gateway/build/start-server.js" ] ||
		npm install --no-audit --no-fund --silent --prefix "$home" "@portkey-ai/gateway@$PORTKEY_VERSION" >"$tmp/npm" 2>&1 ||
		{ echo "npm could not install it: $(tail -1 "$tmp/npm")"; return 1; }
	portkey_port=$("$tools/ready")
	node "$home/node_modules/@portkey-ai/gateway/build/start-server.js" --headless --port="$portkey_port" >"$tmp/portkey" 2>&1 &
	portkey=$!; started $!
	BENCH_PATH=/v1/chat/completions
	BENCH_HEADERS=$(printf 'x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:%s/v1\r\n.' "$up")
	BENCH_HEADERS=${BENCH_HEADERS%.}
	portkey_env() { BENCH_PATH=$BENCH_PATH BENCH_HEADERS=$BENCH_HEADERS "$@"; }
}
