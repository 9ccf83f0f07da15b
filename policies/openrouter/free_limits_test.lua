local P = use("free_limits")
local MINUTE, DAY = 60000, 86400000
local function ask(t, ms, bought, key) key = key or {}; key.credits_bought_nusd = money.usd(bought or 0); return P.admit(t.req { variant = "free", now_ms = ms, key = key }) end
local function hit(...) local r = ask(...); return r == true and "ok" or r.message end
test("paid models are not limited here", function(t) for _ = 1, 100 do t.eq(P.admit(t.req {}), true); t.eq(P.admit(t.req { variant = "nitro" }), true) end end)
test("the 21st request of a minute waits", function(t)
  for _ = 1, 20 do t.eq(hit(t, 0), "ok") end
  local no = ask(t, 1000)
  t.eq(no.message, "Rate limit exceeded: free-models-per-min"); t.eq(no.retry_after_s, 59); t.eq(no.limit, 20); t.eq(no.status, 429)
  t.eq(hit(t, 60000), "ok")
end)
test("50 a UTC day without credits, 1000 with", function(t)
  local n = 0
  for i = 0, 79 do if hit(t, i * MINUTE) == "ok" then n = n + 1 end end
  t.eq(n, 50)
  local no = ask(t, 80 * MINUTE)
  t.eq(no.message, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day")
  t.eq(no.retry_after_s, 86400 - 80 * 60); t.eq(no.limit, 50)
  t.eq(hit(t, 81 * MINUTE, 9.99), no.message); t.eq(hit(t, 82 * MINUTE, 10), "ok"); t.eq(hit(t, DAY), "ok")
end)
test("1000 with credits, and what is said then", function(t)
  local A = use("free_limits", { per_minute = 100000 })
  local function one(ms) return A.admit(t.req { variant = "free", now_ms = ms, key = { credits_bought_nusd = money.usd(10) } }) end
  for _ = 1, 1000 do t.eq(one(0), true) end
  t.eq(one(DAY - 1000).message, "Rate limit exceeded: free-models-per-day-high-balance"); t.eq(one(DAY - 1000).retry_after_s, 1); t.eq(one(DAY), true)
end)
test("the keys of an organization share, keys without one do not", function(t)
  for _ = 1, 20 do t.eq(hit(t, 0, 0, { id = "a", org = "o" }), "ok") end
  t.ok(hit(t, 0, 0, { id = "b", org = "o" }) ~= "ok"); t.eq(hit(t, 0, 0, { id = "a", org = "" }), "ok"); t.eq(hit(t, 0, 0, { id = "b", org = "" }), "ok")
end)
test("nonsense is refused at load", function(t) t.errors(use, "free_limits", { per_day = -1 }) end)
test("one free model among others counts", function(t)
  local L = use("free_limits", { per_minute = 1 })
  local function go(asked) return L.admit(t.req { variants = asked }) end
  t.eq(go({ "acme/large", "", "acme/small", "nitro" }), true); t.eq(go({ "acme/large", "", "acme/small", "free" }), true)
  t.eq(go({ "acme/large", "", "acme/small", "free" }).status, 429); t.eq(go({ "acme/large", "", "acme/small", "nitro" }), true)
end)
