local P = use("free_limits")
local function hit(t, ms, bought) local r = P.admit(t.req { variant = "free", now_ms = ms, key = { credits_bought_nusd = money.usd(bought or 0) } }); return r == true and "ok" or r.message:sub(-3) end
test("paid models are not limited here", function(t) for _ = 1, 100 do t.eq(P.admit(t.req {}), true) end end)
test("the 21st request of a minute waits", function(t)
  for _ = 1, 20 do t.eq(hit(t, 0), "ok") end
  t.eq(hit(t, 1000), "min"); t.eq(hit(t, 60000), "ok")
  local r = P.admit(t.req { variant = "free", now_ms = 60000 }); t.eq(r, true)
end)
test("50 a day without credits, 1000 with", function(t)
  local n = 0
  for i = 0, 79 do if hit(t, i * 60000) == "ok" then n = n + 1 end end
  t.eq(n, 50); t.eq(hit(t, 80 * 60000), "day"); t.eq(hit(t, 81 * 60000, 10), "ok")
end)
