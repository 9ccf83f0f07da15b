/*
 * publish.c - moongate policy publish, rollback, list: through the gateway where
 * one runs; else in its data directory, for its next start.
 */
#include <pwd.h>
#include <unistd.h>
#include "author/author.h"
#include "author/versions.h"
#include "cli/policy.h"
#include "cli/remote.h"
#include "cli/table.h"

enum { BODY_MAX = 16 << 20 };

static const struct column columns[] = {
	{ "version", "VERSION", CELL_HASH }, { "live", "LIVE", CELL_TEXT }, { "since", "SINCE", CELL_TIME }, { "until", "UNTIL", CELL_TIME },
	{ "how", "HOW", CELL_TEXT }, { "by", "BY", CELL_TEXT }, { "from", "FROM", CELL_TEXT }, { "failed", "FAILED", CELL_TEXT },
	{ NULL, NULL, CELL_TEXT } };

struct work {
	const struct cli *c;
	struct local local;
	struct versions *versions;	/* NULL: a gateway runs, and has them */
	struct remote remote;
	struct buf out;
	char by[48];
};

static void who(char out[static 48])
{
	const struct passwd *p = getpwuid(getuid());

	if (p)
		snprintf(out, 48, "%s", p->pw_name);
	else
		snprintf(out, 48, "user %u", (unsigned)getuid());
}

static int work_open(struct work *w, const struct cli *c)
{
	struct err err = { 0 };
	int rc;

	w->c = c;
	buf_init(&w->out, BODY_MAX);
	who(w->by);
	rc = remote_or_here(&w->remote, c, &w->local);
	if (rc || !w->local.accounts)
		return rc;
	return versions_open(w->local.data_dir, &w->versions, &err) ? cli_fail(EXIT_FAILED, &err) : EXIT_OK;
}

static int work_close(struct work *w, int rc)
{
	versions_close(w->versions);
	buf_release(&w->out);
	remote_close(&w->remote);
	local_close(&w->local);
	return rc;
}

/* ------------------------------------------------ without a gateway */

static int status_of(int rc)
{
	return rc == MG_EINVAL ? EXIT_PROBLEMS : rc == MG_EDENIED ? EXIT_NOT_FOUND : rc == MG_EPROTO ? EXIT_CONFLICT : EXIT_FAILED;
}

/* What is live, for its guards; *out NULL: nothing is, or guards may go. */
static void live_of(struct work *w, struct bundle **out)
{
	struct versions_state now;
	struct err ignored = { 0 };

	*out = NULL;
	versions_now(w->versions, &now);
	if (now.live[0] && !cli_switch(w->c, "--drop-guards") && versions_read(w->versions, now.live, out, &ignored))
		*out = NULL;
}

/* The version is what a script wants: on stdout. */
static int say_live(const struct work *w, struct mg_str version, const char *when)
{
	char text[VERSION_HEX + 1], note[80];

	snprintf(text, sizeof(text), "%.*s", (int)version.len, version.at);
	snprintf(note, sizeof(note), "%.12s is live%s", text, when);
	if (w->c->output == OUTPUT_TABLE) {
		fflush(stderr);
		puts(text);
	}
	return table_done(w->c, note, DONE("version", text, "live", *when ? "next start" : "now"));
}

static int local_live(struct work *w, struct bundle *kept, const struct cause *c, struct err *err)
{
	struct bundle *there;
	int rc = versions_live(w->versions, kept, c, err);

	if (rc)
		return rc;
	/* What the configured folder holds today is no news for the next start. */
	if (!bundle_read(policies_folder(&w->local.conf), w->local.places.policies, &there, NULL)) {
		rc = versions_source(w->versions, bundle_hash(there), err);
		bundle_unref(there);
	}
	return say_live(w, (struct mg_str){ bundle_hash(kept), strlen(bundle_hash(kept)) }, " at the next start of the gateway");
}

static int publish_here(struct work *w, struct bundle *b, const char *from)
{
	struct cause c = { "publish", from, w->by, false };
	struct bundle *live, *kept = NULL;
	struct recent *recent;
	struct err err = { 0 };
	int rc = recent_of(w->local.writing, NULL, &recent, &err);

	live_of(w, &live);
	rc = rc ? rc : versions_take(w->versions, b, live, recent, &kept, &err);
	rc = rc ? rc : local_live(w, kept, &c, &err);
	recent_free(recent);
	bundle_unref(live);
	bundle_unref(kept);
	return rc ? cli_fail(status_of(rc), &err) : EXIT_OK;
}

static int rollback_here(struct work *w, const char *begins)
{
	struct cause c = { "rollback", "", w->by, false };
	struct bundle *live, *kept = NULL;
	char version[VERSION_HEX + 1], from[40];
	struct err err = { 0 };
	int rc = 0;

	if (begins)
		rc = versions_find(w->versions, begins, version, &err);
	else if (!versions_before(w->versions, 0, version))
		rc = fail(&err, MG_EDENIED, "no other version is kept that did not fail\nhint: 'moongate policy list' shows them");
	live_of(w, &live);
	rc = rc ? rc : versions_take_older(w->versions, version, live, &kept, &err);
	snprintf(from, sizeof(from), "version %.12s", rc ? "" : version);
	c.from = from;
	rc = rc ? rc : local_live(w, kept, &c, &err);
	bundle_unref(live);
	bundle_unref(kept);
	return rc ? cli_fail(status_of(rc), &err) : EXIT_OK;
}

/* ------------------------------------------------ by the gateway */

static int said_live(struct work *w)
{
	struct pool *p = pool_new(BODY_MAX);
	struct mg_view all = { 0 };
	struct mg_str version = { 0 };

	if (p && json_parse(p, buf_view(&w->out), &all, NULL) == MG_OK)
		version = json_text(p, json_get(json_get(all, "data"), "version"));
	if (version.at)
		say_live(w, version, "");
	pool_free(p);
	return version.at ? EXIT_OK : cli_say(EXIT_FAILED, "the gateway's answer cannot be read");
}

static int ask(struct work *w, const char *path, struct mg_writer *body)
{
	struct mg_str text;

	json_put_text(body, "by", w->by);
	if (cli_switch(w->c, "--drop-guards"))
		json_put_bool(body, "drop_guards", true);
	json_close(body);
	text = json_written(body);
	return !text.at ? cli_say(EXIT_FAILED, "no memory for the request") : remote_call(&w->remote, "POST", path, text, &w->out);
}

static bool put_file(void *arg, const char *name, struct mg_str text)
{
	json_put(arg, name, text);
	return true;
}

static int publish_there(struct work *w, const struct bundle *b, const char *dir, const char *from)
{
	struct mg_writer body;
	struct buf text;
	int rc;

	buf_init(&text, BODY_MAX);
	json_writer_init(&body, &text);
	json_open(&body, NULL, '{');
	json_put_text(&body, "from", from);
	json_open(&body, "files", '{');
	if (dir)	/* else the shipped ones, which are the gateway's own */
		bundle_each(b, put_file, &body);
	json_close(&body);
	rc = ask(w, "/api/admin/policies/publish", &body);
	buf_release(&text);
	if (rc == EXIT_FAILED && w->remote.status == 400)
		return EXIT_PROBLEMS;	/* that clients' requests found, which the gateway alone has */
	return rc ? rc : said_live(w);
}

static int rollback_there(struct work *w, const char *begins)
{
	struct mg_writer body;
	struct buf text;
	int rc;

	buf_init(&text, BODY_MAX);
	json_writer_init(&body, &text);
	json_open(&body, NULL, '{');
	if (begins)
		json_put_text(&body, "version", begins);
	rc = ask(w, "/api/admin/policies/rollback", &body);
	buf_release(&text);
	return rc ? rc : said_live(w);
}

/* ------------------------------------------------ commands */

/* Here, too: what is wrong is told before anybody is asked. */
static int read_bundle(struct work *w, const char *dir, struct bundle **out)
{
	struct err err = { 0 };
	int rc = bundle_read(dir, w->local.places.policies, out, &err);

	if (rc)
		return cli_fail(EXIT_PROBLEMS, &err);
	policy_shared_init();
	rc = bundle_try(*out, &err);
	rc = rc ? rc : bundle_vet(*out, &err);
	return rc ? cli_fail(EXIT_PROBLEMS, &err) : EXIT_OK;
}

int policy_publish_run(int argc, char **argv)
{
	struct work w = { .c = NULL };
	char path[4096];
	struct bundle *b = NULL;
	const char *dir = NULL, *from;
	struct cli c;
	int rc = cli_begin(&c, "policy publish", argc, argv, 0, 1);

	if (rc)
		return rc;
	rc = local_bundle(&w.local, &c, &dir);
	from = !dir ? "shipped" : realpath(dir, path) ? path : dir;
	rc = rc ? rc : read_bundle(&w, dir, &b);
	if (!rc && dir)
		policy_note_idle(b);
	rc = rc ? rc : work_open(&w, &c);
	rc = rc ? rc : w.versions ? publish_here(&w, b, from) : publish_there(&w, b, dir, from);
	bundle_unref(b);
	return work_close(&w, rc);
}

int policy_rollback_run(int argc, char **argv)
{
	struct work w = { .c = NULL };
	struct cli c;
	int rc = cli_begin(&c, "policy rollback", argc, argv, 0, 1);
	const char *begins;

	if (rc)
		return rc;
	begins = c.argc ? c.argv[0] : NULL;
	policy_shared_init();
	rc = work_open(&w, &c);
	rc = rc ? rc : w.versions ? rollback_here(&w, begins) : rollback_there(&w, begins);
	return work_close(&w, rc);
}

/* Behind the table: what did not go live is in no row of it. */
static void say_failure(const struct cli *c, struct mg_str body)
{
	struct pool *p = pool_new(BODY_MAX);
	struct mg_view all = { 0 }, last;

	if (p && c->output == OUTPUT_TABLE && json_parse(p, body, &all, NULL) == MG_OK) {
		last = json_get(all, "last_failure");
		if (json_kind(last) == MG_OBJECT) {
			struct mg_str at = json_text(p, json_get(last, "at")), why = json_text(p, json_get(last, "message"));

			fprintf(stderr, "last failed attempt: %.*s %.*s\n", (int)at.len, at.at, (int)why.len, why.at);
		}
	}
	pool_free(p);
}

int policy_list_run(int argc, char **argv)
{
	struct work w = { .c = NULL };
	struct cli c;
	int rc = cli_begin(&c, "policy list", argc, argv, 0, 0);

	rc = rc ? rc : work_open(&w, &c);
	if (!rc && w.versions) {
		buf_text(&w.out, "{");
		versions_print(w.versions, &w.out);
		buf_text(&w.out, "}");
	} else if (!rc) {
		rc = remote_call(&w.remote, "GET", "/api/admin/policies", (struct mg_str){ 0 }, &w.out);
	}
	if (!rc) {
		rc = table_list(&c, buf_view(&w.out), columns);
		say_failure(&c, buf_view(&w.out));
	}
	return work_close(&w, rc);
}
