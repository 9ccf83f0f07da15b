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

return policy {
  name = "or_ranking", api = 1, version = "1.0.0",
  params = {
    outage_window_s = { type = "integer", default = 30, doc = "an outage this recent demotes the endpoint" },
    input_weight = { type = "number", default = 3.0, doc = "price = (w*prompt + completion) / (w+1), USD per 1M tokens" },
  },

  rank = function(req, eps, my)
    local p, w = req.prefs, my.input_weight
    local window = my.outage_window_s * 1000
    local function price(e) return math.max((w * e.usd.prompt + e.usd.completion) / (w + 1), FLOOR) end
    local function stable(e) return e.live.outage_ago_ms > window and e.live.cooldown_ms == 0 end

    local function balance(list)
      local good, bad = rank.split(list, stable)
      if #good > 1 then
        local i = rank.pick(good, function(e) local x = price(e); return 1 / (x * x) end, rand(req, "balance"))
        local first = table.remove(good, i)
        good = rank.join({ first }, rank.by(good, price))
      end
      return rank.join(good, rank.by(bad, price))
    end

    local function sorted(list)
      if p.sort_by == "price" then return rank.by(list, price) end
      if p.sort_by == "throughput" then return rank.by(list, function(e) return -e.live.tput_tps.p50 end) end
      if p.sort_by == "exacto" then
        list = rank.by(list, function(e) return -e.live.tput_tps.p50 end)
        return rank.by(list, function(e) return e.live.error_rate end)
      end
      return rank.by(list, function(e) return e.live.samples > 0 and e.live.ttft_ms.p50 or math.huge end)
    end

    local function one_group(list)
      for _, name in ipairs(SOFT) do -- soft: only if it leaves something
        if req.params[name] then
          local yes = rank.split(list, function(e) return e.params[name] or not e.params_known end)
          if #yes > 0 then list = yes end
        end
      end
      local out
      if p.service_tier == "flex" and req.variant ~= "floor" then
        local flex = rank.split(list, function(e) return e.tier == "flex" end)
        if #flex > 0 then return rank.by(flex, price) end
      end
      if #p.order > 0 then
        local rest = list
        out = {}
        for _, want in ipairs(p.order) do
          local hit
          hit, rest = rank.split(rest, function(e) return slug.match(want, e) end)
          out = rank.join(out, rank.by(hit, price))
        end
        if p.allow_fallbacks then out = rank.join(out, p.sort_by ~= "" and sorted(rest) or balance(rest)) end
        return out
      elseif p.sort_by ~= "" then
        out = sorted(list)
      else
        out = balance(list)
        -- keep a conversation on the endpoint that holds its prompt cache, if reading it is cheaper
        local keep = req.session ~= "" and sticky.get(req.session) or nil
        if keep then
          out = rank.first(out, function(e)
            return e.id == keep and stable(e) and e.usd.cache_read < e.usd.prompt
          end)
        end
      end
      if p.service_tier == "priority" and req.variant ~= "nitro" then
        local fast, rest = rank.split(out, function(e) return e.tier == "priority" end)
        out = rank.join(rank.by(fast, function(e) return -e.live.tput_tps.p50 end), rest)
      end
      -- preferred_*: never excludes, only moves endpoints that miss a cut-off to the end (latency is in seconds)
      if set.any(p.max_latency_s) or set.any(p.min_throughput_tps) then
        out = rank.first(out, function(e)
          return meets(p.max_latency_s, e.live.ttft_ms, 1000, e.live.samples)
            and meets(p.min_throughput_tps, e.live.tput_tps, nil, e.live.samples)
        end)
      end
      return out
    end

    local out
    if p.partition == "none" then
      out = one_group(eps)
    else
      out = {}
      for _, m in ipairs(req.models) do
        out = rank.join(out, one_group((rank.split(eps, function(e) return e.model == m end))))
      end
    end
    if not p.allow_fallbacks and #p.order == 0 and #out > 1 then out = { out[1] } end
    return out
  end,

  plan = function(req)
    -- remember the endpoint that answered, so the next turn can read its prompt cache
    return { sticky = req.session ~= "" and { key = req.session, ttl_s = 600 } or nil }
  end,
}
