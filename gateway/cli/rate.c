/*
 * rate.c - moongate rate: price is run again for generations whose price policy failed.  By the
 * gateway while one runs, since its keys' limits are in its memory; else on the store itself.
 */
#include <sys/stat.h>
#include "author/versions.h"
#include "base/clock.h"
#include "cli/policy.h"
#include "cli/remote.h"
#include "cli/table.h"
#include "replay/rating.h"

enum { BODY_MAX = 64 << 20 };

static const struct column columns[] = {
	{ "id", "GENERATION", CELL_TEXT }, { "charged", "CHARGED $", CELL_NUMBER }, { "rated", "RATED $", CELL_NUMBER },
	{ "refund", "REFUND $", CELL_NUMBER }, { "why", "WHY NOT", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };

struct work { const struct cli *c; struct local local; struct remote remote; int64_t since_ms; };

/* ------------------------------------------------ without a gateway */

/* What was live last; before the first start, what the configuration names. */
static int live(struct work *w, struct bundle **out)
{
	struct versions *v = NULL;
	struct versions_state now;
	struct err err = { 0 };
	int rc = versions_open(w->local.data_dir, &v, &err);

	if (!rc) {
		versions_now(v, &now);
		rc = now.live[0] ? versions_read(v, now.live, out, &err) : local_policies(&w->local, out, &err);
	}
	versions_close(v);
	return rc ? cli_fail(EXIT_CONFIG, &err) : EXIT_OK;
}

static int run_here(struct work *w, struct buf *out)
{
	const char *name = cli_option(w->c, "--bundle");
	struct rating how = { .since_ms = w->since_ms, .dry_run = cli_switch(w->c, "--dry-run") };
	struct bundle *b = NULL;
	struct err err = { 0 };
	int rc;

	policy_shared_init();
	rc = name ? policy_side(&w->local, w->c, name, &b) : live(w, &b);
	if (!rc && rating_run(w->local.writing, b, &how, out, &err))
		rc = cli_fail(EXIT_FAILED, &err);
	bundle_unref(b);
	return rc;
}

/* ------------------------------------------------ with one */

static int ask(struct work *w, struct buf *out)
{
	const char *name = cli_option(w->c, "--bundle");
	struct mg_writer json;
	struct buf body;
	struct stat st;
	int rc;

	if (name && !stat(name, &st) && S_ISDIR(st.st_mode))
		return cli_say(EXIT_CONFLICT, "a gateway runs: it rates with what is live, or with a version that it has, not with a folder\n"
			"hint: moongate policy publish %.200s, then moongate rate", name);
	buf_init(&body, 4096);
	json_writer_init(&json, &body);
	json_open(&json, NULL, '{');
	json_put_int(&json, "since_ms", w->since_ms);
	json_put_bool(&json, "dry_run", cli_switch(w->c, "--dry-run"));
	if (name && strcmp(name, "live"))
		json_put_text(&json, "version", name);
	json_close(&json);
	rc = remote_call(&w->remote, "POST", "/api/admin/rate", buf_view(&body), out);
	buf_release(&body);
	return rc;
}

/* ------------------------------------------------ both */

static int open_work(struct work *w)
{
	int64_t since = 0;
	int rc = EXIT_OK;

	if (cli_option(w->c, "--since")) {
		rc = cli_duration(w->c, "--since", "", &since);
		w->since_ms = clock_wall_ms() - since;
		w->since_ms = w->since_ms < 0 ? 0 : w->since_ms;
	}
	return rc ? rc : remote_or_here(&w->remote, w->c, &w->local);
}

/* Some that stay as they are are a problem, for scripts too. */
static int show(const struct cli *c, struct buf *out)
{
	struct pool *p = pool_new(BODY_MAX * 4);
	struct mg_view all = { 0 };
	struct mg_str refund;
	uint64_t rated = 0, not_rated = 0;
	int rc = p && json_parse(p, buf_view(out), &all, NULL) == MG_OK && json_count(json_get(all, "rated"), &rated) &&
		json_count(json_get(all, "not_rated"), &not_rated) ? EXIT_OK : cli_say(EXIT_FAILED, "the gateway's answer is not understood");

	if (!rc && (rated || not_rated || c->output != OUTPUT_TABLE))
		rc = table_list(c, buf_view(out), columns);
	refund = json_raw(json_get(all, "refund"));
	if (!rc && c->output == OUTPUT_TABLE)
		cli_note("%llu rated%s, $%.*s given back; %llu still to be rated\n", (unsigned long long)rated,
			cli_switch(c, "--dry-run") ? " (dry run: nothing is changed)" : "", (int)refund.len, refund.at, (unsigned long long)not_rated);
	pool_free(p);
	return rc ? rc : not_rated ? EXIT_PROBLEMS : EXIT_OK;
}

int rate_run(int argc, char **argv)
{
	struct work w = { .c = NULL };
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "rate", argc, argv, 0, 0);

	if (rc)
		return rc;
	w.c = &c;
	buf_init(&out, BODY_MAX);
	rc = open_work(&w);
	if (!rc)
		rc = w.local.writing ? run_here(&w, &out) : ask(&w, &out);
	rc = rc ? rc : show(&c, &out);
	buf_release(&out);
	remote_close(&w.remote);
	local_close(&w.local);
	return rc;
}
