local P = use("latency_slo", { hedge_share_bps = 10000 })
local function eps(t) return { t.ep { provider = "slow", usd = { prompt = 0.1 }, live = { ttft_ms = { p90 = 4000 } } },
  t.ep { provider = "fast", usd = { prompt = 2.0 }, live = { ttft_ms = { p90 = 700 } } },
  t.ep { provider = "ok", usd = { prompt = 1.0 }, live = { ttft_ms = { p90 = 1399.5 } } },
  t.ep { provider = "new", usd = { prompt = 0.1 }, live = { samples = 3, ttft_ms = { p90 = 10 } } } } end
test("endpoints within the objective first, cheapest of them first", function(t)
  t.eq(t.ids(P.rank(t.req {}, eps(t))), "ok fast slow new")
end)
test("hedge after the p90 of the first endpoint", function(t)
  local o = P.rank(t.req {}, eps(t)); t.eq(P.plan(t.req {}, o).hedge, { after_ms = 1400, max_extra = 1 })
end)
test("no hedge: same provider, expensive prompt, single endpoint, outside the share", function(t)
  local a, b = t.ep { provider = "x" }, t.ep { provider = "x", tag = "x/eu" }
  t.eq(P.plan(t.req {}, { a, b }).hedge, nil); t.eq(P.plan(t.req {}, { a }).hedge, nil)
  t.eq(P.plan(t.req { feat = { prompt_tokens = 50000 } }, { a, t.ep { provider = "y" } }).hedge, nil)
  local Q = use("latency_slo", { hedge_share_bps = 0 })
  t.eq(Q.plan(t.req {}, { a, t.ep { provider = "y" } }).hedge, nil)
end)
test("about 5 % are hedged by default", function(t)
  local Q, n = use("latency_slo"), 0
  local l = { t.ep { provider = "x" }, t.ep { provider = "y" } }
  for i = 1, 4000 do if Q.plan(t.req { id = "r" .. i }, l).hedge then n = n + 1 end end
  t.ok(n > 150 and n < 250, "got " .. n)
end)
