-- OpenRouter behind this gateway: its models by the same names, your keys, budgets and policies in front.
return {
  listen = "127.0.0.1:8080",
  providers = {
    openrouter = { api_key = env "OPENROUTER_API_KEY" },
  },
}
