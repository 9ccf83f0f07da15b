-- Interactive traffic: first token within the objective. Endpoints whose p90 meets it come first
-- (cheapest among them); if the first token is late, start a second endpoint and take whoever is first.
-- Hedging pays twice for the prompt, so it is capped: at most `hedge_share_bps` of this key's requests,
-- never for expensive prompts, never when both endpoints belong to the same provider.
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
    local after = math.max(first.live.ttft_ms.p90, 200)
    plan.hedge = { after_ms = after, max_extra = 1 }
    return plan
  end,
}
