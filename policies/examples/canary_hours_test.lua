local P = use("canary_hours")
local WED_10 = 1767776400000 -- Wed 2026-01-07 09:00 UTC = 10:00 local
local function in_canary(t, user, ms, p) return (p or P).resolve(t.req { now_ms = ms or WED_10, key = { user = user } }) ~= nil end
test("about 5 % of users, always the same ones", function(t)
  local n = 0
  for i = 1, 4000 do if in_canary(t, "u" .. i) then n = n + 1; t.ok(in_canary(t, "u" .. i, WED_10 + 3600000)) end end
  t.ok(n > 150 and n < 250, "got " .. n)
end)
test("raising the share keeps the first users", function(t)
  local Q = use("canary_hours", { share_bps = 1000 })
  for i = 1, 1000 do if in_canary(t, "u" .. i) then t.ok(in_canary(t, "u" .. i, WED_10, Q)) end end
end)
test("closed at night and on Saturday", function(t)
  local ALL = use("canary_hours", { share_bps = 10000 })
  t.ok(in_canary(t, "u", WED_10, ALL)); t.ok(not in_canary(t, "u", WED_10 + 9 * 3600000, ALL))
  t.ok(not in_canary(t, "u", WED_10 + 3 * 86400000, ALL))
end)
test("old model remains as fallback", function(t)
  local ALL = use("canary_hours", { share_bps = 10000 })
  t.eq(ALL.resolve(t.req { now_ms = WED_10 }).models, { "acme/large-next", "acme/large" })
end)
