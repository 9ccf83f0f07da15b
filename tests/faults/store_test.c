/* store_test - the store under kill -9, a full disk, a sync that fails, a flipped byte, a second process. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/log.h"
#include "ledger/recovery.h"
#include "ledger/store_rig.h"
#include "tap.h"

#ifdef SANITIZED
enum { KILLS = 3 };
#else
enum { KILLS = 20 };
#endif

static const struct mg_plugin *plugin;

static struct mg_store_generation row(const char *gen, int64_t charge)
{
	return (struct mg_store_generation){ .size = sizeof(struct mg_store_generation), .attempt_id = gen, .generation_id = gen,
		.key_hash = "key", .model = "m", .provider = "p", .charge_nusd = charge, .at_ms = 1000, .delivered = true, .json = "{}" };
}

static bool do_one(struct journal *j, const char *gen, int64_t charge)
{
	struct mg_store_generation g = row(gen, charge);
	struct mg_store_intent i = { sizeof(i), gen, gen, "key", "e", charge, 1000 };

	return !journal_intent(j, &i, NULL) && !journal_settle(j, &g, rig_permit(SINK_RECORD), rig_permit(SINK_DECISION), NULL);
}

/* ---- kill -9 (R43): what was told to the parent was told after the journal had it */

static int work(int round, int tell)
{
	struct store *s = store_open(plugin, rig_dir, false, NULL, NULL);
	struct journal *j = s ? store_journal(s, 0, NULL) : NULL;
	char gen[32];

	for (uint32_t n = 0; j; n++) {
		snprintf(gen, sizeof(gen), "k%d-%u", round, n);
		if (!do_one(j, gen, 1) || write(tell, &n, sizeof(n)) != sizeof(n))
			break;
	}
	return 1;
}

/* A process of its own, not a fork's half: this test again, in another role. */
static pid_t role(const char *name, int round, int tell)
{
	char rounds[16], fd[16];
	pid_t pid;

	snprintf(rounds, sizeof(rounds), "%d", round);
	snprintf(fd, sizeof(fd), "%d", tell);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "store_test", name, rig_dir, rounds, fd, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* How many the child had finished when it was killed. */
static uint32_t kill_one(int round, unsigned after)
{
	uint32_t n = 0, got = 0;
	int fd[2];
	pid_t pid;

	if (pipe(fd) || fcntl(fd[0], F_SETFD, FD_CLOEXEC))
		return 0;
	pid = role("work", round, fd[1]);
	close(fd[1]);
	while (got < after && read(fd[0], &n, sizeof(n)) == sizeof(n))
		got++;
	kill(pid, SIGKILL);
	while (read(fd[0], &n, sizeof(n)) == sizeof(n))
		got++;
	waitpid(pid, NULL, 0);
	close(fd[0]);
	return got;
}

struct look { const char *like; size_t rows; int64_t charged; int findings; };

static bool on_row(void *arg, const void *at)
{
	struct look *l = arg;
	const struct mg_store_generation *g = at;

	if (!strncmp(g->generation_id, l->like, strlen(l->like)) && g->delivered) {
		l->rows++;
		l->charged += g->charge_nusd;
	}
	return true;
}

static int look(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct look *l = arg;
	char why[256];

	return ops->each(handle, MG_ROW_GENERATION, NULL, 0, 0, on_row, l, why);
}

static int audit(const char *name)
{
	char why[256];
	void *h = NULL;
	int n = plugin->store->open(rig_path(name), true, &h, why);

	if (n)
		return n;
	n = plugin->store->audit(h, rig_finding, NULL, why);
	plugin->store->close(h);
	return n;
}

static void test_kills(void)
{
	unsigned seed = (unsigned)getpid();
	bool kept = true, recovered = true;

	printf("# seed %u\n", seed);
	for (int round = 0; round < KILLS; round++) {
		uint32_t told = kill_one(round, (unsigned)rand_r(&seed) % 3000);
		struct recovered r;
		char like[16];
		struct look l = { .like = like };
		struct store *s = store_open(plugin, rig_dir, false, NULL, NULL);

		snprintf(like, sizeof(like), "k%d-", round);
		if (!s || ledger_recover(s, &r, NULL) || store_run(s, look, &l, NULL)) {
			kept = false;
			break;
		}
		/* one more may be in the journal that it could not tell of; its charge is 1 each */
		kept &= l.rows >= told && l.rows <= told + 1 && (size_t)l.charged == l.rows;
		recovered &= r.generations <= 1;
		store_close(s);
	}
	ok(kept, "kills at random moments: all that was told is there, charged once");
	ok(recovered, "at most the one that was on its way is recovered");
	ok(audit("moongate.db") == 0, "and the audit is clean");
}

/* ---- a full disk (R98, R58): the database cannot grow */

static int big(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct mg_store_decision d = { sizeof(d), arg, 1, NULL, "", 0 };
	char why[256], *text = malloc(600000);
	int rc;

	memset(text, 'x', 599999);
	text[599999] = '\0';
	d.json = text;
	rc = ops->put(handle, MG_ROW_DECISION, &d, why);
	free(text);
	return rc ? fail(err, rc, "%s", why) : MG_OK;
}

static void limit(rlim_t bytes)
{
	struct rlimit r = { bytes, RLIM_INFINITY };

	setrlimit(RLIMIT_FSIZE, &r);
}

static void test_full(void)
{
	struct err err = { 0 };
	struct look l = { .like = "full-" };
	struct store *s = store_open(plugin, rig_dir, false, NULL, &err);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	char gen[32];
	bool went_in = true;

	if (!j) {
		ok(false, err.msg);
		return;
	}
	limit(200000);
	ok(store_run(s, big, "big-1", &err) == MG_ENOMEM, "a job that finds no room fails, and may be tried again");
	for (int i = 0; i < 200; i++) {
		snprintf(gen, sizeof(gen), "full-%d", i);
		went_in &= do_one(j, gen, 1);
	}
	ok(went_in, "the journal still takes what fits");
	for (int i = 200; i < 5000 && went_in; i++) {
		snprintf(gen, sizeof(gen), "late-%d", i);
		went_in = do_one(j, gen, 1);
	}
	ok(!went_in, "and refuses when it is full too");
	limit(RLIM_INFINITY);
	ok(!store_run(s, big, "big-2", &err), "with room again, all goes on");
	ok(!store_run(s, look, &l, &err) && l.rows == 200 && l.charged == 200, "and nothing was lost or doubled");
	store_close(s);
	ok(audit("moongate.db") == 0, "the audit is clean");
}

/* A settlement that found no room waits in memory: a stop that finds room again writes it (R58). */
static void test_late(void)
{
	struct err err = { 0 };
	struct look l = { .like = "waits-" };
	struct recovered r;
	struct store *s = store_open(plugin, rig_dir, false, NULL, &err);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	struct mg_store_intent i = { sizeof(i), "waits-1", "waits-1", "key", "e", 7, 1000 };
	struct mg_store_generation g = row("waits-1", 7);

	ok(j && !journal_intent(j, &i, &err), "an intent");
	limit(1);
	ok(j && journal_settle(j, &g, rig_permit(SINK_RECORD), rig_permit(SINK_DECISION), &err) == MG_ENOMEM, "a settlement that cannot be written");
	limit(RLIM_INFINITY);
	store_close(s);
	s = store_open(plugin, rig_dir, false, NULL, &err);
	ok(s && !ledger_recover(s, &r, &err) && !r.generations && !store_run(s, look, &l, &err) && l.rows == 1 && l.charged == 7,
		"is written when there is room, at the latest when the gateway stops");
	store_close(s);
}

/* As many as there can be requests under way: what they cost is kept, whatever else is to be said of them. */
static void test_many_late(void)
{
	enum { MANY = 12000 };
	struct err err = { 0 };
	struct look l = { .like = "many-" };
	struct store *s = store_open(plugin, rig_dir, false, NULL, &err);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	char gen[32], labels[1200];

	memset(labels, 'x', sizeof(labels) - 1);
	labels[sizeof(labels) - 1] = '\0';
	limit(1);
	for (int i = 0; j && i < MANY; i++) {
		snprintf(gen, sizeof(gen), "many-%d", i);
		struct mg_store_generation g = row(gen, 1);

		g.labels = labels;
		journal_settle(j, &g, rig_permit(SINK_RECORD), rig_permit(SINK_DECISION), &err);
	}
	limit(300000);		/* room for some of them */
	ok(j && journal_flush(j, &err) == MG_ENOMEM && journal_bytes(j) > 200000, "what fits is written");
	limit(RLIM_INFINITY);
	ok(j && do_one(j, "many-last", 1) && !store_run(s, look, &l, &err) && l.rows == MANY + 1 && l.charged == MANY + 1,
		"12,000 settlements wait for room, and none is lost");
	store_close(s);
}

/* ---- a sync that fails (R99), and whether there is one at all (R96): the C library's, for this process */

static atomic_uint syncs;
static atomic_bool no_sync;

__attribute__((visibility("default")))
int fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	if (atomic_load(&no_sync)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* A journal's file is made once, the database's log grows with each commit. */
static void test_sync(void)
{
	struct err err = { 0 };
	struct look l = { .like = "sync-" };
	struct recovered r;
	struct store *s = store_open(plugin, rig_dir, false, NULL, &err);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	unsigned before;
	bool each = true, taken;

	for (int i = 0; j && i < 5; i++) {
		char gen[32];

		before = atomic_load(&syncs);
		snprintf(gen, sizeof(gen), "sync-%d", i);
		each &= do_one(j, gen, 1) && !store_run(s, look, &(struct look){ .like = "" }, &err) && atomic_load(&syncs) > before;
	}
	ok(j && each, "each group is on the disk when it is committed");
	atomic_store(&no_sync, true);
	taken = j && do_one(j, "sync-5", 1);
	for (int n = 0; n < 5000 && store_healthy(s); n++)
		usleep(1000);
	atomic_store(&no_sync, false);		/* what is said once is not asked again: nobody knows what the disk has */
	before = atomic_load(&syncs);
	usleep(300000);
	ok(taken && !store_healthy(s) && !do_one(j, "sync-6", 1) && atomic_load(&syncs) == before, "a sync that fails: nothing is tried again, no request is taken until a restart");
	store_close(s);
	s = store_open(plugin, rig_dir, false, NULL, &err);
	ok(s && !ledger_recover(s, &r, &err) && !store_run(s, look, &l, &err) && l.rows == 6 && l.charged == 6, "the restart has it from the journal, once");
	store_close(s);
	ok(audit("moongate.db") == 0, "and the audit is clean");
}

/* ---- a journal that somebody else changes under a running gateway (R100) */

static atomic_bool go_on;

static int hold_up(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	while (!atomic_load(&go_on))
		usleep(1000);
	return MG_OK;
}

static void no_matter(void *arg, int rc, const struct err *err)
{
}

static void flip(const char *name, off_t at)
{
	int fd = open(rig_path(name), O_RDWR);
	char byte = 0;

	if (pread(fd, &byte, 1, at) == 1) {
		byte ^= 0x55;
		if (pwrite(fd, &byte, 1, at) != 1)
			ok(false, strerror(errno));
	}
	close(fd);
}

static void test_changed(void)
{
	struct err err = { 0 };
	struct look l = { .like = "flip-" };
	struct recovered r;
	struct store *s = store_open(plugin, rig_dir, false, NULL, &err);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	bool went_in;

	went_in = j && !store_post(s, hold_up, NULL, no_matter) && do_one(j, "flip-1", 1) && do_one(j, "flip-2", 1) && do_one(j, "flip-3", 1);
	ok(went_in, "entries that the store has not read yet");
	flip("journal-0-0", (off_t)journal_bytes(j) / 2 + 20);		/* in the settlement of the second */
	atomic_store(&go_on, true);
	for (int n = 0; n < 5000 && store_healthy(s); n++)
		usleep(1000);
	ok(!store_healthy(s) && !do_one(j, "flip-4", 1), "one is damaged: it is seen, and no request is taken until a restart");
	alarm(60);
	store_close(s);
	ok(true, "which is not held up");
	alarm(0);
	s = store_open(plugin, rig_dir, false, NULL, &err);
	ok(s && !ledger_recover(s, &r, &err) && r.generations <= 1 && !store_run(s, look, &l, &err) && l.rows == 2,
		"behind it the whole ones are there, and the damaged one is an open hold");
	store_close(s);
}

/* ---- a second process (R103) */

static int be_second(void)
{
	struct err err = { 0 };
	struct store *second = store_open(plugin, rig_dir, false, NULL, &err);

	return second || err.rc != MG_EDENIED || !strstr(err.msg, "in use");
}

static void test_second(void)
{
	struct err err = { 0 };
	struct store *s = store_open(plugin, rig_dir, false, NULL, &err);
	int status = 0;

	waitpid(role("second", 0, 0), &status, 0);
	ok(s && WIFEXITED(status) && !WEXITSTATUS(status), "a second process is refused, in words");
	store_close(s);
}

/* ---- a flipped byte (R100), and the way back */

static void test_flip(void)
{
	struct err err = { 0 };
	char why[256], byte, copy[256];
	struct store *s;
	void *h = NULL;
	int fd;
	off_t size, hurt = 0;

	snprintf(copy, sizeof(copy), "%s", rig_path("backup.db"));
	ok(!plugin->store->open(rig_path("moongate.db"), true, &h, why) && !plugin->store->backup(h, copy, why), "a backup");
	plugin->store->close(h);
	fd = open(rig_path("moongate.db"), O_RDWR);
	size = lseek(fd, 0, SEEK_END);
	for (off_t at = 4096; at < size; at += 4096, hurt++)	/* the type of each page: whatever else, that is seen */
		if (pread(fd, &byte, 1, at) == 1) {
			byte ^= 0x55;
			if (pwrite(fd, &byte, 1, at) != 1)
				break;
		}
	close(fd);
	s = store_open(plugin, rig_dir, false, NULL, &err);
	ok(hurt && !s && err.rc == MG_EPROTO, "a damaged file is not opened for money");
	store_close(s);
	unlink(rig_path("moongate.db-wal"));
	unlink(rig_path("moongate.db-shm"));
	ok(!rename(copy, rig_path("moongate.db")), "the backup is put in its place");
	s = store_open(plugin, rig_dir, false, NULL, &err);
	ok(s, "and opens");
	store_close(s);
	ok(audit("moongate.db") == 0, "with a clean audit");
}

int main(int argc, char **argv)
{
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	log_open(2, false, LOG_ERROR);
	if (argc == 5) {
		snprintf(rig_dir, sizeof(rig_dir), "%s", argv[2]);
		plugin = rig_plugin();
		return strcmp(argv[1], "work") ? be_second() : work((int)strtol(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
	}
	plugin = rig_start();
	test_kills();
	test_full();
	test_late();
	test_many_late();
	test_sync();
	test_changed();
	test_second();
	test_flip();
	rig_clean();
	return tap_done();
}
