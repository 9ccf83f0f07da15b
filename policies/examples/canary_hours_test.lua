local P = use("canary_hours")
local WED_10 = 1767776400000 -- Wed 2026-01-07 09:00 UTC = 10:00 local
local HOUR, DAY = 3600000, 86400000
local function in_canary(t, user, ms, p) return (p or P).resolve(t.req { now_ms = ms or WED_10, key = { user = user } }) ~= nil end
test("about 5 % of users, always the same ones", function(t)
  local n = 0
  for i = 1, 4000 do if in_canary(t, "u" .. i) then n = n + 1; t.ok(in_canary(t, "u" .. i, WED_10 + HOUR)) end end
  t.ok(n > 150 and n < 250, "got " .. n)
end)
test("raising the share keeps the first users", function(t)
  local Q = use("canary_hours", { share_bps = 1000 })
  for i = 1, 1000 do if in_canary(t, "u" .. i) then t.ok(in_canary(t, "u" .. i, WED_10, Q)) end end
end)
test("closed at night and on Saturday; opens and closes on the minute", function(t)
  local ALL = use("canary_hours", { share_bps = 10000 })
  t.ok(in_canary(t, "u", WED_10, ALL)); t.ok(not in_canary(t, "u", WED_10 + 9 * HOUR, ALL))
  t.ok(in_canary(t, "u", WED_10 - HOUR, ALL)); t.ok(not in_canary(t, "u", WED_10 - HOUR - 1, ALL))
  t.ok(not in_canary(t, "u", WED_10 + 7 * HOUR, ALL)); t.ok(in_canary(t, "u", WED_10 + 7 * HOUR - 1, ALL))
  t.ok(not in_canary(t, "u", WED_10 + 3 * DAY, ALL)); t.ok(not in_canary(t, "u", WED_10 + 4 * DAY, ALL))
  t.ok(in_canary(t, "u", WED_10 + 3 * DAY, use("canary_hours", { share_bps = 10000, days = { "sat" } })))
end)
test("old model remains as fallback; other models are left alone", function(t)
  local ALL = use("canary_hours", { share_bps = 10000 })
  t.eq(ALL.resolve(t.req { now_ms = WED_10 }).models, { "acme/large-next", "acme/large" })
  t.eq(ALL.resolve(t.req { now_ms = WED_10, models = { "acme/small" } }), nil)
end)
test("a request without a user goes by its key; nonsense is refused", function(t)
  local half = use("canary_hours", { share_bps = 5000 })
  local n = 0
  for i = 1, 200 do if half.resolve(t.req { now_ms = WED_10, key = { user = "", id = "k" .. i } }) then n = n + 1 end end
  t.ok(n > 60 and n < 140, "got " .. n)
  t.errors(use, "canary_hours", { days = { "someday" } }); t.errors(use, "canary_hours", { share_bps = 10001 })
end)
