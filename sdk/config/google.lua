-- Gemini from two places: Vertex, with a service account, and AI Studio, with a key, behind it;
-- and Claude at Vertex, by the same account.
local account = env "VERTEX_CREDENTIALS"	-- the key file's text; or: file "/run/credentials/vertex.json"
return {
  listen = "127.0.0.1:8080",
  providers = {
    ["google-vertex"] = { google = { credentials = account }, options = { location = "eu" } },	-- project: the key file's
    ["google-ai-studio"] = { api_key = env "GEMINI_API_KEY" },
    ["google-vertex-anthropic"] = { google = { credentials = account }, options = { location = "global" } },
  },
  models = {
    ["google/gemini-3.5-flash"] = {
      name = "Google: Gemini 3.5 Flash", context_length = 1048576, max_output = 65536,
      endpoints = {
        { provider = "google-vertex", model = "gemini-3.5-flash", price = { input = 1.5, output = 9, cache_read = 0.15 },
          options = { safetySettings = { { category = "HARM_CATEGORY_DANGEROUS_CONTENT", threshold = "BLOCK_ONLY_HIGH" } } } },
        { provider = "google-ai-studio", model = "gemini-3.5-flash", price = { input = 1.5, output = 9, cache_read = 0.15 } },
      },
    },
    ["anthropic/claude-sonnet-4.5"] = {
      name = "Anthropic: Claude Sonnet 4.5", context_length = 200000, max_output = 64000,
      endpoints = {
        { provider = "google-vertex-anthropic", model = "claude-sonnet-4-5@20250929", price = { input = 3, output = 15, cache_read = 0.3, cache_write = 3.75 },
          quirks = { thinking = "budget", sampling = "one" } },
      },
    },
  },
}
