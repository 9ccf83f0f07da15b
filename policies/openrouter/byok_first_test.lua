local P = use("byok_first", { allowance_usd = 10.0 })
local function byok(t, provider, o)
  o = o or {}
  return t.ep { provider = provider, model = o.model or "acme/large", cred = "byok",
    byok = { seq = o.seq or 1, section = o.section or "prioritized", always = o.always or false } }
end
local function order(t, l, r) return t.ids(P.rank(t.req(r or {}), l)) end
test("documented example: own accounts first, then shared in the given order", function(t)
  t.eq(order(t, { t.ep { provider = "bedrock" }, t.ep { provider = "vertex" }, byok(t, "vertex") }), "vertex* bedrock vertex")
end)
test("fallback accounts come last", function(t)
  local l = { byok(t, "a", { section = "fallback" }), byok(t, "b"), t.ep { provider = "a" } }
  t.eq(order(t, l), "b* a a*")
end)
test("providers keep their order, accounts at one provider have their own", function(t)
  local second = byok(t, "a", { seq = 2 })
  local first = byok(t, "a", { seq = 1 })
  local out = P.rank(t.req {}, { t.ep { provider = "c" }, second, byok(t, "b"), first })
  t.eq(t.ids(out), "a* a* b* c")
  t.ok(out[1] == first and out[2] == second, "by their number")
end)
test("'always' removes the shared entries of that provider only", function(t)
  t.eq(order(t, { t.ep { provider = "a" }, byok(t, "a", { always = true }), t.ep { provider = "b" } }), "a* b")
end)
test("'always' is about the models that the account is for", function(t)
  local l = { t.ep { provider = "a" }, byok(t, "a", { always = true }), t.ep { provider = "a", model = "acme/small" } }
  local out = P.rank(t.req { models = { "acme/large", "acme/small" } }, l)
  t.eq(t.ids(out), "a* a"); t.eq(out[2].model, "acme/small")
end)
test("an own account for the fallback model overtakes only with partition=none", function(t)
  local l = { t.ep { provider = "a" }, byok(t, "b", { model = "acme/small" }) }
  local r = { models = { "acme/large", "acme/small" } }
  t.eq(order(t, l, r), "a b*")
  r.prefs = { partition = "none" }; t.eq(order(t, l, r), "b* a")
end)
test("fee: none below the allowance, 5 % of the part above it", function(t)
  local function charge(before_usd)
    t.state().budget["byok_list:ws_1"] = { limit = 1, spent = money.usd(before_usd) }
    local b = money.line(t.bill(), "input", 1000000, 1000000) -- 1M tokens at $1/1M = $1 list
    return money.sum(P.price(t.req {}, byok(t, "a"), t.usage { input = 1000000 }, b), "charge")
  end
  t.eq(charge(0), 0); t.eq(charge(9.0), 0); t.eq(charge(9.5), money.usd(0.025)); t.eq(charge(50), money.usd(0.05))
end)
test("the provider's part is the customer's, whatever was charged before stays charged", function(t)
  local b = money.flat(money.line(t.bill(), "input", 1000000, 1000000), "search", money.usd(0.01), "charge")
  b = P.price(t.req {}, byok(t, "a"), t.usage {}, b)
  t.eq(money.sum(b, "cost"), 0); t.eq(money.sum(b, "customer_paid"), money.usd(1)); t.eq(money.sum(b, "charge"), money.usd(0.01))
end)
test("shared capacity is left alone", function(t)
  local b = money.line(t.bill(), "input", 10, 1000000)
  t.eq(money.sum(P.price(t.req {}, t.ep {}, t.usage { input = 10 }, b), "charge"), 0)
  t.eq(money.sum(b, "customer_paid"), 0)
end)
test("with the list price before it: the customer pays the provider, the gateway charges only the fee", function(t)
  local chain = { use("price_tiers", { markup_bps = 500 }), use("byok_first", { allowance_usd = 0.0 }) }
  local u = t.usage { input = 1000000, requests = 0 }
  t.eq(money.sum(t.price(chain, t.req {}, byok(t, "a"), u), "charge"), money.usd(0.05))
  t.eq(money.sum(t.price(chain, t.req {}, t.ep {}, u), "charge"), money.usd(1.05))
end)
test("nonsense is refused at load", function(t)
  t.errors(use, "byok_first", { fee_bps = -1 }); t.errors(use, "byok_first", { fee_bps = 10001 })
  t.errors(use, "byok_first", { allowance_usd = -1.0 })
end)
