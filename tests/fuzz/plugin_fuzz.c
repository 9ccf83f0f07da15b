/*
 * A provider plugin between a hostile client and a hostile upstream: whatever
 * the request, the row, the headers and the answer hold, it does not crash, the
 * events are the same however the answer is cut, what it sends is JSON when it
 * begins like JSON, and a client that goes away stops it.
 *
 *	MOONGATE_PLUGIN=build/plugins/providers/acme.so plugin_fuzz ...
 *
 * An input is four octets (which operation, status and more, where to cut) and
 * then up to four parts with a line "--" between them; the last is the answer,
 * before it stand the answer's headers, the request, and the endpoint's row.
 * An event stream of AWS's is written as it is, or "type payload" a line: then its
 * sums are made here.
 *
 * plugins: plugins/providers
 * sources: base/json.c base/json_view.c base/json_write.c base/utf8.c base/buf.c base/digits.c base/pool.c base/err.c net/frame.c plugin/call.c plugin/host.c ../sdk/rig*.c
 */
#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "rig.h"

enum { STREAMED = 1, SMALL = 160 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mg_plugin *plugin;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *path = getenv("MOONGATE_PLUGIN");
	void *so = path ? dlopen(path, RTLD_NOW) : NULL;
	const struct mg_plugin *(*entry)(void) = NULL;

	if (so)
		*(void **)&entry = dlsym(so, MG_ENTRY);
	if (!entry) {
		fprintf(stderr, "MOONGATE_PLUGIN: %s\n", path ? dlerror() : "not set; name a plugin's file");
		exit(2);
	}
	plugin = entry();
	assert(plugin->provider && plugin->provider->ops[0]);
	return 0;
}

/* The last part, of its own memory, with a NUL behind it; what is before it is left in *s. */
static struct mg_str last_part(struct mg_str *s)
{
	static const char mark[] = "\n--\n";
	size_t at = s->len, len = sizeof(mark) - 1;
	struct mg_str part = { NULL, 0 };
	char *copy;

	if (!s->at)
		return part;
	while (at >= len && memcmp(s->at + at - len, mark, len))
		at--;
	at = at < len ? 0 : at;
	copy = malloc(s->len - at + 1);
	assert(copy);
	memcpy(copy, s->at + at, s->len - at);
	copy[s->len - at] = '\0';
	part = (struct mg_str){ copy, s->len - at };
	*s = at ? (struct mg_str){ s->at, at - len } : (struct mg_str){ NULL, 0 };
	return part;
}

/* An object, or NULL for the rig's own. */
static char *last_json(struct mg_str *s)
{
	struct mg_str part = last_part(s);
	struct pool *p = pool_new(1 << 22);
	struct mg_view v;

	if (part.at && (strlen(part.at) != part.len || json_parse(p, part, &v, NULL) || json_kind(v) != MG_OBJECT)) {
		free((char *)part.at);
		part.at = NULL;
	}
	pool_free(p);
	return (char *)part.at;
}

static bool is_json(struct mg_str text)
{
	struct pool *p = pool_new(64 << 20);
	struct mg_view v;
	bool is = json_parse(p, text, &v, NULL) == MG_OK;

	pool_free(p);
	return is;
}

static bool is_json_lines(const char *at)
{
	for (const char *end; *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		if (!is_json((struct mg_str){ at, (size_t)(end - at) }))
			return false;
	}
	return true;
}

static void check_request(enum mg_op op, const struct rig_case *c)
{
	char *sent = rig_request(plugin, op, c), *body = sent ? strstr(sent, "\n\n") : NULL;

	if (body && body[2] == '{')
		assert(is_json((struct mg_str){ body + 2, strlen(body + 2) }) || is_json_lines(body + 2));
	free(sent);
}

static void check_answer(enum mg_op op, const struct rig_case *c, size_t cut)
{
	char *whole = rig_events(plugin, op, c, RIG_WHOLE), *other = rig_events(plugin, op, c, cut);

	assert(!whole == !other && (!whole || !strcmp(whole, other)));
	free(other);
	other = rig_events(plugin, op, c, RIG_BYTES);
	assert(!whole == !other && (!whole || !strcmp(whole, other)));
	free(other);
	free(whole);
}

static uint32_t crc(const unsigned char *at, size_t len)
{
	uint32_t sum = ~0u;

	for (size_t i = 0; i < len; i++) {
		sum ^= at[i];
		for (int k = 0; k < 8; k++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
	}
	return ~sum;
}

static void put32(unsigned char *at, size_t n)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(n >> (24 - 8 * i));
}

/* One line as a message; its length. */
static size_t message(unsigned char *out, struct mg_str line)
{
	const char *blank = memchr(line.at, ' ', line.len);
	size_t type = blank ? (size_t)(blank - line.at) : line.len, said = blank ? line.len - type - 1 : 0;
	size_t head, total;

	type = type < 256 ? type : 255;
	head = 14 + type;
	total = 16 + head + said;
	put32(out, total);
	put32(out + 4, head);
	put32(out + 8, crc(out, 8));
	memcpy(out + 12, "\x0b:event-type\x07\x00", 14);
	out[26] = (unsigned char)type;
	memcpy(out + 27, line.at, type);
	memcpy(out + 12 + head, line.at + line.len - said, said);
	put32(out + total - 4, crc(out, total - 4));
	return total;
}

static struct mg_str messages(struct mg_str lines)
{
	unsigned char *out = malloc(lines.len + 32 * (lines.len + 1));
	size_t n = 0;

	assert(out);
	for (size_t at = 0, end; at < lines.len; at = end + 1) {
		const char *feed = memchr(lines.at + at, '\n', lines.len - at);

		end = feed ? (size_t)(feed - lines.at) : lines.len;
		n += message(out + n, (struct mg_str){ lines.at + at, end - at });
	}
	free((char *)lines.at);
	return (struct mg_str){ (const char *)out, n };
}

/* Everything that the rig knows to do, which takes its time. */
static void check_all(enum mg_op op, const struct rig_case *c)
{
	char *why = rig_cuts(plugin, op, c);

	if (why)
		fprintf(stderr, "%s\n", why);
	assert(!why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 200, 200, 200, 400, 401, 429, 500, 529 };
	const struct mg_operation *const *ops = plugin->provider->ops;
	struct mg_str rest, answer;
	struct rig_case c = { .name = "fuzz" };
	const struct mg_operation *o;
	char *headers, *request, *endpoint;
	enum mg_op op;
	size_t n = 0;

	if (size < 4)
		return 0;
	while (ops[n])
		n++;
	o = ops[data[0] % n];
	op = o->op;
	c.streamed = data[1] & STREAMED;
	c.status = statuses[(data[1] >> 1) % 8];
	rest = (struct mg_str){ (const char *)data + 4, size - 4 };
	answer = last_part(&rest);
	c.headers = headers = (char *)last_part(&rest).at;
	if (c.streamed && o->stream == MG_EVENTSTREAM && answer.at[0] && !(headers && strcasestr(headers, "text/event-stream")))
		answer = messages(answer);
	c.answer = answer.at;
	c.answer_len = answer.len;
	c.request = request = last_json(&rest);
	c.endpoint = endpoint = last_json(&rest);
	check_request(op, &c);
	check_answer(op, &c, data[2] | (size_t)data[3] << 8);
	if (answer.len < SMALL && data[3] & 0x80)
		check_all(op, &c);
	free((char *)answer.at);
	free(headers);
	free(request);
	free(endpoint);
	return 0;
}
