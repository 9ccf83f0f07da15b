-- A cap on what one agent session may cost.
--
-- What: the charges of a session are added up; once they reach `cap_usd`, its next request gets 402. Other
--   sessions of the same key go on. A single answer is stopped when it alone would pass the cap.
-- When: agents loop. A budget per key stops everybody at once; this stops the one that ran away.
-- Set: `cap_usd`, and `per_s`, after which a session may spend anew. A session is session_id of the request (or
--   the header x-session-id), else the conversation's first messages. Requests at the same moment may pass the
--   cap together by what they cost; the key's own limit is the hard one. The sums live in memory: a restart
--   begins anew.
local function name(req, my) return req.key.id .. "|" .. req.session .. "|" .. req.now_ms // my.per_ms end

return policy {
  name = "agent_cap", api = 1, version = "1.0.0",
  params = {
    cap_usd = { type = "number", default = 5.0, doc = "USD a session" },
    per_s = { type = "integer", default = 86400, doc = "seconds" },
    only_named = { type = "boolean", default = false, doc = "only sessions that the client names itself" },
  },
  counters = { agent_spend = {} },
  setup = function(p)
    assert(p.cap_usd > 0 and p.per_s > 0, "cap_usd and per_s must be above 0")
    return { cap = money.usd(p.cap_usd), per_ms = p.per_s * 1000, only_named = p.only_named }
  end,
  admit = function(req, my)
    if req.session == "" or (my.only_named and req.session:starts("h-")) then return true end
    if counter.get("agent_spend", name(req, my)) < my.cap then return true end
    return deny { status = 402, code = "session_cap", message = "This session has reached its spending cap." }
  end,
  plan = function(req, eps, my)
    if req.session == "" or (my.only_named and req.session:starts("h-")) then return nil end
    return { max_charge_nusd = math.max(1, my.cap - counter.get("agent_spend", name(req, my))) }
  end,
  observe = function(req, outcome, my)
    local bill = outcome.bill
    if req.session ~= "" and bill and bill.charge_nusd > 0 then counter.add("agent_spend", name(req, my), bill.charge_nusd) end
  end,
}
