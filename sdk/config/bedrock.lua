-- AWS Bedrock: requests are signed with the keys of the environment. An API key of Bedrock goes into api_key
-- instead of aws. Models, prices and how each of them thinks are known; `models` names more, or others.
return {
  listen = "127.0.0.1:8080",
  providers = {
    ["amazon-bedrock"] = {
      region = "us-east-1", -- part of the address, and of the signature
      aws = {
        access_key_id = env "AWS_ACCESS_KEY_ID", secret_access_key = env "AWS_SECRET_ACCESS_KEY",
        session_token = env("AWS_SESSION_TOKEN", ""), -- of temporary credentials; `moongate reload` reads new ones
      },
      -- options = { guardrailConfig = { guardrailIdentifier = "abc", guardrailVersion = "1" } },
    },
  },
}
