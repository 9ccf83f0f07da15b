/*
 * serve.c - the gateway itself, in the foreground.
 *
 *	config -> plugins -> catalogue, bundle -> store -> accounts -> workers
 *
 * The main thread starts all that, then waits for signals: TERM and INT drain,
 * a second one ends at once; HUP reloads; USR1 opens the log file again; once a
 * second it frees old snapshots.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/listeners.h"
#include "ledger/recovery.h"

/* The main thread looks for signals at once, for old snapshots so often: soon after a reload, then less. */
enum { RESERVED_FDS = 512, LOOK_MIN_MS = 8, LOOK_MAX_MS = 1024 };

struct serving {
	struct gateway gw;
	struct places places;
	struct listeners listeners;
	const char *config_path, *listen;
	uint64_t drain_ms, delay_ms;
	int64_t changed_ms;		/* Unix: the last change of prices that was reloaded for */
	bool wants_key;
	char first_key[80];
};

/* ------------------------------------------------ one snapshot */

static void bundle_drop(void *bundle)
{
	bundle_unref(bundle);
}

static const char *text_at(json_t *tree, const char *a, const char *b)
{
	return json_string_value(json_object_get(json_object_get(tree, a), b));
}

/* Everything a request may see, or nothing (R71). */
static struct snapshot *snapshot_build(struct serving *s, const struct catalog *previous, struct err *err)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct bundle *bundle = NULL;

	if (!snap || config_load(&snap->conf, s->config_path, err) != MG_OK) {
		free(snap);
		return NULL;
	}
	if (registry_load(s->gw.plugins, s->places.plugins, err) != MG_OK)
		goto failed;
	snap->catalog = catalog_new(&snap->conf, s->gw.plugins, previous, err);
	if (!snap->catalog)
		goto failed;
	if (policy_lookups_check(snap->conf.tree, err) != MG_OK ||
	    bundle_open(text_at(snap->conf.tree, "policy", "bundle"), s->places.policies, &bundle, err) != MG_OK)
		goto failed;
	snap->bundle = bundle;
	snap->bundle_free = bundle_drop;
	return snap;
failed:
	catalog_free(snap->catalog);
	config_release(&snap->conf);
	free(snap);
	return NULL;
}

static struct snapshot *refused(struct snapshot *snap)
{
	if (snap) {
		bundle_unref(snap->bundle);
		catalog_free(snap->catalog);
		config_release(&snap->conf);
	}
	free(snap);
	return NULL;
}

static void reload(struct serving *s)
{
	struct err err = { 0 };
	static struct listeners listeners;
	struct snapshot *old = snapshots_current(s->gw.snapshots), *next = snapshot_build(s, old->catalog, &err);
	bool same = true;

	if (next && listeners_read(&listeners, json_object_get(next->conf.tree, "listen"), s->listen, &err) != MG_OK)
		next = refused(next);
	metric_set(M_RELOAD_OK, next != NULL, METRIC_PLAIN);
	metric_set(M_RELOAD_AT, clock_wall_ms() / 1000, METRIC_PLAIN);
	if (!next) {
		log_at(LOG_ERROR, EV_CONFIG_REFUSED, NULL, LOG_S("why", err.msg));
		return;
	}
	if (strcmp(bundle_hash(next->bundle), bundle_hash(old->bundle)))
		s->gw.policy_since_ms = clock_wall_ms();
	snapshots_publish(s->gw.snapshots, next);
	for (unsigned i = 0; i < s->gw.n_workers; i++)
		worker_look(&s->gw.workers[i]);
	same = listeners_renew(&s->listeners, &listeners, &s->gw);
	listeners_release(&listeners);
	log_at(same ? LOG_INFO : LOG_WARN, EV_CONFIG_LOADED, NULL, LOG_S("path", next->conf.path), LOG_N("models", next->catalog->n_models),
		LOG_S("bundle", bundle_hash(next->bundle)), LOG_S("listen", same ? "" : "other addresses take a restart"));
}

/* ------------------------------------------------ start */

static int log_from(json_t *tree, struct err *err)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	const char *level = text_at(tree, "logging", "level"), *format = text_at(tree, "logging", "format");
	const char *file = text_at(tree, "logging", "file");
	enum log_level max = LOG_INFO;
	bool json = format && !strcmp(format, "text") ? false : format && !strcmp(format, "json") ? true : file || !isatty(STDERR_FILENO);

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (level && !strcmp(level, levels[i]))
			max = (enum log_level)i;
	if (file)
		return log_open_file(file, json, max, err);
	log_open(STDERR_FILENO, json, max);
	return MG_OK;
}

static int raise_limits(struct err *err)
{
	struct rlimit fds;

	prctl(PR_SET_DUMPABLE, 0);	/* content and keys never reach a core dump */
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &fds))
		return fail(err, MG_EINVAL, "cannot read the limit of open files: %s", strerror(errno));
	fds.rlim_cur = fds.rlim_max;
	setrlimit(RLIMIT_NOFILE, &fds);
	if (fds.rlim_cur < RESERVED_FDS * 2)
		return fail(err, MG_EINVAL, "only %llu open files are allowed; raise the limit (ulimit -n) to %d or more",
			(unsigned long long)fds.rlim_cur, RESERVED_FDS * 2);
	return MG_OK;
}

static unsigned workers_of(json_t *tree)
{
	json_int_t n = json_integer_value(json_object_get(tree, "workers"));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (n <= 0)
		n = cores > 0 ? cores : 1;
	return n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static uint64_t limit_of(json_t *tree, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(tree, "limits"), name));
}

static int open_store(struct serving *s, json_t *tree, struct err *err)
{
	const struct mg_plugin *plugin = registry_find(s->gw.plugins, "sqlite");
	const char *durable = text_at(tree, "ledger", "durable"), *management = json_string_value(json_object_get(tree, "management_key"));
	bool credits = json_is_true(json_object_get(json_object_get(tree, "credits"), "enabled"));
	struct recovered recovered;

	if (!plugin)
		return fail(err, MG_EINVAL, "no store plugin 'sqlite' in %s", s->places.plugins);
	snprintf(s->gw.data_dir, sizeof(s->gw.data_dir), "%s", json_string_value(json_object_get(tree, "data_dir")));
	s->gw.store = store_open(plugin, s->gw.data_dir, durable && !strcmp(durable, "power"), NULL, err);	/* logs what it replays */
	if (!s->gw.store)
		return err->rc;
	if (ledger_recover(s->gw.store, &recovered, err))
		return err->rc;
	if (recovered.generations)
		log_at(LOG_WARN, EV_LEDGER_RECOVERED, NULL, LOG_N("unfinished", recovered.generations), LOG_N("loss_nusd", recovered.loss_nusd));
	s->gw.accounts = accounts_new(s->gw.store, management, credits, err);
	return s->gw.accounts ? MG_OK : err->rc;
}

static int start_workers(struct serving *s, const struct config *conf, struct err *err)
{
	s->gw.workers = calloc(s->gw.n_workers, sizeof(*s->gw.workers));
	if (!s->gw.workers)
		return fail(err, MG_ENOMEM, "no memory for %u workers", s->gw.n_workers);
	for (unsigned i = 0; i < s->gw.n_workers; i++) {
		struct listener own[LISTENERS_MAX];
		struct worker *w = &s->gw.workers[i];
		int rc = listeners_open(&s->listeners, i, own, err);

		w->n = i;
		w->gw = &s->gw;
		if (!rc)
			rc = worker_prepare(w, conf, own, s->listeners.n, err);
		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < s->gw.n_workers; i++)
		if (worker_start(&s->gw.workers[i], err) != MG_OK)
			return err->rc;
	return MG_OK;
}

static void store_committed(uint64_t us)
{
	metric_observe_us(M_STORE_WRITE, us, METRIC_PLAIN);
}

static void facts_for_metrics(struct serving *s)
{
	char abi[16];

	metric_set(M_BUILD_INFO, 1, METRIC_LABELS(VERSION, COMMIT));
	metric_set(M_START_TIME, s->gw.started_ms / 1000, METRIC_PLAIN);
	metric_set(M_RELOAD_OK, 1, METRIC_PLAIN);
	metric_set(M_RELOAD_AT, s->gw.started_ms / 1000, METRIC_PLAIN);
	s->gw.policy_since_ms = s->gw.started_ms;
	store_on_commit(s->gw.store, store_committed);
	for (size_t i = 0; i < registry_count(s->gw.plugins); i++) {
		const struct mg_plugin *p = registry_at(s->gw.plugins, i)->self;

		snprintf(abi, sizeof(abi), "%u.%u", p->major, p->minor);
		metric_set(M_PLUGIN_INFO, 1, METRIC_LABELS(p->name, p->version, abi));
	}
}

/* ------------------------------------------------ the first key */

/* For a first try: a key of its own in DATA_DIR/first.key (0600), before anybody can
 * connect, so that who finds the gateway ready finds the key, too.  Never made where
 * there are keys already. */
static int first_key(struct serving *s, struct err *err)
{
	struct key_facts k = { .name = "first key", .limit_nusd = -1 };
	char path[600], *plain = s->first_key;
	FILE *f;

	snprintf(path, sizeof(path), "%s/first.key", s->gw.data_dir);
	if (accounts_count(s->gw.accounts) == 0) {
		int fd, rc = accounts_create(s->gw.accounts, &k, plain, err);

		if (rc)
			return rc;
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || dprintf(fd, "%s\n", plain) < 0)
			return fail(err, MG_EINVAL, "cannot write %s: %s", path, strerror(errno));
		close(fd);
	} else if ((f = fopen(path, "re")) != NULL) {
		if (!fgets(plain, sizeof(s->first_key), f))
			plain[0] = '\0';
		plain[strcspn(plain, "\n")] = '\0';
		fclose(f);
	}
	return MG_OK;
}

/* sim/echo where there is one, else the first that answers in text: what is printed must work. */
static const char *model_to_try(const struct catalog *c)
{
	const char *first = NULL;

	for (size_t i = 0; i < c->n_models; i++) {
		const struct model *m = &c->models[i];
		json_t *out = json_array_get(json_object_get(json_object_get(m->row, "modalities"), "output"), 0);

		if (!strcmp(m->slug, "sim/echo"))
			return m->slug;
		if (!first && !m->wild && m->n_endpoints && m->endpoints[0]->priced && (!out || !strcmp(json_string_value(out), "text")))
			first = m->slug;
	}
	return first;
}

/* A request to paste. */
static void print_first_key(const struct serving *s, const struct catalog *c)
{
	const char *model = model_to_try(c);

	if (s->first_key[0] && model)
		printf("\ntry it:\n\ncurl -N http://%s/api/v1/chat/completions -H 'Authorization: Bearer %s' "
			"-H 'Content-Type: application/json' -d '{\"model\":\"%s\",\"stream\":true,"
			"\"messages\":[{\"role\":\"user\",\"content\":\"Say hello to the moon\"}]}'\n\n", s->listeners.name[0], s->first_key, model);
	else if (s->first_key[0])
		printf("\nthe first key: %s\n'moongate provider list --known' shows who could answer it\n\n", s->first_key);
	fflush(stdout);
}

static int start(struct serving *s, struct err *err)
{
	struct config conf = { 0 };
	struct snapshot *snap;
	int rc = raise_limits(err);

	if (!rc)
		rc = config_load(&conf, s->config_path, err);	/* where the plugins are; the snapshot reads it again, whole */
	if (rc)
		return rc;
	rc = log_from(conf.tree, err);
	places_find(&s->places, &conf);
	config_release(&conf);
	if (rc)
		return rc;
	s->gw.started_ms = clock_wall_ms();
	s->gw.plugins = registry_new();
	policy_shared_init();
	snap = s->gw.plugins ? snapshot_build(s, NULL, err) : NULL;
	if (!snap)
		return err->rc ? err->rc : MG_ENOMEM;
	s->gw.n_workers = workers_of(snap->conf.tree);
	if (s->drain_ms == UINT64_MAX)	/* the command line named none */
		s->drain_ms = limit_of(snap->conf.tree, "drain");
	s->delay_ms = limit_of(snap->conf.tree, "drain_delay");
	s->gw.snapshots = snapshots_new(s->gw.n_workers);
	if (!s->gw.snapshots)
		return fail(err, MG_ENOMEM, "no memory for snapshots");
	snapshots_publish(s->gw.snapshots, snap);
	log_at(LOG_INFO, EV_START, NULL, LOG_S("version", VERSION), LOG_S("config", snap->conf.path), LOG_N("workers", s->gw.n_workers));
	rc = server_self_check(err);
	if (!rc)
		rc = open_store(s, snap->conf.tree, err);
	if (!rc && s->wants_key)
		rc = first_key(s, err);
	if (!rc)
		rc = listeners_read(&s->listeners, json_object_get(snap->conf.tree, "listen"), s->listen, err);
	if (!rc)
		rc = background_start(err);
	if (rc)
		return rc;
	facts_for_metrics(s);
	rc = start_workers(s, &snap->conf, err);	/* from here on there are clients */
	if (!rc)
		print_first_key(s, snap->catalog);
	return rc;
}

/* ------------------------------------------------ stop */

/* At once, wherever the stop is: the journal has it all. */
static void end_now(int sig)
{
	(void)sig;
	_exit(130);
}

static void next_signal_ends(void)
{
	struct sigaction now = { .sa_handler = end_now };
	sigset_t both;

	sigaction(SIGTERM, &now, NULL);
	sigaction(SIGINT, &now, NULL);
	sigemptyset(&both);
	sigaddset(&both, SIGTERM);
	sigaddset(&both, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &both, NULL);
}

static void stop(struct serving *s)
{
	struct timespec delay = { (time_t)(s->delay_ms / 1000), (long)(s->delay_ms % 1000) * 1000000 };

	next_signal_ends();
	atomic_store(&s->gw.draining, true);
	while (nanosleep(&delay, &delay) && errno == EINTR)
		;
	listeners_unlink(&s->listeners);
	for (unsigned i = 0; i < s->gw.n_workers; i++)
		worker_drain(&s->gw.workers[i], s->drain_ms);
	for (unsigned i = 0; i < s->gw.n_workers; i++)
		worker_join(&s->gw.workers[i]);
	background_stop();
	for (unsigned i = 0; i < s->gw.n_workers; i++)
		worker_free(&s->gw.workers[i]);
	accounts_free(s->gw.accounts);
	store_close(s->gw.store);
	snapshots_free(s->gw.snapshots);
	registry_free(s->gw.plugins);
	free(s->gw.workers);
	listeners_release(&s->listeners);
	log_at(LOG_INFO, EV_STOP, NULL, LOG_N("uptime_ms", clock_wall_ms() - s->gw.started_ms));
}

/* Frees what nobody uses any more, and gives the memory back. */
static size_t reap(struct serving *s, size_t before)
{
	size_t alive = snapshots_reap(s->gw.snapshots);

	if (alive < before)
		malloc_trim(0);
	return alive;
}

static void reopen_log(void)
{
	struct err err = { 0 };

	if (log_reopen(&err))
		log_at(LOG_ERROR, EV_INTERNAL, NULL, LOG_S("why", err.msg));
}

/* The day has come from which another price holds; once, also where the reload is refused. */
static bool prices_change(struct serving *s)
{
	int64_t at = snapshots_current(s->gw.snapshots)->catalog->changes_ms;

	if (!at || at == s->changed_ms || clock_wall_ms() < at)
		return false;
	s->changed_ms = at;
	return true;
}

static void wait_for_signals(struct serving *s, sigset_t *signals)
{
	long wait_ms = LOOK_MAX_MS;
	size_t alive = 1;

	for (;;) {
		struct timespec wait = { wait_ms / 1000, wait_ms % 1000 * 1000000 };
		int sig = sigtimedwait(signals, NULL, &wait);

		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGUSR1)
			reopen_log();
		if (sig == SIGHUP || atomic_exchange(&s->gw.reload_wanted, false) || prices_change(s)) {
			reload(s);
			wait_ms = LOOK_MIN_MS;
		} else if (wait_ms < LOOK_MAX_MS) {
			wait_ms *= 2;
		}
		alive = reap(s, alive);
	}
}

int serve_run(int argc, char **argv)
{
	static struct serving s;
	struct err err = { 0 };
	sigset_t signals;
	struct cli c;
	long drain;
	int rc = cli_begin(&c, "serve", argc, argv, 0, 0);

	if (!rc)
		rc = cli_number(&c, "--drain", -1, 0, 86400, &drain);
	if (rc)
		return rc;
	s.config_path = cli_option(&c, "--config");
	s.listen = cli_option(&c, "--listen");
	s.wants_key = cli_switch(&c, "--first-key");
	s.drain_ms = drain < 0 ? UINT64_MAX : (uint64_t)drain * 1000;
	if (cli_switch(&c, "--check")) {
		struct config conf;

		if (config_load(&conf, s.config_path, &err) != MG_OK)
			return cli_fail(EXIT_CONFIG, &err);
		config_release(&conf);
		return cli_say(EXIT_OK, "the configuration is good");
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (start(&s, &err) != MG_OK)
		return cli_fail(EXIT_CONFIG, &err);
	log_at(LOG_INFO, EV_READY, NULL, LOG_N("workers", s.gw.n_workers),
		LOG_N("connections", worker_connections(&snapshots_current(s.gw.snapshots)->conf, s.gw.n_workers, &err)));
	wait_for_signals(&s, &signals);
	stop(&s);
	return EXIT_OK;
}
