-- What to do after a failed attempt. Called only while nothing has been sent to the client;
-- once bytes are out the gateway stops with an error event, whatever this file says.
-- act.next()                  try the next endpoint of the ranked list
-- act.next{skip="model"}      skip the remaining endpoints of this model (go to models[2])
-- act.next{skip="provider"}   skip the remaining endpoints of this provider
-- act.retry(ms)               the same endpoint again, after a pause
-- act.stop()                  give the client this error
return policy {
  name = "or_fallback", api = 1, version = "1.1.0",
  params = {
    max_attempts = { type = "integer", default = 6 },
    max_wait_ms = { type = "integer", default = 2000, doc = "longest pause for a Retry-After when nothing else is left" },
  },
  on_error = function(req, err, rest, my)
    if err.n >= my.max_attempts or err.elapsed_ms >= err.deadline_ms then return act.stop() end
    local k = err.kind
    if k == "cancelled" then return act.stop() end
    -- what is wrong for this model every provider of it would refuse, but another one that the client named may
    -- take it: it sees what the first may not, has the longer context, forbids less
    if k == "bad_request" or k == "context_length" or k == "moderation" then
      return #rest > 0 and act.next { skip = "model" } or act.stop()
    end
    -- our credential at this provider is refused: the provider's other endpoints use the same one
    if k == "auth" or k == "quota" then return act.next { skip = "provider" } end
    if #rest > 0 then return act.next() end
    -- last endpoint: one polite retry if the provider told us when
    local wait = err.retry_after_ms
    if (k == "rate_limited" or k == "overloaded") and wait > 0 and wait <= my.max_wait_ms and err.tries_here == 1 then
      return act.retry(wait)
    end
    return act.stop()
  end,
}
