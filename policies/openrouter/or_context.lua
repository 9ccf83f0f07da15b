-- Does the request fit? Prompt and answer together into the context, the answer into what the endpoint
-- can produce. Limits are compared without a call: the numbers on the left are the request's, `most` is
-- asked once for each endpoint. An unknown length (math.maxinteger) takes anything.
return policy {
  name = "or_context", api = 1, version = "1.0.0",
  limits = {
    { reason = "context", of = { "feat.prompt_tokens", "feat.max_tokens" }, most = function(ep) return ep.context_length end },
    { reason = "max_tokens", of = { "feat.max_tokens" }, most = function(ep) return ep.max_output end },
  },
}
