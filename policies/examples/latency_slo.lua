-- A latency objective: the first token in time, with a second endpoint when the first one is late.
--
-- What: endpoints whose p90 of the time to the first token meets `ttft_ms` come first, the cheapest of them in
--   front; the others keep their order behind them. If the first token is later than it usually is, a second
--   endpoint is started and whoever is first answers.
-- When: people wait for the answer. A scope of its own (a workspace, or a request that names it) keeps the
--   batch jobs on the cheap endpoints.
-- Set: `ttft_ms`; outside of a workspace's or key's own list order = { rank = "last" }, behind the shipped
--   ranking. Hedging pays twice for the prompt, so it is capped: at most `hedge_share_bps` of the requests,
--   never for dear prompts (`hedge_max_usd`), never when both endpoints belong to the same provider.
return policy {
  name = "latency_slo", api = 1, version = "1.1.0",
  params = {
    ttft_ms = { type = "integer", default = 1500, doc = "objective for the first token, p90" },
    min_samples = { type = "integer", default = 30, doc = "fewer measurements than this say nothing" },
    hedge_share_bps = { type = "integer", default = 500 },
    hedge_max_usd = { type = "number", default = 0.02, doc = "do not hedge if the prompt alone costs more" },
  },
  rank = function(req, eps, my)
    local good, rest = rank.split(eps, function(e)
      return e.live.samples >= my.min_samples and e.live.ttft_ms.p90 <= my.ttft_ms and e.live.cooldown_ms == 0
    end)
    good = rank.by(good, function(e) return e.usd.prompt * 3 + e.usd.completion end)
    return rank.join(good, rest) -- `rest` keeps the order of the policies before this one
  end,
  plan = function(req, eps, my)
    local first, second = eps[1], eps[2]
    local plan = { ttft_timeout_ms = my.ttft_ms * 4, deadline_ms = 60000 }
    if not second or second.provider == first.provider then return plan end
    if first.usd.prompt * req.feat.prompt_tokens / 1000000 > my.hedge_max_usd then return plan end
    if hash.bps(req.id .. "|hedge") >= my.hedge_share_bps then return plan end
    -- wait until the first endpoint is slower than it usually is; hedging at p50 would double the bill
    local after = math.max(math.ceil(first.live.ttft_ms.p90), 200) -- a plan has whole numbers
    plan.hedge = { after_ms = after, max_extra = 1 }
    return plan
  end,
}
