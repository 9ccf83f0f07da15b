/* remote.c - one easy handle a command; no redirects, no proxy for loopback. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/crypto.h"
#include "base/json.h"
#include "cli/remote.h"
#include "cli/running.h"
#include "net/frame.h"

enum { ANSWER_MAX = 256 << 20, FRAME_MAX = 16 << 20, ERROR_MAX = 1 << 20, CONNECT_MS = 5000, PROBE_MS = 1000, EXIT_INTERRUPTED = 130 };

/* ------------------------------------------------ where */

static const char *from_env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

bool remote_named(const struct cli *c)
{
	return cli_option(c, "--url") || from_env("MOONGATE_URL");
}

bool remote_knows(const struct cli *c, const struct local *l)
{
	struct running run;
	bool knows = remote_named(c);

	if (!knows && l->conf.tree && *l->conf.missing)
		knows = running_read(l->data_dir, &run);
	wipe(&run, sizeof(run));
	return knows;
}

/* ".../api/v1" and a last slash are cut: paths here begin at the root. */
static void cut_version(char *url)
{
	static const char *const tails[] = { "/api/v1", "/v1", "/api" };
	size_t len = strlen(url);

	while (len && url[len - 1] == '/')
		url[--len] = '\0';
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		size_t n = strlen(tails[i]);

		if (len > n && !strcmp(url + len - n, tails[i])) {
			url[len - n] = '\0';
			return;
		}
	}
}

static const char *said_url(const struct cli *c)
{
	const char *said = cli_option(c, "--url");

	said = said ? said : from_env("MOONGATE_URL");
	return said ? said : from_env("OPENROUTER_BASE_URL");
}

static void own_url(const struct local *l, char *out, size_t size)
{
	struct running run;

	if (running_read(l->data_dir, &run))
		snprintf(out, size, "%s", run.url);
	else
		local_url(l, out, size);
	wipe(&run, sizeof(run));
}

static int find_url(struct remote *r, const struct cli *c, const struct local *l)
{
	const char *said = said_url(c);

	if (said && strlen(said) >= sizeof(r->socket))
		return cli_say(EXIT_USAGE, "the gateway's URL is too long");
	if (said)
		snprintf(r->url, sizeof(r->url), "%s", said);
	else
		own_url(l, r->url, sizeof(r->url));
	if (!strncmp(r->url, "unix:", 5)) {
		snprintf(r->socket, sizeof(r->socket), "%.250s", r->url + 5);
		snprintf(r->url, sizeof(r->url), "http://localhost");
	}
	cut_version(r->url);
	if (strncmp(r->url, "http://", 7) && strncmp(r->url, "https://", 8))
		return cli_say(EXIT_USAGE, "'%s' is no URL of a gateway\nhint: write http://127.0.0.1:8080, https://..., or unix:/path", r->url);
	return EXIT_OK;
}

static bool loopback(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return !strncmp(host, "127.", 4) || !strncmp(host, "localhost", 9) || !strncmp(host, "[::1]", 5);
}

/* ------------------------------------------------ with which key */

static bool key_from_file(const char *path, char out[256])
{
	FILE *f = path ? fopen(path, "re") : NULL;

	if (!f)
		return false;
	if (!fgets(out, 256, f))
		out[0] = '\0';
	fclose(f);
	out[strcspn(out, "\r\n")] = '\0';
	return out[0] != '\0';
}

static bool key_from(const char *text, char out[256])
{
	if (text && *text)
		snprintf(out, 256, "%s", text);
	return text && *text;
}

/* The key of whoever may manage by having the data directory; for the gateway that is its own, no other. */
static bool key_here(const struct cli *c, const struct local *l, char out[256])
{
	struct running run;
	bool found = !said_url(c) && running_read(l->data_dir, &run) && key_from(run.key, out);

	wipe(&run, sizeof(run));
	return found;
}

void remote_key(const struct cli *c, const struct local *l, enum credential credential, char out[256])
{
	const char *configured = json_string_value(json_object_get(l->conf.tree, "management_key"));
	char first[600];

	out[0] = '\0';
	snprintf(first, sizeof(first), "%s/first.key", l->data_dir);
	if (credential == NO_KEY || key_from_file(cli_option(c, "--key-file"), out) || cli_option(c, "--key-file"))
		return;
	if (credential == MANAGEMENT_KEY && (key_from(from_env("MOONGATE_MANAGEMENT_KEY"), out) || key_here(c, l, out)))
		return;
	if (key_from_file(from_env("MOONGATE_KEY_FILE"), out) || key_from(from_env("MOONGATE_KEY"), out))
		return;
	if (credential == MANAGEMENT_KEY) {
		key_from(configured, out);
		return;
	}
	/* A key for the public service goes nowhere else than where its owner pointed it. */
	if (from_env("OPENROUTER_BASE_URL") && key_from(from_env("OPENROUTER_API_KEY"), out))
		return;
	if ((l->data_dir[0] && key_from_file(first, out)) || key_from(from_env("OPENROUTER_API_KEY"), out))
		return;
	key_from(configured, out);	/* reads what any key may; models refuse it, and say so */
}

/* What was named must be there, and a key: another file's first line is nobody's to send. */
static int check_key_file(const struct cli *c)
{
	const char *path = cli_option(c, "--key-file");
	char line[256] = "";
	bool key, some;

	if (!path)
		return EXIT_OK;
	errno = 0;
	some = key_from_file(path, line);
	key = !strncmp(line, "sk-", 3);
	wipe(line, sizeof(line));
	if (!some && errno)
		return cli_say(EXIT_DENIED, "--key-file: cannot read '%.200s': %s", path, strerror(errno));
	if (!key)
		return cli_say(EXIT_DENIED, "--key-file: the first line of '%.200s' is no key\nhint: a key begins with sk-", path);
	return EXIT_OK;
}

static int need_key(const struct remote *r)
{
	if (r->credential == NO_KEY || r->key[0])
		return EXIT_OK;
	if (r->credential == MANAGEMENT_KEY)
		return cli_say(EXIT_DENIED, "a gateway runs at %s, and this needs its management key\n"
			"hint: set MOONGATE_MANAGEMENT_KEY, give --key-file F, or be the gateway's user (sudo -u)", r->url);
	return cli_say(EXIT_DENIED, "no API key for %s\nhint: set MOONGATE_KEY, or give --key-file F; 'moongate key create NAME' makes one", r->url);
}

/* ------------------------------------------------ one call */

int remote_open(struct remote *r, const struct cli *c, struct local *l, enum credential credential)
{
	struct err ignored = { 0 };
	int rc;

	*r = (struct remote){ .credential = credential };
	if (!l->conf.tree && remote_named(c)) {	/* it may be on another machine: no configuration is no fault */
		if (config_look(&l->conf, cli_option(c, "--config"), &ignored) == MG_OK)
			snprintf(l->data_dir, sizeof(l->data_dir), "%s", json_string_value(json_object_get(l->conf.tree, "data_dir")));
	} else {
		rc = local_config(l, c);
		if (rc)
			return rc;
	}
	rc = find_url(r, c, l);
	if (!rc && credential != NO_KEY)
		rc = check_key_file(c);
	if (!rc)
		rc = cli_duration(c, "--timeout", "30s", &r->timeout_ms);
	if (rc)
		return rc;
	remote_key(c, l, credential, r->key);
	rc = need_key(r);
	if (rc)
		return rc;
	r->easy = curl_easy_init();
	return r->easy ? EXIT_OK : cli_say(EXIT_FAILED, "no memory for a request");
}

int remote_or_here(struct remote *r, const struct cli *c, struct local *l)
{
	bool running = true;
	int rc = remote_named(c) ? EXIT_OK : local_accounts(l, c, &running);

	return rc || !running ? rc : remote_open(r, c, l, MANAGEMENT_KEY);
}

void remote_close(struct remote *r)
{
	if (r->easy)
		curl_easy_cleanup(r->easy);
	wipe(r->key, sizeof(r->key));
	r->easy = NULL;
}

void remote_escape(struct buf *out, const char *text)
{
	char *safe = curl_easy_escape(NULL, text, 0);

	buf_text(out, safe ? safe : "");
	curl_free(safe);
}

static size_t on_bytes(char *at, size_t size, size_t n, void *arg)
{
	struct buf *out = arg;

	buf_put(out, at, size * n);
	return out->failed ? 0 : size * n;
}

static struct curl_slist *headers_of(struct remote *r)
{
	struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
	struct mg_str name, value;
	char line[LABELS_BYTES + 8];

	if (r->key[0]) {
		snprintf(line, sizeof(line), "Authorization: Bearer %s", r->key);
		list = curl_slist_append(list, line);
		wipe(line, sizeof(line));
	}
	for (const char *more = r->more ? r->more : ""; label_next(&more, &name, &value); ) {
		snprintf(line, sizeof(line), "%.*s: %.*s", (int)name.len, name.at, (int)value.len, value.at);
		list = curl_slist_append(list, line);
	}
	return curl_slist_append(list, "Expect:");
}

static void set_up(struct remote *r, const char *method, const char *path, struct mg_str body, struct curl_slist *headers)
{
	char url[4096];

	snprintf(url, sizeof(url), "%s%s", r->url, path);
	curl_easy_reset(r->easy);
	curl_easy_setopt(r->easy, CURLOPT_URL, url);
	curl_easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(r->easy, CURLOPT_USERAGENT, "moongate/" VERSION);
	if (r->socket[0])
		curl_easy_setopt(r->easy, CURLOPT_UNIX_SOCKET_PATH, r->socket);
	if (r->socket[0] || loopback(r->url))
		curl_easy_setopt(r->easy, CURLOPT_PROXY, "");
	if (body.at) {
		curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, body.at);
		curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	}
}

static int unreachable(const struct remote *r, CURLcode code)
{
	if (code == CURLE_OPERATION_TIMEDOUT)
		return cli_say(EXIT_UNREACHABLE, "%s does not answer in time\nhint: --timeout 2m waits longer", r->socket[0] ? r->socket : r->url);
	return cli_say(EXIT_UNREACHABLE, "cannot reach the gateway at %s: %s\nhint: is it running ('moongate serve')? "
		"--url or MOONGATE_URL says where", r->socket[0] ? r->socket : r->url, curl_easy_strerror(code));
}

/* {"error":{"message":...}} of an answer that is none. */
static int refused(const struct remote *r, long status, struct mg_str body)
{
	struct pool *p = pool_new(ERROR_MAX * 4);
	struct mg_view all = { 0 };
	struct mg_str words = { 0 };
	int n, exit_status = EXIT_FAILED;
	const char *hint = "";

	if (p && body.len && body.len < ERROR_MAX && json_parse(p, body, &all, NULL) == MG_OK)
		words = json_text(p, json_get(json_get(all, "error"), "message"));
	if (status == 401 || status == 403) {
		exit_status = EXIT_DENIED;
		hint = r->credential == MANAGEMENT_KEY ? "\nhint: set MOONGATE_MANAGEMENT_KEY, or give --key-file F" :
			"\nhint: set MOONGATE_KEY, or give --key-file F";
	} else if (status == 404) {
		exit_status = EXIT_NOT_FOUND;
	} else if (status == 409) {
		exit_status = EXIT_CONFLICT;
	} else if (status == 429 || status == 503) {
		exit_status = EXIT_RETRY;
	}
	n = words.len > 600 ? 600 : (int)words.len;
	cli_say(exit_status, "the gateway answers %ld%s%.*s%s", status, n ? ": " : "", n, n ? words.at : "", hint);
	pool_free(p);
	return exit_status;
}

int remote_call(struct remote *r, const char *method, const char *path, struct mg_str body, struct buf *out)
{
	struct curl_slist *headers = headers_of(r);
	long status = 0;
	CURLcode code;

	set_up(r, method, path, body, headers);
	curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, out);
	code = curl_easy_perform(r->easy);
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	r->status = status;
	if (code)
		return unreachable(r, code);
	return status >= 200 && status < 300 ? EXIT_OK : r->quiet ? EXIT_FAILED : refused(r, status, buf_view(out));
}

static size_t no_bytes(char *at, size_t size, size_t n, void *arg)
{
	return size * n;
}

bool remote_answers(const struct cli *c, const struct local *l, enum credential credential)
{
	struct remote r = { .credential = credential };
	long status = 0;

	remote_key(c, l, credential, r.key);
	r.easy = r.key[0] && !find_url(&r, c, l) ? curl_easy_init() : NULL;
	wipe(r.key, sizeof(r.key));	/* nobody has said yet that this is the gateway */
	if (!r.easy)
		return false;
	set_up(&r, "GET", "/livez", (struct mg_str){ 0 }, NULL);
	curl_easy_setopt(r.easy, CURLOPT_TIMEOUT_MS, (long)PROBE_MS);
	curl_easy_setopt(r.easy, CURLOPT_WRITEFUNCTION, no_bytes);
	if (!curl_easy_perform(r.easy))
		curl_easy_getinfo(r.easy, CURLINFO_RESPONSE_CODE, &status);
	remote_close(&r);
	return status == 200;
}

/* ------------------------------------------------ a stream */

struct streaming { struct remote *r; struct framer framer; struct buf error; struct err err; long status; };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	if (interrupted)
		_exit(EXIT_INTERRUPTED);
	interrupted = 1;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	return interrupted;
}

static size_t on_stream(char *at, size_t size, size_t n, void *arg)
{
	struct streaming *s = arg;

	if (!s->status)
		curl_easy_getinfo(s->r->easy, CURLINFO_RESPONSE_CODE, &s->status);
	if (s->status >= 300) {
		buf_put(&s->error, at, size * n);
		return s->error.failed ? 0 : size * n;
	}
	return framer_feed(&s->framer, at, size * n, &s->err) == MG_OK ? size * n : 0;
}

int remote_stream(struct remote *r, const char *path, struct mg_str body,
	int (*on_frame)(void *arg, struct mg_str event, struct mg_str data), void *arg)
{
	struct sigaction act = { .sa_handler = on_interrupt }, before;
	struct streaming s = { .r = r };
	struct curl_slist *headers = headers_of(r);
	int rc = EXIT_OK;
	CURLcode code;

	framer_init(&s.framer, MG_SSE, FRAME_MAX, on_frame, arg);
	buf_init(&s.error, ERROR_MAX);
	set_up(r, "POST", path, body, headers);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_stream);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, &s);
	curl_easy_setopt(r->easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(r->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_TIME, 600L);
	interrupted = 0;
	sigaction(SIGINT, &act, &before);
	code = curl_easy_perform(r->easy);
	sigaction(SIGINT, &before, NULL);
	curl_slist_free_all(headers);
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &s.status);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		rc = cli_say(EXIT_INTERRUPTED, "interrupted: the request is cancelled");
	else if (s.err.rc)
		rc = cli_fail(EXIT_FAILED, &s.err);
	else if (code == CURLE_WRITE_ERROR)
		rc = EXIT_FAILED;	/* on_frame has said why */
	else if (code)
		rc = unreachable(r, code);
	else if (s.status >= 300)
		rc = refused(r, s.status, buf_view(&s.error));
	else if (framer_end(&s.framer, &s.err) != MG_OK)
		rc = cli_fail(EXIT_FAILED, &s.err);
	framer_release(&s.framer);
	buf_release(&s.error);
	return rc;
}

int remote_one(const struct cli *c, struct local *l, enum credential credential, const char *path, struct buf *out)
{
	struct remote r = { .easy = NULL };
	struct buf full;
	int rc = remote_open(&r, c, l, credential);

	buf_init(&full, 4096);
	buf_text(&full, path);
	remote_escape(&full, c->argv[0]);
	buf_put(&full, "", 1);
	rc = rc ? rc : remote_call(&r, "GET", full.at, (struct mg_str){ 0 }, out);
	buf_release(&full);
	remote_close(&r);
	return rc;
}
