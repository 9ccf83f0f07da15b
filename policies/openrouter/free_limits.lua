-- Limits for free models (:free): 20 requests a minute, and 50 a UTC day, or 1000 once the account has bought
-- credits for at least $10. An account is an organization; a key that has none counts alone. limit.take is exact
-- over all workers and survives a reload. Requests for other models cost nothing here: the answer is remembered.
local DAY_S = 86400

local function too_many(message, wait, limit)
  return deny { status = 429, code = "rate_limit_exceeded", message = message, retry_after_s = wait, limit = limit }
end

local function asks_free(req)
  local variants = req.variants
  for i = 2, #variants, 2 do
    if variants[i] == "free" then return true end
  end
  return req.variant == "free"
end

return policy {
  name = "free_limits", api = 1, version = "1.2.0",
  params = {
    per_minute = { type = "integer", default = 20 },
    per_day = { type = "integer", default = 50 },
    per_day_paid = { type = "integer", default = 1000 },
    paid_from_usd = { type = "number", default = 10.0, doc = "credits bought, ever" },
  },
  setup = function(p)
    assert(p.per_minute >= 0 and p.per_day >= 0 and p.per_day_paid >= 0, "limits must not be negative")
    return { minute = p.per_minute, day = p.per_day, paid = p.per_day_paid, from = money.usd(p.paid_from_usd),
      more = string.format("Rate limit exceeded: free-models-per-day. Add %d credits to unlock %d free model requests per day", math.ceil(p.paid_from_usd), p.per_day_paid) }
  end,
  memo = { admit = { "variant", "variants" } }, -- without one it has nothing to say
  admit = function(req, my)
    if not asks_free(req) then return true end
    local who = req.key.org ~= "" and req.key.org or req.key.id
    local ok, wait = limit.take("free_min", who, { max = my.minute, per_s = 60 })
    if not ok then return too_many("Rate limit exceeded: free-models-per-min", wait, my.minute) end
    local paid, now_s = req.key.credits_bought_nusd >= my.from, req.now_ms // 1000
    local max = paid and my.paid or my.day
    if limit.take("free_day", who .. "|" .. now_s // DAY_S, { max = max, per_s = DAY_S }) then return true end
    return too_many(paid and "Rate limit exceeded: free-models-per-day-high-balance" or my.more, DAY_S - now_s % DAY_S, max) -- until midnight
  end,
}
