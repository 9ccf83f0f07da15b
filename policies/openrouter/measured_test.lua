local P = use("measured", { explore_bps = 0 })
local COLD = { samples = 0, error_rate = 0.0, ttft_ms = { p50 = 0.0 }, tput_tps = { p50 = 0.0 } }
local function usd(p) return { prompt = p, completion = p, cache_read = p } end
-- who is first at each of n evenly spread draws: the shares, exactly
local function shares(t, p, eps, n)
  local count, r = {}, t.req {}
  for i = 1, n or 1000 do
    r.u = (i - 0.5) / (n or 1000)
    local first = p.rank(r, eps)[1].provider
    count[first] = (count[first] or 0) + 1
  end
  return count
end

test("price alone: half the price, four times the requests", function(t)
  local only = use("measured", { ttft = 0.0, throughput = 0.0, reliability = 0.0, explore_bps = 0 })
  t.eq(shares(t, only, { t.ep { provider = "a", usd = usd(1.0) }, t.ep { provider = "b", usd = usd(2.0) } }), { a = 800, b = 200 })
end)
test("each measurement counts by its weight", function(t)
  local function share(with, live)
    with.explore_bps = 0
    for _, k in ipairs { "price", "ttft", "throughput", "reliability" } do with[k] = with[k] or 0.0 end
    local slow = t.ep { provider = "b", live = live }
    return shares(t, use("measured", with), { t.ep { provider = "a", live = { samples = 1000000 } }, slow }).b
  end
  t.eq(share({ ttft = 1.0 }, { samples = 1000000, ttft_ms = { p50 = 800 } }), 200)
  t.eq(share({ throughput = 1.0 }, { samples = 1000000, tput_tps = { p50 = 30.0 } }), 200)
  t.eq(share({ reliability = 1.0 }, { samples = 1000000, error_rate = 0.5 }), 200)
  t.eq(share({ reliability = 0.0 }, { samples = 1000000, error_rate = 0.5 }), 500)
end)
test("the price of a cached prompt counts as far as prompts came from the cache", function(t)
  local with = { ttft = 0.0, throughput = 0.0, reliability = 0.0, explore_bps = 0, input_weight = 1000000.0 }
  local function ep(name, hit) return t.ep { provider = name, usd = { prompt = 1.0, completion = 1.0, cache_read = 0.0 }, live = { samples = 1000000, cache_hit = hit } } end
  t.eq(shares(t, use("measured", with), { ep("none", 0.0), ep("half", 0.5) }), { half = 800, none = 200 })
end)
test("cold start: nobody measured, the price decides alone", function(t)
  local eps = { t.ep { provider = "a", usd = usd(1.0), live = COLD }, t.ep { provider = "b", usd = usd(2.0), live = COLD } }
  t.eq(shares(t, P, eps), { a = 800, b = 200 })
end)
test("cold start: who is new is taken for average", function(t)
  local eps = { t.ep { provider = "old" }, t.ep { provider = "new", live = COLD } }
  t.eq(shares(t, P, eps), { old = 500, new = 500 })
end)
test("a few bad samples do not condemn: the average of the list weighs as many as min_samples", function(t)
  local bad = { samples = 2, error_rate = 1.0, ttft_ms = { p50 = 0.0 }, tput_tps = { p50 = 0.0 } }
  local few = shares(t, P, { t.ep { provider = "good" }, t.ep { provider = "bad", live = bad } }).bad
  t.ok(few > 200, "after 2 failures of 2 it still gets " .. few)
  bad.samples = 200
  local many = shares(t, P, { t.ep { provider = "good" }, t.ep { provider = "bad", live = bad } }).bad or 0
  t.ok(many < 5, "after 200 it gets " .. many)
end)
test("stable: a small change of a measurement changes the shares a little, and never turns them over", function(t)
  local function share(ttft) return shares(t, P, { t.ep { provider = "a" }, t.ep { provider = "b", live = { ttft_ms = { p50 = ttft } } } }).b end
  local before = share(400)
  for ttft = 420, 800, 20 do
    local now = share(ttft)
    t.ok(now <= before and before - now < 25, "from " .. before .. " to " .. now .. " at " .. ttft)
    before = now
  end
end)
test("the same request is ranked the same, another one may not be", function(t)
  local eps, seen = {}, {}
  for i = 1, 5 do eps[i] = t.ep { provider = "p" .. i } end
  local r = t.req {}
  r.u = nil
  for seed = 1, 50 do
    r.seed = seed
    t.eq(t.ids(P.rank(r, eps)), t.ids(P.rank(r, eps)))
    seen[P.rank(r, eps)[1].provider] = true
  end
  for i = 1, 5 do t.ok(seen["p" .. i], "p" .. i .. " was never first") end
end)

-- exploration
local function five(t)
  local eps = { t.ep { provider = "best", live = { samples = 1000000 } } }
  for i = 1, 4 do eps[i + 1] = t.ep { provider = "bad" .. i, live = { samples = 1000000, error_rate = 0.9, ttft_ms = { p50 = 9000 } } } end
  return eps
end
test("exploration: exactly its share of the draws, evenly over all", function(t)
  local E = use("measured", { explore_bps = 1000, sharpness = 100.0 })
  t.eq(shares(t, E, five(t)), { best = 920, bad1 = 20, bad2 = 20, bad3 = 20, bad4 = 20 })
  t.eq(shares(t, use("measured", { explore_bps = 0, sharpness = 100.0 }), five(t)), { best = 1000 })
end)
test("exploration: its share over seeds, and nobody starves", function(t)
  local E, count, n = use("measured", { explore_bps = 1000, sharpness = 100.0 }), {}, 5000
  local eps, r = five(t), t.req {}
  r.u = nil
  for seed = 1, n do
    r.seed = seed
    local first = E.rank(r, eps)[1].provider
    count[first] = (count[first] or 0) + 1
  end
  -- 500 of 5000 explore, 400 of them the four others: five standard deviations around that
  t.ok(math.abs(n - count.best - 400) < 100, "the others got " .. n - count.best)
  for i = 1, 4 do t.ok(count["bad" .. i] > 50, "bad" .. i .. " got " .. (count["bad" .. i] or 0)) end
end)
test("exploration leaves out what is much dearer, and what is not stable", function(t)
  local E = use("measured", { explore_bps = 10000, explore_max_ratio = 4.0 })
  local eps = { t.ep { provider = "a", usd = usd(1.0) }, t.ep { provider = "b", usd = usd(4.0) }, t.ep { provider = "dear", usd = usd(4.1) },
    t.ep { provider = "ill", live = { outage_ago_ms = 1000 } } }
  t.eq(shares(t, E, eps), { a = 500, b = 500 })
end)
test("after an outage: last, for the window; in a cool-down, too", function(t)
  local eps = { t.ep { provider = "ill", usd = usd(0.1), live = { outage_ago_ms = 1000 } }, t.ep { provider = "cooling", usd = usd(0.2), live = { cooldown_ms = 1 } }, t.ep { provider = "well" } }
  t.eq(t.ids(P.rank(t.req {}, eps)), "well ill cooling")
  eps[1].live.outage_ago_ms = 30001
  t.eq(P.rank(t.req { u = 0.0 }, eps)[1].provider, "ill")
end)
test("own GPUs at price 0 do not win whatever they do", function(t)
  local eps = { t.ep { provider = "gpu", usd = usd(0.0), live = { samples = 1000, error_rate = 0.9 } }, t.ep { provider = "cloud", usd = usd(0.5), live = { samples = 1000 } } }
  t.ok((shares(t, P, eps).cloud or 0) > 900)
end)
test("order, sort and allow_fallbacks count as in or_ranking", function(t)
  local eps = { t.ep { provider = "a", usd = usd(3.0) }, t.ep { provider = "b", usd = usd(1.0) }, t.ep { provider = "c", usd = usd(2.0) } }
  t.eq(t.ids(P.rank(t.req { prefs = { sort_by = "price" } }, eps)), "b c a")
  t.eq(t.ids(P.rank(t.req { prefs = { order = { "c" }, allow_fallbacks = false } }, eps)), "c")
  t.eq(#P.rank(t.req { prefs = { allow_fallbacks = false } }, eps), 1)
  t.eq(P.decl.sticky, { ttl_s = 600 })
end)
test("one endpoint, or none", function(t)
  t.eq(t.ids(P.rank(t.req {}, { t.ep { provider = "a" } })), "a")
  t.eq(#P.rank(t.req {}, {}), 0)
end)
test("nonsense is refused at load", function(t)
  t.errors(use, "measured", { ttft = -1.0 }); t.errors(use, "measured", { explore_bps = 10001 })
  t.errors(use, "measured", { min_samples = 0 }); t.errors(use, "measured", { floor_usd = 0.0 }); t.errors(use, "measured", { explore_max_ratio = 0.5 })
end)
