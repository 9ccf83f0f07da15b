-- A price for peak hours.
--
-- What: in the hours and on the days given, `surcharge_bps` of the charge is added to the bill as a line of its
--   own; models in `exempt` keep their price. What the gateway itself pays does not change.
-- When: own GPUs are full in the afternoon and empty at night, and teams are to feel it.
-- Set: the hours as minutes after midnight of your clock; a window may cross midnight. Put it behind price_tiers
--   (order = { price = "last" }), or it has nothing to add to. The hold before the call and the bill after it use
--   the same clock, the time of arrival, so a request never costs more than was held for it.
local DAYS = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" }

return policy {
  name = "peak_price", api = 1, version = "1.0.0",
  params = {
    surcharge_bps = { type = "integer", default = 2500, doc = "2500 = 25 %" },
    from_min = { type = "integer", default = 540, doc = "09:00" },
    to_min = { type = "integer", default = 1080, doc = "18:00" },
    days = { type = "string[]", default = { "mon", "tue", "wed", "thu", "fri" } },
    utc_offset_min = { type = "integer", default = 0, doc = "your clock minus UTC, in minutes" },
    exempt = { type = "string[]", default = {}, doc = "patterns of models" },
  },
  setup = function(p)
    local days, known = set.of(p.days), set.of(DAYS)
    for day in pairs(days) do assert(known[day], "days: sun, mon, tue, wed, thu, fri, sat") end
    assert(p.surcharge_bps >= 0, "surcharge_bps must not be negative")
    return { bps = p.surcharge_bps, from = p.from_min, to = p.to_min, days = days, offset = p.utc_offset_min, exempt = p.exempt }
  end,
  when = { price = function(ep, my) return not glob.any(my.exempt, ep.model) end },
  price = function(req, ep, usage, bill, my)
    local now = time.local_(req.now_ms, my.offset)
    local inside = now.minute >= my.from and now.minute < my.to
    if my.from > my.to then inside = now.minute >= my.from or now.minute < my.to end
    if glob.any(my.exempt, ep.model) or not inside or not my.days[DAYS[now.weekday + 1]] then return bill end
    return money.flat(bill, "peak", money.bps(money.sum(bill, "charge"), my.bps), "charge")
  end,
}
