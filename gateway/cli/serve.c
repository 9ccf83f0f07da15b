/*
 * serve.c - the gateway itself, in the foreground.
 *
 *	config -> plugins -> catalogue, bundle -> store -> accounts -> workers
 *
 * The main thread starts all that, then waits for signals: TERM and INT drain,
 * a second one ends at once; HUP reloads; USR1 opens the log file again.  What
 * changes the gateway runs on a thread of its own: reload.c.
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
#include "base/crypto.h"
#include "base/log.h"
#include "base/money.h"
#include "cli/cli.h"
#include "cli/running.h"
#include "cli/serving.h"
#include "ledger/recovery.h"

/* The main thread looks for signals at once, for old snapshots so often: soon after a reload, then less. */
enum { RESERVED_FDS = 512, LOOK_MIN_MS = 8, LOOK_MAX_MS = 1024 };

static const char *text_at(json_t *tree, const char *a, const char *b)
{
	return json_string_value(json_object_get(json_object_get(tree, a), b));
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
	signal(SIGXFSZ, SIG_IGN);	/* a limit on the size of files is a full disk (R98), not the end */
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

/* What the balance begins with is given once: a later start, with another amount, changes nothing. */
static int first_credit(struct accounts *a, const char *usd, struct err *err)
{
	int64_t nusd = 0;
	int rc = usd ? money_parse((struct mg_str){ usd, strlen(usd) }, 9, &nusd, err) : MG_OK;

	return rc || !nusd ? rc : accounts_credit(a, "initial", nusd, NULL, err);
}

static int open_store(struct serving *s, json_t *tree, struct err *err)
{
	const struct mg_plugin *plugin = registry_find(s->gw.plugins, "sqlite");
	const char *durable = text_at(tree, "ledger", "durable"), *management = json_string_value(json_object_get(tree, "management_key"));
	bool credits = json_is_true(json_object_get(json_object_get(tree, "credits"), "enabled"));
	struct recovered recovered;

	if (!plugin)
		return fail(err, MG_EINVAL, "no store plugin 'sqlite' in %s", s->places.plugins);
	s->gw.store = store_open(plugin, s->gw.data_dir, durable && !strcmp(durable, "power"), NULL, err);	/* logs what it replays */
	if (!s->gw.store)
		return err->rc;
	if (seal_open(s->gw.data_dir, &s->gw.seal, err))
		return err->rc;
	if (ledger_recover(s->gw.store, &recovered, err))
		return err->rc;
	if (recovered.generations)
		log_at(LOG_WARN, EV_LEDGER_RECOVERED, NULL, LOG_N("unfinished", recovered.generations), LOG_N("loss_nusd", recovered.loss_nusd));
	s->gw.accounts = accounts_new(s->gw.store, management, credits, err);
	if (!s->gw.accounts)
		return err->rc;
	return credits ? first_credit(s->gw.accounts, text_at(tree, "credits", "initial"), err) : MG_OK;
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
	metric_set(M_RELOAD_OK, !s->fell_back, METRIC_PLAIN);
	metric_set(M_RELOAD_AT, s->gw.started_ms / 1000, METRIC_PLAIN);
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
	struct snapshot *snap = NULL;
	char key[80];
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
	snap = s->gw.plugins ? world_read(s, NULL, err) : NULL;
	if (!snap)
		return err->rc ? err->rc : MG_ENOMEM;
	snprintf(s->gw.data_dir, sizeof(s->gw.data_dir), "%s", json_string_value(json_object_get(snap->conf.tree, "data_dir")));
	snprintf(s->gw.base_policies, sizeof(s->gw.base_policies), "%s", s->places.policies);
	s->gw.n_workers = workers_of(snap->conf.tree);
	if (s->drain_ms == UINT64_MAX)	/* the command line named none */
		s->drain_ms = limit_of(snap->conf.tree, "drain");
	s->delay_ms = limit_of(snap->conf.tree, "drain_delay");
	unread_log(&snap->conf);
	log_at(LOG_INFO, EV_START, NULL, LOG_S("version", VERSION), LOG_S("config", snap->conf.path), LOG_S("data_dir", s->gw.data_dir), LOG_N("workers", s->gw.n_workers));
	rc = server_self_check(err);
	if (!rc)
		rc = open_store(s, snap->conf.tree, err);
	if (!rc)	/* behind the store: whoever has that is the only one to write here */
		rc = first_policies(s, snap, err);
	s->gw.snapshots = rc ? NULL : snapshots_new(s->gw.n_workers);
	if (!s->gw.snapshots) {
		snapshot_free(snap);
		return rc ? rc : fail(err, MG_ENOMEM, "no memory for snapshots");
	}
	snapshots_publish(s->gw.snapshots, snap);
	if (!rc && s->wants_key)
		rc = first_key(s, err);
	if (!rc)
		rc = listeners_read(&s->listeners, json_object_get(snap->conf.tree, "listen"), s->listen, err);
	if (!rc)
		rc = background_start(err);
	if (rc)
		return rc;
	facts_for_metrics(s);
	accounts_key_here(s->gw.accounts, key);
	rc = start_workers(s, &snap->conf, err);	/* from here on there are clients */
	if (!rc)
		rc = running_write(s->gw.data_dir, &s->listeners, key, err);
	wipe(key, sizeof(key));
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
	background_end_changes();
	while (nanosleep(&delay, &delay) && errno == EINTR)
		;
	running_remove(s->gw.data_dir);
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
	seal_close(&s->gw.seal);
	snapshots_free(s->gw.snapshots);
	bundle_unref(s->judged);
	versions_close(s->gw.versions);
	registry_free(s->gw.plugins);
	free(s->gw.workers);
	listeners_release(&s->listeners);
	log_at(LOG_INFO, EV_STOP, NULL, LOG_N("uptime_ms", clock_wall_ms() - s->gw.started_ms));
}

static void reopen_log(void)
{
	struct err err = { 0 };

	if (log_reopen(&err))
		log_at(LOG_ERROR, EV_INTERNAL, NULL, LOG_S("why", err.msg));
}

static void wait_for_signals(struct serving *s, sigset_t *signals)
{
	long wait_ms = LOOK_MAX_MS;

	for (;;) {
		struct timespec wait = { wait_ms / 1000, wait_ms % 1000 * 1000000 };
		int sig = sigtimedwait(signals, NULL, &wait);

		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGUSR1)
			reopen_log();
		if (sig == SIGHUP || atomic_exchange(&s->gw.reload_wanted, false)) {
			serving_reload(s);
			wait_ms = LOOK_MIN_MS;
		} else if (wait_ms < LOOK_MAX_MS) {
			wait_ms *= 2;
		}
		serving_look(s);
		watchdog_look(&s->watchdog, &s->gw);
	}
}

int serve_run(int argc, char **argv)
{
	static struct serving s;
	struct err err = { 0 };
	sigset_t signals;
	struct cli c;
	int64_t drain_ms = -1;
	int rc = cli_begin(&c, "serve", argc, argv, 0, 0);

	if (!rc && cli_option(&c, "--drain"))
		rc = cli_duration(&c, "--drain", NULL, &drain_ms);
	if (rc)
		return rc;
	s.config_path = cli_option(&c, "--config");
	s.listen = cli_option(&c, "--listen");
	s.wants_key = cli_switch(&c, "--first-key");
	s.drain_ms = drain_ms < 0 ? UINT64_MAX : (uint64_t)drain_ms;
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
