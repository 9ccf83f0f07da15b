/* policy_fuel(): what the hooks of a bundle take at most, over 20 and over 200 candidates; nothing is remembered meanwhile. */
#include "author/tools.h"

enum { ROUNDS = 40, SIZES = 2 };
static const size_t sizes[SIZES] = { 20, PROBES_MAX };
struct costs { struct cost at[SIZES][ENTRIES_MAX * HOOK_COUNT]; long request[SIZES]; };

/* Files that no list names, as far as they need no parameters. */
static void add_rest(struct policy_state *s, const struct bundle *b)
{
	for (size_t i = 0; i < b->n_files; i++) {
		const struct source *f = &b->files[i];
		char name[NAME_BYTES];
		size_t k = 0;

		snprintf(name, sizeof(name), "%.*s", (int)strlen(f->name) - 4, f->name);
		while (k < s->n_entries && strcmp(s->entries[k].name, name))
			k++;
		if (k == s->n_entries && f->own && !is_test_file(f) && strcmp(f->name, "bundle.lua") && !strstr(f->text, "return library"))
			chain_add(s, name);
	}
}

static void measure(struct policy_state *s, struct probes *p, struct costs *c, int i)
{
	s->costs = c->at[i];
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct pool *pool = pool_new(16 << 20);
		struct decision d;

		if (!pool)
			return;
		probes_live(p, s, &d, pool, sizes[i], round);
		c->request[i] = d.fuel > c->request[i] ? d.fuel : c->request[i];
		pool_free(pool);
	}
	s->costs = NULL;
}

static void tell(struct policy_state *s, const struct costs *c, const char *only, void (*say)(void *arg, const char *line), void *arg)
{
	char line[300];

	for (size_t i = 0; i < s->n_entries; i++)
		for (int h = 0; h < HOOK_COUNT; h++) {
			const struct cost *few = &c->at[0][i * HOOK_COUNT + (size_t)h], *many = &c->at[1][i * HOOK_COUNT + (size_t)h];

			if ((!few->calls && !many->calls) || (only && !strstr(s->entries[i].name, only)))
				continue;
			snprintf(line, sizeof(line), "# %-20s %-9s 20 candidates: %7ld instructions %7.1f KB   200: %7ld of %ld, %7.1f KB", s->entries[i].name, hook_names[h],
				few->fuel, (double)few->bytes / 1e3, many->fuel, hook_fuel[h], (double)many->bytes / 1e3);
			say(arg, line);
		}
	snprintf(line, sizeof(line), "# a whole request: %ld instructions over 20 candidates, %ld of %ld over 200", c->request[0], c->request[1], s->request_fuel);
	say(arg, line);
}

int policy_fuel(const char *dir, const char *base_dir, const char *only, void (*say)(void *arg, const char *line), void *arg, struct err *err)
{
	struct costs *c = calloc(1, sizeof(*c));
	struct policy_state *s = NULL;
	struct probes *p = NULL;
	struct bundle *b = NULL;
	int rc = bundle_read(dir, base_dir, &b, err);

	if (!rc && !(s = policy_state_new(b, err)))
		rc = MG_EINVAL;
	if (!rc && (!(p = probes_new(b)) || !c))
		rc = fail(err, MG_ENOMEM, "no memory");
	if (!rc) {
		add_rest(s, b);
		s->remembers = false;
		probes_begin(p, s);
		for (int i = 0; i < SIZES && s->shared; i++)
			measure(s, p, c, i);
		tell(s, c, only, say, arg);
	}
	probes_free(p);
	policy_state_free(s);
	bundle_unref(b);
	free(c);
	return rc;
}
