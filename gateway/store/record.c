#include "store/record.h"

#include <pthread.h>

#define MAGIC 0x314a474du	/* "MGJ1" */

struct header { uint32_t magic, len, crc, kind; };

/* ---- CRC-32C: by the processor where it can, else four bytes a step */

static uint32_t crc_table[4][256];
static uint32_t (*crc_run)(uint32_t crc, const unsigned char *p, size_t len);

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t crc_fast(uint32_t crc, const unsigned char *p, size_t len)
{
	uint64_t c = crc, word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	crc = (uint32_t)c;
	for (; len; len--, p++)
		crc = __builtin_ia32_crc32qi(crc, *p);
	return crc;
}

static bool has_fast(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t crc_fast(uint32_t crc, const unsigned char *p, size_t len)
{
	return crc;
}

static bool has_fast(void)
{
	return false;
}
#endif

static uint32_t crc_slow(uint32_t crc, const unsigned char *p, size_t len)
{
	for (; len >= 4; len -= 4, p += 4) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		crc = crc_table[3][crc & 0xff] ^ crc_table[2][crc >> 8 & 0xff] ^ crc_table[1][crc >> 16 & 0xff] ^ crc_table[0][crc >> 24];
	}
	for (; len; len--, p++)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 0xff];
	return crc;
}

static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
		crc_table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 4; t++)
			crc_table[t][i] = crc_table[t - 1][i] >> 8 ^ crc_table[0][crc_table[t - 1][i] & 0xff];
	crc_run = has_fast() ? crc_fast : crc_slow;
}

uint32_t record_crc(uint32_t crc, const void *at, size_t len, bool by_table)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, crc_init);
	return ~(by_table ? crc_slow : crc_run)(~crc, at, len);
}

static uint32_t crc32c(uint32_t crc, const char *at, size_t len)
{
	return record_crc(crc, at, len, false);
}

/* ---- writing */

static size_t open_record(struct buf *out)
{
	static const struct header blank;
	size_t at = out->len;

	buf_put(out, &blank, sizeof(blank));
	return at;
}

static void close_record(struct buf *out, size_t at, uint32_t kind)
{
	struct header h = { .magic = MAGIC, .kind = kind };

	if (out->failed)
		return;
	h.len = (uint32_t)(out->len - at - sizeof(h));
	h.crc = crc32c(kind, out->at + at + sizeof(h), h.len);
	memcpy(out->at + at, &h, sizeof(h));
}

static void put_text(struct buf *out, const char *text)
{
	buf_put(out, text ? text : "", (text ? strlen(text) : 0) + 1);
}

void record_intent(struct buf *out, const struct mg_store_intent *i)
{
	const int64_t numbers[] = { i->hold_nusd, i->at_ms };
	const char *texts[] = { i->attempt_id, i->generation_id, i->key_hash, i->endpoint };
	size_t at = open_record(out);

	buf_put(out, numbers, sizeof(numbers));
	for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++)
		put_text(out, texts[n]);
	close_record(out, at, MG_ROW_INTENT);
}

void record_settle(struct buf *out, const struct mg_store_generation *g)
{
	const int64_t numbers[] = { g->charge_nusd, g->cost_nusd, g->loss_nusd, g->at_ms, g->delivered };
	const char *texts[] = { g->attempt_id, g->generation_id, g->key_hash, g->model, g->provider, g->json, g->decision, g->labels };
	const int64_t more[] = { g->needs_rating, g->own_nusd };	/* as far as there is anything to say */
	size_t at = open_record(out);

	buf_put(out, numbers, sizeof(numbers));
	for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++)
		put_text(out, texts[n]);
	buf_put(out, &g->until_ms, sizeof(g->until_ms));
	buf_put(out, more, g->own_nusd ? sizeof(more) : g->needs_rating ? sizeof(more[0]) : 0);
	close_record(out, at, MG_ROW_GENERATION);
}

void record_endpoint(struct buf *out, const struct mg_store_endpoint *e)
{
	size_t at = open_record(out);

	put_text(out, e->hash);
	put_text(out, e->json);
	close_record(out, at, MG_ROW_ENDPOINT);
}

/* ---- reading */

struct reader { const char *at, *end; bool bad; };

static int64_t take_number(struct reader *r)
{
	int64_t n = 0;

	if ((size_t)(r->end - r->at) < sizeof(n)) {
		r->bad = true;
		return 0;
	}
	memcpy(&n, r->at, sizeof(n));
	r->at += sizeof(n);
	return n;
}

static const char *take_text(struct reader *r)
{
	const char *text = r->at, *nul = memchr(r->at, '\0', (size_t)(r->end - r->at));

	if (!nul) {
		r->bad = true;
		return "";
	}
	r->at = nul + 1;
	return text;
}

static bool read_row(struct reader *r, uint32_t kind, union record_row *row)
{
	if (kind == MG_ROW_INTENT) {
		struct mg_store_intent *i = &row->intent;

		*i = (struct mg_store_intent){ .size = sizeof(*i) };
		i->hold_nusd = take_number(r);
		i->at_ms = take_number(r);
		i->attempt_id = take_text(r);
		i->generation_id = take_text(r);
		i->key_hash = take_text(r);
		i->endpoint = take_text(r);
	} else if (kind == MG_ROW_GENERATION) {
		struct mg_store_generation *g = &row->generation;

		*g = (struct mg_store_generation){ .size = sizeof(*g) };
		g->charge_nusd = take_number(r);
		g->cost_nusd = take_number(r);
		g->loss_nusd = take_number(r);
		g->at_ms = take_number(r);
		g->delivered = take_number(r) != 0;
		g->attempt_id = take_text(r);
		g->generation_id = take_text(r);
		g->key_hash = take_text(r);
		g->model = take_text(r);
		g->provider = take_text(r);
		g->json = take_text(r);
		g->decision = r->at < r->end ? take_text(r) : "";	/* those of an older gateway end here ... */
		g->labels = r->at < r->end ? take_text(r) : "";		/* ... or here */
		g->until_ms = r->at < r->end ? take_number(r) : 0;
		g->needs_rating = r->at < r->end && take_number(r) != 0;
		g->own_nusd = r->at < r->end ? take_number(r) : 0;
	} else if (kind == MG_ROW_ENDPOINT) {
		row->endpoint = (struct mg_store_endpoint){ .size = sizeof(row->endpoint) };
		row->endpoint.hash = take_text(r);
		row->endpoint.json = take_text(r);
	} else {
		return false;
	}
	return !r->bad && r->at == r->end;
}

int64_t record_read(const char *at, size_t len, enum mg_store_row *kind, union record_row *row)
{
	struct header h;
	struct reader r;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, at, sizeof(h));
	if (h.magic != MAGIC || h.len > RECORD_MAX)
		return -1;
	if (len - sizeof(h) < h.len)
		return 0;
	r = (struct reader){ at + sizeof(h), at + sizeof(h) + h.len, false };
	if (crc32c(h.kind, r.at, h.len) != h.crc || !read_row(&r, h.kind, row))
		return -1;
	*kind = (enum mg_store_row)h.kind;
	return (int64_t)sizeof(h) + h.len;
}

size_t record_resync(const char *at, size_t len)
{
	static const uint32_t magic = MAGIC;
	enum mg_store_row kind;
	union record_row row;

	for (size_t i = 1; i + sizeof(magic) <= len; i++)
		if (!memcmp(at + i, &magic, sizeof(magic)) && record_read(at + i, len - i, &kind, &row) > 0)
			return i;
	return len;
}
