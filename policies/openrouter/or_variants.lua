-- OpenRouter model variants, as routing preferences.
--   model:nitro  = sort by throughput, and the provider's "priority" tier becomes eligible
--   model:floor  = sort by price,      and the provider's "flex" tier becomes eligible
--   model:exacto = sort by how few answers fail
-- :free is handled by or_eligibility (only free endpoints may serve it), :online by the gateway.
-- Other suffixes (:thinking, :extended) are models of their own where somebody has them, and else none: a
-- client must not believe that it got what nobody heard. `also` names what other policies of the bundle hear.
-- The client's own `sort` wins over the variant's; `order` or a service_tier keep the tiers out.
local SORT = { nitro = "throughput", floor = "price", exacto = "exacto" }
local TIER = { nitro = "priority", floor = "flex" }

local function has(list, x) for i = 1, #list do if list[i] == x then return true end end return false end

return policy {
  name = "or_variants", api = 1, version = "1.1.0",
  params = { also = { type = "string[]", default = {}, doc = "suffixes that are other policies' business" } },
  memo = { resolve = { "variant" } }, -- without one it has nothing to say
  resolve = function(req, my)
    local variant = req.variant
    local by = SORT[variant]
    if not by then
      if variant == "" or variant == "free" or has(my.also, variant) then return nil end -- no opinion: leave the request as it is
      return deny { status = 400, code = "model_not_found",
        message = "The model's variant is not a valid model ID: there are :free, :nitro, :floor, :exacto and :online" }
    end
    local p = req.prefs
    local open = #p.order == 0 and p.service_tier == ""
    return {
      prefs = { sort_by = p.sort_by == "" and by or nil, service_tier = open and TIER[req.variant] or nil },
      note = "variant :" .. req.variant,
    }
  end,
}
