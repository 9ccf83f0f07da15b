/* One name for one model; slug.h has examples. */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include "catalog/slug.h"

enum { NAME_MAX_BYTES = 200, FORMS = 3 };

/* Three maps from a form of the name to the slug, the strictest first. */
struct slugs { json_t *forms[FORMS]; };

struct slugs *slugs_new(void)
{
	struct slugs *s = calloc(1, sizeof(*s));

	for (int i = 0; s && i < FORMS; i++)
		s->forms[i] = json_object();
	return s;
}

void slugs_free(struct slugs *s)
{
	for (int i = 0; s && i < FORMS; i++)
		json_decref(s->forms[i]);
	free(s);
}

/* ------------------------------------------------ who made it */

/* As providers write an author, and as its slug is. */
static const struct { const char *written, *slug; } authors[] = {
	{ "deepseek-ai", "deepseek" }, { "zai-org", "z-ai" }, { "thudm", "z-ai" }, { "zhipuai", "z-ai" }, { "zai", "z-ai" },
	{ "minimaxai", "minimax" }, { "mistral", "mistralai" }, { "meta", "meta-llama" }, { "xai", "x-ai" }, { "xiaomimimo", "xiaomi" },
	{ "stepfun-ai", "stepfun" }, { "baidu-ernie", "baidu" }, { "google-deepmind", "google" }, { "alibaba", "qwen" },
	{ "moonshot", "moonshotai" }, { "nous", "nousresearch" }, { "tngtech", "tngtech" }, { "ibm", "ibm-granite" },
	{ "bytedance", "bytedance-seed" }, { "amazon-nova", "amazon" },
};

/* What a model's name begins with, and who makes such. */
static const struct { const char *begin, *author; } families[] = {
	{ "claude", "anthropic" }, { "gpt", "openai" }, { "chatgpt", "openai" }, { "o1", "openai" }, { "o3", "openai" }, { "o4", "openai" },
	{ "text-embedding-3", "openai" }, { "text-embedding-ada", "openai" }, { "whisper", "openai" }, { "dall-e", "openai" },
	{ "codex", "openai" }, { "sora", "openai" }, { "tts-1", "openai" }, { "gemini", "google" }, { "gemma", "google" }, { "veo", "google" },
	{ "imagen", "google" }, { "llama", "meta-llama" }, { "qwen", "qwen" }, { "qwq", "qwen" }, { "qvq", "qwen" }, { "deepseek", "deepseek" },
	{ "glm", "z-ai" }, { "kimi", "moonshotai" }, { "moonshot", "moonshotai" }, { "minimax", "minimax" }, { "mistral", "mistralai" },
	{ "mixtral", "mistralai" }, { "ministral", "mistralai" }, { "magistral", "mistralai" }, { "codestral", "mistralai" },
	{ "devstral", "mistralai" }, { "pixtral", "mistralai" }, { "voxtral", "mistralai" }, { "open-mistral", "mistralai" },
	{ "open-mixtral", "mistralai" }, { "grok", "x-ai" }, { "nova", "amazon" }, { "titan", "amazon" }, { "command", "cohere" },
	{ "c4ai", "cohere" }, { "embed-", "cohere" }, { "rerank-", "cohere" }, { "phi", "microsoft" }, { "sonar", "perplexity" },
	{ "nemotron", "nvidia" }, { "granite", "ibm-granite" }, { "mimo", "xiaomi" }, { "step-", "stepfun" }, { "ernie", "baidu" },
	{ "hunyuan", "tencent" }, { "jamba", "ai21" }, { "seed", "bytedance-seed" }, { "doubao", "bytedance-seed" },
	{ "hermes", "nousresearch" }, { "longcat", "meituan" }, { "olmo", "allenai" }, { "lfm", "liquid" }, { "palmyra", "writer" },
	{ "solar", "upstage" }, { "mercury", "inception" }, { "reka", "rekaai" }, { "ling-", "inclusionai" }, { "ring-", "inclusionai" },
	{ "voyage", "voyageai" }, { "jina", "jinaai" }, { "flux", "black-forest-labs" },
};

static const char *author_of(const char *begin, size_t len, const char *name, const char *fallback)
{
	for (size_t i = 0; i < sizeof(authors) / sizeof(authors[0]); i++)
		if (strlen(authors[i].written) == len && !memcmp(authors[i].written, begin, len))
			return authors[i].slug;
	for (size_t i = 0; !len && i < sizeof(families) / sizeof(families[0]); i++)
		if (!strncmp(name, families[i].begin, strlen(families[i].begin)))
			return families[i].author;
	return len ? NULL : fallback;		/* NULL: as it is written */
}

/* ------------------------------------------------ forms of a name */

struct name { char author[64], text[NAME_MAX_BYTES]; char region[16]; };

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static void drop_front(char *text, size_t n)
{
	memmove(text, text + n, strlen(text + n) + 1);
}

/* Bedrock's: "us.", then "anthropic.". */
static void drop_places(struct name *n)
{
	static const char *const regions[] = { "us", "eu", "apac", "au", "jp", "ca", "us-gov", "global" };
	static const char *const vendors[] = { "anthropic", "amazon", "meta", "mistral", "cohere", "deepseek", "qwen", "openai", "ai21",
		"google", "minimax", "moonshotai", "moonshot", "nvidia", "writer", "zai", "twelvelabs", "stability" };

	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		size_t len = strlen(regions[i]);

		if (begins(n->text, regions[i]) && n->text[len] == '.') {
			snprintf(n->region, sizeof(n->region), "%s", regions[i]);
			drop_front(n->text, len + 1);
			break;
		}
	}
	for (size_t i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++) {
		size_t len = strlen(vendors[i]);

		if (begins(n->text, vendors[i]) && n->text[len] == '.' && isalpha((unsigned char)n->text[len + 1])) {
			snprintf(n->author, sizeof(n->author), "%s", vendors[i]);
			drop_front(n->text, len + 1);
			break;
		}
	}
}

/* "glm-5p1" is how some write 5.1. */
static void points(char *text)
{
	for (size_t i = 1; text[i] && text[i + 1]; i++)
		if (text[i] == 'p' && isdigit((unsigned char)text[i - 1]) && isdigit((unsigned char)text[i + 1]))
			text[i] = '.';
}

static void split(struct name *n, struct mg_str from)
{
	size_t len = from.len < sizeof(n->text) - 1 ? from.len : sizeof(n->text) - 1;
	char *slash, *cut;

	memset(n, 0, sizeof(*n));
	for (size_t i = 0; i < len; i++)
		n->text[i] = (char)(isspace((unsigned char)from.at[i]) || from.at[i] == '_' ? '-' : tolower((unsigned char)from.at[i]));
	for (const char *const *p = (const char *const[]){ "@cf/", "@hf/", "hf:", "workers-ai/", NULL }; *p; p++)
		if (begins(n->text, *p))
			drop_front(n->text, strlen(*p));
	slash = strrchr(n->text, '/');
	if (slash) {
		char *before = slash;

		*slash = '\0';
		while (before > n->text && before[-1] != '/')
			before--;
		if (strcmp(before, "models") && strcmp(before, "routers"))	/* accounts/fireworks/models/... */
			snprintf(n->author, sizeof(n->author), "%.63s", before);
		drop_front(n->text, (size_t)(slash + 1 - n->text));
	}
	drop_places(n);
	cut = strpbrk(n->text, "@:");
	if (cut)
		*cut = '\0';
	points(n->text);
}

static bool digits(const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)at[i]))
			return false;
	return true;
}

/* "-20250929", "-2024-08-06", and what Bedrock puts behind: "-v1". */
static void drop_date(char *text)
{
	size_t len = strlen(text);

	if (len > 3 && text[len - 3] == '-' && text[len - 2] == 'v' && isdigit((unsigned char)text[len - 1]))
		text[len -= 3] = '\0';
	if (len > 9 && text[len - 9] == '-' && text[len - 8] == '2' && digits(text + len - 8, 8))
		text[len - 9] = '\0';
	else if (len > 11 && text[len - 11] == '-' && digits(text + len - 10, 4) && text[len - 6] == '-' && digits(text + len - 5, 2)
		&& text[len - 3] == '-' && digits(text + len - 2, 2))
		text[len - 11] = '\0';
}

/* Words of how it is served, not of what it is. */
static void drop_service(char *text)
{
	static const char *const words[] = { "-instruct", "-it", "-maas", "-hf", "-fp8", "-fp4", "-nvfp4", "-bf16", "-awq", "-int4", "-tput",
		"-tee", "-versatile", "-instant", "-latest", "-fast", "-turbo", "-original", "-dev", "-default" };
	bool again = true;

	while (again) {
		size_t len = strlen(text);

		again = false;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && !again; i++) {
			size_t n = strlen(words[i]);

			again = len > n + 2 && !strcmp(text + len - n, words[i]);
			if (again)
				text[len - n] = '\0';
		}
	}
}

/* Dots and hyphens are written as everybody likes. */
static void flat(char *text)
{
	for (; *text; text++)
		if (*text == '.')
			*text = '-';
}

static void form(const char *text, int level, char out[NAME_MAX_BYTES])
{
	snprintf(out, NAME_MAX_BYTES, "%s", text);
	if (level > 0)
		drop_date(out);
	if (level > 1)
		drop_service(out);
	flat(out);
}

void slugs_add(struct slugs *s, struct mg_str slug)
{
	struct name n;
	char key[NAME_MAX_BYTES];

	split(&n, slug);
	for (int i = 0; i < FORMS; i++) {
		form(n.text, i, key);
		/* The plain name has a form rather than a dated or a served one. */
		if (!json_object_get(s->forms[i], key) || json_string_length(json_object_get(s->forms[i], key)) > slug.len)
			json_object_set_new(s->forms[i], key, json_stringn(slug.at, slug.len));
	}
}

/* Another maker's model of the same name is another model. */
static bool same_author(const char *slug, const char *author)
{
	size_t len = strcspn(slug, "/");

	return !*author || (strlen(author) == len && !memcmp(slug, author, len));
}

struct mg_str slug_of(const struct slugs *s, struct pool *p, struct mg_str name, const char *fallback, struct mg_str *region)
{
	struct name n;
	char key[NAME_MAX_BYTES];
	const char *author, *known;

	split(&n, name);
	author = author_of(n.author, strlen(n.author), n.text, fallback);
	if (!author)
		author = n.author;
	*region = pool_print(p, "%s", n.region);
	for (int i = 0; i < FORMS; i++) {
		form(n.text, i, key);
		known = json_string_value(json_object_get(s->forms[i], key));
		if (known && (same_author(known, author) || author == fallback))
			return pool_print(p, "%s", known);
	}
	drop_date(n.text);
	return pool_print(p, "%s/%s", author, n.text);
}
