-- Anthropic with its known models, and a patient limit for models that think first.
return {
  listen = "127.0.0.1:8080",
  providers = {
    anthropic = { api_key = env "ANTHROPIC_API_KEY", timeouts = { first_output = "5m" } },
  },
}
