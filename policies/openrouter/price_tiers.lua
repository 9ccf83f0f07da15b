-- List price with tiers, then markup and discount.
-- Usage arrives in disjoint buckets (cached tokens are NOT also counted as input, reasoning is NOT also
-- counted as output), so every token is charged exactly once. Rates are integers: pUSD per unit
-- (1 USD per 1M tokens = 1000000). Money is integer nUSD and is rounded once, at the end.
--
-- Tiers (ep.rate.overrides): an entry applies if all its conditions hold; later entries win per key.
--   tier_mode "whole"      the tier is chosen by the size of the request and applies to all its tokens
--                          (what the providers do)
--   tier_mode "graduated"  only the tokens above the threshold cost more (a common internal showback rule)
-- A bucket of the usage, its rate, and whether tiers leave it alone.
local BUCKETS = {
  { "input", "prompt" }, { "cached", "cache_read" }, { "cache_write", "cache_write" }, { "cache_write_1h", "cache_write_1h" },
  { "image_tokens", "image_tokens" }, { "audio_in", "audio_in" }, { "audio_cached", "audio_cache" },
  { "output", "completion" }, { "reasoning", "reasoning" }, { "audio_out", "audio_out" },
  { "images_out", "image", true }, { "searches", "search", true }, { "requests", "request", true },
  { "characters", "character", true }, { "seconds", "second", true },
}

local function applies(o, usage, minute)
  if o.min_prompt_tokens and usage.prompt_total <= o.min_prompt_tokens then return false end -- strictly more
  if o.utc_start then -- minutes after midnight; a window may cross midnight
    if o.utc_start <= o.utc_end then
      if minute < o.utc_start or minute >= o.utc_end then return false end
    elseif minute < o.utc_start and minute >= o.utc_end then return false end
  end
  return true
end

return policy {
  name = "price_tiers", api = 1, version = "1.0.0",
  params = {
    tier_mode = { type = "string", default = "whole" },
    markup_bps = { type = "integer", default = 0, doc = "500 = 5 %; negative is refused, use discounts" },
    discounts_bps = { type = "map", default = {}, doc = "org id -> discount on the charge, 1000 = 10 %" },
  },
  setup = function(p)
    assert(p.tier_mode == "whole" or p.tier_mode == "graduated", "tier_mode: whole or graduated")
    assert(p.markup_bps >= 0, "markup_bps must not be negative")
    for org, bps in pairs(p.discounts_bps) do assert(bps >= 0 and bps <= 10000, "discount of " .. org) end
    return { whole = p.tier_mode == "whole", markup = p.markup_bps, discounts = p.discounts_bps }
  end,
  -- without tiers, markup and discounts there is nothing to say: the gateway's own list price is the same
  when = {
    price = function(ep, my) return #ep.rate.overrides > 0 or my.markup > 0 or set.any(my.discounts) or ep.cred == "byok" end,
  },
  price = function(req, ep, usage, bill, my)
    local base = ep.rate
    local over, threshold, minute = {}, 0, nil
    for _, o in ipairs(base.overrides) do
      minute = minute or time.utc(req.now_ms).minute
      if applies(o, usage, minute) then
        for k, v in pairs(o.rates) do over[k] = v end
        threshold = math.max(threshold, o.min_prompt_tokens or 0)
      end
    end
    local function line(name, key, qty, share)
      local rate = over[key] or base[key]
      if rate == nil then error("no rate for " .. key .. " at " .. ep.id) end -- never bill a missing rate as 0
      if my.whole or not over[key] or share then
        return money.line(bill, name, qty, rate)
      end
      -- graduated: the part of this bucket that lies above the threshold, in proportion
      local above = qty * (usage.prompt_total - threshold) // usage.prompt_total
      money.line(bill, name, qty - above, base[key])
      money.line(bill, name .. "_tier", above, rate)
    end
    -- most are empty, and this runs for every candidate: those cost one comparison
    for _, b in ipairs(BUCKETS) do
      local qty = usage[b[1]]
      if qty ~= 0 then line(b[1], b[2], qty, b[3]) end
    end

    -- own key: the provider bills the customer; what the gateway charges then is decided by byok_first
    if ep.cred == "byok" then return bill end
    local cost = money.sum(bill, "cost")
    money.flat(bill, "usage", cost, "charge")
    if my.markup > 0 then money.flat(bill, "markup", money.bps(cost, my.markup), "charge") end
    local d = my.discounts[req.key.org]
    if d then money.flat(bill, "discount", -money.bps(money.sum(bill, "charge"), d), "charge") end
    return bill
  end,
}
