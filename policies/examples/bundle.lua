-- A bundle on top of the shipped one: guard policies of an operator, and some that a request may name.
return {
  base = "openrouter",
  policies = {
    guard = {
      { use = "data_classes" },
      { use = "eu_only", with = { only_for = { "ws_eu" } } },
      { use = "private_first", order = { rank = "last" } }, -- a ranking has its word behind the shipped one
    },
    request = { allow = { "cheapest", "latency_slo", "tool_quality" } },
  },
  -- what the client reads when one of these reasons left nothing
  answers = {
    class_provider = "privacy_restricted: No endpoints found matching your data policy",
    class_zdr = "privacy_restricted: No endpoints found matching your data policy",
    class_trains = "privacy_restricted: No endpoints found matching your data policy",
    class_retention = "privacy_restricted: No endpoints found matching your data policy",
    region = "region_restricted: No endpoints found in the allowed regions",
    logs_region = "region_restricted: No endpoints found in the allowed regions",
    team_model = "constraint_filtered: Your team may not use this model",
    stay_local = "constraint_filtered: Your workspace is served on premises only",
  },
  -- and what its error.availability.excluded_by says
  excluded_by = {
    class_provider = "allowed_providers", class_zdr = "data_policy:zdr", class_trains = "data_policy:training", region = "data_region",
    logs_region = "data_region", stay_local = "allowed_providers",
  },
}
