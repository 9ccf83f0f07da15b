#include "base/log_line.h"
#include "base/clock.h"
#include "base/digits.h"
#include "base/utf8.h"

#include <time.h>

enum { TEXT = 4096, SECOND = 20, LAST = 8, WORD_MAX = 256 };	/* LAST: bytes that stay free for what closes the line */

static bool add(struct line *l, const char *at, size_t n)
{
	if (l->cut || n > LINE_MAX_BYTES - LAST - l->len) {
		l->cut = true;
		return false;
	}
	memcpy(l->at + l->len, at, n);
	l->len += n;
	return true;
}

static void add_byte(struct line *l, char c)
{
	add(l, &c, 1);
}

/* ---- time: the calendar once a second, the rest each time */

static _Thread_local struct { int64_t second; char text[32]; } calendar = { INT64_MIN, "" };

static void add_time(struct line *l)
{
	struct timespec t;
	char us[8] = { '.', 0, 0, 0, 0, 0, 0, 'Z' };
	long n;

	clock_gettime(CLOCK_REALTIME, &t);
	if (t.tv_sec != calendar.second) {
		clock_rfc3339((int64_t)t.tv_sec * 1000, calendar.text);
		calendar.second = t.tv_sec;
	}
	n = t.tv_nsec / 1000;
	for (int i = 6; i > 0; i--, n /= 10)
		us[i] = (char)('0' + n % 10);
	add(l, calendar.text, SECOND - 1);	/* 2026-11-21T14:03:11 */
	add(l, us, sizeof(us));
}

void line_begin(struct line *l, bool json)
{
	l->len = 0;
	l->json = json;
	l->cut = false;
	if (json)
		add(l, "{\"ts\":\"", 7);
	else
		add(l, "ts=", 3);
	add_time(l);
	if (json)
		add_byte(l, '"');
}

void line_end(struct line *l)
{
	if (l->json)	/* add() left room for these two */
		l->at[l->len++] = '}';
	l->at[l->len++] = '\n';
}

/* ---- values */

/* Control bytes, C1 too, are written out: no forged line, no terminal escape.
 * Returns how many bytes of text were taken. */
static size_t add_char(struct line *l, const unsigned char *at, size_t left)
{
	size_t n = utf8_char(at, left);
	unsigned c = n == 2 ? (at[0] & 31u) << 6 | (at[1] & 63u) : at[0];
	char esc[8];
	int len;

	if (!n) {
		add(l, "\xef\xbf\xbd", 3);
		return 1;
	}
	if (n > 2 || (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') || c >= 0xa0) {
		add(l, (const char *)at, n);
		return n;
	}
	len = c == '"' || c == '\\' ? snprintf(esc, sizeof(esc), "\\%c", (int)c) :
		c == '\n' ? snprintf(esc, sizeof(esc), "\\n") : snprintf(esc, sizeof(esc), "\\u%04x", c);
	add(l, esc, (size_t)len);
	return n;
}

static void add_quoted(struct line *l, const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t room = LINE_MAX_BYTES - 64 - l->len;	/* for this and what closes it */

	if (l->len > LINE_MAX_BYTES - 128 || !add(l, "\"", 1))
		return;
	for (size_t i = 0, start = l->len; i < len; ) {
		if (l->len - start + 12 > room) {
			add(l, "...", 3);
			break;
		}
		i += add_char(l, at + i, len - i);
	}
	add_byte(l, '"');
}

static bool is_bare(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] == '"' || text[i] == '=' || text[i] == '\\' || text[i] == 0x7f)
			return false;
	return len;
}

/* plain: nothing in it to escape, as in almost all that is ever logged. */
static void add_value(struct line *l, const char *text, size_t len, bool plain)
{
	if (!l->json && is_bare(text, len)) {
		add(l, text, len);
	} else if (plain && len <= WORD_MAX) {	/* add_key() looked for so much room */
		l->at[l->len++] = '"';
		memcpy(l->at + l->len, text, len);
		l->len += len;
		l->at[l->len++] = '"';
	} else {
		add_quoted(l, text, len);
	}
}

/* Seldom, and with a large stack: by itself, so that no other field pays for that. */
__attribute__((noinline))
static void add_redacted(struct line *l, const char *text, size_t len)
{
	char copy[TEXT];

	memcpy(copy, text, len);
	copy[len] = '\0';
	log_redact(copy);
	add_value(l, copy, strlen(copy), false);
}

/* ---- fields */

/* False: no room for a key and a word.  Keys are literals of ours, and short. */
static bool add_key(struct line *l, const struct log_field *f)
{
	char *at = l->at + l->len;

	if (l->cut || l->len > LINE_MAX_BYTES - LAST - 2 * WORD_MAX) {
		l->cut = true;
		return false;
	}
	if (l->json) {
		memcpy(at, f->key, f->key_len + 4);
		l->len += f->key_len + 4;
	} else {
		*at = ' ';
		memcpy(at + 1, f->key + 2, f->key_len);
		at[1 + f->key_len] = '=';
		l->len += f->key_len + 2;
	}
	return true;
}

static void add_text(struct line *l, const char *text)
{
	size_t len = strnlen(text, TEXT - 1);
	bool plain;

	while (len && text[len] && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;	/* cut between characters */
	if (log_secret_at(text, len, &plain) < len)
		add_redacted(l, text, len);
	else
		add_value(l, text, len, plain);
}

/* Most are below ten. */
static void add_number(struct line *l, int64_t n)
{
	char digits[DIGITS_MAX], *end = digits + sizeof(digits), *at;

	if (n >= 0 && n < 10) {
		add_byte(l, (char)('0' + n));
		return;
	}
	at = number_before(end, n);
	add(l, at, (size_t)(end - at));
}

void line_fields(struct line *l, const struct log_field *f)
{
	for (; f->key; f++) {
		size_t was = l->len;

		if (!add_key(l, f))
			return;
		if (!f->text)
			add_number(l, f->number);
		else if (f->form == LOG_WORD)
			add_value(l, f->text, strlen(f->text), true);
		else if (f->form == LOG_JSON && l->json)
			add(l, f->text, strlen(f->text));
		else if (f->form == LOG_JSON)
			add_value(l, f->text, strlen(f->text), false);
		else
			add_text(l, f->text);
		if (l->cut)
			l->len = was;
	}
}
