-- Azure OpenAI three ways: chat completions, the Responses API, and the older addresses with a version.
-- A model is called as its deployment is; entra = { tenant_id, client_id, client_secret } stands in for api_key.
local resource = { resource = "my-resource" }

return {
  listen = "127.0.0.1:8080",
  providers = {
    azure = { api_key = env "AZURE_API_KEY", options = resource, models = false },
    ["azure-responses"] = {
      dialect = "responses", base_url = "https://{resource}.openai.azure.com/openai/v1", options = resource,
      api_key = env "AZURE_API_KEY", quirks = { auth = "api-key" },
    },
    ["azure-classic"] = {
      dialect = "openai", base_url = "https://{resource}.openai.azure.com/openai",
      options = { resource = "my-resource", api_version = "2024-10-21" }, api_key = env "AZURE_API_KEY",
      quirks = { auth = "api-key", path = "/deployments/{model}/chat/completions?api-version={api_version}" },
    },
  },
  models = {
    ["openai/gpt-5"] = {
      name = "GPT-5", context_length = 400000, max_output = 128000,
      endpoints = {
        { provider = "azure-responses", model = "my-gpt-5", price = { input = 1.25, output = 10, cache_read = 0.125 } },
        { provider = "azure", model = "my-gpt-5", price = { input = 1.25, output = 10, cache_read = 0.125 } },
      },
    },
    ["openai/gpt-4o"] = {
      name = "GPT-4o", context_length = 128000, max_output = 16384,
      endpoints = { { provider = "azure-classic", model = "my-gpt-4o", price = { input = 2.5, output = 10, cache_read = 1.25 },
        quirks = { reasoning_out = "none" } } },
    },
  },
}
