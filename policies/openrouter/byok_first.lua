-- Bring your own key: accounts that customers have with providers themselves (`byok` of a provider in the
-- configuration). The candidates hold each endpoint once with the gateway's account (ep.cred "shared") and
-- once with each own account that this caller may use (ep.cred "byok").
--   prioritized accounts, in the order of their providers, at one provider in their own order
--   -> shared capacity -> fallback accounts
--   always = true: no shared capacity of that provider for a model that the account is for
-- Data policies ran before this (filters): an own account never makes an endpoint eligible.
-- Fee: a share of the list price, charged only above a monthly allowance of list-price volume, which the
-- ledger counts: by workspace, and together for all keys that are in none.
local function own(e) return e.cred == "byok" end
local function seq(e) return e.byok.seq end
local function provider(e) return e.provider end

-- the order of providers stays; a provider's accounts follow each other as they are listed
local function in_turn(list)
  if not list[2] then return list end
  local out = {}
  for _, g in ipairs(rank.groups(list, provider)) do out = rank.join(out, rank.by(g, seq)) end
  return out
end

local function placed(list)
  local first, shared, last, always = {}, {}, {}, {}
  for _, e in ipairs(list) do
    if own(e) and e.byok.always then always[e.provider] = true end
  end
  for _, e in ipairs(list) do
    if own(e) and e.byok.section == "prioritized" then first[#first + 1] = e
    elseif own(e) then last[#last + 1] = e
    elseif not always[e.provider] then shared[#shared + 1] = e end
  end
  return in_turn(first), shared, in_turn(last)
end

return policy {
  name = "byok_first", api = 1, version = "1.0.0",
  params = {
    fee_bps = { type = "integer", default = 500, doc = "share of the list price; 500 = 5 %" },
    allowance_usd = { type = "number", default = 25000.0, doc = "list-price volume per workspace and month without a fee" },
  },
  setup = function(p)
    assert(p.fee_bps >= 0 and p.fee_bps <= 10000, "fee_bps is 0 to 10000")
    assert(p.allowance_usd >= 0, "allowance_usd must not be negative")
    return { fee_bps = p.fee_bps, allowance = money.usd(p.allowance_usd) }
  end,
  -- a list without an own account in it, and a bill of the gateway's own, are none of its business
  when = { rank = own, price = own },
  rank = function(req, eps)
    local out = {}
    if req.prefs.partition ~= "model" or not req.models[2] then
      out = rank.join(placed(eps))
    else -- models[] first: an account for the fallback model does not overtake the primary model
      for _, m in ipairs(req.models) do
        out = rank.join(out, placed((rank.split(eps, function(e) return e.model == m end))))
      end
    end
    return out
  end,
  -- Runs after the list-price policy, which left the cost lines in the bill.
  price = function(req, ep, usage, bill, my)
    if not own(ep) then return bill end
    local list = money.sum(bill, "cost")
    local before = budget.spent_nusd("byok_list", req.key.workspace) -- month to date, without this request
    local over = math.max(0, math.min(list, before + list - my.allowance))
    for _, l in ipairs(bill.lines) do
      if l.side == "cost" then l.side = "customer_paid" end -- the provider bills the customer directly
    end
    return money.flat(bill, "byok_fee", money.bps(over, my.fee_bps), "charge")
  end,
}
