/* The list of models as a feed, for readers of news: GET /models?use_rss=true. */
#include <time.h>
#include "catalog/wire.h"

enum { FEED_MAX = 100 };	/* the newest */

static void put_text(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		switch (c) {
		case '&': buf_text(b, "&amp;"); break;
		case '<': buf_text(b, "&lt;"); break;
		case '>': buf_text(b, "&gt;"); break;
		case '"': buf_text(b, "&quot;"); break;
		default:
			if (c >= 0x20 || c == '\t' || c == '\n')	/* XML 1.0 has no others, escaped or not */
				buf_put(b, text, 1);
		}
	}
}

static void put_item(struct buf *b, struct wire_face f)
{
	time_t created = (time_t)f.m->created;
	char date[64];
	struct tm tm;

	buf_text(b, "<item><title>");
	put_text(b, f.m->name);
	buf_print(b, "%s</title><link>/api/v1/models/%s/endpoints</link><guid isPermaLink=\"false\">%s%s</guid><description>",
		f.free ? " (free)" : "", f.m->slug, f.m->slug, f.free ? ":free" : "");	/* a slug needs no escaping */
	put_text(b, f.m->description);
	buf_text(b, "</description>");
	if (created && strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&created, &tm)))
		buf_print(b, "<pubDate>%s</pubDate>", date);
	buf_text(b, "</item>\n");
}

void wire_feed(struct buf *out, const struct catalog *c, const struct model_query *q, int64_t now_ms, uint64_t mono_ms)
{
	struct model_query newest = *q;
	struct wire_row *rows;
	size_t n;

	if (!q->sort.len)
		newest.sort = (struct mg_str)MG_STR("newest");
	rows = wire_rows(c, &newest, now_ms, mono_ms, &n);
	buf_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\"><channel><title>Models</title>"
		"<link>/api/v1/models</link><description>What this gateway offers, the newest first</description>\n");
	for (size_t i = q->offset < n ? (size_t)q->offset : n, k = 0; i < n && k < (q->limit ? q->limit : FEED_MAX); i++, k++)
		put_item(out, rows[i].face);
	buf_text(out, "</channel></rss>\n");
	free(rows);
}
