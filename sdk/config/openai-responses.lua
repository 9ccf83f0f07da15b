-- OpenAI and xAI by their Responses API: thoughts come back encrypted and go on with the conversation.
-- Address, models, prices and quirks are the known ones.
return {
  listen = "127.0.0.1:8080",
  providers = {
    openai = { dialect = "responses", api_key = env "OPENAI_API_KEY" },
    xai = { dialect = "responses", api_key = env "XAI_API_KEY" },
  },
}
