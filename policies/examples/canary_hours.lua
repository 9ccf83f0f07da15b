-- Send 5 % of the users to a new model, only in business hours, and always the same users
-- (a user who switches back and forth between turns notices). Raising `share_bps` adds users,
-- it never swaps them: bucket < 500 is a subset of bucket < 1000.
return policy {
  name = "canary_hours", api = 1, version = "1.0.0",
  params = {
    from = { type = "string", default = "acme/large" },
    to = { type = "string", default = "acme/large-next" },
    share_bps = { type = "integer", default = 500 },
    salt = { type = "string", default = "large-next-1", doc = "change it to draw a new set of users" },
    utc_offset_min = { type = "integer", default = 60 },
    open_min = { type = "integer", default = 540, doc = "09:00 as minutes after midnight, local" },
    close_min = { type = "integer", default = 1020, doc = "17:00" },
  },
  resolve = function(req, my)
    if req.models[1] ~= my.from then return nil end
    local now = time.local_(req.now_ms, my.utc_offset_min)
    if now.weekday == 0 or now.weekday == 6 or now.minute < my.open_min or now.minute >= my.close_min then return nil end
    -- sticky by conversation owner; a request without a user falls back to its API key
    local who = req.key.user ~= "" and req.key.user or req.key.id
    if hash.bps(my.salt .. "|" .. who) >= my.share_bps then return nil end
    -- the old model stays as the fallback, so a broken canary costs latency, not answers
    local models = { my.to }
    for _, m in ipairs(req.models) do models[#models + 1] = m end
    return { models = models, note = "canary " .. my.salt }
  end,
}
