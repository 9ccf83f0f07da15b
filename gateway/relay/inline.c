/*
 * inline.c - fetches what a request points to; inline.h.
 *
 * A part is one place in the request; places with the same address share the
 * first one's bytes.
 */
#include "base/clock.h"
#include "relay/inline.h"

enum { PARTS_MAX = 64, HEAD_MS = 10000 };

struct part {
	struct relay *r;
	struct mg_view at;		/* the string in the request */
	struct mg_str url;
	char member[80];
	struct part *same;		/* an earlier one with this address */
	enum { PART_NEW, PART_RUNS, PART_HERE, PART_BAD } state;
	struct exchange *x;
	int status;
	struct buf data;
	const char *why;		/* PART_BAD */
	char type[64];
};

struct inlined {
	struct part parts[PARTS_MAX];
	size_t n, running;
	bool many;			/* more than there is room for */
	size_t bytes, most;		/* of all together */
	uint64_t in_text;		/* which parts the text below has the bytes of */
	struct mg_view text;
};

static json_t *setting(const struct relay *r, const char *name)
{
	return json_object_get(json_object_get(r->snap->conf.tree, "fetch"), name);
}

/* ------------------------------------------------ which addresses there are */

static bool begins(struct mg_str s, const char *word)
{
	size_t len = strlen(word);

	return s.len >= len && !strncasecmp(s.at, word, len);
}

static bool is_address(struct mg_str s)
{
	return s.at && (begins(s, "https://") || begins(s, "http://"));
}

static struct inlined nothing;	/* of requests without an address, which are most; nobody writes into it */

static void add_part(struct relay *r, struct mg_view v, const char *member, size_t message, size_t part)
{
	struct inlined *in = r->inlined;
	struct mg_str url;
	struct part *p;

	if (!in || json_kind(v) != MG_STRING || !begins(json_raw(v), "\"http"))
		return;		/* data: URLs are large: they are not copied to be looked at */
	url = pool_dup(r->pool, json_text(r->pool, v));
	if (!is_address(url))
		return;
	if (in == &nothing) {
		in = r->inlined = pool_alloc(r->pool, sizeof(*in));
		if (!in)
			return;
		in->most = (size_t)json_integer_value(setting(r, "size"));
	}
	if (in->n == PARTS_MAX) {
		in->many = true;
		return;
	}
	p = &in->parts[in->n];
	*p = (struct part){ .r = r, .at = v, .url = url };
	snprintf(p->member, sizeof(p->member), "messages[%zu].content[%zu].%s", message, part, member);
	for (size_t i = 0; i < in->n && !p->same; i++)
		if (in->parts[i].url.len == url.len && !memcmp(in->parts[i].url.at, url.at, url.len))
			p->same = in->parts[i].same ? in->parts[i].same : &in->parts[i];
	in->n++;
}

/* In the order in which they stand there; NULL: no memory. */
static struct inlined *look(struct relay *r)
{
	size_t m = 0, p;

	r->inlined = &nothing;
	for (struct mg_view v = json_at(json_get(r->request, "messages"), 0); json_kind(v); v = json_next(v), m++) {
		struct mg_view content = json_get(v, "content");

		p = 0;
		for (struct mg_view part = json_at(content, 0); json_kind(content) == MG_ARRAY && json_kind(part); part = json_next(part), p++) {
			add_part(r, json_get(json_get(part, "image_url"), "url"), "image_url.url", m, p);
			add_part(r, json_get(json_get(part, "file"), "file_data"), "file.file_data", m, p);
		}
	}
	return r->inlined;
}

/* Quirk urls: true, false, or how those addresses begin that the upstream takes; not said: the plugin's flag. */
static bool taken_as_it_is(const struct relay *r, const struct endpoint *e, struct mg_str url)
{
	const struct mg_operation *op = plugin_operation(e->provider->plugin, r->surface->op);
	struct mg_view urls = json_get(json_get(e->row, "quirks"), "urls");

	if (json_kind(urls) == MG_ARRAY) {
		for (struct mg_view v = json_at(urls, 0); json_kind(v); v = json_next(v)) {
			struct mg_str s = json_text(r->pool, v);

			if (s.at && s.len <= url.len && !memcmp(s.at, url.at, s.len))
				return true;
		}
		return false;
	}
	if (json_kind(urls) == MG_TRUE || json_kind(urls) == MG_FALSE)
		return json_kind(urls) == MG_TRUE;
	return !op || !(op->flags & MG_OP_INLINE);
}

/* ------------------------------------------------ which may be fetched */

/* An origin that the configuration names, whatever its address: "http://images.internal:8080". */
static bool named(const struct relay *r, struct mg_str url)
{
	json_t *origin;
	size_t i;

	json_array_foreach(setting(r, "allow"), i, origin) {
		size_t len = json_string_length(origin);

		if (begins(url, json_string_value(origin)) && (url.len == len || strchr("/?#", url.at[len])))
			return true;
	}
	return false;
}

/* https://name[:443]/..., with nothing in it that two readers could read differently. */
static bool plain_address(struct mg_str url)
{
	const char *host = url.at + 8, *end = url.at + url.len, *port;
	const char *stop = host;

	if (!begins(url, "https://") || url.len > 8192)
		return false;
	for (const char *c = url.at; c < end; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == '\\')
			return false;
	while (stop < end && !strchr("/?#", *stop))
		stop++;
	if (stop == host || memchr(host, '@', (size_t)(stop - host)))
		return false;
	port = *host == '[' ? memchr(host, ']', (size_t)(stop - host)) : host;
	port = port ? memchr(port, ':', (size_t)(stop - port)) : NULL;
	return !port || (stop - port == 4 && !memcmp(port, ":443", 4));
}

/* ------------------------------------------------ what came */

static const char too_large[] = "is too large", unreachable[] = "could not be fetched";

/* What the bytes say; NULL: nothing. */
static const char *type_by_bytes(struct mg_str s)
{
	static const struct { size_t at, len; const char *magic, *type; } known[] = {
		{ 0, 8, "\x89PNG\r\n\x1a\n", "image/png" }, { 0, 3, "\xff\xd8\xff", "image/jpeg" }, { 0, 6, "GIF87a", "image/gif" },
		{ 0, 6, "GIF89a", "image/gif" }, { 8, 4, "WEBP", "image/webp" }, { 0, 5, "%PDF-", "application/pdf" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (s.len >= known[i].at + known[i].len && !memcmp(s.at + known[i].at, known[i].magic, known[i].len))
			return known[i].type;
	return NULL;
}

/* Images, audio and PDF; what stores call octets is what its bytes say. */
static bool find_type(struct part *p, struct mg_str header)
{
	const char *seen = type_by_bytes(buf_view(&p->data));
	size_t n = 0;

	while (n < header.len && n < sizeof(p->type) - 1 && (strchr("/+-.", header.at[n]) || (header.at[n] >= '0' && header.at[n] <= '9') ||
	       ((header.at[n] | 0x20) >= 'a' && (header.at[n] | 0x20) <= 'z'))) {
		p->type[n] = header.at[n] >= 'A' && header.at[n] <= 'Z' ? (char)(header.at[n] | 0x20) : header.at[n];
		n++;
	}
	p->type[n] = '\0';
	if (strncmp(p->type, "image/", 6) != 0 && strncmp(p->type, "audio/", 6) != 0 && strcmp(p->type, "application/pdf") != 0 &&
	    !(seen && (!n || !strcmp(p->type, "application/octet-stream") || !strcmp(p->type, "binary/octet-stream"))))
		return false;
	if (seen)
		snprintf(p->type, sizeof(p->type), "%s", seen);
	return true;
}

static void spoil(struct part *p, const char *why)
{
	p->state = PART_BAD;
	p->why = why;
	buf_release(&p->data);
}

static void part_over(struct part *p)
{
	struct relay *r = p->r;

	p->x = NULL;
	if (!--r->inlined->running)
		loop_timer_set(r->w->loop, &r->step, 0);
}

static void on_head(void *owner, struct exchange *x, int status)
{
	((struct part *)owner)->status = status;
	(void)x;
}

static bool on_data(void *owner, struct exchange *x, const char *at, size_t len)
{
	struct part *p = owner;
	struct inlined *in = p->r->inlined;

	(void)x;
	in->bytes += len;
	if (in->bytes <= in->most)
		buf_put(&p->data, at, len);
	return true;
}

/* One text for what was refused, closed or filtered: this is no scanner of ports. */
static void on_end(void *owner, struct exchange *x, const struct exchange_result *how)
{
	struct part *p = owner;
	struct inlined *in = p->r->inlined;

	if (how->how == EXCHANGE_TOO_LARGE || in->bytes > in->most)
		spoil(p, too_large);
	else if (how->how != EXCHANGE_DONE || p->status != 200 || p->data.failed || !p->data.len)
		spoil(p, unreachable);
	else if (!find_type(p, exchange_header(x, "Content-Type")))
		spoil(p, "is no image, audio or PDF");
	else
		p->state = PART_HERE;
	part_over(p);
}

static const struct exchange_events events = { .head = on_head, .data = on_data, .end = on_end };

/* ------------------------------------------------ the exchanges */

static uint64_t time_left_ms(const struct relay *r)
{
	uint64_t most = (uint64_t)json_integer_value(setting(r, "time")), gone = (clock_us() - r->began_us) / 1000;

	return r->d.plan.deadline_ms && r->d.plan.deadline_ms < gone + most ? (r->d.plan.deadline_ms > gone ? r->d.plan.deadline_ms - gone : 1) : most;
}

static void start(struct relay *r, struct part *p)
{
	static const struct mg_str headers[] = { { "User-Agent: moongate/" VERSION, sizeof("User-Agent: moongate/" VERSION) - 1 },
		{ "Accept: image/*, audio/*, application/pdf", sizeof("Accept: image/*, audio/*, application/pdf") - 1 } };
	bool trusted = named(r, p->url);
	struct inlined *in = r->inlined;
	struct exchange_conf conf = { .method = "GET", .url = p->url.at, .headers = headers, .n_headers = 2, .connect_ms = HEAD_MS / 2,
		.headers_ms = HEAD_MS, .idle_ms = HEAD_MS, .total_ms = time_left_ms(r), .max_bytes = in->most, .plain_http = trusted, .foreign = !trusted };
	struct err err = { 0 };

	if (memchr(p->url.at, 0, p->url.len) || (!trusted && !plain_address(p->url))) {
		spoil(p, begins(p->url, "https://") ? unreachable : "is not https");
		return;
	}
	buf_init(&p->data, in->most);
	if (pool_defer(r->pool, (void (*)(void *))buf_release, &p->data) != MG_OK ||
	    !(p->x = exchange_start(r->w->client, &conf, &events, p, &err))) {
		spoil(p, unreachable);
		return;
	}
	p->state = PART_RUNS;
	in->running++;
}

void inline_stop(struct relay *r)
{
	struct inlined *in = r->inlined;

	for (size_t i = 0; in && in->running && i < in->n; i++)
		if (in->parts[i].x) {
			exchange_cancel(in->parts[i].x);
			in->parts[i].x = NULL;
			spoil(&in->parts[i], unreachable);
			in->running--;
		}
}

/* ------------------------------------------------ the request with the bytes in it */

static struct part *source(struct part *p)
{
	return p->same ? p->same : p;
}

/* Every other byte as it came. */
static int write_text(struct relay *r, struct inlined *in, uint64_t wanted, struct err *err)
{
	struct mg_str raw = json_raw(r->request);
	struct buf *text = pool_alloc(r->pool, sizeof(*text));
	const char *at = raw.at;

	if (!text)
		return fail(err, MG_ENOMEM, "no memory for the request");
	buf_init(text, raw.len + in->most / 2 * 3 + 4096);	/* one address may stand in many places */
	if (pool_defer(r->pool, (void (*)(void *))buf_release, text) != MG_OK)
		return fail(err, MG_ENOMEM, "no memory for the request");
	for (size_t i = 0; i < in->n; i++) {
		struct part *p = &in->parts[i];
		struct mg_str was = json_raw(p->at);

		if (!(wanted >> i & 1))
			continue;
		buf_put(text, at, (size_t)(was.at - at));
		buf_text(text, "\"data:");
		buf_text(text, source(p)->type);
		buf_text(text, ";base64,");
		buf_base64(text, buf_view(&source(p)->data));
		buf_put(text, "\"", 1);
		at = was.at + was.len;
	}
	buf_put(text, at, (size_t)(raw.at + raw.len - at));
	if (text->failed)
		return fail(err, MG_EINVAL, "messages: what their addresses point to is too large together; hint: send less of it at once");
	in->in_text = wanted;
	return json_parse(r->pool, buf_view(text), &in->text, err);
}

static int all_there(struct relay *r, struct inlined *in, uint64_t wanted, struct err *err)
{
	for (size_t i = 0; i < in->n; i++) {
		struct part *p = source(&in->parts[i]);

		if ((wanted >> i & 1) && p->state != PART_HERE)
			return fail(err, MG_EINVAL, "%s: %s; hint: give a data: URL", in->parts[i].member, p->why);
	}
	if (in->in_text != wanted && write_text(r, in, wanted, err))
		return err->rc;
	r->asked = in->text;
	return MG_OK;
}

int inline_for(struct relay *r, const struct endpoint *e, struct err *err)
{
	struct inlined *in = r->inlined;
	uint64_t wanted = 0, most = (uint64_t)json_integer_value(setting(r, "count")), n = 0;

	r->asked = r->request;
	if (r->surface->op != MG_CHAT || taken_as_it_is(r, e, MG_STR("")) || !json_is_true(setting(r, "enabled")))
		return MG_OK;
	if (!in && !(in = look(r)))
		return fail(err, MG_ENOMEM, "no memory for the request");
	for (size_t i = 0; i < in->n; i++)
		if (!taken_as_it_is(r, e, in->parts[i].url)) {
			wanted |= UINT64_C(1) << i;
			n += !in->parts[i].same;
		}
	if (in->many || n > most)
		return fail(err, MG_EINVAL, "messages: more than %d addresses to fetch; hint: give data: URLs", (int)most);
	if (!wanted)
		return MG_OK;
	for (size_t i = 0; i < in->n; i++)
		if ((wanted >> i & 1) && source(&in->parts[i])->state == PART_NEW)
			start(r, source(&in->parts[i]));
	return in->running ? INLINE_WAITS : all_there(r, in, wanted, err);
}
