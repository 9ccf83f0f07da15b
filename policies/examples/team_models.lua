-- Which team may use which models.
--
-- What: a team (an organization, a workspace or a key) may use the models of its list only; who has no list may
--   use `others`. A fallback model, an own account, an auto-router's choice: all of them pass here.
-- When: dear or unapproved models are for some teams only.
-- Set: `teams` maps an id to a list of patterns ("acme/*", "openai/gpt-4o"); an id with no list may use nothing.
--   A key's own entry counts before its workspace's, that before its organization's. Put it into `guard`.
return policy {
  name = "team_models", api = 1, version = "1.0.0",
  params = {
    teams = { type = "map", default = {}, doc = "id of an organization, workspace or key -> patterns of models" },
    others = { type = "string[]", default = {}, doc = "what teams without a list may use; { \"*\" }: everything" },
  },
  setup = function(p)
    for id, list in pairs(p.teams) do assert(type(list) == "table", "teams: " .. tostring(id) .. " needs a list of patterns") end
    return p
  end,
  memo = { filter = { "key.id", "key.workspace", "key.org" } },
  filter = function(req, ep, my)
    local k = req.key
    local list = my.teams[k.id] or my.teams[k.workspace] or my.teams[k.org] or my.others
    if glob.any(list, ep.model) then return true end
    return false, "team_model"
  end,
}
