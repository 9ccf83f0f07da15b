local P = use("price_tiers")
local TIER = { overrides = { { min_prompt_tokens = 200000, rates = { prompt = 2000000, cache_read = 200000, completion = 6000000 } } } }
local function ep(t, rate) return t.ep { usd = { prompt = 1.0, completion = 3.0, cache_read = 0.1, cache_write = 1.25, reasoning = 3.0 }, rate = rate } end
local function cost(t, p, u, rate) return money.sum(p.price(t.req {}, ep(t, rate), t.usage(u), t.bill()), "cost") end
test("each bucket once, exact to the nano-dollar", function(t)
  -- 600 input at $1/M + 400 cached at $0.1/M + 200 output and 50 reasoning at $3/M = 600+40+600+150 microdollars
  t.eq(cost(t, P, { input = 600, cached = 400, output = 200, reasoning = 50 }), 1390000)
  t.eq(cost(t, P, { input = 1 }), 1000)
end)
test("a fraction of a nano-dollar is rounded once, not per line", function(t)
  local r = { prompt = 37500, completion = 37500 } -- $0.0375 per million = 37.5 nUSD per token
  t.eq(cost(t, P, { input = 1 }, r), 38); t.eq(cost(t, P, { input = 1, output = 1 }, r), 75)
end)
test("whole tier: above 200k every token has the higher rate", function(t)
  t.eq(cost(t, P, { input = 200000 }, TIER), 200000000)
  t.eq(cost(t, P, { input = 200001 }, TIER), 400002000)
  t.eq(cost(t, P, { input = 100000, cached = 100001, output = 10 }, TIER), 100000 * 2000 + 100001 * 200 + 10 * 6000)
end)
test("graduated tier: only the part above", function(t)
  local G = use("price_tiers", { tier_mode = "graduated" })
  t.eq(cost(t, G, { input = 300000 }, TIER), 200000 * 1000 + 100000 * 2000)
  t.eq(cost(t, G, { input = 100000 }, TIER), 100000 * 1000)
end)
test("night rate across midnight", function(t)
  local r = { overrides = { { utc_start = 1380, utc_end = 300, rates = { prompt = 500000 } } } } -- 23:00-05:00
  local function at(min) return money.sum(P.price(t.req { now_ms = 1767744000000 + min * 60000 }, ep(t, r), t.usage { input = 1000 }, t.bill()), "cost") end
  t.eq(at(1400), 500000); t.eq(at(100), 500000); t.eq(at(720), 1000000)
end)
test("markup, then discount on the charge", function(t)
  local M = use("price_tiers", { markup_bps = 500, discounts_bps = { org_1 = 1000 } })
  local b = M.price(t.req {}, ep(t), t.usage { input = 1000000 }, t.bill())
  t.eq(money.sum(b, "cost"), money.usd(1)); t.eq(money.sum(b, "charge"), money.usd(0.945))
end)
test("a missing rate is an error, not a gift; bad params are refused", function(t)
  local e = ep(t); e.rate.reasoning = nil
  t.errors(P.price, t.req {}, e, t.usage { reasoning = 5 }, t.bill())
  t.errors(use, "price_tiers", { markup_bps = -1 }); t.errors(use, "price_tiers", { markup_bps = "5" })
end)
test("day window ends where it ends; no empty lines; discounts stay within 0..100 %", function(t)
  local r = { overrides = { { utc_start = 480, utc_end = 960, rates = { prompt = 2000000 } } } }
  local function at(min) return money.sum(P.price(t.req { now_ms = 1767744000000 + min * 60000 }, ep(t, r), t.usage { input = 1000 }, t.bill()), "cost") end
  t.eq(at(479), 1000000); t.eq(at(480), 2000000); t.eq(at(959), 2000000); t.eq(at(960), 1000000)
  t.eq(#P.price(t.req {}, ep(t), t.usage { input = 1 }, t.bill()).lines, 3) -- input, request (rate 0), usage
  t.errors(use, "price_tiers", { discounts_bps = { o = 10001 } }); t.errors(use, "price_tiers", { discounts_bps = { o = -1 } })
end)
