-- openrouter/auto, decided by features of the prompt. Cheap and explainable: rules on counts the
-- gateway has already computed (the text itself never enters Lua). An optional classifier can be
-- asked by name; if it is slow or down, the rules decide alone.
local ORDER = { "small", "medium", "large" }

local function rules(f)
  local score, why = 0, {}
  local function add(n, reason) score = score + n; why[#why + 1] = reason end
  if f.prompt_tokens > 20000 then add(2, "long prompt") elseif f.prompt_tokens > 4000 then add(1, "medium prompt") end
  if f.code_blocks > 0 then add(1, "code") end
  if f.tools > 0 then add(1, "tools") end
  if f.json_schema then add(1, "schema") end
  if f.reasoning ~= "none" then add(2, "reasoning asked") end
  if f.turns > 8 then add(1, "long conversation") end
  return score, why
end

return policy {
  name = "auto_router", api = 1, version = "1.3.0",
  params = {
    slug = { type = "string", default = "openrouter/auto" },
    small = { type = "string[]", default = { "acme/small", "onprem/llama-8b" } },
    medium = { type = "string[]", default = { "acme/medium", "acme/large" } },
    large = { type = "string[]", default = { "acme/large", "other/large" } },
    vision = { type = "string[]", default = { "acme/vision", "acme/large" } },
    classifier = { type = "string", default = "", doc = "name of a configured lookup; it returns small, medium or large" },
  },
  resolve = function(req, my)
    if req.models[1] ~= my.slug then return nil end
    local f, tier, why = req.feat, nil, nil
    if f.images > 0 then
      tier, why = "vision", { "images" }
    else
      local score
      score, why = rules(f)
      tier = ORDER[math.min(3, 1 + score // 2)]
      if my.classifier ~= "" then
        local said, err = lookup(my.classifier, { tokens = f.prompt_tokens, lang = f.lang }, nil)
        if said == "small" or said == "medium" or said == "large" then
          tier, why = said, { "classifier" }
        else
          why[#why + 1] = "classifier " .. (err or "unclear")
        end
      end
    end
    -- the client may restrict the pool: plugins=[{id="auto-router", allowed_models={"anthropic/*"}}]
    local pool = {}
    for _, m in ipairs(my[tier]) do
      local allowed, excluded = req.auto_allowed or {}, req.auto_excluded or {}
      if (#allowed == 0 or glob.any(allowed, m)) and not glob.any(excluded, m) then pool[#pool + 1] = m end
    end
    if #pool == 0 then
      return deny { status = 404, code = "no_model", message = "No models match your request and model restrictions" }
    end
    -- stay with the model of this conversation while it is still a candidate
    local keep = req.session ~= "" and sticky.get("auto:" .. req.session) or nil
    for i, m in ipairs(pool) do
      if m == keep then table.remove(pool, i); table.insert(pool, 1, m); why[#why + 1] = "session"; break end
    end
    return { models = pool, strategy = "auto", note = tier .. ": " .. table.concat(why, ", ") }
  end,
}
