-- OpenRouter eligibility: which endpoints MAY serve this request. One endpoint at a time, veto only.
-- Order does not matter between filters: one "no" anywhere is final, and an error counts as "no".
-- Always return true, or false plus a short reason code (it appears in `explain` and in metrics).
-- Whether the request fits into the endpoint's context is or_context's: that changes with every request,
-- while these verdicts are remembered for each combination of the members that `memo` names. A run that
-- reads more (private endpoints: whose key it is) is not.
local function has(list, x) for i = 1, #list do if list[i] == x then return true end end return false end

local function let_in(to, key) return to[key.org] or to[key.workspace] or to[key.id] end

-- Free endpoints serve what is asked for as :free, and nothing else does. variants: of several models some were,
-- or one both ways, as in models = { "acme/m:free", "acme/m" }.
local function as_asked(req, ep)
  local variants, known = req.variants, false
  if not variants[1] then return (req.variant == "free") == ep.free end
  for i = 1, #variants, 2 do
    if variants[i] == ep.model then
      if (variants[i + 1] == "free") == ep.free then return true end
      known = true
    end
  end
  return not known and not ep.free
end

-- what a level covers besides itself
local COVERED = { mxfp4 = "fp4", nvfp4 = "fp4", mxfp8 = "fp8" }

return policy {
  name = "or_eligibility", api = 1, version = "1.1.0",
  params = {
    -- provider.data_collection="deny": OpenRouter separates "trains" from "retains" (zdr covers the latter).
    -- Set to true if your legal team reads "deny" as "must not keep anything either".
    deny_also_retention = { type = "boolean", default = false },
  },
  memo = { filter = { "variant", "variants", "prefs", "params" } },
  filter = function(req, ep, my)
    local p = req.prefs
    if ep.private and not let_in(ep.private_to, req.key) then return false, "private" end
    if not as_asked(req, ep) then return false, ep.free and "free_by_name_only" or "not_free" end
    -- only/ignore: a base slug ("google-vertex") means every region of it; a full slug means that one
    if #p.only > 0 and not slug.any(p.only, ep) then return false, "only" end
    if slug.any(p.ignore, ep) then return false, "ignore" end
    -- service tiers need an explicit opt-in: a variant, service_tier, or the full slug in only/order
    if ep.tier ~= "default" and ep.tier ~= p.service_tier
       and not slug.any(p.only, ep) and not slug.any(p.order, ep) then return false, "tier" end
    if #p.quantizations > 0 and not has(p.quantizations, COVERED[ep.quantization] or ep.quantization) then
      return false, "quantization"
    end
    -- data policy: an endpoint whose policy is unknown counts as "trains and retains"
    local d = ep.data
    if p.data_collection == "deny" and (not d.known or d.trains or (my.deny_also_retention and d.retains)) then
      return false, "data_collection"
    end
    if p.zdr and not (d.known and d.zdr) then return false, "zdr" end
    if p.distillable and not ep.distillable then return false, "distillable" end
    -- max_price: USD per million tokens (prompt, completion), USD per unit as the catalogue lists it (request, image,
    -- audio: a token of it; from pUSD, so that what is equal in decimals is equal here)
    local mp, u = p.max_price, ep.usd
    if not ep.priced and set.any(mp) then return false, "max_price" end -- nobody said what it costs
    if (mp.prompt and u.prompt > mp.prompt) or (mp.completion and u.completion > mp.completion)
       or (mp.request and u.request > mp.request) or (mp.image and u.image > mp.image)
       or (mp.audio and ep.rate.audio_in / 1e12 > mp.audio) then
      return false, "max_price"
    end
    -- an endpoint that lists no parameters at all gets all of them passed on
    if p.require_parameters and ep.params_known then
      if req.params.tools and not ep.params.tools then return false, "tools" end -- clients know this answer
      for name in pairs(req.params) do
        if not ep.params[name] then return false, "parameter" end
      end
    end
    return true
  end,
}
