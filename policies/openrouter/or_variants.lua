-- OpenRouter model variants, as routing preferences.
--   model:nitro  = sort by throughput, and the provider's "priority" tier becomes eligible
--   model:floor  = sort by price,      and the provider's "flex" tier becomes eligible
--   model:exacto = sort by how few answers fail
-- :free is handled by or_eligibility (only free endpoints may serve it).
-- Variants that name a different model in the catalogue (:thinking, :extended) never reach this file.
-- The client's own `sort` wins over the variant's; `order` or a service_tier keep the tiers out.
local SORT = { nitro = "throughput", floor = "price", exacto = "exacto" }
local TIER = { nitro = "priority", floor = "flex" }

return policy {
  name = "or_variants", api = 1, version = "1.0.0",
  memo = { resolve = { "variant" } }, -- without one it has nothing to say
  resolve = function(req)
    local p, by = req.prefs, SORT[req.variant]
    if not by then return nil end -- no opinion: leave the request as it is
    local open = #p.order == 0 and p.service_tier == ""
    return {
      prefs = { sort_by = p.sort_by == "" and by or nil, service_tier = open and TIER[req.variant] or nil },
      note = "variant :" .. req.variant,
    }
  end,
}
