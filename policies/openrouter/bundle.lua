-- The shipped policies: OpenRouter's documented behaviour. An operator's bundle says
-- base = "openrouter" and adds to it; a list it gives (guard, default ...) takes the place of ours.
return {
  policies = {
    default = {
      { use = "free_limits" },
      { use = "auto_router" },
      { use = "or_variants" },
      { use = "or_eligibility" },
      { use = "or_context" },
      { use = "or_ranking", with = { outage_window_s = 30 } },
      { use = "byok_first", order = { price = "last" } },
      { use = "or_fallback", order = { on_error = "last" } }, -- it always knows: whoever has an opinion, a guard too, is asked before it
      { use = "price_tiers", order = { price = "first" } }, -- what comes behind it, a guard too, finds the list price in the bill
    },
  },
  -- What the client reads when a filter's reason left nothing: "availability code: text".
  -- How many endpoints each reason dropped is added; which ones never is.
  answers = {
    zdr = "privacy_restricted: No endpoints found matching your data policy",
    data_collection = "privacy_restricted: No endpoints found matching your data policy",
    distillable = "constraint_filtered: No endpoints found that allow distillation",
    only = "constraint_filtered: No allowed providers are available for the selected model",
    ignore = "constraint_filtered: No allowed providers are available for the selected model",
    unranked = "constraint_filtered: No allowed providers are available for the selected model",
    parameter = "constraint_filtered: No endpoints found that support the parameters of the request",
    tools = "constraint_filtered: No endpoints found that support tool use",
    max_price = "constraint_filtered: No endpoints found within max_price",
    quantization = "constraint_filtered: No endpoints found with these quantizations",
    context = "constraint_filtered: No endpoints found with a context length for this request",
    max_tokens = "constraint_filtered: No endpoints found that can produce max_tokens",
  },
  -- What such an answer names in error.availability.excluded_by, in OpenRouter's words.
  excluded_by = {
    zdr = "data_policy:zdr", data_collection = "data_policy:training", only = "allowed_providers", ignore = "allowed_providers",
    unranked = "allowed_providers", parameter = "require_parameters", tools = "require_parameters", max_price = "max_price", quantization = "quantization",
    context = "context_length",
  },
}
