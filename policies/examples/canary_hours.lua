-- A new model for a few users, in business hours only, and always for the same ones.
--
-- What: `share_bps` of the users get `to` instead of `from`; `from` stays as the fallback, so a broken canary
--   costs latency, not answers. A user who switches back and forth between turns would notice: who is in is
--   decided by a stable hash. Raising the share adds users, it never swaps them.
-- When: before a new model or version is switched on for everybody, while somebody is there to look at it.
-- Set: `from`, `to`, the share, the hours of your place; a new `salt` draws other users. Users are told apart by
--   the request's `user`, or else by its API key.
local DAYS = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" }

return policy {
  name = "canary_hours", api = 1, version = "1.1.0",
  params = {
    from = { type = "string", default = "acme/large" },
    to = { type = "string", default = "acme/large-next" },
    share_bps = { type = "integer", default = 500, doc = "500 = 5 %" },
    salt = { type = "string", default = "large-next-1", doc = "change it to draw a new set of users" },
    utc_offset_min = { type = "integer", default = 60, doc = "your clock minus UTC, in minutes" },
    days = { type = "string[]", default = { "mon", "tue", "wed", "thu", "fri" } },
    open_min = { type = "integer", default = 540, doc = "09:00 as minutes after midnight, local" },
    close_min = { type = "integer", default = 1020, doc = "17:00" },
  },
  setup = function(p)
    local days, known = set.of(p.days), set.of(DAYS)
    for day in pairs(days) do assert(known[day], "days: sun, mon, tue, wed, thu, fri, sat") end
    assert(p.share_bps >= 0 and p.share_bps <= 10000, "share_bps is 0 to 10000")
    return { from = p.from, to = p.to, share = p.share_bps, salt = p.salt, offset = p.utc_offset_min, days = days, open = p.open_min, close = p.close_min }
  end,
  resolve = function(req, my)
    if req.models[1] ~= my.from then return nil end
    local now = time.local_(req.now_ms, my.offset)
    if not my.days[DAYS[now.weekday + 1]] or now.minute < my.open or now.minute >= my.close then return nil end
    local who = req.key.user ~= "" and req.key.user or req.key.id
    if hash.bps(my.salt .. "|" .. who) >= my.share then return nil end
    local models = { my.to }
    for _, m in ipairs(req.models) do models[#models + 1] = m end
    return { models = models, note = "canary " .. my.salt }
  end,
}
