-- Own GPUs first, the cloud when they are full.
--
-- What: endpoints in `own` come first while they are healthy and have a place; the one with the fewest requests
--   in flight leads. Full or ill ones go behind the cloud's, so that they are still tried when it fails.
-- When: you pay for your GPUs whether they work or not, and only the overflow should cost money.
-- Set: order = { rank = "last" }, behind the shipped ranking; `own`: patterns of provider tags; `max_inflight`: what one endpoint serves before its latency suffers
--   (for a hard limit set max_in_flight of the provider in the configuration). `stay_local` names workspaces whose
--   requests never leave the house.
local function place(e) return e.live.inflight end
local function ready(e, my)
  local l = e.live
  return l.inflight < my.max_inflight and l.cooldown_ms == 0 and l.breaker ~= 2 and l.outage_ago_ms > my.window
end

return policy {
  name = "local_first", api = 1, version = "1.0.0",
  params = {
    own = { type = "string[]", default = { "onprem", "onprem/*" }, doc = "patterns of the endpoints' tags" },
    max_inflight = { type = "integer", default = 16, doc = "requests in flight at one endpoint" },
    outage_window_s = { type = "integer", default = 30 },
    stay_local = { type = "string[]", default = {}, doc = "ids of workspaces that never get the cloud" },
  },
  setup = function(p)
    assert(p.max_inflight > 0, "max_inflight must be above 0")
    return { own = p.own, max_inflight = p.max_inflight, window = p.outage_window_s * 1000, stay = set.of(p.stay_local), any_stay = #p.stay_local > 0 }
  end,
  memo = { filter = { "key.workspace" } },
  filter = function(req, ep, my)
    if my.any_stay and my.stay[req.key.workspace] and not glob.any(my.own, ep.tag) then return false, "stay_local" end
    return true
  end,
  when = { rank = function(ep, my) return glob.any(my.own, ep.tag) end },
  rank = function(req, eps, my)
    local own, cloud = rank.split(eps, function(e) return glob.any(my.own, e.tag) end)
    local free, full = rank.split(own, ready, my)
    return rank.join(rank.by(free, place), cloud, rank.by(full, place))
  end,
}
