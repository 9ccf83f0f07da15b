-- Does the request fit? Prompt and answer together into the context, the answer into what the endpoint
-- can produce. A file of its own, since it is asked for each request; an unknown length takes anything.
return policy {
  name = "or_context", api = 1, version = "1.0.0",
  when = {
    filter = function(ep) return ep.context_length < math.maxinteger or ep.max_output < math.maxinteger end,
  },
  filter = function(req, ep)
    local f = req.feat
    local answer = f.max_tokens
    if f.prompt_tokens + answer > ep.context_length then return false, "context" end
    if answer > ep.max_output then return false, "max_tokens" end
    return true
  end,
}
