-- The cheapest endpoint first, whatever else was asked; the rest follow by price.
-- A request names it as its `policy`.
return policy {
  name = "cheapest", api = 1, version = "1.0.0",
  params = { input_weight = { type = "number", default = 3.0, doc = "a prompt token counts this often" } },
  rank = function(req, eps, my)
    local w = my.input_weight
    return rank.by(eps, function(e) return (w * e.usd.prompt + e.usd.completion) / (w + 1) end)
  end,
}
