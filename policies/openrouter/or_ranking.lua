-- OpenRouter ordering: in which order the eligible endpoints are tried.
-- Input and output are lists; a rank hook may reorder or shorten the list, never add to it.
-- Balancing is here; whatever the client asks for (order, sort, tiers ...) is or_order's.
--
--   no order, no sort : load balance. Stable endpoints first; among them draw one with weight 1/price^2,
--                       the other stable ones follow by price, unstable ones come last.
--   provider.sort     : price | throughput | latency | exacto (fewest errors), no load balancing.
--   service_tier      : "priority" puts that tier first, "flex" uses it alone where there is one.
--   provider.order    : exactly those first; the rest follow only if allow_fallbacks.
--   sort.partition    : "model" (default) tries every endpoint of models[1] first; "none" mixes the models.
local FLOOR = 0.000001 -- USD/1M. Own GPUs often have price 0; without a floor 1/price^2 is infinite.
local order = use_lib "or_order"
local by, elect, join, stable, ranked, rand = rank.by, rank.elect, rank.join, rank.stable, order.ranked, rand

local function drawn(list, req)
  return list[2] and elect(list, "price", 2, rand(req, "balance")) or list
end

local function balance(list, req, my)
  local good, bad = stable(list, my.window)
  if not bad then return drawn(good, req) end
  return join(drawn(good, req), by(bad, "price"))
end

return policy {
  name = "or_ranking", api = 1, version = "1.0.0",
  params = {
    outage_window_s = { type = "integer", default = 30, doc = "an outage this recent demotes the endpoint" },
    input_weight = { type = "number", default = 3.0, doc = "price = (w*prompt + completion) / (w+1), USD per 1M tokens" },
  },
  setup = function(p) return { window = p.outage_window_s * 1000, input_weight = p.input_weight } end,
  -- a number of an endpoint that no request changes: worked out once, named to rank.by and rank.draw
  scores = { price = function(e, my) return math.max(order.price(e, my), FLOOR) end },
  rank = function(req, eps, my) return ranked(req, eps, my, balance) end,
  sticky = order.sticky,
}
