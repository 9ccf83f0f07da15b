local P = use("cheapest")
test("cheapest first, nobody is lost", function(t)
  local eps = { t.ep { provider = "dear", usd = { prompt = 9.0 } }, t.ep { provider = "mid" }, t.ep { provider = "low", usd = { prompt = 0.1 } } }
  t.eq(t.ids(P.rank(t.req {}, eps)), "low mid dear")
end)
test("the weight decides between a cheap prompt and a cheap answer", function(t)
  local eps = { t.ep { provider = "in", usd = { prompt = 0.5, completion = 9.0 } }, t.ep { provider = "out", usd = { prompt = 2.0, completion = 2.0 } } }
  t.eq(t.ids(P.rank(t.req {}, eps)), "out in")
  t.eq(t.ids(use("cheapest", { input_weight = 10.0 }).rank(t.req {}, eps)), "in out")
end)
test("equal prices keep their order; an empty list stays empty", function(t)
  t.eq(t.ids(P.rank(t.req {}, { t.ep { provider = "b" }, t.ep { provider = "a" } })), "b a")
  t.eq(#P.rank(t.req {}, {}), 0)
end)
