-- Requests are processed, and logged by the provider, inside the EU only.
--
-- What: an endpoint outside of `regions` may not serve, and neither may one inside that keeps its logs elsewhere
--   or of which nobody knows where they are. A request for which nothing is left is refused, never sent abroad.
-- When: data residency is promised to everybody, or to some customers.
-- Set: `regions` are patterns of the endpoints' `region` and of the providers' `data.region` in the configuration.
--   `only_for` names organizations, workspaces or keys by id; empty: it is for all. Put it into `guard`, or into
--   one workspace's list.
return policy {
  name = "eu_only", api = 1, version = "2.0.0",
  params = {
    regions = { type = "string[]", default = { "eu", "eu-*", "onprem" } },
    only_for = { type = "string[]", default = {}, doc = "ids of organizations, workspaces or keys; empty: all" },
  },
  setup = function(p) return { regions = p.regions, everybody = #p.only_for == 0, who = set.of(p.only_for) } end,
  memo = { filter = { "key.id", "key.workspace", "key.org" } },
  filter = function(req, ep, my)
    local k, d = req.key, ep.data
    if not (my.everybody or my.who[k.id] or my.who[k.workspace] or my.who[k.org]) then return true end
    if not glob.any(my.regions, ep.region) then return false, "region" end
    -- processing in Frankfurt is not enough if the provider keeps its logs elsewhere
    if (d.retains or not d.known) and not glob.any(my.regions, d.logs_region) then return false, "logs_region" end
    return true
  end,
}
