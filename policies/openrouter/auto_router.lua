-- openrouter/auto: the gateway chooses the model, by features of the prompt. Cheap and explainable: rules on
-- counts that it has already (the text itself never enters Lua). An optional classifier can be asked by name
-- (policy.lookups in the configuration); when it is slow or down, the rules decide alone.
--
-- A size has a list of models, best first: the first is tried first, the others are its fallbacks. Models that
-- are not configured are passed over, so the lists may name more than there is. The client narrows them:
--   plugins = [{ id = "auto-router", allowed_models = ["anthropic/*"], excluded_models = ["*-mini"], cost_tier = "low" }]
-- A conversation stays with its model while that may still be chosen. A model that the catalogue has under this
-- very name (an OpenRouter account offers openrouter/auto, too) is left alone; hide it with hidden = true.
local ORDER = { "small", "medium", "large" }
local TIER = { low = 1, medium = 2, high = 3, xhigh = 3, max = 3 }
local NEXT = { { 1, 2, 3 }, { 2, 3, 1 }, { 3, 2, 1 } } -- where a size has nothing that the client lets through

local function rules(f)
  local score, why = 0, {}
  local function add(n, reason) score = score + n; why[#why + 1] = reason end
  if f.prompt_tokens > 20000 then add(2, "long prompt") elseif f.prompt_tokens > 4000 then add(1, "medium prompt") end
  if f.code_blocks > 0 then add(1, "code") end
  if f.tools > 0 then add(1, "tools") end
  if f.json_schema then add(1, "schema") end
  if f.reasoning ~= "none" then add(2, "reasoning asked") end
  if f.turns > 8 then add(1, "long conversation") end
  return math.min(3, 1 + score // 2), why
end

local function size_of(req, my)
  if req.auto_tier ~= "" then return TIER[req.auto_tier], { "cost_tier " .. req.auto_tier } end
  local f = req.feat
  local size, why = rules(f)
  if my.classifier == "" then return size, why end
  local said, err = lookup(my.classifier, { tokens = f.prompt_tokens }, "")
  for i, name in ipairs(ORDER) do
    if said == name then return i, { "classifier" } end
  end
  why[#why + 1] = "classifier " .. (err or "unclear")
  return size, why
end

local function let_through(list, req)
  local out, allowed, excluded = {}, req.auto_allowed, req.auto_excluded
  for _, m in ipairs(list) do
    if (not allowed[1] or glob.any(allowed, m)) and not glob.any(excluded, m) then out[#out + 1] = m end
  end
  return out
end

local function pool_of(req, my)
  if req.feat.images > 0 then
    local pool = let_through(my.vision, req)
    if pool[1] then return pool, "vision", { "images" } end
  end
  local size, why = size_of(req, my)
  for _, i in ipairs(NEXT[size]) do
    local pool = let_through(my[ORDER[i]], req)
    if pool[1] then return pool, ORDER[i], why end
  end
  local named = {} -- whole names that the client allows are candidates, whatever the lists say
  for _, m in ipairs(req.auto_allowed) do
    if not m:has("*") then named[#named + 1] = m end
  end
  return let_through(named, req), "named", why
end

-- OpenRouter has more routers: a client learns that this is none of them, and not that it mistyped a name.
local NONE = {
  ["openrouter/auto-beta"] = "openrouter/auto-beta is not a valid model ID: no policy here answers for it; GET /api/v1/models lists what model may be",
  ["openrouter/free"] = "openrouter/free is not a valid model ID: no policy here answers for it; GET /api/v1/models lists what model may be",
  ["openrouter/pareto-code"] = "openrouter/pareto-code is not a valid model ID: no policy here answers for it; GET /api/v1/models lists what model may be",
  ["openrouter/fusion"] = "openrouter/fusion is not a valid model ID: no policy here answers for it; GET /api/v1/models lists what model may be",
  ["openrouter/fusion-flash"] = "openrouter/fusion-flash is not a valid model ID: no policy here answers for it; GET /api/v1/models lists what model may be",
  ["openrouter/bodybuilder"] = "openrouter/bodybuilder is not a valid model ID: no policy here answers for it; GET /api/v1/models lists what model may be",
}

return policy {
  name = "auto_router", api = 1, version = "1.4.0",
  params = {
    slug = { type = "string", default = "openrouter/auto" },
    small = { type = "string[]", default = { "google/gemini-3-flash", "openai/gpt-5-mini", "anthropic/claude-haiku-4.5",
      "meta-llama/llama-3.3-70b-instruct", "qwen/qwen3-32b", "openai/gpt-4o-mini", "openai/gpt-oss-20b" } },
    medium = { type = "string[]", default = { "anthropic/claude-sonnet-4.5", "openai/gpt-5", "google/gemini-2.5-pro", "deepseek/deepseek-v3.2",
      "z-ai/glm-4.6", "openai/gpt-4o", "openai/gpt-oss-120b" } },
    large = { type = "string[]", default = { "anthropic/claude-opus-4.5", "openai/gpt-5.1", "google/gemini-3-pro-preview", "openai/o3",
      "anthropic/claude-sonnet-4.5", "openai/gpt-5", "deepseek/deepseek-r1-0528" } },
    vision = { type = "string[]", default = { "google/gemini-2.5-pro", "openai/gpt-5", "anthropic/claude-sonnet-4.5", "openai/gpt-4o" } },
    classifier = { type = "string", default = "", doc = "name of a configured lookup; it returns small, medium or large" },
  },
  memo = { resolve = "listed" }, -- a model that the catalogue has is none of its business
  lists = function(my)
    local models = {}
    for _, list in ipairs { my.small, my.medium, my.large, my.vision } do
      for _, m in ipairs(list) do models[#models + 1] = m end
    end
    return { [my.slug] = { name = "Auto Router", models = models,
      description = "Chooses the model by features of the prompt: its length, code, tools, pictures, the reasoning that is asked for." } }
  end,
  resolve = function(req, my)
    if req.listed then return nil end
    local asked = req.models[1]
    if asked ~= my.slug then
      return asked and NONE[asked] and deny { status = 400, code = "model_not_found", message = NONE[asked] } or nil
    end
    local pool, size, why = pool_of(req, my)
    if not pool[1] then
      return deny { status = 404, code = "no_endpoints", message = "No models match your request and model restrictions" }
    end
    local id = req.session ~= "" and sticky.get(req.session)
    local keep = id and string.split(id, "@")[1]
    for i = 2, #pool do
      if pool[i] == keep then table.insert(pool, 1, table.remove(pool, i)); why[#why + 1] = "session"; break end
    end
    return { models = pool, strategy = "auto", note = #why > 0 and size .. ": " .. table.concat(why, ", ") or size }
  end,
}
