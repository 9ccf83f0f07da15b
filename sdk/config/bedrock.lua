-- AWS Bedrock: requests are signed. aws = {} finds credentials as AWS's own tools do: the environment, a web
-- identity, a profile, the container's, the instance's. An API key of Bedrock goes into api_key instead.
-- Models, prices and how each of them thinks are known; `models` names more, or others.
return {
  listen = "127.0.0.1:8080",
  providers = {
    ["amazon-bedrock"] = {
      region = "us-east-1", -- part of the address, and of the signature
      aws = {
        -- access_key_id = env "AWS_ACCESS_KEY_ID", secret_access_key = env "AWS_SECRET_ACCESS_KEY",
        -- role_arn = "arn:aws:iam::123456789012:role/gateway", -- assumed with what was found, and renewed
      },
      -- options = { guardrailConfig = { guardrailIdentifier = "abc", guardrailVersion = "1" } },
    },
  },
}
