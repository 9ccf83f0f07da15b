-- A model on machines of your own: two vLLM servers, nothing leaves the house, nothing costs money.
local function server(host)
  return {
    dialect = "openai", base_url = "http://" .. host .. ":8000/v1", max_in_flight = 64,
    data = { trains = false, retains = false, retention_days = 0, zdr = true },
  }
end

local function llama(provider)
  return { provider = provider, model = "llama-4", price = { input = 0, output = 0 }, quantization = "bf16" }
end

return {
  listen = "127.0.0.1:8080",
  providers = { vllm_a = server "10.0.0.5", vllm_b = server "10.0.0.6" },
  models = {
    ["meta/llama-4"] = {
      name = "Meta: Llama 4", context_length = 131072, max_output = 8192,
      aliases = { "llama" },
      endpoints = { llama "vllm_a", llama "vllm_b" },
    },
  },
}
