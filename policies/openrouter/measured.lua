-- A ranking by what was measured: what a request really costs, how soon it answers, how fast it writes, how
-- often it fails. Put it in the place of or_ranking in bundle.lua:
--
--   { use = "measured", with = { ttft = 1.0, explore_bps = 100 } },
--
-- Whatever the client asks for (order, sort, tiers, preferences, session) counts as it does there.
--
-- An endpoint's burden is a product; who has half of it is drawn four times as often (sharpness 2):
--   effective price ^ price           list price with the part of the prompt that comes from the cache
--   x ms to the first token ^ ttft
--   x (1 / tokens a second) ^ throughput
--   x (1 / share of answers that succeed) ^ reliability
-- So a weight says what twice as much of it is worth: with price = 1 and ttft = 0.5, four times the time to the
-- first token counts as twice the price; 0 leaves it out. Only ratios count, so no unit has to fit another.
--
-- Cold start: `min_samples` requests of the average of the list are added to each endpoint's own measurements.
-- Who is new is taken for average, at its own price; where nobody has been measured the price decides alone.
-- Exploration: of `explore_bps` of 10,000 requests the first endpoint is drawn evenly from all that are stable
-- and cost at most `explore_max_ratio` times the cheapest, so that who did badly once is measured again.
-- An endpoint with an outage in the last `outage_window_s` or in a cool-down comes last, and is not explored.
local order = use_lib "or_order"
local all, by, join, lead, pick, split = rank.all, rank.by, rank.join, rank.lead, rank.pick, rank.split
local stable, ranked = order.stable, order.ranked
local max, min = math.max, math.min

-- averages over the list, each sample counting once: { n, ttft, tput, errors }
local function averages(list)
  local n, timed, ttft, tput, errors = 0, 0, 0.0, 0.0, 0.0
  for i = 1, #list do
    local l = list[i].live
    local c = l.samples
    if c > 0 then
      n, errors = n + c, errors + c * l.error_rate
      local first, speed = l.ttft_ms.p50, l.tput_tps.p50
      if first > 0 and speed > 0 then timed, ttft, tput = timed + c, ttft + c * first, tput + c * speed end
    end
  end
  return n > 0 and errors / n or 0.0, timed > 0 and ttft / timed or 1.0, timed > 0 and tput / timed or 1.0
end

-- by endpoint: its burden; and its effective price alone, where a table for it is given
local function burdens(list, my, cost)
  local k, w, floor = my.min_samples, my.input_weight, my.floor
  local wp, wt, ws, wr = my.price, my.ttft, -my.throughput, -my.reliability
  local errors, ttft, tput = averages(list)
  local burden = {}
  for i = 1, #list do
    local e = list[i]
    local l, u = e.live, e.usd
    local n, prompt, first, speed, fails = l.samples, u.prompt, ttft, tput, errors
    if n > 0 then
      local whole, t, s = n + k, l.ttft_ms.p50, l.tput_tps.p50
      prompt = prompt + (u.cache_read - prompt) * l.cache_hit * n / whole
      fails = min((n * l.error_rate + k * errors) / whole, 0.99)
      if t > 0 and s > 0 then first, speed = (n * t + k * ttft) / whole, (n * s + k * tput) / whole end
    end
    local price = max((w * prompt + u.completion) / (w + 1), floor)
    if cost then cost[e] = price end
    burden[e] = price ^ wp * first ^ wt * speed ^ ws * (1 - fails) ^ wr
  end
  return burden
end

-- evenly among those that are not much dearer than the cheapest; u: 0 to 1
local function explored(list, cost, u, my)
  local cheapest, some = math.huge, {}
  for i = 1, #list do cheapest = min(cheapest, cost[list[i]]) end
  for i = 1, #list do
    if cost[list[i]] <= cheapest * my.max_ratio then some[#some + 1] = i end
  end
  return some[min(#some, math.floor(u * #some) + 1)]
end

-- The list is in order. What is drawn by takes the place of the burdens: nobody asks for them again.
local function drawn(list, req, my, burden, cost, u)
  if not list[2] then return list end
  if cost then return lead(list, explored(list, cost, u / my.explore, my)) end
  local best, sharpness = burden[list[1]], my.sharpness
  for i = 1, #list do
    local e = list[i]
    burden[e] = (best / burden[e]) ^ sharpness
  end
  return lead(list, pick(list, burden, rand(req, "balance")))
end

local function balance(list, req, my)
  local u = rand(req, "explore")
  local cost = u < my.explore and {} or nil
  local burden = burdens(list, my, cost)
  if all(list, stable, my.window) then return drawn(by(list, burden), req, my, burden, cost, u) end
  local good, bad = split(list, stable, my.window)
  bad = by(bad, burden)
  return join(drawn(by(good, burden), req, my, burden, cost, u), bad)
end

return policy {
  name = "measured", api = 1, version = "1.0.0",
  params = {
    price = { type = "number", default = 1.0, doc = "weight of the effective price" },
    ttft = { type = "number", default = 0.5, doc = "weight of the time to the first token" },
    throughput = { type = "number", default = 0.5, doc = "weight of output tokens a second" },
    reliability = { type = "number", default = 4.0, doc = "weight of answers that succeed" },
    sharpness = { type = "number", default = 2.0, doc = "0: all alike; 2: half the burden, four times the requests; 20: nearly always the best" },
    explore_bps = { type = "integer", default = 200, doc = "share of requests that try any of them, 200 = 2 %" },
    explore_max_ratio = { type = "number", default = 4.0, doc = "none that costs more than so many times the cheapest" },
    min_samples = { type = "integer", default = 20, doc = "requests after which measurements outweigh the average of the others" },
    floor_usd = { type = "number", default = 0.01, doc = "USD per 1M tokens: what costs less counts as this, so that own GPUs at 0 do not win whatever they do" },
    outage_window_s = { type = "integer", default = 30, doc = "an outage this recent demotes the endpoint" },
    input_weight = { type = "number", default = 3.0, doc = "price = (w*prompt + completion) / (w+1), USD per 1M tokens" },
  },
  setup = function(p)
    for _, name in ipairs { "price", "ttft", "throughput", "reliability", "sharpness" } do
      assert(p[name] >= 0 and p[name] <= 100, name .. " is 0 to 100")
    end
    assert(p.explore_bps >= 0 and p.explore_bps <= 10000, "explore_bps is 0 to 10000")
    assert(p.explore_max_ratio >= 1, "explore_max_ratio is at least 1")
    assert(p.min_samples >= 1, "min_samples is at least 1")
    assert(p.floor_usd > 0, "floor_usd must be above 0")
    return { price = p.price, ttft = p.ttft, throughput = p.throughput, reliability = p.reliability, sharpness = p.sharpness,
      explore = p.explore_bps / 10000, max_ratio = p.explore_max_ratio, min_samples = p.min_samples, floor = p.floor_usd,
      window = p.outage_window_s * 1000, input_weight = p.input_weight }
  end,
  scores = { price = order.price }, -- for sort = "price" and `order`
  rank = function(req, eps, my) return ranked(req, eps, my, balance) end,
  plan = order.plan,
}
