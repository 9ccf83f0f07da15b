local P = use("private_first")
local function eps(t) return { t.ep { provider = "a" }, t.ep { provider = "own2", private = true }, t.ep { provider = "b" }, t.ep { provider = "own1", private = true } } end
test("private ones first, each group in its order", function(t)
  t.eq(t.ids(P.rank(t.req {}, eps(t))), "own2 own1 a b")
end)
test("strict: no other, where there is one", function(t)
  local S = use("private_first", { strict = true })
  t.eq(t.ids(S.rank(t.req {}, eps(t))), "own2 own1"); t.eq(t.ids(S.rank(t.req {}, { t.ep { provider = "a" } })), "a")
end)
test("whose it is, is the eligibility's: others never see it", function(t)
  local chain = { use("or_eligibility"), P }
  local l = { t.ep { provider = "a" }, t.ep { provider = "own", private = true, private_to = { ws_9 = true } } }
  t.eq(t.ids((t.route(chain, t.req {}, l))), "a")
  t.eq(t.ids((t.route(chain, t.req { key = { workspace = "ws_9" } }, l))), "own a")
end)
