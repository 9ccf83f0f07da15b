#include "base/digits.h"
#include "base/json.h"
#include "base/utf8.h"

static void escape(struct buf *out, unsigned char c)
{
	static const char digit[] = "0123456789abcdef";
	char text[6] = { '\\', 'u', '0', '0', digit[c >> 4], digit[c & 15] };

	switch (c) {
	case '"': case '\\': text[1] = (char)c; break;
	case '\b': text[1] = 'b'; break;
	case '\f': text[1] = 'f'; break;
	case '\n': text[1] = 'n'; break;
	case '\r': text[1] = 'r'; break;
	case '\t': text[1] = 't'; break;
	default:
		buf_put(out, text, 6);
		return;
	}
	buf_put(out, text, 2);
}

__attribute__((noinline))
static void quote_escaped(struct buf *out, struct mg_str text)
{
	const unsigned char *at = (const unsigned char *)text.at, *end, *run;

	buf_put(out, "\"", 1);
	for (run = at, end = at ? at + text.len : at; at < end; run = at) {
		size_t n;

		for (;;) {	/* as far as it can be copied */
			at += utf8_plain(at, (size_t)(end - at));
			n = utf8_run(at, (size_t)(end - at));
			if (!n)
				break;
			at += n;
		}
		buf_put(out, run, (size_t)(at - run));
		if (at == end)
			break;
		if (*at < 0x80)
			escape(out, *at);
		else
			buf_put(out, "\xef\xbf\xbd", 3);
		at++;
	}
	buf_put(out, "\"", 1);
}

/* Most texts have nothing to escape. */
void json_quote(struct buf *out, struct mg_str text)
{
	char *to;

	if (!text.at || utf8_plain((const unsigned char *)text.at, text.len) != text.len) {
		quote_escaped(out, text);
		return;
	}
	to = buf_room(out, text.len + 2);
	if (!to)
		return;
	to[0] = to[text.len + 1] = '"';
	memcpy(to + 1, text.at, text.len);
	out->len += text.len + 2;
}

void json_writer_init(struct mg_writer *w, struct buf *out)
{
	*w = (struct mg_writer){ .out = out, .start = out->len };
}

static void release_own(void *arg)
{
	struct mg_writer *w = arg;

	buf_release(&w->own);
	buf_release(&w->joined);
}

struct mg_writer *json_writer(struct pool *p)
{
	struct mg_writer *w = pool_alloc(p, sizeof(*w));

	if (!w)
		return NULL;
	json_writer_init(w, &w->own);
	w->pool = p;
	buf_init(&w->own, pool_left(p));
	return pool_defer(p, release_own, w) ? NULL : w;
}

/* In one piece where the name is plain, as nearly all are. */
static void put_name(struct buf *out, struct json_key key, bool comma)
{
	char *to;

	if (!key.plain && utf8_plain((const unsigned char *)key.at, key.len) != key.len) {
		buf_put(out, ",", comma);
		json_quote(out, (struct mg_str){ key.at, key.len });
		buf_put(out, ":", 1);
		return;
	}
	to = buf_room(out, key.len + 4);
	if (!to)
		return;
	out->len += key.len + 3 + comma;
	if (comma)
		*to++ = ',';
	*to++ = '"';
	memcpy(to, key.at, key.len);
	to[key.len] = '"';
	to[key.len + 1] = ':';
}

/* The comma and the name before a value; false when no value may stand here. */
static bool begin(struct mg_writer *w, struct json_key key)
{
	bool object = w->objects & 1, comma = w->filled & 1;	/* the top is no object, and takes one value */

	if (w->bad || object != !!key.at || (w->done && !w->depth)) {
		w->bad = true;
		return false;
	}
	w->done = true;
	w->filled |= 1;
	if (key.at)
		put_name(w->out, key, comma);
	else
		buf_put(w->out, ",", comma);
	return true;
}

void json_open_as(struct mg_writer *w, struct json_key key, char bracket)
{
	if (w->depth == JSON_DEPTH || (bracket != '{' && bracket != '[')) {
		w->bad = true;
		return;
	}
	if (!begin(w, key))
		return;
	buf_put(w->out, &bracket, 1);
	w->objects = w->objects << 1 | (bracket == '{');
	w->filled <<= 1;
	w->depth++;
}

void json_close(struct mg_writer *w)
{
	if (w->bad || !w->depth) {
		w->bad = true;
		return;
	}
	buf_put(w->out, w->objects & 1 ? "}" : "]", 1);
	w->objects >>= 1;
	w->filled >>= 1;
	w->depth--;
}

/* Takes what is large and lasts as it stands; false: it must be copied. */
static bool refer(struct mg_writer *w, struct mg_str s)
{
	if (s.len < JSON_PIECE || !w->lasting.at || s.at < w->lasting.at || s.at + s.len > w->lasting.at + w->lasting.len || w->n_pieces == JSON_PIECES)
		return false;
	if (!w->pieces)
		w->pieces = pool_alloc(w->pool, JSON_PIECES * sizeof(*w->pieces));
	if (!w->pieces)
		return false;
	w->pieces[w->n_pieces++] = (struct json_piece){ s, w->out->len };
	return true;
}

void json_put_as(struct mg_writer *w, struct json_key key, struct mg_str text)
{
	if (!text.at || !begin(w, key))
		return;
	if (text.len < JSON_PIECE || !w->lasting.at || utf8_plain((const unsigned char *)text.at, text.len) != text.len) {
		json_quote(w->out, text);
		return;
	}
	buf_put(w->out, "\"", 1);
	if (!refer(w, text))
		buf_put(w->out, text.at, text.len);
	buf_put(w->out, "\"", 1);
}

void json_put_raw_as(struct mg_writer *w, struct json_key key, struct mg_str json)
{
	if (!json.at)
		return;
	if (!json.len)
		w->bad = true;	/* nothing is no value */
	else if (begin(w, key) && !refer(w, json))
		buf_put(w->out, json.at, json.len);
}

void json_put_int_as(struct mg_writer *w, struct json_key key, int64_t n)
{
	char digits[DIGITS_MAX], *end = digits + sizeof(digits), *at;

	if (!begin(w, key))
		return;
	at = number_before(end, n);
	buf_put(w->out, at, (size_t)(end - at));
}

static bool whole(const struct mg_writer *w)
{
	return !w->bad && !w->depth && w->done && !w->out->failed;
}

const struct mg_str *json_pieces(struct mg_writer *w, size_t *n)
{
	struct mg_str *out;
	size_t at = w->start;

	*n = 0;
	if (!whole(w) || !w->pool)
		return NULL;
	out = pool_alloc(w->pool, (2 * w->n_pieces + 1) * sizeof(*out));
	if (!out)
		return NULL;
	for (size_t i = 0; i < w->n_pieces; at = w->pieces[i++].at) {
		if (w->pieces[i].at > at)
			out[(*n)++] = (struct mg_str){ w->out->at + at, w->pieces[i].at - at };
		out[(*n)++] = w->pieces[i].text;
	}
	if (w->out->len > at)
		out[(*n)++] = (struct mg_str){ w->out->at + at, w->out->len - at };
	return out;
}

/* One text after all.  Pieces that were asked for before stay what they are. */
static struct mg_str join(struct mg_writer *w)
{
	const struct mg_str *pieces;
	size_t n, len = 0;

	if (w->joined.len)
		return buf_view(&w->joined);
	pieces = json_pieces(w, &n);
	for (size_t i = 0; i < n; i++)
		len += pieces[i].len;
	buf_init(&w->joined, len < pool_left(w->pool) ? len : 0);
	if (!pieces || !buf_more(&w->joined, len))
		return (struct mg_str){ NULL, 0 };
	for (size_t i = 0; i < n; i++)
		buf_str(&w->joined, pieces[i]);
	return buf_view(&w->joined);
}

struct mg_str json_written(struct mg_writer *w)
{
	if (!whole(w))
		return (struct mg_str){ NULL, 0 };
	if (w->n_pieces)
		return join(w);
	return (struct mg_str){ w->out->at + w->start, w->out->len - w->start };
}
