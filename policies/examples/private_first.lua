-- Private models first.
--
-- What: endpoints that are private to the caller come before public ones; each group keeps its order, so public
--   capacity is the fallback when the private deployment is down or full.
-- When: a team has a dedicated or fine-tuned deployment of a model that is also to be had elsewhere.
-- Set: order = { rank = "last" }, so that it has the word behind the shipped ranking. In the configuration give the endpoint `private_to = { "ws_team" }`: the eligibility of the
--   shipped bundle hides it from everybody else. `strict = true` refuses instead of falling back to public ones.
local function is_private(e) return e.private end

return policy {
  name = "private_first", api = 1, version = "1.0.0",
  params = { strict = { type = "boolean", default = false, doc = "who has a private endpoint of a model gets no other" } },
  when = { rank = is_private }, -- whoever has none is not delayed by it
  rank = function(req, eps, my)
    local own, public = rank.split(eps, is_private)
    if my.strict and own[1] then return own end
    return rank.join(own, public)
  end,
}
