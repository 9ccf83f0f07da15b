-- Quality routing for tool calls.
--
-- What: for requests that offer tools or ask for a schema, endpoints whose weights are heavily quantized, or
--   whose answers fail often, come last, and providers in `prefer` come first; others are routed as usual.
--   Nothing is dropped: when only such endpoints are left, they serve.
-- When: agents break on malformed calls, which cheap 4-bit endpoints produce more often than they fail openly.
-- Set: order = { rank = "last" }, behind the shipped ranking; `prefer` with the providers that did well in your own tests; `coarse` with the quantizations you saw fail.
local function rough(e, my)
  return my.coarse[e.quantization] or (e.live.samples >= my.min_samples and e.live.error_rate > my.max_error_rate)
end

return policy {
  name = "tool_quality", api = 1, version = "1.0.0",
  params = {
    prefer = { type = "string[]", default = {}, doc = "provider slugs" },
    coarse = { type = "string[]", default = { "int4", "fp4", "mxfp4", "nvfp4" } },
    max_error_rate = { type = "number", default = 0.05, doc = "0 to 1; above it an endpoint comes last" },
    min_samples = { type = "integer", default = 30, doc = "fewer measurements than this say nothing" },
  },
  setup = function(p)
    return { prefer = p.prefer, coarse = set.of(p.coarse), max_error_rate = p.max_error_rate, min_samples = p.min_samples }
  end,
  rank = function(req, eps, my)
    if not eps[2] or (req.feat.tools == 0 and not req.feat.json_schema) then return eps end
    local bad, good = rank.split(eps, rough, my)
    if #my.prefer > 0 then good = rank.first(good, function(e) return slug.any(my.prefer, e) end) end
    return rank.join(good, bad)
  end,
}
