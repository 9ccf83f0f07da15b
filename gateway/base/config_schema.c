/*
 * The table that everything else is made from: checks, defaults, masking,
 * suggestions and the JSON Schema.
 */
#include "base/config_part.h"

#define END { .name = NULL }
#define DAY (INT64_C(86400000))
#define RATE(n, d) { .name = n, .kind = M_PRICE, .doc = d }

static const struct member a_string = { .name = "text", .kind = M_STRING };
static const struct member a_map_of_strings = { .name = "texts", .kind = M_STRING };
static const struct member a_word_list = { .name = "name", .kind = M_STRING };

static const struct member tls[] = {
	{ .name = "cert", .kind = M_PATH, .required = true, .doc = "certificate chain, PEM" },
	{ .name = "key", .kind = M_PATH, .required = true, .doc = "private key, PEM; not readable by others" },
	END };
static const struct member listener[] = {
	{ .name = "at", .kind = M_STRING, .required = true, .doc = "\"127.0.0.1:8080\", \"[::1]:8080\", \"unix:/run/moongate/api.sock\"" },
	{ .name = "tls", .kind = M_OBJECT, .sub = tls, .doc = "speak HTTPS" },
	{ .name = "admin", .kind = M_BOOL, .doc = "answer /api/admin/*; loopback and unix sockets always do" },
	END };
static const struct member price_override[] = {
	{ .name = "min_prompt_tokens", .kind = M_INT, .max = INT64_MAX, .doc = "from so many prompt tokens on" },
	{ .name = "utc_start", .kind = M_STRING, .doc = "from this time of day on, \"23:00\" UTC" },
	{ .name = "utc_end", .kind = M_STRING, .doc = "until this time of day" },
	RATE("input", ""), RATE("output", ""), RATE("cache_read", ""), RATE("cache_write", ""), RATE("cache_write_1h", ""),
	RATE("reasoning", ""), RATE("image_tokens", ""), RATE("audio_in", ""), RATE("audio_cache", ""), RATE("audio_out", ""),
	RATE("image", ""), RATE("search", ""), RATE("request", ""), RATE("character", ""), RATE("second", ""),
	END };
static const struct member a_price_override = { .name = "override", .kind = M_OBJECT, .sub = price_override };
static const struct member price[] = {
	RATE("input", "USD per million prompt tokens"),
	RATE("output", "USD per million completion tokens"),
	RATE("cache_read", "cached prompt tokens; as input where not said"),
	RATE("cache_write", "as input where not said"),
	RATE("cache_write_1h", "as cache_write where not said"),
	RATE("reasoning", "as output where not said"),
	RATE("image_tokens", "image tokens in the prompt; as input where not said"),
	RATE("audio_in", "audio tokens in the prompt; as input where not said"),
	RATE("audio_cache", "cached audio tokens; as cache_read where not said"),
	RATE("audio_out", "as output where not said"),
	RATE("image", "USD per image made"),
	RATE("search", "USD per web search"),
	RATE("request", "USD per request"),
	RATE("character", "USD per million characters of speech input"),
	RATE("second", "USD per second of audio or video"),
	{ .name = "overrides", .kind = M_LIST, .sub = &a_price_override, .doc = "instead, for large prompts or hours of the day; later ones win" },
	END };
static const struct member data[] = {
	{ .name = "known", .kind = M_BOOL, .doc = "somebody verified it; false counts as trains and retains" },
	{ .name = "trains", .kind = M_BOOL, .doc = "prompts may train models" },
	{ .name = "retains", .kind = M_BOOL, .doc = "prompts are kept" },
	{ .name = "retention_days", .kind = M_INT, .max = 36500, .doc = "for how long" },
	{ .name = "zdr", .kind = M_BOOL, .doc = "zero data retention is agreed" },
	{ .name = "region", .kind = M_STRING, .doc = "where the data stays: \"eu\", \"us\"" },
	END };
static const struct member aws[] = {
	{ .name = "access_key_id", .kind = M_SECRET, .doc = "env \"AWS_ACCESS_KEY_ID\"; no keys: looked for where AWS's own tools do" },
	{ .name = "secret_access_key", .kind = M_SECRET, .doc = "env \"AWS_SECRET_ACCESS_KEY\"" },
	{ .name = "session_token", .kind = M_SECRET, .doc = "of temporary credentials: env(\"AWS_SESSION_TOKEN\", \"\")" },
	{ .name = "source", .kind = M_WORD, .words = "environment|web_identity|profile|container|instance", .doc = "only there; default: the first of them that has something" },
	{ .name = "profile", .kind = M_STRING, .doc = "of ~/.aws/credentials and ~/.aws/config; default: $AWS_PROFILE, then \"default\"" },
	{ .name = "role_arn", .kind = M_STRING, .doc = "a role that is assumed with what was found" },
	{ .name = "external_id", .kind = M_STRING, .doc = "that the role asks for" },
	{ .name = "session_name", .kind = M_STRING, .doc = "of the role's session; default: moongate" },
	{ .name = "duration", .kind = M_DURATION, .min = 900000, .max = 43200000, .doc = "of the role's session; default: 1h" },
	{ .name = "web_identity_token_file", .kind = M_PATH, .doc = "a token that is renewed there: the role is assumed with it" },
	{ .name = "sts_url", .kind = M_STRING, .doc = "default: $AWS_ENDPOINT_URL_STS, then https://sts.REGION.amazonaws.com" },
	{ .name = "metadata_url", .kind = M_STRING, .doc = "default: $AWS_EC2_METADATA_SERVICE_ENDPOINT, then http://169.254.169.254" },
	END };
static const struct member google[] = {
	{ .name = "credentials", .kind = M_SECRET, .doc = "file \"KEY.json\" of a service account or a user; absent: the metadata server is asked" },
	{ .name = "subject", .kind = M_STRING, .doc = "on whose behalf, where the account may act for others" },
	{ .name = "scope", .kind = M_STRING, .doc = "instead of the one that the dialect asks for" },
	{ .name = "metadata_url", .kind = M_STRING, .doc = "default: http://metadata.google.internal" },
	END };
static const struct member entra[] = {
	{ .name = "tenant_id", .kind = M_STRING, .doc = "of the application" },
	{ .name = "client_id", .kind = M_STRING, .doc = "of the application, or of one managed identity among several" },
	{ .name = "client_secret", .kind = M_SECRET, .doc = "env \"AZURE_CLIENT_SECRET\"" },
	{ .name = "federated_token_file", .kind = M_PATH, .doc = "instead of it: a token that is renewed there; neither: the managed identity" },
	{ .name = "scope", .kind = M_STRING, .doc = "instead of the one that the dialect asks for" },
	{ .name = "authority", .kind = M_STRING, .doc = "default: https://login.microsoftonline.com; of a managed identity http://169.254.169.254" },
	END };
static const struct member timeouts[] = {
	{ .name = "connect", .kind = M_DURATION, .min = 1, .max = 3600000, .doc = "TCP and TLS" },
	{ .name = "first_output", .kind = M_DURATION, .min = 1, .max = DAY, .doc = "until the first event that carries output" },
	{ .name = "slow", .kind = M_DURATION, .min = 1, .max = DAY, .doc = "output that begins later counts against the endpoint's health; default: half of first_output" },
	{ .name = "idle", .kind = M_DURATION, .min = 1, .max = DAY, .doc = "between bytes after it" },
	{ .name = "total", .kind = M_DURATION, .min = 1, .max = DAY, .doc = "since the request began, attempts elsewhere included" },
	END };
static const struct member byok[] = {
	{ .name = "api_key", .kind = M_SECRET, .doc = "env \"NAME\" or file \"P\"" },
	{ .name = "aws", .kind = M_OBJECT, .sub = aws, .doc = "instead of api_key" },
	{ .name = "google", .kind = M_OBJECT, .sub = google, .doc = "instead of api_key" },
	{ .name = "entra", .kind = M_OBJECT, .sub = entra, .doc = "instead of api_key" },
	{ .name = "private_to", .kind = M_LIST, .sub = &a_word_list, .doc = "ids of organizations, workspaces or keys that may use it; absent: everybody" },
	{ .name = "models", .kind = M_LIST, .sub = &a_word_list, .doc = "that it is for: \"openai/gpt-5\", or the beginning of slugs before a star; absent: all" },
	{ .name = "fallback", .kind = M_BOOL, .fallback = "false", .doc = "tried after shared capacity, not before" },
	{ .name = "always", .kind = M_BOOL, .fallback = "false", .doc = "who has it never gets this provider's shared capacity" },
	{ .name = "base_url", .kind = M_STRING, .doc = "where this account is served; default: the provider's" },
	{ .name = "options", .kind = M_ANY, .doc = "laid over the provider's" },
	{ .name = "data", .kind = M_OBJECT, .sub = data, .doc = "what is agreed for this account, laid over the provider's" },
	END };
static const struct member a_byok = { .name = "key", .kind = M_OBJECT, .sub = byok };
static const struct member provider[] = {
	{ .name = "name", .kind = M_STRING, .doc = "shown to clients" },
	{ .name = "dialect", .kind = M_STRING, .doc = "the plugin that translates: \"openai\", \"anthropic\" ..." },
	{ .name = "base_url", .kind = M_STRING, .doc = "https://..., or http:// for a server of yours; {region}, {name}: from the row or its options" },
	{ .name = "api_key", .kind = M_SECRET, .doc = "env \"NAME\" or file \"P\"" },
	{ .name = "aws", .kind = M_OBJECT, .sub = aws, .doc = "instead of api_key: requests are signed (SigV4) with keys, a role, or what {} finds as AWS's own tools do" },
	{ .name = "google", .kind = M_OBJECT, .sub = google, .doc = "instead of api_key: access tokens of Google are got with it" },
	{ .name = "entra", .kind = M_OBJECT, .sub = entra, .doc = "instead of api_key: access tokens of Microsoft Entra are got with it" },
	{ .name = "byok", .kind = M_LIST, .sub = &a_byok, .doc = "keys of customers' own at this provider, in the order in which they are tried" },
	{ .name = "headers", .kind = M_MAP, .sub = &a_map_of_strings, .doc = "sent with each request" },
	{ .name = "quirks", .kind = M_ANY, .doc = "what this provider does differently; known to its dialect" },
	{ .name = "options", .kind = M_ANY, .doc = "settings of the dialect" },
	{ .name = "data", .kind = M_OBJECT, .sub = data, .doc = "what happens to prompts there" },
	{ .name = "region", .kind = M_STRING, .doc = "part of the tag: \"provider/region\", and of an address with {region}" },
	{ .name = "max_in_flight", .kind = M_INT, .fallback = "0", .max = 1000000, .doc = "requests at once; 0: no limit" },
	{ .name = "timeouts", .kind = M_OBJECT, .sub = timeouts, .doc = "instead of those of limits" },
	{ .name = "on_cancel", .kind = M_WORD, .words = "abort|finish",
	  .doc = "a streaming client leaves: the request is closed (default), or, where it is billed in full anyway, read to its end for the real usage" },
	{ .name = "models", .kind = M_BOOL, .doc = "add the models that are known of this provider; default: when the configuration names none of them" },
	{ .name = "ca", .kind = M_PATH, .doc = "certificates to trust instead of the system's, PEM: an upstream of yours" },
	{ .name = "privacy_url", .kind = M_STRING, .doc = "shown in /providers" },
	{ .name = "terms_url", .kind = M_STRING, .doc = "shown in /providers" },
	{ .name = "status_url", .kind = M_STRING, .doc = "shown in /providers" },
	{ .name = "headquarters", .kind = M_STRING, .doc = "ISO 3166 country" },
	END };
static const struct member a_provider = { .name = "provider", .kind = M_OBJECT, .sub = provider };
static const struct member modalities[] = {
	{ .name = "input", .kind = M_LIST, .sub = &a_word_list, .doc = "text, image, file, audio, video" },
	{ .name = "output", .kind = M_LIST, .sub = &a_word_list, .doc = "text, image, audio, embeddings, rerank, speech, transcription, video" },
	END };
static const struct member endpoint[] = {
	{ .name = "provider", .kind = M_STRING, .required = true, .doc = "one of providers" },
	{ .name = "model", .kind = M_STRING, .doc = "what the provider calls it; default: the slug's last part" },
	{ .name = "price", .kind = M_OBJECT, .sub = price, .doc = "without one, requests are refused; write 0 where it costs nothing" },
	{ .name = "context_length", .kind = M_INT, .max = 1000000000, .doc = "tokens; default: the model's" },
	{ .name = "max_output", .kind = M_INT, .max = 1000000000, .doc = "tokens; default: the model's" },
	{ .name = "quantization", .kind = M_WORD, .fallback = "\"unknown\"",
	  .words = "unknown|int4|int8|fp4|mxfp4|nvfp4|fp6|fp8|mxfp8|fp16|bf16|fp32", .doc = "of the weights" },
	{ .name = "params", .kind = M_LIST, .sub = &a_word_list, .doc = "supported parameters; absent: all are passed on" },
	{ .name = "region", .kind = M_STRING, .doc = "part of the tag" },
	{ .name = "tag", .kind = M_STRING, .doc = "default: provider, /region, /tier" },
	{ .name = "tier", .kind = M_WORD, .fallback = "\"default\"", .words = "default|priority|flex", .doc = "service tier" },
	{ .name = "free", .kind = M_BOOL, .fallback = "false", .doc = "for :free; its limits apply" },
	{ .name = "quirks", .kind = M_ANY, .doc = "laid over the provider's" },
	{ .name = "options", .kind = M_ANY, .doc = "laid over the provider's" },
	{ .name = "distillable", .kind = M_BOOL, .fallback = "false", .doc = "its author allows distillation" },
	{ .name = "private", .kind = M_BOOL, .fallback = "false", .doc = "only for those in private_to, and not listed to clients" },
	{ .name = "private_to", .kind = M_LIST, .sub = &a_word_list, .doc = "ids of organizations, workspaces or keys; the endpoint is private then" },
	END };
static const struct member an_endpoint = { .name = "endpoint", .kind = M_OBJECT, .sub = endpoint };
static const struct member model[] = {
	{ .name = "name", .kind = M_STRING, .doc = "shown to clients" },
	{ .name = "description", .kind = M_STRING, .doc = "shown to clients" },
	{ .name = "created", .kind = M_INT, .max = 253402300799, .doc = "Unix seconds" },
	{ .name = "context_length", .kind = M_INT, .max = 1000000000, .doc = "tokens" },
	{ .name = "max_output", .kind = M_INT, .max = 1000000000, .doc = "tokens" },
	{ .name = "modalities", .kind = M_OBJECT, .sub = modalities, .doc = "default: text to text" },
	{ .name = "tokenizer", .kind = M_STRING, .doc = "\"GPT\", \"Claude\", \"Llama4\" ..." },
	{ .name = "instruct_type", .kind = M_STRING, .doc = "\"chatml\", \"llama3\" ..." },
	{ .name = "canonical", .kind = M_STRING, .doc = "the permanent slug; default: the slug" },
	{ .name = "aliases", .kind = M_LIST, .sub = &a_string, .doc = "other names" },
	{ .name = "alias_of", .kind = M_STRING, .doc = "this name means another model" },
	{ .name = "default_parameters", .kind = M_ANY, .doc = "shown to clients" },
	{ .name = "reasoning", .kind = M_ANY, .doc = "shown to clients: mandatory, supported_efforts ..." },
	{ .name = "hugging_face_id", .kind = M_STRING, .doc = "shown to clients" },
	{ .name = "knowledge_cutoff", .kind = M_STRING, .doc = "YYYY-MM-DD" },
	{ .name = "expiration_date", .kind = M_STRING, .doc = "YYYY-MM-DD" },
	{ .name = "supported_voices", .kind = M_LIST, .sub = &a_word_list, .doc = "of speech models" },
	{ .name = "moderated", .kind = M_BOOL, .doc = "the provider filters content" },
	{ .name = "categories", .kind = M_LIST, .sub = &a_word_list, .doc = "what it is good for: \"programming\", \"legal\" ..." },
	{ .name = "benchmarks", .kind = M_ANY, .doc = "shown to clients: artificial_analysis, design_arena, tool_success_rate" },
	{ .name = "hidden", .kind = M_BOOL, .doc = "is not offered, though it is known of a provider" },
	{ .name = "endpoints", .kind = M_LIST, .sub = &an_endpoint, .doc = "who serves it; over what is known of them" },
	END };
static const struct member a_model = { .name = "model", .kind = M_OBJECT, .sub = model };
static const struct member limits[] = {
	{ .name = "body", .kind = M_SIZE, .fallback = "\"32MiB\"", .min = 1024, .max = INT64_C(1) << 32, .doc = "a request's body" },
	{ .name = "header", .kind = M_SIZE, .fallback = "\"6KiB\"", .min = 1024, .max = 1 << 20, .doc = "a request's head" },
	{ .name = "request", .kind = M_DURATION, .fallback = "\"10m\"", .min = 1000, .max = DAY, .doc = "one request, all attempts" },
	{ .name = "idle", .kind = M_DURATION, .fallback = "\"90s\"", .min = 100, .max = DAY, .doc = "an upstream stream that is silent" },
	{ .name = "connect", .kind = M_DURATION, .fallback = "\"3s\"", .min = 10, .max = 3600000, .doc = "upstream TCP and TLS" },
	{ .name = "first_output", .kind = M_DURATION, .fallback = "\"2m\"", .min = 10, .max = DAY, .doc = "the first event that carries output" },
	{ .name = "connections", .kind = M_INT, .fallback = "0", .max = 10000000, .doc = "clients at once; 0: what the descriptors allow" },
	{ .name = "connections_per_ip", .kind = M_INT, .fallback = "0", .max = 10000000, .doc = "0: no limit" },
	{ .name = "half_close", .kind = M_BOOL, .fallback = "false", .doc = "a client that closes its sending side still gets its answer" },
	{ .name = "early_comments", .kind = M_DURATION, .fallback = "0", .max = DAY, .doc = "comments before the first event after so long; 0: never" },
	{ .name = "upstream_idle", .kind = M_DURATION, .fallback = "\"118s\"", .min = 1000, .max = 3600000, .doc = "a connection to an upstream that nobody uses is kept so long; less than the upstream keeps it" },
	{ .name = "stall", .kind = M_DURATION, .fallback = "\"60s\"", .min = 1000, .max = DAY, .doc = "a client that does not read" },
	{ .name = "attempts", .kind = M_INT, .fallback = "6", .min = 1, .max = 6, .doc = "upstream attempts a request; a plan may ask for fewer" },
	{ .name = "attempts_per_model", .kind = M_INT, .fallback = "3", .min = 1, .max = 3, .doc = "of them" },
	{ .name = "hedge_percent", .kind = M_INT, .fallback = "5", .max = 100, .doc = "of the requests to a provider, those that may ask another one, too, where a plan wants it; 0: none" },
	{ .name = "hedge_price_percent", .kind = M_INT, .fallback = "200", .max = 10000, .doc = "what a hedge may cost, of what the first attempt may" },
	{ .name = "unattended", .kind = M_INT, .fallback = "64", .max = 1000000, .doc = "streams at once that are read to their end after their clients left (on_cancel of a provider); 0: none" },
	{ .name = "drain", .kind = M_DURATION, .fallback = "\"30s\"", .max = DAY, .doc = "for requests in flight at the end" },
	{ .name = "drain_delay", .kind = M_DURATION, .fallback = "0", .max = 3600000, .doc = "unready, but still serving, before that" },
	{ .name = "keep_alive", .kind = M_DURATION, .fallback = "\"10s\"", .min = 100, .max = 3600000, .doc = "between comments of a silent stream" },
	END };
static const struct member fetch[] = {
	{ .name = "enabled", .kind = M_BOOL, .fallback = "true", .doc = "https URLs of images and files are fetched for upstreams that take bytes alone" },
	{ .name = "size", .kind = M_SIZE, .fallback = "\"20MiB\"", .min = 1024, .max = 1 << 28, .doc = "of all of a request together" },
	{ .name = "count", .kind = M_INT, .fallback = "20", .min = 1, .max = 64, .doc = "of one request" },
	{ .name = "time", .kind = M_DURATION, .fallback = "\"20s\"", .min = 100, .max = 3600000, .doc = "for each" },
	{ .name = "allow", .kind = M_LIST, .fallback = "[]", .sub = &a_string, .doc = "origins that may be private, or http: \"http://images.internal:8080\"" },
	END };
static const struct member logging[] = {
	{ .name = "level", .kind = M_WORD, .fallback = "\"info\"", .words = "error|warn|info|debug", .doc = "" },
	{ .name = "format", .kind = M_WORD, .fallback = "\"auto\"", .words = "auto|json|text", .doc = "auto: text on a terminal, else json" },
	{ .name = "file", .kind = M_PATH, .doc = "instead of stderr; reopened on SIGUSR1" },
	{ .name = "content", .kind = M_BOOL, .fallback = "false", .refused = true, .later = "prompts and answers are kept nowhere by this build", .doc = "false is what it does" },
	{ .name = "retention", .kind = M_DURATION, .fallback = "\"30d\"", .min = 30 * DAY, .max = 30 * DAY,
	  .doc = "of what is kept of a request; a policy says another time: retain, ttl_s" },
	END };
/* What is asked for there and not done yet, a start, a reload and config check tell. */
static const struct member otlp[] = {
	{ .name = "endpoint", .kind = M_STRING, .fallback = "\"\"", .later = "this build sends no traces", .doc = "\"http://collector:4318\"; \"\": off" },
	{ .name = "sample", .kind = M_PRICE, .fallback = "\"1\"", .doc = "part of the requests, 0 to 1" },
	END };
static const struct member metrics[] = {
	{ .name = "token", .kind = M_SECRET, .doc = "/metrics asks for it, or for a management key; absent: for neither" },
	END };
static const struct member telemetry[] = {
	{ .name = "metrics", .kind = M_OBJECT, .fallback = "{}", .sub = metrics, .doc = "Prometheus" },
	{ .name = "otlp", .kind = M_OBJECT, .fallback = "{}", .sub = otlp, .doc = "traces" },
	END };
static const struct member ui[] = {
	{ .name = "enabled", .kind = M_BOOL, .fallback = "false", .later = "this build has no console", .doc = "serve the console at /ui/" },
	END };
static const struct member a_label = { .name = "label", .kind = M_STRING };
static const struct member lookup[] = {
	{ .name = "url", .kind = M_STRING, .required = true, .doc = "https://host/path, or http:// for a server of yours" },
	{ .name = "method", .kind = M_WORD, .words = "POST|PUT|GET", .doc = "default: POST with the argument as its JSON body, or GET where query is said" },
	{ .name = "query", .kind = M_STRING, .doc = "the argument goes as this member of the query instead, a text as it is" },
	{ .name = "headers", .kind = M_MAP, .sub = &(const struct member){ .name = "header", .kind = M_SECRET }, .doc = "sent with each" },
	{ .name = "timeout", .kind = M_DURATION, .fallback = "\"200ms\"", .min = 1, .max = 250, .doc = "then the policy goes on with its fallback" },
	{ .name = "ttl", .kind = M_DURATION, .fallback = "0", .max = DAY, .doc = "an answer is kept so long for the same argument; 0: each is asked for" },
	{ .name = "ca", .kind = M_PATH, .doc = "certificates to trust instead of the system's, PEM" },
	END };
static const struct member a_lookup = { .name = "lookup", .kind = M_OBJECT, .sub = lookup };
static const struct member policy[] = {
	{ .name = "bundle", .kind = M_PATH, .doc = "a folder with bundle.lua; absent: the shipped one" },
	{ .name = "unchecked", .kind = M_BOOL, .fallback = "false",
	  .doc = "to try things: that folder goes live though check, tests or lost guards speak against it, and stays, however it fails" },
	{ .name = "lookups", .kind = M_MAP, .fallback = "{}", .sub = &a_lookup, .doc = "services that policies may ask by name, with lookup()" },
	{ .name = "labels", .kind = M_MAP, .fallback = "{}", .sub = &a_label,
	  .doc = "req.labels of policies, by name: where a request says it: a header, \"x-team\", or a member of its metadata, \"metadata.team\"" },
	END };
static const struct member credits[] = {
	{ .name = "enabled", .kind = M_BOOL, .fallback = "false", .doc = "requests are paid from a balance" },
	{ .name = "initial", .kind = M_PRICE, .fallback = "\"0\"", .doc = "USD that the balance begins with; 'moongate credits add' adds more" },
	END };
static const struct member ledger[] = {
	{ .name = "durable", .kind = M_WORD, .fallback = "\"process\"", .words = "process|power",
	  .doc = "process: what a client saw finish survives kill -9, and is on the disk 25 ms or 1,024 rows later; power: each answer waits for the disk" },
	END };
static const struct member cors[] = {
	{ .name = "origins", .kind = M_LIST, .fallback = "[]", .sub = &a_string, .doc = "that browsers may call from" },
	END };
static const struct member plugins[] = {
	{ .name = "dir", .kind = M_PATH, .doc = "where *.so lie; default: beside the binary" },
	{ .name = "sha256", .kind = M_LIST, .fallback = "[]", .sub = &a_string, .doc = "of the files that may be loaded, as plugin info prints it; none: all that lie there" },
	END };
static const struct member root[] = {
	{ .name = "listen", .kind = M_LISTEN, .fallback = "[\"127.0.0.1:8080\"]", .sub = listener, .doc = "where clients connect" },
	{ .name = "data_dir", .kind = M_PATH, .doc = "store and journals; default: $XDG_STATE_HOME/moongate" },
	{ .name = "dev", .kind = M_BOOL, .fallback = "false", .doc = "allows secrets written in the file" },
	{ .name = "management_key", .kind = M_SECRET, .doc = "a first key for the management API" },
	{ .name = "workers", .kind = M_INT, .fallback = "0", .max = 64, .doc = "threads; 0: one a core" },
	{ .name = "plugins", .kind = M_OBJECT, .fallback = "{}", .sub = plugins, .doc = "" },
	{ .name = "providers", .kind = M_MAP, .fallback = "{}", .sub = &a_provider, .doc = "by slug" },
	{ .name = "models", .kind = M_MAP, .fallback = "{}", .sub = &a_model, .doc = "by slug, \"author/name\"" },
	{ .name = "policy", .kind = M_OBJECT, .fallback = "{}", .sub = policy, .doc = "" },
	{ .name = "limits", .kind = M_OBJECT, .fallback = "{}", .sub = limits, .doc = "" },
	{ .name = "fetch", .kind = M_OBJECT, .fallback = "{}", .sub = fetch, .doc = "what requests point to" },
	{ .name = "logging", .kind = M_OBJECT, .fallback = "{}", .sub = logging, .doc = "" },
	{ .name = "telemetry", .kind = M_OBJECT, .fallback = "{}", .sub = telemetry, .doc = "" },
	{ .name = "ui", .kind = M_OBJECT, .fallback = "{}", .sub = ui, .doc = "" },
	{ .name = "credits", .kind = M_OBJECT, .fallback = "{}", .sub = credits, .doc = "" },
	{ .name = "ledger", .kind = M_OBJECT, .fallback = "{}", .sub = ledger, .doc = "" },
	{ .name = "cors", .kind = M_OBJECT, .fallback = "{}", .sub = cors, .doc = "" },
	END };
const struct member config_root = { .name = "", .kind = M_OBJECT, .sub = root };

const struct member *member_find(const struct member *object, const char *name)
{
	for (const struct member *m = object->sub; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

/* ---- JSON Schema */

static json_t *schema_of(const struct member *m);

static json_t *schema_object(const struct member *m)
{
	json_t *members = json_object(), *required = json_array(), *out;

	for (const struct member *s = m->sub; s->name; s++) {
		json_object_set_new(members, s->name, schema_of(s));
		if (s->required)
			json_array_append_new(required, json_string(s->name));
	}
	out = json_pack("{s:s, s:o, s:{s:{}}, s:b}", "type", "object", "properties", members,
		"patternProperties", "^x_", "additionalProperties", 0);
	if (json_array_size(required))
		json_object_set(out, "required", required);
	json_decref(required);
	return out;
}

static json_t *schema_words(const char *words)
{
	json_t *list = json_array();

	for (const char *end; *words; words = *end ? end + 1 : end) {
		end = words + strcspn(words, "|");
		json_array_append_new(list, json_stringn(words, (size_t)(end - words)));
	}
	return json_pack("{s:o}", "enum", list);
}

static json_t *schema_int(const struct member *m)
{
	json_t *out = json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)m->min);

	if (m->max)
		json_object_set_new(out, "maximum", json_integer(m->max));
	return out;
}

static json_t *schema_kind(const struct member *m)
{
	switch (m->kind) {
	case M_STRING:
	case M_PATH:
		return json_pack("{s:s}", "type", "string");
	case M_SECRET:
		return json_pack("{s:[{s:s}, {s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}}}], s:b}", "anyOf", "type", "string", "type", "object",
			"properties", "$env", "type", "string", "$file", "type", "string", "default", "type", "string", "writeOnly", 1);
	case M_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case M_INT:
		return schema_int(m);
	case M_DURATION:
		return json_pack("{s:[{s:s, s:s}, {s:s, s:i}]}", "anyOf", "type", "string", "pattern",
			"^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$", "type", "integer", "const", 0);
	case M_SIZE:
		return json_pack("{s:[{s:s, s:s}, {s:s, s:i}]}", "anyOf", "type", "string", "pattern",
			"^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB)$", "type", "integer", "minimum", 0);
	case M_PRICE:
		return json_pack("{s:[{s:s, s:i}, {s:s, s:s}]}", "anyOf", "type", "number", "minimum", 0, "type", "string",
			"pattern", "^[0-9]+(\\.[0-9]+)?([eE]-?[0-9]+)?$");
	case M_WORD:
		return schema_words(m->words);
	case M_OBJECT:
		return schema_object(m);
	case M_MAP:
		return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", schema_of(m->sub));
	case M_LIST:
		return json_pack("{s:s, s:o}", "type", "array", "items", schema_of(m->sub));
	case M_LISTEN:
		return json_pack("{s:[{s:s}, {s:s, s:{s:[{s:s}, o]}}]}", "anyOf", "type", "string", "type", "array",
			"items", "anyOf", "type", "string", schema_object(m));
	case M_ANY:
		break;
	}
	return json_pack("{s:s}", "type", "object");
}

static json_t *schema_of(const struct member *m)
{
	json_t *out = schema_kind(m);

	if (m->doc && *m->doc)
		json_object_set_new(out, "description", json_string(m->doc));
	if (m->fallback)
		json_object_set_new(out, "default", json_loads(m->fallback, JSON_DECODE_ANY, NULL));
	return out;
}

json_t *config_schema(void)
{
	json_t *out = schema_of(&config_root);

	json_object_set_new(out, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(out, "title", json_string("moongate configuration"));
	return out;
}
