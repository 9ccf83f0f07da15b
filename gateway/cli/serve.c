/*
 * serve.c - the gateway itself, in the foreground.
 *
 *	config -> plugins -> catalogue, bundle -> store -> accounts -> workers
 *
 * The main thread starts all that, then waits for signals: TERM and INT drain,
 * a second one ends at once; HUP reloads; once a second it frees old snapshots.
 */
#include <errno.h>
#include <fcntl.h>
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
#include "ledger/recovery.h"

enum { LISTENERS_MAX = 16, RESERVED_FDS = 512 };

struct serving {
	struct gateway gw;
	struct places places;
	struct listener listeners[LISTENERS_MAX];	/* of one worker */
	size_t n_listeners;
	const char *config_path, *listen;
	uint64_t drain_ms;
	char address[128];			/* of the first listener, with its real port */
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
	if (bundle_open(text_at(snap->conf.tree, "policy", "bundle"), s->places.policies, &bundle, err) != MG_OK)
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

static void reload(struct serving *s)
{
	struct err err = { 0 };
	struct snapshot *old = snapshots_current(s->gw.snapshots), *next;

	next = snapshot_build(s, old->catalog, &err);
	metric_set(M_RELOAD_OK, next != NULL, METRIC_PLAIN);
	metric_set(M_RELOAD_AT, clock_wall_ms() / 1000, METRIC_PLAIN);
	if (!next) {
		log_at(LOG_ERROR, EV_CONFIG_REFUSED, NULL, LOG_S("why", err.msg));
		return;
	}
	snapshots_publish(s->gw.snapshots, next);
	snapshots_reap(s->gw.snapshots);
	log_at(LOG_INFO, EV_CONFIG_LOADED, NULL, LOG_S("path", next->conf.path), LOG_N("models", next->catalog->n_models),
		LOG_S("bundle", bundle_hash(next->bundle)));
}

/* ------------------------------------------------ listeners */

static int listener_add(struct serving *s, json_t *row, struct err *err)
{
	struct listener *l = &s->listeners[s->n_listeners];
	json_t *tls = json_object_get(row, "tls");

	if (s->n_listeners == LISTENERS_MAX)
		return fail(err, MG_EINVAL, "listen: at most %d listeners", LISTENERS_MAX);
	*l = (struct listener){ .fd = -1, .at = json_is_string(row) ? json_string_value(row) : json_string_value(json_object_get(row, "at")),
		.cert = json_string_value(json_object_get(tls, "cert")), .key = json_string_value(json_object_get(tls, "key")),
		.admin = json_is_true(json_object_get(row, "admin")) };
	if (!l->at)
		return fail(err, MG_EINVAL, "listen[%zu]: must be a string, or have 'at'", s->n_listeners);
	s->n_listeners++;
	return MG_OK;
}

/* Loopback and unix sockets may manage, as in the configuration (R82). */
static bool is_local(const char *at)
{
	return !strncmp(at, "127.", 4) || !strncmp(at, "[::1]", 5) || !strncmp(at, "localhost:", 10) || !strncmp(at, "unix:", 5);
}

static int listeners_of(struct serving *s, json_t *tree, struct err *err)
{
	json_t *list = json_object_get(tree, "listen"), *row;
	size_t i;
	int rc = MG_OK;

	if (s->listen)
		return listener_add(s, json_pack("{s:s, s:b}", "at", s->listen, "admin", is_local(s->listen)), err);	/* for good */
	if (json_is_string(list))
		return listener_add(s, list, err);
	json_array_foreach(list, i, row) {
		rc = listener_add(s, row, err);
		if (rc)
			return rc;
	}
	return s->n_listeners ? MG_OK : fail(err, MG_EINVAL, "listen: name at least one address, such as \"127.0.0.1:8080\"");
}

/* Each worker has a socket of its own on the same address; the first one's
 * port counts where port 0 was asked for. */
static int worker_listeners(struct serving *s, unsigned worker, struct listener *own, struct err *err)
{
	for (size_t i = 0; i < s->n_listeners; i++) {
		static char names[LISTENERS_MAX][128];

		own[i] = s->listeners[i];
		if (worker > 0 && !strncmp(own[i].at, "unix:", 5)) {	/* one socket, shared */
			own[i].fd = s->listeners[i].fd;
			continue;
		}
		if (worker > 0)
			own[i].at = names[i];
		if (listener_open(&own[i], err) != MG_OK)
			return err->rc;
		if (worker == 0) {
			listener_name(&own[i], names[i]);
			s->listeners[i].fd = own[i].fd;
			if (i == 0)
				snprintf(s->address, sizeof(s->address), "%.127s", names[i]);
			printf("listening on %s%s\n", !strncmp(names[i], "unix:", 5) ? "" : own[i].cert ? "https://" : "http://", names[i]);
		}
	}
	fflush(stdout);
	return MG_OK;
}

/* ------------------------------------------------ start */

static int log_from(json_t *tree, struct err *err)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	const char *level = text_at(tree, "logging", "level"), *format = text_at(tree, "logging", "format");
	enum log_level max = LOG_INFO;
	bool json = format ? !strcmp(format, "json") : !isatty(STDERR_FILENO);

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (level && !strcmp(level, levels[i]))
			max = (enum log_level)i;
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
		int rc = worker_listeners(s, i, own, err);

		w->n = i;
		w->gw = &s->gw;
		if (!rc)
			rc = worker_start(w, conf, own, s->n_listeners, err);
		if (rc)
			return rc;
	}
	return MG_OK;
}

static void facts_for_metrics(const struct serving *s)
{
	char abi[16];

	metric_set(M_BUILD_INFO, 1, METRIC_LABELS(VERSION, COMMIT));
	metric_set(M_START_TIME, s->gw.started_ms / 1000, METRIC_PLAIN);
	metric_set(M_RELOAD_OK, 1, METRIC_PLAIN);
	for (size_t i = 0; i < registry_count(s->gw.plugins); i++) {
		const struct mg_plugin *p = registry_at(s->gw.plugins, i)->self;

		snprintf(abi, sizeof(abi), "%u.%u", p->major, p->minor);
		metric_set(M_PLUGIN_INFO, 1, METRIC_LABELS(p->name, p->version, abi));
	}
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
	log_from(conf.tree, err);
	places_find(&s->places, &conf);
	config_release(&conf);
	s->gw.started_ms = clock_wall_ms();
	s->gw.plugins = registry_new();
	policy_shared_init();
	snap = s->gw.plugins ? snapshot_build(s, NULL, err) : NULL;
	if (!snap)
		return err->rc ? err->rc : MG_ENOMEM;
	s->gw.n_workers = workers_of(snap->conf.tree);
	if (s->drain_ms == UINT64_MAX)	/* the command line named none */
		s->drain_ms = (uint64_t)json_integer_value(json_object_get(json_object_get(snap->conf.tree, "limits"), "drain"));
	s->gw.snapshots = snapshots_new(s->gw.n_workers);
	if (!s->gw.snapshots)
		return fail(err, MG_ENOMEM, "no memory for snapshots");
	snapshots_publish(s->gw.snapshots, snap);
	log_at(LOG_INFO, EV_START, NULL, LOG_S("version", VERSION), LOG_S("config", snap->conf.path), LOG_N("workers", s->gw.n_workers));
	rc = server_self_check(err);
	if (!rc)
		rc = open_store(s, snap->conf.tree, err);
	if (!rc)
		rc = listeners_of(s, snap->conf.tree, err);
	if (!rc)
		rc = background_start(err);
	if (!rc)
		rc = start_workers(s, &snap->conf, err);
	if (!rc)
		facts_for_metrics(s);
	return rc;
}

/* ------------------------------------------------ stop */

static void stop(struct serving *s, sigset_t *signals)
{
	struct timespec poll = { 0, 20 * 1000 * 1000 };
	bool joined[WORKERS_MAX] = { false };

	atomic_store(&s->gw.draining, true);
	for (unsigned i = 0; i < s->gw.n_workers; i++)
		worker_drain(&s->gw.workers[i], s->drain_ms);
	for (unsigned i = 0; i < s->gw.n_workers;) {
		if (joined[i] || !pthread_tryjoin_np(s->gw.workers[i].thread, NULL)) {
			joined[i++] = true;
			continue;
		}
		if (sigtimedwait(signals, NULL, &poll) > 0)
			_exit(130);	/* the second signal: at once; the journal has it all */
	}
	background_stop();
	for (unsigned i = 0; i < s->gw.n_workers; i++)
		worker_free(&s->gw.workers[i]);
	accounts_free(s->gw.accounts);
	store_close(s->gw.store);
	snapshots_free(s->gw.snapshots);
	registry_free(s->gw.plugins);
	free(s->gw.workers);
	log_at(LOG_INFO, EV_STOP, NULL, LOG_N("uptime_ms", clock_wall_ms() - s->gw.started_ms));
}

static void wait_for_signals(struct serving *s, sigset_t *signals)
{
	struct timespec second = { 1, 0 };

	for (;;) {
		int sig = sigtimedwait(signals, NULL, &second);

		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGHUP || atomic_exchange(&s->gw.reload_wanted, false))
			reload(s);
		snapshots_reap(s->gw.snapshots);
	}
}

/* ------------------------------------------------ the first key */

/* For a first try: a key of its own in DATA_DIR/first.key (0600), and a request
 * to paste.  Never made where there are keys already. */
static int first_key(struct serving *s, struct err *err)
{
	struct key_facts k = { .name = "first key", .limit_nusd = -1 };
	char path[600], plain[80] = "";
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
		if (!fgets(plain, sizeof(plain), f))
			plain[0] = '\0';
		plain[strcspn(plain, "\n")] = '\0';
		fclose(f);
	}
	if (plain[0])
		printf("\ntry it:\n\ncurl -N http://%s/api/v1/chat/completions -H 'Authorization: Bearer %s' "
			"-H 'Content-Type: application/json' -d '{\"model\":\"sim/echo\",\"stream\":true,"
			"\"messages\":[{\"role\":\"user\",\"content\":\"Say hello to the moon\"}]}'\n\n", s->address, plain);
	fflush(stdout);
	return MG_OK;
}

int serve_run(int argc, char **argv)
{
	static struct serving s;
	struct err err = { 0 };
	sigset_t signals;
	const char *drain = option_take(&argc, argv, "--drain");
	bool check = switch_take(&argc, argv, "--check"), first = switch_take(&argc, argv, "--first-key");

	s.config_path = option_take(&argc, argv, "--config");
	s.listen = option_take(&argc, argv, "--listen");
	s.drain_ms = drain ? strtoull(drain, NULL, 10) * 1000 : UINT64_MAX;
	if (argc > 0)
		return cli_say(EXIT_USAGE, "serve: unknown argument '%s'", argv[0]);
	if (check) {
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
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (start(&s, &err) != MG_OK || (first && first_key(&s, &err) != MG_OK))
		return cli_fail(EXIT_CONFIG, &err);
	log_at(LOG_INFO, EV_READY, NULL, LOG_N("workers", s.gw.n_workers));
	wait_for_signals(&s, &signals);
	stop(&s, &signals);
	return EXIT_OK;
}
