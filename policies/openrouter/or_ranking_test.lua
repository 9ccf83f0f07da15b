local P = use("or_ranking")
local function abc(t) -- the example of OpenRouter's documentation: $1, $2 (recent outage), $3
  return { t.ep { provider = "a", usd = { prompt = 1.0, completion = 1.0 } },
    t.ep { provider = "b", usd = { prompt = 2.0, completion = 2.0 }, live = { outage_ago_ms = 5000 } },
    t.ep { provider = "c", usd = { prompt = 3.0, completion = 3.0 } } }
end
test("documented example: A, then C, unstable B last", function(t)
  t.eq(t.ids(P.rank(t.req { u = 0.0 }, abc(t))), "a c b")
  t.eq(t.ids(P.rank(t.req { u = 0.95 }, abc(t))), "c a b") -- the 1-in-10 draw
end)
test("A is drawn 9x as often as C", function(t)
  local eps, a, c = abc(t), 0, 0
  for i = 1, 1000 do
    local first = P.rank(t.req { u = (i - 0.5) / 1000 }, eps)[1].provider
    if first == "a" then a = a + 1 elseif first == "c" then c = c + 1 end
  end
  t.eq(a, 900); t.eq(c, 100)
end)
test("an outage older than 30 s no longer matters", function(t)
  local eps = abc(t); eps[2].live.outage_ago_ms = 30001
  t.eq(t.ids(P.rank(t.req { u = 0.0 }, eps)), "a b c")
end)
test("sort by throughput, latency, price", function(t)
  local eps = { t.ep { provider = "slow", usd = { prompt = 0.1 }, live = { tput_tps = { p50 = 10.0 }, ttft_ms = { p50 = 900 } } },
    t.ep { provider = "fast", live = { tput_tps = { p50 = 200.0 }, ttft_ms = { p50 = 500 } } },
    t.ep { provider = "snap", live = { tput_tps = { p50 = 50.0 }, ttft_ms = { p50 = 100 } } } }
  t.eq(t.ids(P.rank(t.req { prefs = { sort_by = "throughput" } }, eps)), "fast snap slow")
  t.eq(t.ids(P.rank(t.req { prefs = { sort_by = "latency" } }, eps)), "snap fast slow")
  t.eq(t.ids(P.rank(t.req { prefs = { sort_by = "price" } }, eps)), "slow fast snap")
end)
test("order with and without fallbacks", function(t)
  t.eq(t.ids(P.rank(t.req { u = 0.0, prefs = { order = { "c", "zzz" } } }, abc(t))), "c a b")
  t.eq(t.ids(P.rank(t.req { prefs = { order = { "c" }, allow_fallbacks = false } }, abc(t))), "c")
  t.eq(t.ids(P.rank(t.req { u = 0.0, prefs = { allow_fallbacks = false } }, abc(t))), "a")
end)
test("models[] partition: primary model first, unless partition=none", function(t)
  local eps = { t.ep { provider = "cheap", model = "acme/small", usd = { prompt = 0.1, completion = 0.1 } }, t.ep { provider = "dear" } }
  local r = { models = { "acme/large", "acme/small" }, prefs = { sort_by = "price" } }
  t.eq(t.ids(P.rank(t.req(r), eps)), "dear cheap")
  r.prefs.partition = "none"
  t.eq(t.ids(P.rank(t.req(r), eps)), "cheap dear")
end)
test("preferred latency demotes, never drops", function(t)
  local eps = { t.ep { provider = "x", usd = { prompt = 0.1 }, live = { ttft_ms = { p90 = 3000 } } }, t.ep { provider = "y", live = { ttft_ms = { p90 = 800 } } } }
  t.eq(t.ids(P.rank(t.req { prefs = { sort_by = "price", max_latency_s = { p90 = 1.0 } } }, eps)), "y x")
end)
test("soft parameter preference keeps only supporting endpoints, if any", function(t)
  local eps = { t.ep { provider = "no" }, t.ep { provider = "yes", params = { tools = true } } }
  t.eq(t.ids(P.rank(t.req { params = { tools = true } }, eps)), "yes")
  t.eq(#P.rank(t.req { params = { verbosity = true } }, eps), 2)
end)
test("sticky session goes first; a zero price does not break the draw", function(t)
  t.state().sticky["s1"] = "c:acme/large"
  t.eq(t.ids(P.rank(t.req { u = 0.0, session = "s1" }, abc(t))), "c a b")
  local eps = abc(t); eps[3].usd.prompt = 0.0; eps[3].usd.completion = 0.0
  t.eq(t.ids(P.rank(t.req { u = 0.5 }, eps)), "c a b")
end)
test("who asks for nothing gets what anybody else does", function(t)
  t.state().sticky["s"] = "c:acme/large"
  local function both(r, what)
    local plain = t.ids(P.rank(t.req(r), abc(t)))
    r.prefs = { guards = { "none that orders anything" } }
    t.ok(t.req {}.prefs.none and not t.req(r).prefs.none)
    t.eq(t.ids(P.rank(t.req(r), abc(t))), plain, what)
    return plain
  end
  for i = 0, 9 do both({ u = i / 10 }, "drawn") end
  t.eq(both({ u = 0.0, session = "s" }, "session"), "c a b")
  t.eq(both({ u = 0.0, params = { tools = true } }, "parameters"), "a c b")
  t.eq(both({ u = 0.0, models = { "acme/small", "acme/large" } }, "models"), "a c b")
end)
test("variants become preferences", function(t)
  local V = use("or_variants")
  local r = t.resolve({ V }, t.req { variant = "nitro" })
  t.eq(r.prefs.sort_by, "throughput"); t.eq(r.prefs.service_tier, "priority")
  t.eq(t.resolve({ V }, t.req {}).prefs.sort_by, "")
  t.eq(t.resolve({ V }, t.req { variant = "exacto" }).prefs.sort_by, "exacto")
end)
test("sort and order of the client win over the variant; order and service_tier keep tiers out", function(t)
  local V = use("or_variants")
  local r = t.resolve({ V }, t.req { variant = "nitro", prefs = { sort_by = "price" } })
  t.eq(r.prefs.sort_by, "price")
  t.eq(t.resolve({ V }, t.req { variant = "floor", prefs = { order = { "a" } } }).prefs.service_tier, "")
  t.eq(t.resolve({ V }, t.req { variant = "floor", prefs = { service_tier = "default" } }).prefs.service_tier, "default")
end)
test("priority first, flex alone", function(t)
  local eps = { t.ep { provider = "a", usd = { prompt = 0.1, completion = 0.1 } }, t.ep { provider = "b", tag = "b/priority", tier = "priority" },
    t.ep { provider = "c", tag = "c/flex", tier = "flex" } }
  t.eq(t.ids(P.rank(t.req { u = 0.0, prefs = { service_tier = "priority" } }, { eps[1], eps[2] })), "b/priority a")
  t.eq(t.ids(P.rank(t.req { prefs = { service_tier = "flex" } }, { eps[1], eps[3] })), "c/flex")
  t.eq(t.ids(P.rank(t.req { prefs = { service_tier = "flex" } }, { eps[1] })), "a")
end)
test("exacto: fewest errors first; who has not been measured is last by latency", function(t)
  local eps = { t.ep { provider = "bad", live = { error_rate = 0.2 } }, t.ep { provider = "good", live = { error_rate = 0.01 } } }
  t.eq(t.ids(P.rank(t.req { prefs = { sort_by = "exacto" } }, eps)), "good bad")
  local new = { t.ep { provider = "new", live = { samples = 0, ttft_ms = { p50 = 0.0 } } }, t.ep { provider = "old" } }
  t.eq(t.ids(P.rank(t.req { prefs = { sort_by = "latency" } }, new)), "old new")
end)
test("throughput threshold, order with sorted rest, who is remembered", function(t)
  local eps = { t.ep { provider = "x", usd = { prompt = 0.1 }, live = { tput_tps = { p50 = 20.0 } } }, t.ep { provider = "y", live = { tput_tps = { p50 = 50.0 } } } }
  t.eq(t.ids(P.rank(t.req { prefs = { sort_by = "price", min_throughput_tps = { p50 = 50.0 } } }, eps)), "y x")
  local calm = abc(t); calm[2].live.outage_ago_ms = math.maxinteger
  t.eq(t.ids(P.rank(t.req { u = 0.99, prefs = { order = { "c" }, sort_by = "price" } }, calm)), "c a b")
  t.eq(t.ids(P.rank(t.req { u = 0.99, prefs = { order = { "c" } } }, calm)), "c b a")
  t.eq(P.decl.sticky, { ttl_s = 600 })
end)
test("one endpoint alone: the customer's own account before shared capacity, shared before a fallback account", function(t)
  local function own(section, seq) return t.ep { provider = "z", usd = { prompt = 9.0 }, cred = "byok", byok = { seq = seq or 1, section = section } } end
  local r = { u = 0.0, prefs = { allow_fallbacks = false } }
  t.eq(t.ids(P.rank(t.req(r), { t.ep { provider = "a" }, own("prioritized") })), "z*")
  t.eq(t.ids(P.rank(t.req(r), { t.ep { provider = "a" }, own("fallback") })), "a")
  local first = own("prioritized")
  t.ok(P.rank(t.req(r), { own("prioritized", 2), first })[1] == first, "the first in the list of accounts")
end)
