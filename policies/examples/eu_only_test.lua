local P = use("eu_only")
local function why(t, p, r, e) local ok, w = p.filter(t.req(r), t.ep(e)); return ok and "keep" or w end
test("regions by pattern", function(t)
  t.eq(why(t, P, {}, { region = "us" }), "region"); t.eq(why(t, P, {}, { region = "eu-central" }), "keep")
  t.eq(why(t, P, {}, { region = "europa" }), "region"); t.eq(why(t, P, {}, { region = "" }), "region")
end)
test("logs kept outside the EU, or nobody knows where", function(t)
  t.eq(why(t, P, {}, { region = "eu", data = { retains = true, logs_region = "us" } }), "logs_region")
  t.eq(why(t, P, {}, { region = "eu", data = { retains = false, logs_region = "us" } }), "keep")
  t.eq(why(t, P, {}, { region = "eu", data = { retains = true, logs_region = "eu" } }), "keep")
  t.eq(why(t, P, {}, { region = "eu", data = { known = false, retains = false, logs_region = "" } }), "logs_region")
end)
test("for some only: by key, workspace or organization", function(t)
  for _, id in ipairs { "key_1", "ws_1", "org_1" } do
    t.eq(why(t, use("eu_only", { only_for = { id } }), {}, { region = "us" }), "region", id)
  end
  t.eq(why(t, use("eu_only", { only_for = { "ws_2" } }), {}, { region = "us" }), "keep")
end)
