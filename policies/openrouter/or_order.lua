-- What every ranking of the shipped bundle honours: the client's order, sort, partition, service tier and
-- preferences, and the session. How a list that nobody sorted is balanced is the ranking's own.
local SOFT = { "tools", "response_format", "verbosity" } -- preferred when some endpoint of the model has them
local by, first, join, lead, split = rank.by, rank.first, rank.join, rank.lead, rank.split -- lead changes the list itself
local any, match, last = set.any, slug.match, sticky.at

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

local function ordered(list, req, p, my, balance)
  local out, rest = {}, list
  for _, want in ipairs(p.order) do
    local hit
    hit, rest = split(rest, function(e) return match(want, e) end)
    out = join(out, by(hit, "price"))
  end
  if not p.allow_fallbacks then return out end
  return join(out, p.sort_by ~= "" and sorted(rest, p.sort_by) or balance(rest, req, my))
end

-- nobody asked for an order; but a conversation stays on the endpoint that holds its prompt cache, if reading it is cheaper
local function balanced(list, req, my, balance)
  local out, session = balance(list, req, my), req.session
  local i = session ~= "" and last(session, out)
  if not i then return out end
  local e = out[i]
  local usd = e.usd
  if usd.cache_read < usd.prompt and stable(e, my.window) then lead(out, i) end
  return out
end

local function one_group(list, req, p, my, balance)
  list = supporting(list, req.params)
  local tier, key = p.service_tier, p.sort_by
  if tier == "flex" and req.variant ~= "floor" then
    local flex = split(list, function(e) return e.tier == "flex" end)
    if flex[1] then return by(flex, "price") end
  end
  if p.order[1] then return ordered(list, req, p, my, balance) end
  local out
  if key ~= "" then
    out = sorted(list, key)
  else
    out = balanced(list, req, my, balance)
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

-- allow_fallbacks = false: one endpoint, and an own account before shared capacity
local function one_of(out)
  local best
  for i = 1, #out do
    local e = out[i]
    if e.byok.section == "prioritized" and (not best or (e.provider == best.provider and e.byok.seq < best.byok.seq)) then best = e end
  end
  return { best or out[1] }
end

return library {
  -- the list-price of a typical token; the policy's `my` has input_weight
  price = function(e, my)
    local w = my.input_weight
    return (w * e.usd.prompt + e.usd.completion) / (w + 1)
  end,

  -- balance(list, req, my): the list in the order of the ranking; the policy has a score "price" and my.window
  ranked = function(req, eps, my, balance)
    local p, models = req.prefs, req.models
    if p.none and not models[2] then return balanced(supporting(eps, req.params), req, my, balance) end -- by far the most
    local out
    if not models[2] or p.partition == "none" then
      out = one_group(eps, req, p, my, balance) -- the list is this call's own
    else
      out = {}
      for _, m in ipairs(models) do
        out = join(out, one_group((split(eps, function(e) return e.model == m end)), req, p, my, balance))
      end
    end
    if not p.allow_fallbacks and out[2] and not p.order[1] then return one_of(out) end
    return out
  end,

  -- remember the endpoint that answered, so that the session's next turn can read its prompt cache
  sticky = { ttl_s = 600 },
}
