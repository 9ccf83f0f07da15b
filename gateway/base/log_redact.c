#include "base/log_line.h"

#include <strings.h>

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* Keys that tell themselves: how they begin (bytes[] knows the first letters), and how much must follow. */
static const struct { const char *text; size_t least; } prefixes[] = {
	{ "sk-", 8 }, { "sk_", 8 }, { "rk-", 8 }, { "pk-", 8 }, { "gsk_", 8 }, { "xai-", 8 }, { "pplx-", 8 },
	{ "hf_", 8 }, { "ghp_", 16 }, { "AIza", 16 }, { "AKIA", 12 }, { "ASIA", 12 }, { "ya29.", 8 },
	{ "ABSK", 16 }, { "bedrock-api-key-", 8 },
};

/* What a member or parameter with a secret in it ends in. */
static const char *const names[] = { "key", "token", "secret", "password", "passwd", "signature", "sig", "credential" };

/* A secret: keep bytes stay, the next len go. */
struct found { size_t keep, len; };

static struct found by_prefix(const char *at)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		const char *p = prefixes[i].text;
		size_t n = 1, more;

		if (*p != *at)
			continue;
		while (p[n] && p[n] == at[n])
			n++;
		if (p[n])
			continue;
		more = strspn(at + n, WORD);
		if (more >= prefixes[i].least)
			return (struct found){ 0, n + more };
	}
	return (struct found){ 0, 0 };
}

static struct found by_shape(const char *at)
{
	size_t n, skip;

	if (!strncmp(at, "eyJ", 3)) {	/* a JWT */
		n = strspn(at, WORD ".");
		if (n >= 20 && memchr(at, '.', n))
			return (struct found){ 0, n };
	}
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

/* What a byte may be: part of a word, the first byte of a secret (it only is one
 * behind no word), what stands between a name and its value, or what a line cannot have as it is. */
enum { WORDLY = 1, FIRST = 2, BETWEEN = 4, ODD = 8 };
static const unsigned char bytes[256] = {
	[0 ... ' ' - 1] = ODD, ['"'] = ODD, ['\\'] = ODD, [0x7f ... 0xff] = ODD,
	['='] = BETWEEN, [':'] = BETWEEN, ['0' ... '9'] = WORDLY, ['A' ... 'B'] = WORDLY | FIRST, ['C' ... 'Z'] = WORDLY,
	['a'] = WORDLY, ['b'] = WORDLY | FIRST, ['c' ... 'd'] = WORDLY, ['e'] = WORDLY | FIRST, ['f'] = WORDLY,
	['g' ... 'h'] = WORDLY | FIRST, ['i' ... 'o'] = WORDLY, ['p'] = WORDLY | FIRST, ['q'] = WORDLY, ['r' ... 's'] = WORDLY | FIRST,
	['t' ... 'w'] = WORDLY, ['x' ... 'y'] = WORDLY | FIRST, ['z'] = WORDLY,
};

/* text to end: what was before. */
static struct found secret(const char *text, const char *end, const char *in, unsigned char before)
{
	unsigned char now = bytes[(unsigned char)*in];
	struct found f = { 0, 0 };

	if (now & BETWEEN)
		return by_name(text, end, in);
	if (!(now & FIRST) || before & WORDLY)
		return f;
	f = by_prefix(in);
	return f.len || !strchr("ebB", *in) ? f : by_shape(in);
}

size_t log_secret_at(const char *text, size_t len, bool *plain)
{
	unsigned char now, seen = 0;

	for (size_t i = 0; i < len; ) {
		now = bytes[(unsigned char)text[i]];
		if ((now & (BETWEEN | FIRST)) && secret(text, text + i, text + i, 0).len)
			return i;
		seen |= now;
		i++;
		if (now & WORDLY)	/* in a word none begins */
			while (i < len && (bytes[(unsigned char)text[i]] & WORDLY))
				i++;
	}
	*plain = !(seen & ODD);
	return len;
}

void log_redact(char *text)
{
	bool plain;
	const char *in = text + log_secret_at(text, strlen(text), &plain);
	char *out = text + (in - text);
	unsigned char before = 0;	/* of a secret, nothing is behind a word */

	while (*in) {
		struct found f = secret(text, out, in, before);

		if (!f.len) {
			before = bytes[(unsigned char)*in];
			*out++ = *in++;
			continue;
		}
		memmove(out, in, f.keep);
		memset(out + f.keep, '*', f.len < 3 ? f.len : 3);
		out += f.keep + (f.len < 3 ? f.len : 3);
		in += f.keep + f.len;
		before = 0;
	}
	*out = '\0';
}
