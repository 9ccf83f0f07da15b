-- Limits for free models: 20 requests a minute, 50 a day, or 1000 a day once the org has
-- bought credits for at least $10. limit.take is atomic over all workers and survives a reload.
return policy {
  name = "free_limits", api = 1, version = "1.0.0",
  params = {
    per_minute = { type = "integer", default = 20 },
    per_day = { type = "integer", default = 50 },
    per_day_paid = { type = "integer", default = 1000 },
    paid_from_usd = { type = "number", default = 10.0 },
  },
  setup = function(p)
    return { minute = p.per_minute, day = p.per_day, paid = p.per_day_paid, from = money.usd(p.paid_from_usd) }
  end,
  memo = { admit = { "variant" } }, -- without one it has nothing to say
  admit = function(req, my)
    if req.variant ~= "free" then return true end
    local who = req.key.org ~= "" and req.key.org or req.key.id
    local ok, wait = limit.take("free_min", who, { max = my.minute, per_s = 60 })
    if not ok then
      return deny { status = 429, code = "rate_limit_exceeded", message = "Rate limit exceeded: free-models-per-min", retry_after_s = wait, limit = my.minute }
    end
    local max = req.key.credits_bought_nusd >= my.from and my.paid or my.day
    ok, wait = limit.take("free_day", who, { max = max, per_s = 86400 })
    if not ok then
      return deny { status = 429, code = "rate_limit_exceeded", message = "Rate limit exceeded: free-models-per-day", retry_after_s = wait, limit = max }
    end
    return true
  end,
}
