-- Requests of EU workspaces are processed, and logged by the provider, inside the EU only.
-- Attach it to a workspace (scope), or globally with only_label = "residency=eu".
return policy {
  name = "eu_only", api = 1, version = "1.0.0",
  params = {
    regions = { type = "string[]", default = { "eu", "eu-*", "onprem" } },
    only_label = { type = "string", default = "", doc = 'e.g. "residency=eu": apply only to keys with this label; "" = always' },
  },
  setup = function(p)
    local name, value = "", ""
    if p.only_label ~= "" then
      local kv = string.split(p.only_label, "=")
      assert(#kv == 2, 'only_label: expected "name=value"')
      name, value = kv[1], kv[2]
    end
    return { regions = p.regions, name = name, value = value }
  end,
  filter = function(req, ep, my)
    if my.name ~= "" and req.key.labels[my.name] ~= my.value then return true end
    if not glob.any(my.regions, ep.region) then return false, "region" end
    -- processing in Frankfurt is not enough if the provider keeps its logs elsewhere
    if ep.data.retains and not glob.any(my.regions, ep.data.logs_region) then return false, "logs_region" end
    return true
  end,
}
