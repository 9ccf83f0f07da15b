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
local by, clamp, elect, join, lead, least = rank.by, rank.clamp, rank.elect, rank.join, rank.lead, rank.least
local product, smooth, stable, sum, ranked = rank.product, rank.smooth, rank.stable, rank.sum, order.ranked

-- columns: the burdens, and the effective prices alone
local function burdens(list, my)
  local cached = smooth(list, my.min_samples, 0, "live.cache_hit")
  local fails, first, speed = smooth(list, my.min_samples, nil, "live.error_rate", "live.ttft_ms.p50", "live.tput_tps.p50")
  local price = clamp(sum(list, "price", 1, product(list, "saving", 1, cached, 1), -1), my.floor)
  local succeeds = clamp(sum(list, 1, 1, fails, -1), 0.01)
  return product(list, price, my.price, first, my.ttft, speed, my.throughput, succeeds, my.reliability), price
end

local function even() return 1 end

-- one of them, evenly among those that are not much dearer than the cheapest; u: 0 to 1
local function explored(list, price, u, my)
  local most, some = least(list, price) * my.max_ratio, {}
  for i = 1, #list do
    if price[i] <= most then some[#some + 1] = list[i] end
  end
  return some[rank.pick(some, even, u)]
end

local function drawn(list, burden, price, req, my, u)
  if not list[2] then return list end
  if u >= my.explore then return elect(list, burden, my.sharpness, rand(req, "balance")) end
  local first = explored(list, price, u / my.explore, my)
  list = by(list, burden)
  for i = 1, #list do
    if list[i] == first then return lead(list, i) end
  end
end

-- the numbers of some of a list, of which nums is the column
local function of(some, list, nums)
  local own, all = {}, {}
  for i = 1, #list do all[list[i]] = nums[i] end
  for i = 1, #some do own[i] = all[some[i]] end
  return own
end

local function balance(list, req, my)
  local u = rand(req, "explore")
  local burden, price = burdens(list, my)
  local good, bad = stable(list, my.window)
  if not bad then return drawn(list, burden, price, req, my, u) end
  return join(drawn(good, of(good, list, burden), of(good, list, price), req, my, u), by(bad, of(bad, list, burden)))
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
    return { price = p.price, ttft = p.ttft, throughput = -p.throughput, reliability = -p.reliability, sharpness = p.sharpness,
      explore = p.explore_bps / 10000, max_ratio = p.explore_max_ratio, min_samples = p.min_samples, floor = p.floor_usd,
      window = p.outage_window_s * 1000, input_weight = p.input_weight }
  end,
  scores = {
    price = order.price, -- also for sort = "price" and `order`
    saving = function(e, my) -- of it, when the whole prompt comes from the cache
      local w = my.input_weight
      return w * (e.usd.prompt - e.usd.cache_read) / (w + 1)
    end,
  },
  rank = function(req, eps, my) return ranked(req, eps, my, balance) end,
  sticky = order.sticky,
}
