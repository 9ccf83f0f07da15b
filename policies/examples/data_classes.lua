-- Strict data retention by data class.
--
-- What: each request has a class; the class says which endpoints may see it, what they are asked not to keep,
--   and what this gateway itself may keep. Everything fails closed: an unknown class gets the strictest rule,
--   an endpoint whose data policy nobody stated counts as "trains and retains".
-- When: whoever has text that must not be trained on, or must not be kept anywhere (zero data retention).
-- Set: `default` is the class of whoever is not in `assign`, which names organizations, workspaces or keys by
--   id. A request may ask for another class with the header x-moongate-data-class, which can only raise it:
--   `order` lists the classes from the least to the most strict. `classes` has a rule for each:
--     zdr        only endpoints that keep nothing
--     no_train   only endpoints that do not train on the data (they may keep it for max_days)
--     max_days   longest retention at the provider, in days
--     providers  if present: only these provider slugs
--     store      what THIS gateway may keep: "none" | "metadata" | "hashed" | "full"
--     ttl_s      for how long
--     cache      may answers go into the response cache
--   Put it into `guard`, where no narrower scope can replace it.
local LEVEL = { none = 0, metadata = 1, hashed = 2, full = 3 }

-- the stricter of what the key has and what the request asks for; nil: nobody knows that class
local function rule_of(req, my)
  local k, asked = req.key, req.data_class
  local own = my.assign[k.id] or my.assign[k.workspace] or my.assign[k.org] or my.default
  local raised = asked == "" and own or my.rank[asked]
  return raised and my.rules[math.max(own, raised)] or my.strictest
end

return policy {
  name = "data_classes", api = 1, version = "3.0.0",
  params = {
    classes = { type = "map", default = {
      public       = { no_train = false, max_days = 36500, store = "full", ttl_s = 2592000, cache = true },
      internal     = { no_train = true, max_days = 30, store = "metadata", ttl_s = 2592000, cache = true },
      confidential = { zdr = true, max_days = 0, store = "metadata", ttl_s = 604800, cache = false },
      restricted   = { zdr = true, max_days = 0, providers = { "onprem" }, store = "none", ttl_s = 0, cache = false },
    } },
    order = { type = "string[]", default = { "public", "internal", "confidential", "restricted" }, doc = "from the least to the most strict" },
    default = { type = "string", default = "internal", doc = "the class of whoever has none assigned" },
    assign = { type = "map", default = {}, doc = "id of an organization, workspace or key -> class" },
  },
  -- the filter reads nothing else of the request, so its verdicts are remembered
  memo = { filter = { "data_class", "key.id", "key.workspace", "key.org" } },
  -- setup runs once per load; a mistake in the tables stops the reload, not a request
  setup = function(p)
    local rules, rank, assign = {}, {}, {}
    for i, name in ipairs(p.order) do
      local c = p.classes[name]
      assert(c, "order: class " .. name .. " has no rule")
      assert(LEVEL[c.store], "class " .. name .. ": store must be none, metadata, hashed or full")
      assert(type(c.ttl_s) == "number" and type(c.max_days) == "number", "class " .. name .. ": ttl_s and max_days are required")
      rank[name] = i
      rules[i] = { zdr = c.zdr == true, no_train = c.no_train == true, max_days = c.max_days, providers = c.providers,
        store = c.store, ttl_s = c.ttl_s, cache = c.cache == true }
    end
    for name in pairs(p.classes) do assert(rank[name], "class " .. name .. " is not in order") end
    for id, name in pairs(p.assign) do assign[id] = assert(rank[name], "assign: no class " .. tostring(name)) end
    return { rules = rules, rank = rank, assign = assign, default = assert(rank[p.default], "default: no such class"), strictest = rules[#rules] }
  end,
  filter = function(req, ep, my)
    local r, d = rule_of(req, my), ep.data
    if r.providers and not slug.any(r.providers, ep) then return false, "class_provider" end
    local trains = not d.known or d.trains
    local retains = not d.known or d.retains or not d.zdr
    if r.zdr and retains then return false, "class_zdr" end
    if (r.no_train or r.zdr) and trains then return false, "class_trains" end
    if retains and (d.retention_days or math.huge) > r.max_days then return false, "class_retention" end
    return true
  end,
  -- Ask the provider not to keep it either, where the API has a switch for that.
  shape = function(req, ep, my)
    if rule_of(req, my).zdr then return { set = { store = false }, drop = { "user", "metadata" } } end
    return nil
  end,
  -- Runs BEFORE the upstream call, so nothing is written that may not be. Several policies: the strictest wins.
  retain = function(req, my)
    local r = rule_of(req, my)
    return { store = r.store, ttl_s = r.ttl_s, cache = r.cache }
  end,
}
