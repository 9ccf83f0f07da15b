-- OpenAI with its known models: set OPENAI_API_KEY, start, ask for openai/gpt-4o-mini.
return {
  listen = "127.0.0.1:8080",
  providers = {
    openai = { api_key = env "OPENAI_API_KEY" }, -- address, quirks, models and prices are known
  },
}
