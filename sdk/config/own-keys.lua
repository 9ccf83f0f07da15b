-- Bring your own key: customers' own accounts with a provider, used before the gateway's. Who it belongs to is
-- a workspace, an organization or a key, by id; what the provider takes goes to the customer's own invoice there,
-- and the gateway charges its fee alone (byok_first, policies/openrouter/).
return {
  listen = "127.0.0.1:8080",
  providers = {
    openai = {
      api_key = env "OPENAI_API_KEY",
      byok = {
        { api_key = env "ACME_OPENAI_API_KEY", private_to = { "ws_acme" } },
        { api_key = env "ACME_SPARE_OPENAI_API_KEY", private_to = { "ws_acme" }, fallback = true }, -- after shared capacity
        { api_key = env "GLOBEX_OPENAI_API_KEY", private_to = { "ws_globex" }, always = true, models = { "openai/gpt-5*" } },
      },
    },
  },
}
