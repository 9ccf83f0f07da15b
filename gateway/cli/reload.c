/*
 * reload.c - changes of a running gateway, on the thread for changes: another
 * configuration, other policies, older ones.
 *
 *	read -> try, check, test, decide again -> keep as a version -> a state for each worker -> switch
 *
 * Up to the last step nothing is changed, and the last one cannot fail.  Policies
 * come from the configured folder when its files are other than those that were
 * last taken from it; else what is live stays, also where it was published or
 * gone back to by command.
 */
#include <malloc.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "cli/local.h"
#include "cli/serving.h"

enum { GOOD_FOR_MS = 24 * 3600 * 1000, CROWD = 3 };

static void bundle_drop(void *bundle)
{
	bundle_unref(bundle);
}

static struct snapshot *current(struct serving *s)
{
	return snapshots_current(s->gw.snapshots);
}

/* ------------------------------------------------ the folder */

static const char *name_of(const char *folder)
{
	return folder ? folder : "shipped";
}

static bool unchecked(const struct config *conf)
{
	return json_is_true(json_object_get(json_object_get(conf->tree, "policy"), "unchecked"));
}

/* With what was decided in the last hour; where that cannot be read, without. */
static int take(struct serving *s, struct bundle *b, const struct bundle *live, const struct catalog *now, struct bundle **kept, struct err *err)
{
	struct recent *recent;
	struct err why = { 0 };
	int rc;

	if (recent_of(s->gw.store, now, &recent, &why))
		log_at(LOG_WARN, EV_BUNDLE_UNTRIED, NULL, LOG_S("why", why.msg));
	rc = versions_take(s->gw.versions, b, live, recent, kept, err);
	recent_free(recent);
	return rc;
}

/* What it holds, as a version that may go live. */
static int take_folder(struct serving *s, const struct snapshot *next, struct bundle *there, const struct bundle *live, struct bundle **kept, struct err *err)
{
	int rc;

	if (!unchecked(&next->conf))
		return take(s, there, live, next->catalog, kept, err);
	rc = bundle_try(there, err);
	return rc ? rc : versions_keep(s->gw.versions, there, kept, err);
}

/* ------------------------------------------------ one bundle */

static void tell_refused(struct serving *s, const struct cause *c, const struct err *err)
{
	metric_add(M_POLICY_RELOADS, 1, METRIC_LABELS(c->how, "refused"));
	log_at(LOG_ERROR, EV_BUNDLE_REFUSED, NULL, LOG_S("how", c->how), LOG_S("from", c->from), LOG_S("by", c->by), LOG_S("why", err->msg));
	versions_refused(s->gw.versions, c, err->msg);
}

static void tell_live(const struct bundle *b, const struct cause *c)
{
	metric_add(M_POLICY_RELOADS, 1, METRIC_LABELS(c->how, "live"));
	log_at(LOG_INFO, EV_BUNDLE_LOADED, NULL, LOG_S("version", bundle_hash(b)), LOG_S("how", c->how), LOG_S("from", c->from), LOG_S("by", c->by),
		LOG_S("checked", c->untested ? "no" : "yes"));
}

/* The last step: all workers have a state of next's bundle, or none has and nothing is changed. */
static int go_live(struct serving *s, struct snapshot *next, const struct cause *c, struct err *err)
{
	struct bundle *b = next->bundle, *old = current(s)->bundle;
	int rc = b == old ? 0 : workers_offer(&s->gw, b, err);

	if (!rc && b != old) {
		rc = versions_live(s->gw.versions, b, c, err);
		if (rc)
			workers_withdraw(&s->gw, b);
	}
	if (rc) {
		versions_drop(s->gw.versions, b);
		return rc;
	}
	if (b != old) {
		s->gw.policy_since_ms = clock_wall_ms();
		tell_live(b, c);
	}
	snapshots_publish(s->gw.snapshots, next);
	for (unsigned i = 0; i < s->gw.n_workers; i++)
		worker_look(&s->gw.workers[i]);
	return 0;
}

/* With the configuration that there is.  Takes kept. */
static int turn_to(struct serving *s, struct bundle *kept, const struct cause *c, struct err *err)
{
	struct snapshot *next = snapshot_with(current(s), kept);
	int rc;

	if (!next) {
		bundle_unref(kept);
		return fail(err, MG_ENOMEM, "no memory for a snapshot");
	}
	rc = go_live(s, next, c, err);
	if (rc)
		snapshot_free(next);
	return rc;
}

/* ------------------------------------------------ publish, roll back */

static int roll_back(struct serving *s, const char *version, bool drop_guards, const struct cause *c, struct err *err)
{
	struct bundle *live = current(s)->bundle, *kept;
	int rc;

	if (!strcmp(version, bundle_hash(live)))
		return fail(err, MG_EPROTO, "version %.12s is live", version);
	rc = versions_take_older(s->gw.versions, version, drop_guards ? NULL : live, &kept, err);
	if (rc)
		return rc;
	if (!strcmp(bundle_hash(kept), bundle_hash(live))) {
		bundle_unref(kept);
		return fail(err, MG_EPROTO, "version %.12s is live, with the guards that must stay", version);
	}
	return turn_to(s, kept, c, err);
}

static int publish_bundle(struct serving *s, struct publication *p, const struct cause *c, struct err *err)
{
	struct bundle *live = current(s)->bundle, *kept;
	int rc;

	if (!strcmp(bundle_hash(p->bundle), bundle_hash(live)))
		return 0;
	rc = take(s, p->bundle, p->drop_guards ? NULL : live, current(s)->catalog, &kept, err);
	return rc ? rc : turn_to(s, kept, c, err);
}

static int publish_older(struct serving *s, struct publication *p, const struct cause *c, struct err *err)
{
	char version[VERSION_HEX + 1];
	int rc = 0;

	if (p->version[0])
		rc = versions_find(s->gw.versions, p->version, version, err);
	else if (!versions_before(s->gw.versions, 0, version))
		rc = fail(err, MG_EDENIED, "no other version is kept that did not fail\nhint: 'moongate policy list' shows them");
	return rc ? rc : roll_back(s, version, p->drop_guards, c, err);
}

static int publish(struct gateway *gw, struct publication *p, struct err *err)
{
	struct serving *s = loop_owner(gw, struct serving, gw);
	struct cause c = { p->bundle ? "publish" : "rollback", p->from, p->by, false };
	int rc = p->bundle ? publish_bundle(s, p, &c, err) : publish_older(s, p, &c, err);

	if (rc) {
		if (rc != MG_EDENIED)	/* a version that is none was no attempt */
			tell_refused(s, &c, err);
		return rc;
	}
	versions_follow(s->gw.versions, policies_folder(&current(s)->conf), s->places.policies);
	snprintf(p->live, sizeof(p->live), "%s", bundle_hash(current(s)->bundle));
	return 0;
}

/* ------------------------------------------------ the circuit */

/* One step back, by itself: to what was live a day ago at most, and never from where such a step led. */
static void look_at_circuit(struct serving *s)
{
	struct bundle *live = current(s)->bundle;
	const char *why = bundle_tripped(live);
	struct cause c = { "circuit", "", "circuit", false };
	struct versions_state now;
	char version[VERSION_HEX + 1];
	struct err err = { 0 };
	int rc;

	if (!why || s->judged == live || unchecked(&current(s)->conf))
		return;
	bundle_unref(s->judged);
	s->judged = bundle_ref(live);
	versions_now(s->gw.versions, &now);
	log_at(LOG_ERROR, EV_POLICY_CIRCUIT, NULL, LOG_S("version", bundle_hash(live)), LOG_S("why", why));
	versions_failed(s->gw.versions, bundle_hash(live), why);
	if (!strcmp(now.how, "circuit"))
		rc = fail(&err, MG_EDENIED, "this version was gone back to already");
	else if (!versions_before(s->gw.versions, GOOD_FOR_MS, version))
		rc = fail(&err, MG_EDENIED, "no other version was live within 24 h");
	else
		rc = roll_back(s, version, false, &c, &err);
	metric_add(M_POLICY_TRIPS, 1, METRIC_LABELS(rc ? "kept" : "rolled_back"));
	if (rc)
		tell_refused(s, &c, &err);
}

/* ------------------------------------------------ configuration */

struct snapshot *world_read(struct serving *s, const struct catalog *previous, struct err *err)
{
	struct catalog *catalog = NULL;
	struct snapshot *snap;
	struct config conf;

	if (config_load(&conf, s->config_path, err) != MG_OK)
		return NULL;
	if (plugins_load(s->gw.plugins, s->places.plugins, conf.tree, err) == MG_OK && policy_conf_check(conf.tree, err) == MG_OK)
		catalog = catalog_new(&conf, s->gw.plugins, previous, err);
	snap = catalog ? snapshot_new(&conf, catalog, NULL, bundle_drop) : NULL;
	if (snap)
		return snap;
	if (!err->rc)
		fail(err, MG_ENOMEM, "no memory for the configuration");
	catalog_free(catalog);
	config_release(&conf);
	return NULL;
}

/* What the folder holds, where that is new; else what is live. */
static int choose(struct serving *s, struct snapshot *next, struct bundle **source, struct err *err)
{
	struct bundle *live = current(s)->bundle, *kept;
	struct versions_state now;
	int rc = bundle_read(policies_folder(&next->conf), s->places.policies, source, err);

	if (rc)
		return rc;
	versions_now(s->gw.versions, &now);
	if (!strcmp(bundle_hash(*source), now.source) || !strcmp(bundle_hash(*source), bundle_hash(live))) {
		next->bundle = bundle_ref(live);
		return 0;
	}
	rc = take_folder(s, next, *source, live, &kept, err);
	if (!rc)
		next->bundle = kept;
	return rc;
}

static int switch_to(struct serving *s, struct snapshot *next, struct err *err)
{
	struct cause c = { "reload", name_of(policies_folder(&next->conf)), "reload", unchecked(&next->conf) };
	struct bundle *source = NULL;
	int rc = choose(s, next, &source, err);

	if (!rc)
		rc = go_live(s, next, &c, err);
	if (rc)
		tell_refused(s, &c, err);
	else
		versions_source(s->gw.versions, bundle_hash(source), NULL);
	bundle_unref(source);
	return rc;
}

void unread_log(const struct config *conf)
{
	const char *place;
	json_t *why;

	json_object_foreach(conf->unread, place, why)
		log_at(LOG_WARN, EV_CONFIG_UNREAD, NULL, LOG_S("member", place), LOG_S("why", json_string_value(why)));
}

static void reload(struct serving *s)
{
	struct err err = { 0 };
	static struct listeners listeners;
	struct snapshot *next = world_read(s, current(s)->catalog, &err);
	bool same = true;

	if (next && (listeners_read(&listeners, json_object_get(next->conf.tree, "listen"), s->listen, &err) != MG_OK || switch_to(s, next, &err))) {
		listeners_release(&listeners);
		snapshot_free(next);
		next = NULL;
	}
	metric_set(M_RELOAD_OK, next != NULL, METRIC_PLAIN);
	metric_set(M_RELOAD_AT, clock_wall_ms() / 1000, METRIC_PLAIN);
	if (!next) {
		log_at(LOG_ERROR, EV_CONFIG_REFUSED, NULL, LOG_S("why", err.msg));
		return;
	}
	same = listeners_renew(&s->listeners, &listeners, &s->gw);
	listeners_release(&listeners);
	unread_log(&next->conf);
	log_at(same ? LOG_INFO : LOG_WARN, EV_CONFIG_LOADED, NULL, LOG_S("path", next->conf.path), LOG_N("models", next->catalog->n_models),
		LOG_S("bundle", bundle_hash(next->bundle)), LOG_S("listen", same ? "" : "other addresses take a restart"));
}

/* ------------------------------------------------ start */

/* What was live when the gateway ended goes on, however old it is: it is what this gateway served,
 * and no worse than it was then. */
static int fall_back(struct serving *s, struct snapshot *snap, struct bundle *last, const struct cause *c, const struct err *why, struct err *err)
{
	if (!last)
		return fail(err, why->rc, "%s", why->msg);
	tell_refused(s, c, why);
	log_at(LOG_ERROR, EV_BUNDLE_LOADED, NULL, LOG_S("version", bundle_hash(last)), LOG_S("how", "last good"),
		LOG_S("why", "what is configured was refused"));
	s->fell_back = true;
	snap->bundle = last;
	return 0;
}

/* The same choice as a reload's, but what is live is on the disk, and may not be there. */
static int choose_first(struct serving *s, struct snapshot *snap, struct bundle *last, const char *source, struct err *err)
{
	struct cause c = { "start", name_of(policies_folder(&snap->conf)), "start", unchecked(&snap->conf) };
	struct bundle *there, *kept;
	struct err why = { 0 };
	int rc = bundle_read(policies_folder(&snap->conf), s->places.policies, &there, &why);

	if (rc)
		return fall_back(s, snap, last, &c, &why, err);
	if (last && (!strcmp(bundle_hash(there), source) || !strcmp(bundle_hash(there), bundle_hash(last)))) {
		snap->bundle = last;
		rc = versions_source(s->gw.versions, bundle_hash(there), err);
	} else if (take_folder(s, snap, there, last, &kept, &why)) {
		rc = fall_back(s, snap, last, &c, &why, err);
	} else {
		bundle_unref(last);
		snap->bundle = kept;
		rc = versions_live(s->gw.versions, kept, &c, err);
		rc = rc ? rc : versions_source(s->gw.versions, bundle_hash(there), err);
		if (!rc)
			tell_live(kept, &c);
	}
	bundle_unref(there);
	return rc;
}

int first_policies(struct serving *s, struct snapshot *snap, struct err *err)
{
	struct versions_state now;
	struct bundle *last = NULL;
	struct err lost = { 0 };
	int rc = versions_open(s->gw.data_dir, &s->gw.versions, err);

	if (rc)
		return rc;
	s->gw.publish = publish;
	versions_now(s->gw.versions, &now);
	if (now.live[0] && versions_read(s->gw.versions, now.live, &last, &lost))
		log_at(LOG_ERROR, EV_BUNDLE_REFUSED, NULL, LOG_S("how", "start"), LOG_S("from", "what was live"), LOG_S("why", lost.msg));
	rc = choose_first(s, snap, last, now.source, err);
	versions_now(s->gw.versions, &now);
	s->gw.policy_since_ms = now.since_ms;
	s->gw.source_seen_ms = clock_wall_ms();
	return rc;
}

/* ------------------------------------------------ now and then */

/* The day has come from which another price holds; once, also where the reload is refused. */
static bool prices_change(struct serving *s)
{
	int64_t at = current(s)->catalog->changes_ms;

	if (!at || at == s->changed_ms || clock_wall_ms() < at)
		return false;
	s->changed_ms = at;
	return true;
}

/* max_stale_s is a word of the folder's own bundle, about the folder. */
static void look_at_folder(struct serving *s)
{
	const struct snapshot *snap = current(s);
	const char *folder = policies_folder(&snap->conf);
	int64_t now = clock_wall_ms(), most = bundle_max_stale_s(snap->bundle) * 1000;
	bool stale;
	char path[1024];

	snprintf(path, sizeof(path), "%s/bundle.lua", name_of(folder));
	if (!folder || access(path, R_OK) == 0)
		s->gw.source_seen_ms = now;
	stale = most && now - s->gw.source_seen_ms > most;
	if (stale && !s->gw.policy_stale)
		log_at(LOG_ERROR, EV_POLICY_STALE, NULL, LOG_S("folder", folder), LOG_N("max_stale_s", most / 1000));
	s->gw.policy_stale = stale;
}

static void look_at_versions(struct serving *s)
{
	size_t n = policy_versions_alive(NULL);

	if (n > CROWD && !s->crowded)
		log_at(LOG_WARN, EV_POLICY_VERSIONS, NULL, LOG_N("versions", n), LOG_S("why", "requests of older ones still run"));
	s->crowded = n > CROWD;
}

static void look_work(struct job *j)
{
	struct serving *s = loop_owner(j, struct serving, look);
	static size_t before = 1;
	size_t alive;

	atomic_store(&s->looking, false);
	if (prices_change(s))
		reload(s);
	look_at_circuit(s);
	look_at_folder(s);
	look_at_versions(s);
	alive = snapshots_reap(s->gw.snapshots);
	if (alive < before)
		malloc_trim(0);
	before = alive;
}

static void reload_work(struct job *j)
{
	struct serving *s = loop_owner(j, struct serving, reload);

	atomic_store(&s->reloading, false);	/* a signal from here on is for what is read from here on */
	reload(s);
}

void serving_reload(struct serving *s)
{
	if (atomic_exchange(&s->reloading, true))
		return;
	s->reload.work = reload_work;	/* ours again only now */
	background_change(&s->reload);
}

void serving_look(struct serving *s)
{
	if (atomic_exchange(&s->looking, true))
		return;
	s->look.work = look_work;
	background_change(&s->look);
}
