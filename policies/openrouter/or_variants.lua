-- OpenRouter model variants, as routing preferences.
--   model:nitro  = sort by throughput, and the provider's "priority" tier becomes eligible
--   model:floor  = sort by price,      and the provider's "flex" tier becomes eligible
--   model:exacto = sort by how few answers fail
-- :free is handled by or_eligibility (only free endpoints may serve it); :online is the plugin "web".
-- Other suffixes (:thinking, :extended) are models of their own where somebody has them, and else none: a
-- client must not believe that it got what nobody heard. `also` names what other policies of the bundle hear.
-- The same of plugins that change what an answer is made of, or what may be asked: nobody here runs them, and who
-- asks is told so. Of others, such as response-healing, a request does well enough without; they are left unheard.
-- The client's own `sort` wins over the variant's; `order` or a service_tier keep the tiers out.
local SORT = { nitro = "throughput", floor = "price", exacto = "exacto" }
local TIER = { nitro = "priority", floor = "flex" }

local function has(list, x) for i = 1, #list do if list[i] == x then return true end end return false end

local NO_PLUGIN = {
  web = "plugins: this gateway has no 'web', which :online behind a model asks for, too; leave it out, or offer a search of your own in tools",
  ["web-fetch"] = "plugins: this gateway has no 'web-fetch'; leave it out, or offer a tool of your own in tools",
  moderation = "plugins: this gateway has no 'moderation'; leave it out",
  fusion = "plugins: this gateway has no 'fusion'; leave it out",
}

return policy {
  name = "or_variants", api = 1, version = "1.2.0",
  params = {
    also = { type = "string[]", default = {}, doc = "suffixes that are other policies' business" },
    without = { type = "string[]", default = { "web", "web-fetch", "moderation", "fusion" }, doc = "plugins that are refused, since nobody runs them" },
  },
  memo = { resolve = { "variant", "plugins" } }, -- without one it has nothing to say
  resolve = function(req, my)
    local variant, plugins = req.variant, req.plugins
    for i = 1, #plugins do
      if has(my.without, plugins[i]) then
        return deny { status = 400, code = "invalid_request", message = NO_PLUGIN[plugins[i]] or "plugins: this gateway has none of that name; leave it out" }
      end
    end
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
