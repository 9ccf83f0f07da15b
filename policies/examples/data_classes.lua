-- Strict data retention by data class. The class comes from the API key, the workspace or the
-- x-moongate-data-class header (which can only raise it). Everything here fails closed:
-- an unknown class gets the strictest rule, an unknown endpoint policy counts as "trains and retains".
--
-- Per class:  zdr        only endpoints that keep nothing
--             no_train   only endpoints that do not train on the data (they may keep it for max_days)
--             max_days   longest retention at the provider, in days
--             providers  if present: only these provider slugs
--             store      what THIS gateway may keep: "none" | "metadata" | "hashed" | "full"
--             ttl_s      for how long
--             cache      may answers go into the response cache
local LEVEL = { none = 0, metadata = 1, hashed = 2, full = 3 }

return policy {
  name = "data_classes", api = 1, version = "2.1.0",
  params = {
    classes = { type = "map", default = {
      public       = { no_train = false, max_days = 36500, store = "full", ttl_s = 2592000, cache = true },
      internal     = { no_train = true, max_days = 30, store = "metadata", ttl_s = 2592000, cache = true },
      confidential = { zdr = true, max_days = 0, store = "metadata", ttl_s = 604800, cache = false },
      restricted   = { zdr = true, max_days = 0, providers = { "onprem" }, store = "none", ttl_s = 0, cache = false },
    } },
    strictest = { type = "string", default = "restricted" },
  },
  -- the filter reads nothing else of the request, so its verdicts are cached per class
  memo = { filter = "data_class" },
  -- setup runs once per load; a mistake in the table stops the reload, not a request
  setup = function(p)
    local rules = {}
    for name, c in pairs(p.classes) do
      assert(LEVEL[c.store], "class " .. name .. ": store must be none, metadata, hashed or full")
      assert(type(c.ttl_s) == "number" and type(c.max_days) == "number", "class " .. name .. ": ttl_s and max_days are required")
      rules[name] = { zdr = c.zdr == true, no_train = c.no_train == true, max_days = c.max_days, providers = c.providers,
        store = c.store, ttl_s = c.ttl_s, cache = c.cache == true }
    end
    assert(rules[p.strictest], "strictest: no such class")
    return { rules = rules, strictest = rules[p.strictest] }
  end,
  filter = function(req, ep, my)
    local r, d = my.rules[req.data_class] or my.strictest, ep.data
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
    local r = my.rules[req.data_class] or my.strictest
    if r.zdr then return { set = { store = false }, drop = { "user", "metadata" } } end
    return nil
  end,
  -- Runs BEFORE the upstream call, so nothing is written that may not be. Several policies: the strictest wins.
  retain = function(req, my)
    local r = my.rules[req.data_class] or my.strictest
    return { store = r.store, ttl_s = r.ttl_s, cache = r.cache }
  end,
}
