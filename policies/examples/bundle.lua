-- A bundle on top of the shipped one: guard policies of an operator, and one that a request may name.
return {
  base = "openrouter",
  policies = {
    guard = {
      { use = "data_classes" },
      { use = "eu_only" },
    },
    request = { allow = { "cheapest", "latency_slo" } },
  },
  answers = {
    class_provider = "privacy_restricted: No endpoints found matching your data policy",
    class_zdr = "privacy_restricted: No endpoints found matching your data policy",
    class_trains = "privacy_restricted: No endpoints found matching your data policy",
    class_retention = "privacy_restricted: No endpoints found matching your data policy",
    region = "region_restricted: No endpoints found in the allowed regions",
  },
}
