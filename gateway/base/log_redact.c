#include "base/log.h"

#include <ctype.h>
#include <strings.h>

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* Keys that tell themselves: how they begin, and how much must follow. */
static const struct { const char *text; size_t least; } prefixes[] = {
	{ "sk-", 8 }, { "sk_", 8 }, { "rk-", 8 }, { "pk-", 8 }, { "gsk_", 8 }, { "xai-", 8 }, { "pplx-", 8 },
	{ "hf_", 8 }, { "ghp_", 16 }, { "AIza", 16 }, { "AKIA", 12 }, { "ASIA", 12 }, { "ya29.", 8 },
};

/* What a member or parameter with a secret in it ends in. */
static const char *const names[] = { "key", "token", "secret", "password", "passwd", "signature", "sig", "credential" };

/* A secret: keep bytes stay, the next len go. */
struct found { size_t keep, len; };

static struct found by_prefix(const char *at)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t n = strlen(prefixes[i].text), more;

		if (strncmp(at, prefixes[i].text, n))
			continue;
		more = strspn(at + n, WORD);
		if (more >= prefixes[i].least)
			return (struct found){ 0, n + more };
	}
	return (struct found){ 0, 0 };
}

static struct found by_shape(const char *at)
{
	size_t n = strspn(at, WORD "."), skip;

	if (!strncmp(at, "eyJ", 3) && n >= 20 && memchr(at, '.', n))	/* a JWT */
		return (struct found){ 0, n };
	skip = !strncasecmp(at, "bearer ", 7) ? 7 : !strncasecmp(at, "basic ", 6) ? 6 : 0;
	if (skip) {
		skip += strspn(at + skip, " ");
		n = strcspn(at + skip, " \t\r\n\"',;");
		if (n >= 6)	/* shorter is a word: "bearer token" */
			return (struct found){ skip, n };
	}
	return (struct found){ 0, 0 };
}

static bool ends_in(const char *text, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - text) >= n && !strncasecmp(end - n, word, n);
}

/* Behind a name, '=' or ':' at `at`; what comes before it is at text. */
static struct found by_name(const char *text, const char *end, const char *at)
{
	bool quoted = end > text && (end[-1] == '"' || end[-1] == '\'');
	size_t keep = 1, i, n = sizeof(names) / sizeof(names[0]);

	if (*at == ':' && (ends_in(text, end, "authorization") || ends_in(text, end, "-key") || ends_in(text, end, "cookie"))) {
		keep += strspn(at + 1, " ");
		return (struct found){ keep, strcspn(at + keep, "\r\n\"',") };
	}
	if (*at == ':' && !quoted)	/* "api_key: is not set" is no secret */
		return (struct found){ 0, 0 };
	for (i = 0; i < n && !ends_in(text, end - quoted, names[i]); i++)
		;
	if (i == n)
		return (struct found){ 0, 0 };
	keep += strspn(at + 1, " \"'");
	return (struct found){ keep, strcspn(at + keep, " \t\r\n&\"',;)}<>") };
}

void log_redact(char *text)
{
	const char *in = text;
	char *out = text, before = ' ';

	while (*in) {
		struct found f = { 0, 0 };

		if (*in == '=' || *in == ':')
			f = by_name(text, out, in);
		else if (!isalnum((unsigned char)before))
			f = by_prefix(in);
		if (!f.len && !isalnum((unsigned char)before))
			f = by_shape(in);
		if (!f.len) {
			before = *in;
			*out++ = *in++;
			continue;
		}
		memmove(out, in, f.keep);
		memset(out + f.keep, '*', f.len < 3 ? f.len : 3);
		out += f.keep + (f.len < 3 ? f.len : 3);
		in += f.keep + f.len;
		before = ' ';
	}
	*out = '\0';
}
