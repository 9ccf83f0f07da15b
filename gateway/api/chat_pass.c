/*
 * chat_pass.c - pass-through: an upstream that speaks chat completions itself.
 *
 * Its frames go to the client byte for byte, but for what must be ours: id,
 * model, provider, created, usage, and the finish, which waits for the record.
 * Members that nobody here knows stay, and numbers keep their text (R13).
 */
#include "api/chat.h"

enum { USAGE_MAX = 2048 };	/* a usage object whose numbers all have 20 digits is shorter */

/* A delta or message member that brings something. */
static uint64_t weight(struct mg_view v)
{
	switch (json_kind(v)) {
	case MG_STRING:
		return json_raw(v).len - 2;
	case MG_ARRAY:
		return json_len(v) ? json_raw(v).len : 0;
	case MG_OBJECT:
		return json_raw(v).len;
	default:
		return 0;
	}
}

uint64_t chat_weigh(struct mg_view frame)
{
	struct mg_view choice = json_at(json_get(frame, "choices"), 0), said = json_get(choice, "delta");
	uint64_t sum = weight(json_get(choice, "logprobs"));

	if (json_kind(said) != MG_OBJECT)
		said = json_get(choice, "message");
	for (struct mg_view v = json_at(said, 0); v.doc; v = json_next(v))
		if (!mg_is(json_name(v), "role"))
			sum += weight(v);
	return sum;
}

/* text as JSON; null where it is absent. */
static struct mg_str quoted(struct relay *r, struct mg_str text)
{
	enum { MOST = 4096 };
	char room[6 * MOST + 2];	/* all of it escaped */
	struct buf b = buf_on(room, sizeof(room));
	struct mg_str made = { 0 };

	if (text.at && text.len < MOST) {
		json_quote(&b, text);
		made = pool_dup(r->pool, buf_view(&b));
	}
	return made.at ? made : (struct mg_str)MG_STR("null");
}

static struct mg_str word(const char *text)
{
	return (struct mg_str){ text, text ? strlen(text) : 0 };
}

/* The one choice, with its finish as given, in brackets. */
static struct mg_str choices(struct relay *r, struct mg_view frame, struct mg_str finish, struct mg_str native)
{
	const struct json_edit edits[] = { { "finish_reason", finish }, { "native_finish_reason", native } };
	struct mg_view choice = json_at(json_get(frame, "choices"), 0);
	size_t most = json_raw(choice).len + finish.len + native.len + 64;	/* and both names */
	char *room = pool_alloc(r->pool, most);
	struct buf b = buf_on(room, room ? most : 0);

	buf_text(&b, "[");
	json_splice(choice, edits, 2, &b);
	buf_text(&b, "]");
	return b.failed ? (struct mg_str){ 0 } : buf_view(&b);
}

static struct mg_str whole(struct relay *r, int64_t n)
{
	enum { MOST = 24 };
	char *room = pool_alloc(r->pool, MOST);
	struct buf b = buf_on(room, MOST);

	if (!room)
		return (struct mg_str)MG_STR("0");
	money_text(&b, n, 0);
	return buf_view(&b);
}

/* What is the same in every chunk of an answer is made once. */
static void identity(struct relay *r, struct pass *p)
{
	if (p->id.at)
		return;
	p->id = quoted(r, word(r->id));
	p->model = quoted(r, word(r->endpoint->model->slug));
	p->provider = quoted(r, word(r->endpoint->provider->name));
	p->created = whole(r, r->created_ms / 1000);
}

void chat_pass_chunk(struct relay *r, struct pass *p, struct mg_view frame, struct buf *out)
{
	struct mg_view choice = json_at(json_get(frame, "choices"), 0);
	bool last = json_kind(json_get(choice, "finish_reason")) == MG_STRING;
	struct json_edit edits[] = { { "id", { 0 } }, { "model", { 0 } }, { "created", { 0 } }, { "provider", { 0 } }, { "usage", { 0 } },
		{ "choices", { 0 } } };

	identity(r, p);
	edits[0].value = p->id;
	edits[1].value = p->model;
	edits[2].value = p->created;
	edits[3].value = p->provider;
	if (last)
		edits[5].value = choices(r, frame, (struct mg_str)MG_STR("null"), (struct mg_str)MG_STR("null"));
	json_splice(frame, edits, last ? 6 : 5, out);
}

/* The metadata as the other answers write it, read back as a member; absent unless asked for. */
static struct mg_str metadata(struct relay *r)
{
	struct mg_view made = { 0 };
	struct mg_writer *w = r->metadata ? json_writer(r->pool) : NULL;

	if (!w)
		return (struct mg_str){ 0 };
	json_open(w, NULL, '{');
	metadata_member(w, r, true);
	json_close(w);
	if (json_parse(r->pool, json_written(w), &made, NULL) != MG_OK)
		return (struct mg_str){ 0 };
	return json_raw(json_get(made, "openrouter_metadata"));
}

void chat_pass_whole(struct relay *r, struct pass *p, struct mg_view answer, const struct closing *c, struct buf *out)
{
	char room[USAGE_MAX];
	struct buf usage = buf_on(room, sizeof(room));
	struct mg_writer w;

	json_writer_init(&w, &usage);
	usage_member(&w, NULL, c->usage, c->bill);
	identity(r, p);
	struct json_edit edits[] = {
		{ "id", p->id }, { "object", MG_STR("\"chat.completion\"") }, { "model", p->model }, { "created", p->created },
		{ "provider", p->provider }, { "usage", json_written(&w) }, { "openrouter_metadata", metadata(r) },
		{ "choices", choices(r, answer, quoted(r, word(finish_name(c->finish))), quoted(r, c->native)) },
	};
	buf_room(out, json_raw(answer).len + sizeof(room));
	json_splice(answer, edits, sizeof(edits) / sizeof(edits[0]), out);
}
