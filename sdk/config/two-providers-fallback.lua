-- One model, two providers: the cheaper one serves, the other one takes over when it fails.
return {
  listen = "127.0.0.1:8080",
  providers = {
    groq     = { api_key = env "GROQ_API_KEY" },
    together = { api_key = env "TOGETHER_API_KEY" },
  },
  models = {
    ["meta-llama/llama-3.3-70b-instruct"] = {
      name = "Meta: Llama 3.3 70B Instruct", context_length = 131072,
      endpoints = {
        { provider = "groq", model = "llama-3.3-70b-versatile", price = { input = 0.59, output = 0.79 } },
        { provider = "together", model = "meta-llama/Llama-3.3-70B-Instruct-Turbo", price = { input = 0.88, output = 0.88 } },
      },
    },
  },
  limits = { connect = "2s", first_output = "30s" },
}
