-- A model with a longer context when the request does not fit.
--
-- What: a model in `longer` gets its long-context sibling behind it. A prompt that is known to be too long never
--   goes to the first one (the shipped or_context sees to that); where the estimate was wrong and the provider
--   refuses the length, the sibling is asked next, before other fallbacks of the client.
-- When: conversations grow past a cheap model's context, and an answer of a dearer one beats an error.
-- Set: `longer`: model -> sibling; context_length of the models in the configuration. The answer names the model
--   that gave it, and is priced as that. `within` keeps a fallback on that model from being dearer than intended:
--   prompts above so many tokens are not sent there.
return policy {
  name = "context_fallback", api = 1, version = "1.0.0",
  params = {
    longer = { type = "map", default = { ["acme/large"] = "acme/large-1m" }, doc = "model -> model with a longer context" },
    within = { type = "integer", default = 1000000, doc = "tokens of a prompt, at most" },
  },
  resolve = function(req, my)
    local out, seen, changed = {}, set.of(req.models), false
    for _, m in ipairs(req.models) do
      out[#out + 1] = m
      local sibling = my.longer[m]
      if sibling and not seen[sibling] and req.feat.prompt_tokens <= my.within then
        out[#out + 1], seen[sibling], changed = sibling, true, true
      end
    end
    if not changed then return nil end
    return { models = out, note = "may go on to " .. out[2] }
  end,
  on_error = function(req, err, rest)
    if err.kind ~= "context_length" then return nil end -- or_fallback's
    if #rest > 0 then return act.next { skip = "model" } end
    return nil
  end,
}
