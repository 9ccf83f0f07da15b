#include "net/frame.h"

#include "base/json.h"

enum { BEGUN = 1, AFTER_CR = 2, HAS_DATA = 4, FAILED = 8 };	/* framer.state */
enum { PRELUDE = 12, SMALLEST = 16 };				/* of an event stream's message */

void framer_init(struct framer *f, enum mg_framing framing, size_t max_frame_bytes,
	int (*on_frame)(void *arg, struct mg_str event, struct mg_str data), void *arg)
{
	*f = (struct framer){ .framing = framing, .on_frame = on_frame, .arg = arg, .max = max_frame_bytes };
	buf_init(&f->line, max_frame_bytes);
	buf_init(&f->event, max_frame_bytes);
	buf_init(&f->data, max_frame_bytes + 1);	/* the NUL */
}

void framer_release(struct framer *f)
{
	buf_release(&f->line);
	buf_release(&f->event);
	buf_release(&f->data);
}

/* Nothing is cut from a stream that failed: what follows would be guessed. */
static int refuse(struct framer *f, struct err *err, int rc, const char *why)
{
	f->state |= FAILED;
	return fail(err, rc, "%s", why);
}

static int too_large(struct framer *f, struct err *err)
{
	f->state |= FAILED;
	return fail(err, MG_EPROTO, "a frame of the answer is larger than %zu bytes", f->max);
}

/* Hands on what is in event and data. */
static int dispatch(struct framer *f, struct err *err)
{
	struct mg_str data, event;
	int rc;

	buf_put(&f->data, "", 1);
	if (f->data.failed || f->event.failed)
		return too_large(f, err);
	data = (struct mg_str){ f->data.at, f->data.len - 1 };
	event = f->event.len ? buf_view(&f->event) : (struct mg_str){ NULL, 0 };
	rc = f->on_frame(f->arg, event, data);
	if (rc)
		f->state |= FAILED;
	f->state &= ~(unsigned)HAS_DATA;
	buf_reset(&f->event);
	buf_reset(&f->data);
	return rc;
}

static bool is_blank(struct mg_str s)
{
	size_t i = 0;

	while (i < s.len && (s.at[i] == ' ' || s.at[i] == '\t' || s.at[i] == '\r'))
		i++;
	return i == s.len;
}

/* May the last line, which has no line end, be whole?  A JSON object that was
 * cut and ends so by chance does not parse, and the dialect says so. */
static bool looks_whole(struct mg_str s)
{
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\r'))
		s.len--;
	return s.len && (s.at[s.len - 1] == '}' || s.at[s.len - 1] == ']');
}

static int sse_line(struct framer *f, struct mg_str line, struct err *err)
{
	const char *colon = memchr(line.at, ':', line.len);
	struct mg_str field = { line.at, colon ? (size_t)(colon - line.at) : line.len };
	struct mg_str value = { "", 0 };

	if (!line.len) {
		if (f->state & HAS_DATA)
			return dispatch(f, err);
		buf_reset(&f->event);
		return MG_OK;
	}
	if (colon)
		value = (struct mg_str){ colon + 1, line.len - field.len - 1 };
	if (value.len && *value.at == ' ')
		value = (struct mg_str){ value.at + 1, value.len - 1 };
	if (mg_is(field, "data")) {
		if (f->state & HAS_DATA)
			buf_put(&f->data, "\n", 1);
		f->state |= HAS_DATA;
		buf_str(&f->data, value);
	} else if (mg_is(field, "event")) {
		buf_reset(&f->event);
		buf_str(&f->event, value);
	}
	return f->data.failed || f->event.failed ? too_large(f, err) : MG_OK;
}

static int line_done(struct framer *f, struct mg_str line, struct err *err)
{
	if (!(f->state & BEGUN) && line.len >= 3 && !memcmp(line.at, "\xef\xbb\xbf", 3))
		line = (struct mg_str){ line.at + 3, line.len - 3 };
	f->state |= BEGUN;
	if (f->framing == MG_SSE)
		return sse_line(f, line, err);
	if (is_blank(line))
		return MG_OK;
	buf_str(&f->data, line);
	return dispatch(f, err);
}

/* The first line end in at[0..len), or NULL.  A bare CR ends a line of SSE only. */
static const char *line_end(const struct framer *f, const char *at, size_t len)
{
	const char *lf = memchr(at, '\n', len);
	const char *cr = NULL;

	if (f->framing == MG_SSE)
		cr = memchr(at, '\r', lf ? (size_t)(lf - at) : len);
	return cr ? cr : lf;
}

static int feed_lines(struct framer *f, const char *at, size_t len, struct err *err)
{
	const char *limit = at + len;

	while (at < limit) {
		const char *end;
		struct mg_str line;
		int rc;

		if ((f->state & AFTER_CR) && *at == '\n')
			at++;
		f->state &= ~(unsigned)AFTER_CR;
		end = line_end(f, at, (size_t)(limit - at));
		line = (struct mg_str){ at, (size_t)((end ? end : limit) - at) };
		if (line.len > f->max || f->line.len + line.len > f->max)
			return too_large(f, err);
		if (!end || f->line.len)	/* whole lines are not copied */
			buf_str(&f->line, line);
		if (f->line.failed)
			return refuse(f, err, MG_ENOMEM, "no memory for a line of the answer");
		if (!end)
			return MG_OK;
		if (*end == '\r')
			f->state |= AFTER_CR;
		at = end + 1;
		rc = line_done(f, f->line.len ? buf_view(&f->line) : line, err);
		buf_reset(&f->line);
		if (rc)
			return rc;
	}
	return MG_OK;
}

/* CRC-32 of zlib and IEEE 802.3, half a byte a step. */
static uint32_t crc32(uint32_t crc, const unsigned char *at, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };

	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= at[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

struct es_header { struct mg_str name, value; };	/* value: absent unless it is a string */

/* One header of at[0..len); returns its octets, 0 when it is broken. */
static size_t es_header(const unsigned char *at, size_t len, struct es_header *h)
{
	static const unsigned char fixed[] = { 0, 0, 1, 2, 4, 8, 0, 0, 8, 16 };	/* octets of a value by type */
	size_t need = len ? at[0] + 2u : 0, value;
	unsigned type;

	if (!need || need > len)
		return 0;
	*h = (struct es_header){ { (const char *)at + 1, at[0] }, { NULL, 0 } };
	type = at[need - 1];
	if (type >= sizeof(fixed))
		return 0;
	if (type != 6 && type != 7)
		return need + fixed[type] <= len ? need + fixed[type] : 0;
	if (need + 2 > len)
		return 0;
	value = (size_t)at[need] << 8 | at[need + 1];
	need += 2;
	if (need + value > len)
		return 0;
	if (type == 7)
		h->value = (struct mg_str){ (const char *)at + need, value };
	return need + value;
}

static int es_message(struct framer *f, const unsigned char *m, size_t total, struct err *err)
{
	size_t headers = be32(m + 4), at = PRELUDE, used;
	struct mg_str name = { NULL, 0 }, said = { NULL, 0 };
	struct es_header h;

	if (crc32(0, m, total - 4) != be32(m + total - 4))
		return refuse(f, err, MG_EPROTO, "event stream: a message's CRC is wrong");
	for (; at < PRELUDE + headers; at += used) {
		used = es_header(m + at, PRELUDE + headers - at, &h);
		if (!used)
			return refuse(f, err, MG_EPROTO, "event stream: a message's headers are broken");
		if (mg_is(h.name, ":event-type") || mg_is(h.name, ":exception-type") || mg_is(h.name, ":error-code"))
			name = h.value;
		else if (mg_is(h.name, ":error-message"))
			said = h.value;
	}
	buf_str(&f->event, name);
	buf_put(&f->data, m + at, total - at - 4);
	if (!f->data.len && said.at) {	/* an "error" has no payload, its words are a header */
		buf_text(&f->data, "{\"message\":");
		json_quote(&f->data, said);
		buf_text(&f->data, "}");
	}
	return dispatch(f, err);
}

/* How many octets the message has that begins in f->line; PRELUDE while that is not known. */
static int es_need(struct framer *f, size_t *need, struct err *err)
{
	const unsigned char *m = (const unsigned char *)f->line.at;
	size_t total, headers;

	*need = PRELUDE;
	if (f->line.len < PRELUDE)
		return MG_OK;
	total = be32(m);
	headers = be32(m + 4);
	if (crc32(0, m, 8) != be32(m + 8))
		return refuse(f, err, MG_EPROTO, "event stream: a prelude's CRC is wrong");
	if (total < SMALLEST || headers > total - SMALLEST)
		return refuse(f, err, MG_EPROTO, "event stream: a message's lengths contradict each other");
	if (total > f->max)
		return too_large(f, err);
	*need = total;
	return MG_OK;
}

static int feed_eventstream(struct framer *f, const char *at, size_t len, struct err *err)
{
	size_t need = PRELUDE;
	int rc = es_need(f, &need, err);

	while (!rc && len) {
		size_t take = need - f->line.len < len ? need - f->line.len : len;

		buf_put(&f->line, at, take);
		if (f->line.failed)
			return too_large(f, err);
		at += take;
		len -= take;
		rc = es_need(f, &need, err);
		if (rc || f->line.len < need || need == PRELUDE)
			continue;
		rc = es_message(f, (const unsigned char *)f->line.at, need, err);
		buf_reset(&f->line);
		need = PRELUDE;
	}
	return rc;
}

static int feed_raw(struct framer *f, const char *at, size_t len, struct err *err)
{
	int rc = MG_OK;

	while (!rc && len) {
		size_t take = len < f->max ? len : f->max;

		buf_put(&f->data, at, take);
		rc = dispatch(f, err);
		at += take;
		len -= take;
	}
	return rc;
}

int framer_feed(struct framer *f, const char *at, size_t len, struct err *err)
{
	if (f->state & FAILED)
		return fail(err, MG_EPROTO, "the answer failed before");
	if (!len)
		return MG_OK;
	switch (f->framing) {
	case MG_RAW:
		return feed_raw(f, at, len, err);
	case MG_SSE:
	case MG_NDJSON:
		return feed_lines(f, at, len, err);
	case MG_EVENTSTREAM:
		return feed_eventstream(f, at, len, err);
	case MG_JSON:
		break;
	}
	if (len > f->max - f->data.len)
		return too_large(f, err);
	buf_put(&f->data, at, len);
	return f->data.failed ? refuse(f, err, MG_ENOMEM, "no memory for the answer") : MG_OK;
}

/* A last line without its line end, or an event without its empty line: many
 * servers end so after [DONE].  It counts when it is whole. */
static int end_lines(struct framer *f, struct err *err)
{
	struct mg_str rest = buf_view(&f->line);
	int rc = MG_OK;

	if (rest.len && !is_blank(rest) && *rest.at != ':') {
		if (!looks_whole(rest))
			return refuse(f, err, MG_EPROTO, "the answer ends inside a line");
		rc = line_done(f, rest, err);
		buf_reset(&f->line);
	}
	if (rc || f->framing != MG_SSE)
		return rc;
	if (f->state & HAS_DATA)
		return dispatch(f, err);
	return f->event.len ? refuse(f, err, MG_EPROTO, "the answer ends inside an event") : MG_OK;
}

int framer_end(struct framer *f, struct err *err)
{
	if (f->state & FAILED)
		return fail(err, MG_EPROTO, "the answer failed before");
	if (f->framing == MG_JSON)
		return dispatch(f, err);
	if (f->framing == MG_SSE || f->framing == MG_NDJSON)
		return end_lines(f, err);
	if (f->framing == MG_EVENTSTREAM && f->line.len)
		return refuse(f, err, MG_EPROTO, "the answer ends inside a message");
	return MG_OK;
}
