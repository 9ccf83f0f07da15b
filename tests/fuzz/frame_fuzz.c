/*
 * Any split of the bytes gives the same frames, whatever the bytes are.  The
 * first two bytes say the framing and where to cut.
 *
 * sources: net/frame.c base/json.c base/json_view.c base/json_write.c base/buf.c base/digits.c base/pool.c base/err.c base/utf8.c
 */
#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum { uint64_t hash; size_t frames; };

static void add(struct sum *s, struct mg_str bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		s->hash = (s->hash ^ (unsigned char)bytes.at[i]) * 0x100000001b3u;
	s->hash = (s->hash ^ (bytes.at ? 256 : 257)) * 0x100000001b3u;
}

static int on_frame(void *arg, struct mg_str event, struct mg_str data)
{
	struct sum *s = arg;

	if (data.at[data.len] != '\0')
		abort();
	add(s, event);
	add(s, data);
	s->frames++;
	return MG_OK;
}

/* cut: 0 for single bytes. */
static struct sum play(enum mg_framing framing, const char *at, size_t len, size_t cut)
{
	struct sum s = { 0xcbf29ce484222325u, 0 };
	struct err err = { MG_OK, "" };
	struct framer f;
	int rc;

	framer_init(&f, framing, 512, on_frame, &s);
	rc = framer_feed(&f, at, cut < len ? cut : len, &err);
	for (size_t i = cut; !rc && i < len; i += cut ? len : 1)
		rc = framer_feed(&f, at + i, cut ? len - i : 1, &err);
	if (!rc)
		rc = framer_end(&f, &err);
	s.hash ^= (uint64_t)(unsigned)rc << 32;
	framer_release(&f);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum mg_framing framing;
	struct sum whole, cut, bytes;

	if (size < 2)
		return 0;
	framing = (enum mg_framing)(MG_JSON + data[0] % 4);	/* RAW is cut as it comes */
	whole = play(framing, (const char *)data + 2, size - 2, SIZE_MAX);
	cut = play(framing, (const char *)data + 2, size - 2, data[1] + 1u);
	bytes = play(framing, (const char *)data + 2, size - 2, 0);
	if (whole.hash != cut.hash || whole.hash != bytes.hash || whole.frames != bytes.frames)
		abort();
	return 0;
}
