-- Claude's own API by way of AWS (InvokeModel): what Converse has no word for, such as server tools and betas.
return {
  listen = "127.0.0.1:8080",
  providers = {
    ["amazon-bedrock"] = {
      dialect = "anthropic", region = "us-east-1", models = false,
      aws = { access_key_id = env "AWS_ACCESS_KEY_ID", secret_access_key = env "AWS_SECRET_ACCESS_KEY" },
      quirks = {
        path = "/model/{model}/invoke", stream_path = "/model/{model}/invoke-with-response-stream",
        version_in_body = "bedrock-2023-05-31", stream_in_body = false, auth = "sigv4", urls = false,
      },
    },
  },
  models = {
    ["anthropic/claude-opus-4.6"] = {
      name = "Claude Opus 4.6", context_length = 1000000, max_output = 128000,
      endpoints = { {
        provider = "amazon-bedrock", model = "us.anthropic.claude-opus-4-6-v1",
        price = { input = 5, output = 25, cache_read = 0.5, cache_write = 6.25 },
        quirks = { thinking = "adaptive", efforts = { "low", "medium", "high", "max" } },
      } },
    },
  },
}
