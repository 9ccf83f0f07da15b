local P = use("tool_quality")
local function eps(t) return { t.ep { provider = "cheap", quantization = "int4" }, t.ep { provider = "flaky", live = { error_rate = 0.2 } },
  t.ep { provider = "good" }, t.ep { provider = "new", live = { samples = 3, error_rate = 1.0 } } } end
test("coarse and failing ones last, for tools and for schemas", function(t)
  t.eq(t.ids(P.rank(t.req { feat = { tools = 1 } }, eps(t))), "good new cheap flaky")
  t.eq(t.ids(P.rank(t.req { feat = { json_schema = true } }, eps(t))), "good new cheap flaky")
end)
test("without tools the order stays", function(t) t.eq(t.ids(P.rank(t.req {}, eps(t))), "cheap flaky good new") end)
test("preferred providers first, unless they are rough themselves", function(t)
  t.eq(t.ids(use("tool_quality", { prefer = { "new", "cheap" } }).rank(t.req { feat = { tools = 1 } }, eps(t))), "new good cheap flaky")
end)
test("nothing is lost when all are rough", function(t)
  t.eq(t.ids(P.rank(t.req { feat = { tools = 1 } }, { t.ep { provider = "a", quantization = "fp4" }, t.ep { provider = "b", quantization = "int4" } })), "a b")
end)
