/*
 * A small world for tools that try policies: endpoints that are unusual (free,
 * without a price, of an unknown data policy), and requests drawn from the words
 * and numbers that the bundle's own files speak of, so that a rule about a label
 * meets that label.  The same bundle and round give the same request.
 */
#include "author/lex.h"
#include "author/tools.h"
#include "policy/fields.h"

enum { WORDS_MAX = 240, NUMBERS_MAX = 120 };
struct probes {
	struct model model;
	struct provider providers[PROBES_MAX];
	struct endpoint endpoints[PROBES_MAX]; char names[PROBES_MAX][16];
	struct catalog catalog;
	struct mg_str words[WORDS_MAX]; size_t n_words;		/* in the bundle's text */
	uint64_t numbers[NUMBERS_MAX]; size_t n_numbers;
	uint64_t state;
	unsigned round;
};

static uint64_t draw(struct probes *p, uint64_t n)
{
	p->state = p->state * 6364136223846793005u + 1442695040888963407u;
	return n ? (p->state >> 33) % n : 0;
}

/* ---- what the files speak of */

static void add_word(struct probes *p, const char *at, size_t len)
{
	const char *equal = memchr(at, '=', len);

	if (equal) {
		add_word(p, at, (size_t)(equal - at));
		add_word(p, equal + 1, len - (size_t)(equal + 1 - at));
	}
	if (len > 60 || memchr(at, '\\', len) || p->n_words == WORDS_MAX)
		return;
	for (size_t i = 0; i < p->n_words; i++)
		if (p->words[i].len == len && !memcmp(p->words[i].at, at, len))
			return;
	p->words[p->n_words++] = (struct mg_str){ at, len };
}

static void read_literals(struct probes *p, const struct source *f)
{
	struct lexeme t, in, before = { LEX_END, "", 0, 0 };
	struct lexer l;

	lex_begin(&l, f->text, f->len);
	for (; (t = lex_next(&l)).kind != LEX_END; before = t) {
		if (t.kind == LEX_STRING) {
			in = lexeme_inside(&t);
			add_word(p, in.at, in.len);
		} else if (t.kind == LEX_WORD && lexeme_is(&before, ".")) {
			add_word(p, t.at, t.len);
		} else if (t.kind == LEX_NUMBER && p->n_numbers < NUMBERS_MAX && t.len < 19) {
			p->numbers[p->n_numbers++] = strtoull(t.at, NULL, 0);
		}
	}
}

static struct mg_str word(struct probes *p)
{
	return p->n_words ? p->words[draw(p, p->n_words)] : (struct mg_str){ "x", 1 };
}

static uint64_t number(struct probes *p)
{
	uint64_t n = p->n_numbers ? p->numbers[draw(p, p->n_numbers)] : 1, by = draw(p, 3);

	return draw(p, 4) ? n + by > 0 ? n + by - 1 : 0 : draw(p, 200000);
}

/* ---- endpoints */

/* A C string of its own, which lives as long as the probes do: drawn words are not ended. */
static char *text(struct probes *p, const char *otherwise)
{
	struct mg_str w = word(p);

	return draw(p, 3) ? strdup(otherwise) : strndup(w.at, w.len);
}

static void endpoint_fill(struct probes *p, size_t i)
{
	static char *const tiers[] = { (char *)"default", (char *)"priority", (char *)"flex", (char *)"default" };
	struct endpoint *e = &p->endpoints[i];
	struct provider *by = &p->providers[i];

	snprintf(p->names[i], sizeof(p->names[i]), "probe-%zu", i);
	by->slug = text(p, p->names[i]);
	by->name = by->slug;
	by->data = (struct data_policy){ .known = i % 3 != 0, .trains = i % 4 == 1, .retains = i % 2, .zdr = i % 2 == 0, .retention_days = i % 5 ? (int)i : -1 };
	*e = (struct endpoint){ .id = p->names[i], .model = &p->model, .provider = by, .tag = by->slug, .tier = tiers[i % 4],
		.region = text(p, i % 2 ? "eu" : ""), .quantization = text(p, "unknown"), .free = i % 7 == 3, .priced = i % 6 != 5, .index = i,
		.context_length = i % 5 ? number(p) : 0, .max_output = i % 3 ? number(p) : 0, .distillable = i % 2 };
	if (e->priced && i % 7 != 3)
		e->rates.pusd[RATE_PROMPT] = e->rates.pusd[RATE_COMPLETION] = (int64_t)i * 100000;
}

struct probes *probes_new(struct bundle *b)
{
	static char slug[] = "probe/model";
	struct probes *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	for (size_t i = 0; i < b->n_files; i++)
		if (b->files[i].own)
			read_literals(p, &b->files[i]);
	p->state = 1;
	p->model = (struct model){ .slug = slug, .canonical = slug, .name = slug };
	for (size_t i = 0; i < PROBES_MAX; i++) {
		endpoint_fill(p, i);
		if (p->providers[i].slug && p->endpoints[i].region && p->endpoints[i].quantization)
			continue;
		probes_free(p);
		return NULL;
	}
	p->catalog = (struct catalog){ .endpoints = p->endpoints, .n_endpoints = PROBES_MAX, .version = 1 };
	return p;
}

void probes_free(struct probes *p)
{
	for (size_t i = 0; p && i < PROBES_MAX; i++) {
		free(p->providers[i].slug);
		free(p->endpoints[i].region);
		free(p->endpoints[i].quantization);
	}
	free(p);
}

unsigned probes_rounds(const struct probes *p)
{
	return 60 + (unsigned)p->n_words;
}

void probes_begin(struct probes *p, struct policy_state *s)
{
	if (!s->testing)
		s->shared = shared_new();	/* limits of a check are nobody's */
	s->testing = true;			/* so it is freed with the state */
	lua_newtable(s->L);
	s->scratch = luaL_ref(s->L, LUA_REGISTRYINDEX);
	endpoints_reset(s, &p->catalog);
}

/* ---- requests */

static struct words draw_words(struct probes *p, struct pool *pool, size_t n)
{
	struct mg_str *at = pool_alloc(pool, sizeof(*at) * (n + 1));

	for (size_t i = 0; at && i < n; i++)
		at[i] = word(p);
	return (struct words){ at, at ? n : 0 };
}

/* All words as names, with the same value: each word in its turn, so that a label is met with each. */
static struct words draw_pairs(struct probes *p, struct pool *pool)
{
	struct mg_str *at = pool_alloc(pool, sizeof(*at) * 2 * (p->n_words + 1));

	for (size_t i = 0; at && i < p->n_words; i++) {
		at[2 * i] = p->words[i];
		at[2 * i + 1] = p->words[p->round % p->n_words];
	}
	return (struct words){ at, at ? 2 * p->n_words : 0 };
}

/* One of those that the type names, as "\"none\"|\"low\""; else any word. */
static struct mg_str draw_text(struct probes *p, const struct field *f)
{
	struct mg_str known[16];
	size_t n = 0;

	for (const char *at = strchr(f->type, '"'), *end; at && n < 16 && (end = strchr(at + 1, '"')); at = strchr(end + 1, '"'))
		known[n++] = (struct mg_str){ at + 1, (size_t)(end - at - 1) };
	return n ? known[draw(p, n)] : word(p);
}

static void draw_field(struct probes *p, struct pool *pool, const struct field *f, void *at)
{
	struct number *cuts = at;

	switch (f->kind) {
	case K_STR: *(struct mg_str *)at = draw_text(p, f); break;
	case K_U64: *(uint64_t *)at = number(p); break;
	case K_I64: *(int64_t *)at = (int64_t)(number(p) >> 1); break;
	case K_BOOL: case K_DENY: *(bool *)at = draw(p, 2); break;
	case K_WORDS: case K_SET: *(struct words *)at = draw_words(p, pool, 1 + draw(p, 3)); break;
	case K_PAIRS: *(struct words *)at = draw_pairs(p, pool); break;
	case K_CUTS: case K_PRICES:
		for (size_t i = 0; i < numbers_of(f); i++)
			cuts[i] = (struct number){ draw(p, 2), (double)number(p) };
		break;
	default: break;
	}
}

static void draw_facts(struct probes *p, struct pool *pool, struct facts *f)
{
	static const char *const fixed[] = { "id", "seed", "now_ms", "model", "models", NULL };

	for (unsigned base = OF_REQ; base < BASES; base++)
		for (const struct field *of = parts[base].fields; of->name; of++) {
			/* the tables are of what is read only, but these facts are ours */
			char *at = (char *)(uintptr_t)base_of(f, base) + of->at;

			if ((draw(p, 3) && of->kind != K_PAIRS) || (base == OF_REQ && is_one_of(of->name, fixed)))
				continue;
			draw_field(p, pool, of, at);
		}
}

static void ask(struct probes *p, struct decision *d, struct pool *pool, size_t n, unsigned round)
{
	static const struct mg_str models[] = { { "probe/model", 11 } };
	static const struct mg_str variants[] = { { "", 0 }, { "nitro", 5 }, { "floor", 5 }, { "free", 4 }, { "exacto", 6 } };

	p->state = round + 1;
	p->round = round;
	decision_init(d, pool);
	d->facts.id = MG_STR("check");
	d->facts.api = MG_STR("chat");
	d->facts.model = models[0];
	d->facts.models = (struct words){ models, 1 };
	d->facts.variant = variants[round % 5];
	d->facts.now_ms = 1767787200000 + (int64_t)round * 25740000;	/* another hour, and day */
	d->facts.seed = round;
	d->facts.key.id = MG_STR("check");
	if (round >= 10)	/* the first are plain */
		draw_facts(p, pool, &d->facts);
	d->facts.prefs.zdr |= round % 4 == 3;
	d->candidates = pool_alloc(pool, sizeof(*d->candidates) * (n + 1));
	d->order = pool_alloc(pool, sizeof(*d->order) * (n + 1));
	for (d->n = 0; d->candidates && d->order && d->n < n; d->n++) {
		uint64_t ms = draw(p, 5000);

		d->candidates[d->n] = (struct candidate){ .endpoint = &p->endpoints[(d->n + round) % PROBES_MAX],
			.live = { .outage_ago_ms = d->n % 3 ? INT64_MAX : 1000, .samples = d->n % 4 * 100, .uptime_30m = 1,
				.ttft_ms = { (double)ms, (double)ms, (double)ms * 2, (double)ms * 3 }, .tput_tps = { .p50 = (double)draw(p, 90) } } };
	}
}

void probes_live(struct probes *p, struct policy_state *s, struct decision *d, struct pool *pool, size_t n, unsigned round)
{
	struct mg_usage usage = { .size = sizeof(usage), .input = 1000, .cached = 10, .output = 100, .requests = 1 };
	struct attempt_error e = { .kind = MG_E_SERVER, .endpoint = &p->endpoints[0], .n = 1, .tries_here = 1, .retryable = true };
	struct outcome o = { .status = 200, .usage = &usage };
	struct denial no;
	struct action a;
	struct shape shape;
	struct bill bill;

	ask(p, d, pool, n, round);
	policy_admit(s, d, &no);
	policy_retain(s, d);
	policy_resolve(s, d, &no);
	route_listed(s, d, &no);
	policy_plan(s, d);
	for (e.kind = MG_E_UPSTREAM; e.kind <= MG_E_CANCELLED; e.kind++)
		policy_on_error(s, d, &e, d->order, d->n_order, &a);
	for (size_t i = 0; i < d->n_order && i < 20; i++) {
		policy_shape(s, d, d->order[i]->endpoint, &shape);
		policy_price(s, d, d->order[i]->endpoint, &usage, i % 2, &bill);
		o.endpoint = d->order[i]->endpoint;
		o.bill = &bill;
	}
	policy_observe(s, d, &o);
}
