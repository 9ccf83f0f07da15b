/* usage.c - moongate usage: what was spent, by model, key, provider or day. */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/money.h"
#include "cli/local.h"
#include "cli/table.h"
#include "ledger/generation.h"

enum { PARTS = 4, LABEL = 96, BODY_MAX = 64 << 20, RECORD_MAX = 4 << 20 };
enum part { BY_MODEL, BY_KEY, BY_PROVIDER, BY_DAY };
static const char *const part_names[PARTS] = { "model", "key", "provider", "day" };

struct group { char labels[PARTS][LABEL]; int64_t requests, prompt, completion; money_sum charge, cost, own; };
struct usage {
	enum part by[PARTS];
	size_t n_by;
	struct group *groups;
	size_t n, room;
	size_t *slots, n_slots;		/* open hash: index + 1 of a group; a power of two */
	struct group total;
	bool no_memory;
};

/* ------------------------------------------------ --by model,key */

static int read_by(struct usage *u, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, ","), k = 0;

		while (k < PARTS && (strlen(part_names[k]) != len || strncmp(part_names[k], text, len)))
			k++;
		for (size_t i = 0; i < u->n_by; i++)
			if (u->by[i] == k)
				k = PARTS;
		if (k == PARTS)
			return cli_say(EXIT_USAGE, "usage: --by: '%.*s' cannot be\nhint: model, key, provider, day, each once, with commas", (int)len, text);
		u->by[u->n_by++] = (enum part)k;
		text += len + (text[len] == ',');
	}
	return EXIT_OK;
}

/* ------------------------------------------------ groups */

static uint64_t hash_of(const struct group *g)
{
	return hash64(g->labels, sizeof(g->labels), 1);
}

static size_t *slot_of(struct usage *u, const struct group *g)
{
	size_t i = hash_of(g) & (u->n_slots - 1);

	while (u->slots[i] && memcmp(u->groups[u->slots[i] - 1].labels, g->labels, sizeof(g->labels)))
		i = (i + 1) & (u->n_slots - 1);
	return &u->slots[i];
}

static bool grow(struct usage *u)
{
	size_t room = u->room ? u->room * 2 : 64;
	struct group *more = realloc(u->groups, room * sizeof(*more));
	size_t *slots = calloc(room * 2, sizeof(*slots));

	u->groups = more ? more : u->groups;
	if (!more || !slots) {
		free(slots);
		return false;
	}
	free(u->slots);
	u->slots = slots;
	u->n_slots = room * 2;
	u->room = room;
	for (size_t i = 0; i < u->n; i++)
		*slot_of(u, &u->groups[i]) = i + 1;
	return true;
}

static struct group *group_for(struct usage *u, const struct group *like)
{
	size_t *slot;

	if (u->n == u->room && !grow(u))
		return NULL;
	slot = slot_of(u, like);
	if (!*slot) {
		u->groups[u->n] = *like;
		*slot = ++u->n;
	}
	return &u->groups[*slot - 1];
}

static void label(struct group *g, enum part by, const struct mg_store_generation *row)
{
	char *out = g->labels[by], day[32];

	clock_rfc3339(row->at_ms, day);
	day[10] = '\0';
	snprintf(out, LABEL, "%s", by == BY_MODEL ? row->model : by == BY_KEY ? row->key_hash : by == BY_PROVIDER ? row->provider : day);
}

static void add(struct group *g, int64_t prompt, int64_t completion, const struct mg_store_generation *row)
{
	g->requests++;
	g->prompt += prompt;
	g->completion += completion;
	g->charge += row->charge_nusd;
	g->cost += (money_sum)row->cost_nusd + row->loss_nusd;
	g->own += MG_HAS(row, own_nusd) ? row->own_nusd : 0;
}

static bool on_row(void *arg, const void *at)
{
	const struct mg_store_generation *row = at;
	struct pool *p = pool_new(RECORD_MAX);
	struct group like = { .requests = 0 }, *g;
	int64_t prompt = 0, completion = 0;
	struct usage *u = arg;
	struct generation record;

	if (p && generation_read(row, p, &record, NULL) == MG_OK) {
		prompt = record.native_prompt == UNKNOWN ? 0 : record.native_prompt;
		completion = record.native_completion == UNKNOWN ? 0 : record.native_completion;
	}
	pool_free(p);
	for (size_t i = 0; i < u->n_by; i++)
		label(&like, u->by[i], row);
	g = group_for(u, &like);
	if (!g) {
		u->no_memory = true;
		return false;
	}
	add(g, prompt, completion, row);
	add(&u->total, prompt, completion, row);
	return true;
}

/* ------------------------------------------------ names of keys */

static bool on_key(void *arg, const void *at)
{
	const struct mg_store_key *k = at;
	struct usage *u = arg;
	json_t *facts = json_loads(k->json, 0, NULL);
	const char *name = json_string_value(json_object_get(facts, "name"));

	for (size_t i = 0; name && i < u->n; i++)
		if (!strcmp(u->groups[i].labels[BY_KEY], k->hash))
			snprintf(u->groups[i].labels[BY_KEY], LABEL, "%.60s (%.8s)", name, k->hash);
	json_decref(facts);
	return true;
}

/* ------------------------------------------------ the answer */

static void put_usd(struct mg_writer *w, const char *name, money_sum nusd)
{
	struct buf text;

	buf_init(&text, 64);
	money_text(&text, nusd > INT64_MAX ? INT64_MAX : (int64_t)nusd, 9);
	json_put_raw(w, name, buf_view(&text));
	buf_release(&text);
}

static void put_group(struct mg_writer *w, const char *name, const struct usage *u, const struct group *g, bool labels)
{
	json_open(w, name, '{');
	for (size_t i = 0; labels && i < u->n_by; i++)
		json_put_text(w, part_names[u->by[i]], g->labels[u->by[i]]);
	json_put_int(w, "requests", g->requests);
	json_put_int(w, "prompt_tokens", g->prompt);
	json_put_int(w, "completion_tokens", g->completion);
	put_usd(w, "usage", g->charge);
	put_usd(w, "upstream_cost", g->cost);
	put_usd(w, "byok_usage", g->own);
	json_close(w);
}

static int dearest(const void *pa, const void *pb)
{
	const struct group *a = pa, *b = pb;

	if (a->charge != b->charge)
		return a->charge > b->charge ? -1 : 1;
	return memcmp(a->labels, b->labels, sizeof(a->labels));
}

static int print(const struct cli *c, struct usage *u)
{
	struct column columns[PARTS + 7] = { { NULL, NULL, CELL_TEXT } };
	static const struct column sums[] = { { "requests", "REQUESTS", CELL_NUMBER }, { "prompt_tokens", "IN", CELL_NUMBER },
		{ "completion_tokens", "OUT", CELL_NUMBER }, { "usage", "CHARGED $", CELL_NUMBER }, { "upstream_cost", "COST $", CELL_NUMBER },
		{ "byok_usage", "OWN ACCOUNTS $", CELL_NUMBER },
		{ NULL, NULL, CELL_TEXT } };
	static const char *const titles[PARTS] = { "MODEL", "KEY", "PROVIDER", "DAY" };
	struct mg_writer w;
	struct buf out;
	int rc;

	for (size_t i = 0; i < u->n_by; i++)
		columns[i] = (struct column){ part_names[u->by[i]], titles[u->by[i]], CELL_TEXT };
	memcpy(columns + u->n_by, sums, sizeof(sums));
	if (u->n)
		qsort(u->groups, u->n, sizeof(*u->groups), dearest);
	buf_init(&out, BODY_MAX);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '[');
	for (size_t i = 0; i < u->n; i++)
		put_group(&w, NULL, u, &u->groups[i], true);
	if (c->output == OUTPUT_TABLE && u->n != 1) {
		for (size_t i = 0; i < u->n_by; i++)
			snprintf(u->total.labels[u->by[i]], LABEL, "%s", i ? "" : "total");
		put_group(&w, NULL, u, &u->total, true);
	}
	json_close(&w);
	put_group(&w, "total", u, &u->total, false);
	json_close(&w);
	rc = table_list(c, buf_view(&out), columns);
	buf_release(&out);
	return rc;
}

int usage_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct usage u = { .n_by = 0 };
	int64_t since = 0;
	struct cli c;
	int rc = cli_begin(&c, "usage", argc, argv, 0, 0);

	rc = rc ? rc : read_by(&u, cli_option(&c, "--by") ? cli_option(&c, "--by") : "model");
	rc = rc ? rc : cli_duration(&c, "--since", "24h", &since);
	rc = rc ? rc : local_store(&l, &c);
	rc = rc ? rc : local_rows(&l, MG_ROW_GENERATION, NULL, clock_wall_ms() - since, on_row, &u);
	if (!rc && u.no_memory)
		rc = cli_say(EXIT_FAILED, "no memory for so many groups");
	for (size_t i = 0; !rc && i < u.n_by; i++)
		if (u.by[i] == BY_KEY)
			rc = local_rows(&l, MG_ROW_KEY, NULL, 0, on_key, &u);
	rc = rc ? rc : print(&c, &u);
	free(u.groups);
	free(u.slots);
	local_close(&l);
	return rc;
}
