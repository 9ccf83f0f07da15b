-- A budget per key, with a cheaper model before the end of it.
--
-- What: from `soft_bps` of a key's limit on, models are exchanged for the cheaper ones in `cheaper`; when the limit
--   is used up, only models in `always` (typically your own GPUs) still answer, others get 402.
-- When: a team should get slower and cheaper rather than nothing at the end of the month.
-- Set: the key's limit and its period when the key is made (limit, limit_reset); `cheaper` and `always` here.
--   The gateway reserves an estimate before each call and settles it afterwards, so parallel requests cannot all
--   squeeze through the last cent; this file only reads the result.
return policy {
  name = "budget_downgrade", api = 1, version = "1.2.0",
  params = {
    soft_bps = { type = "integer", default = 8000, doc = "from this share of the budget on, downgrade (8000 = 80 %)" },
    cheaper = { type = "map", default = { ["acme/large"] = "acme/small" }, doc = "model -> cheaper model" },
    always = { type = "string[]", default = { "onprem/*" }, doc = "models that answer without any budget" },
  },
  admit = function(req, my)
    local left = budget.left_nusd("key", req.key.id)
    if left == nil or left > 0 then return true end -- nil: this key has no budget
    for _, m in ipairs(req.models) do
      if glob.any(my.always, m) then return true end
    end
    return deny { status = 402, code = "budget_exhausted", message = "The budget of this API key is used up." }
  end,
  resolve = function(req, my)
    if budget.used_bps("key", req.key.id) < my.soft_bps then return nil end
    local out, changed = {}, false
    for i, m in ipairs(req.models) do
      out[i] = my.cheaper[m] or m
      changed = changed or out[i] ~= m
    end
    if not changed then return nil end
    return { models = out, note = "budget above soft limit: " .. req.models[1] .. " -> " .. out[1] }
  end,
}
