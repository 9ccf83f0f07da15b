-- OpenRouter ordering: in which order the eligible endpoints are tried.
-- Input and output are lists; a rank hook may reorder or shorten the list, never add to it.
--
--   no order, no sort : load balance. Stable endpoints first; among them draw one with weight 1/price^2,
--                       the other stable ones follow by price, unstable ones come last.
--   provider.sort     : price | throughput | latency | exacto (fewest errors), no load balancing.
--   service_tier      : "priority" puts that tier first, "flex" uses it alone where there is one.
--   provider.order    : exactly those first; the rest follow only if allow_fallbacks.
--   sort.partition    : "model" (default) tries every endpoint of models[1] first; "none" mixes the models.
local FLOOR = 0.000001 -- USD/1M. Own GPUs often have price 0; without a floor 1/price^2 is infinite.
local SOFT = { "tools", "response_format", "verbosity" } -- preferred when some endpoint of the model has them
-- remember the endpoint that answered, so that the session's next turn can read its prompt cache
local STICKY = { sticky = { ttl_s = 600 } }
local by, first, join, pick, split = rank.by, rank.first, rank.join, rank.pick, rank.split
local all, lead, sort = rank.all, rank.lead, rank.sort -- the latter two change the list itself
local any, match = set.any, slug.match

local function price(e, my)
  local w = my.input_weight
  return math.max((w * e.usd.prompt + e.usd.completion) / (w + 1), FLOOR)
end
local function throughput(e) return -e.live.tput_tps.p50 end
local function errors(e) return e.live.error_rate end
local function latency(e) return e.live.samples > 0 and e.live.ttft_ms.p50 or math.huge end
local function stable(e, window)
  local l = e.live
  return l.outage_ago_ms > window and l.cooldown_ms == 0
end

-- every given percentile must hold; with `per` it is a maximum (`cut` in units of `per`), without a minimum
-- (an endpoint that has not been measured yet is given the benefit of the doubt)
local function meets(cut, have, per, samples)
  if samples == 0 then return true end
  for pct, want in pairs(cut) do
    local v = have[pct]
    if not v or (per and v > want * per) or (not per and v < want) then return false end
  end
  return true
end

local function drawn(list, req)
  sort(list, "price")
  if not list[2] then return list end
  return lead(list, pick(list, "weight", rand(req, "balance")))
end

local function balance(list, req, my)
  if all(list, stable, my.window) then return drawn(list, req) end
  local good, bad = split(list, stable, my.window)
  return join(drawn(good, req), sort(bad, "price"))
end

local function sorted(list, key)
  if key == "price" then return by(list, "price") end
  if key == "throughput" then return by(list, throughput) end
  if key == "exacto" then return by(by(list, throughput), errors) end
  return by(list, latency)
end

-- soft: only if it leaves something
local function supporting(list, params)
  if not (params.tools or params.response_format or params.verbosity) then return list end
  for _, name in ipairs(SOFT) do
    if params[name] then
      local yes = split(list, function(e) return e.params[name] or not e.params_known end)
      if yes[1] then list = yes end
    end
  end
  return list
end

local function ordered(list, req, p, my)
  local out, rest = {}, list
  for _, want in ipairs(p.order) do
    local hit
    hit, rest = split(rest, function(e) return match(want, e) end)
    out = join(out, by(hit, "price"))
  end
  if not p.allow_fallbacks then return out end
  return join(out, p.sort_by ~= "" and sorted(rest, p.sort_by) or balance(rest, req, my))
end

-- keep a conversation on the endpoint that holds its prompt cache, if reading it is cheaper
local function keep(list, req, my)
  local id = sticky.get(req.session)
  if not id then return end
  for i = 1, #list do
    local e = list[i]
    if e.id == id then
      if stable(e, my.window) and e.usd.cache_read < e.usd.prompt then lead(list, i) end
      return
    end
  end
end

local function one_group(list, req, p, my)
  list = supporting(list, req.params)
  local tier, key = p.service_tier, p.sort_by
  if tier == "flex" and req.variant ~= "floor" then
    local flex = split(list, function(e) return e.tier == "flex" end)
    if flex[1] then return by(flex, "price") end
  end
  if p.order[1] then return ordered(list, req, p, my) end
  local out
  if key ~= "" then
    out = sorted(list, key)
  else
    out = balance(list, req, my)
    if req.session ~= "" then keep(out, req, my) end
  end
  if tier == "priority" and req.variant ~= "nitro" then
    local fast, rest = split(out, function(e) return e.tier == "priority" end)
    out = join(by(fast, throughput), rest)
  end
  -- preferred_*: never excludes, only moves endpoints that miss a cut-off to the end (latency is in seconds)
  local slowest, least = p.max_latency_s, p.min_throughput_tps
  if any(slowest) or any(least) then
    out = first(out, function(e)
      return meets(slowest, e.live.ttft_ms, 1000, e.live.samples) and meets(least, e.live.tput_tps, nil, e.live.samples)
    end)
  end
  return out
end

return policy {
  name = "or_ranking", api = 1, version = "1.0.0",
  params = {
    outage_window_s = { type = "integer", default = 30, doc = "an outage this recent demotes the endpoint" },
    input_weight = { type = "number", default = 3.0, doc = "price = (w*prompt + completion) / (w+1), USD per 1M tokens" },
  },
  setup = function(p) return { window = p.outage_window_s * 1000, input_weight = p.input_weight } end,
  -- numbers of an endpoint that no request changes: worked out once, named to rank.by and rank.pick
  scores = {
    price = price,
    weight = function(e, my) local x = price(e, my); return 1 / (x * x) end,
  },

  rank = function(req, eps, my)
    local p, models = req.prefs, req.models
    local out
    if not models[2] or p.partition == "none" then
      out = one_group(eps, req, p, my) -- the list is this call's own
    else
      out = {}
      for _, m in ipairs(models) do
        out = join(out, one_group((split(eps, function(e) return e.model == m end)), req, p, my))
      end
    end
    if not p.allow_fallbacks and out[2] and not p.order[1] then out = { out[1] } end
    return out
  end,

  plan = function(req)
    if req.session ~= "" then return STICKY end
  end,
}
