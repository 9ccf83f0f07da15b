/*
 * chat.c - moongate chat [MODEL] [PROMPT]: streams one answer, or talks at a
 * terminal.  What comes in on stdin joins the prompt.
 */
#include <stdio.h>
#include <unistd.h>
#include "cli/remote.h"
#include "cli/table.h"

enum { CONVERSATION_MAX = 64 << 20, PROMPT_MAX = 16 << 20, FRAME_POOL = 64 << 20 };

struct chat {
	const struct cli *c;
	struct local local;
	struct remote remote;
	char model[200];
	struct buf messages;		/* JSON, with commas, without the brackets */
	struct buf answer;		/* of this turn */
	char id[64], cost[40];
	uint64_t prompt_tokens, completion_tokens;
	bool failed, thinking, dim;
};

/* ------------------------------------------------ what comes */

static void show_thought(struct chat *t, struct mg_str text)
{
	if (!text.len || !cli_switch(t->c, "--reasoning"))
		return;
	if (!t->thinking && t->dim)
		fputs("\033[2m", stderr);
	t->thinking = true;
	fwrite(text.at, 1, text.len, stderr);
}

static void end_thought(struct chat *t)
{
	if (t->thinking)
		fputs(t->dim ? "\033[0m\n" : "\n", stderr);
	t->thinking = false;
}

static int stream_error(struct chat *t, struct pool *p, struct mg_view error)
{
	struct mg_str words = json_text(p, json_get(error, "message"));

	end_thought(t);
	if (t->answer.len)
		putchar('\n');
	t->failed = true;
	cli_say(EXIT_FAILED, "the answer broke off: %.*s", words.at ? (int)words.len : 0, words.at ? words.at : "");
	return MG_EPROTO;
}

static void keep_usage(struct chat *t, struct pool *p, struct mg_view all)
{
	struct mg_str id = json_text(p, json_get(all, "id")), cost = json_text(p, json_get(json_get(all, "usage"), "cost"));

	if (id.at)
		snprintf(t->id, sizeof(t->id), "%.*s", (int)id.len, id.at);
	if (cost.at)
		snprintf(t->cost, sizeof(t->cost), "%.*s", (int)cost.len, cost.at);
	json_count(json_get(json_get(all, "usage"), "prompt_tokens"), &t->prompt_tokens);
	json_count(json_get(json_get(all, "usage"), "completion_tokens"), &t->completion_tokens);
}

static int read_chunk(struct chat *t, struct pool *p, struct mg_str data)
{
	struct err err = { 0 };
	struct mg_view all, delta;
	struct mg_str text;

	if (json_parse(p, data, &all, &err) != MG_OK) {
		t->failed = true;
		return cli_say(EXIT_FAILED, "what came is no JSON: %s", err.msg) ? MG_EPROTO : MG_OK;
	}
	keep_usage(t, p, all);
	delta = json_get(json_at(json_get(all, "choices"), 0), "delta");
	show_thought(t, json_text(p, json_get(delta, "reasoning")));
	text = json_text(p, json_get(delta, "content"));
	if (text.len) {
		end_thought(t);
		if (t->c->output == OUTPUT_TABLE) {
			fwrite(text.at, 1, text.len, stdout);
			fflush(stdout);
		}
		buf_str(&t->answer, text);
	}
	return json_kind(json_get(all, "error")) == MG_OBJECT ? stream_error(t, p, json_get(all, "error")) : MG_OK;
}

static int on_frame(void *arg, struct mg_str event, struct mg_str data)
{
	struct chat *t = arg;
	struct pool *p;
	int rc;

	if (mg_is(data, "[DONE]") || !data.len)
		return MG_OK;
	if (t->c->output == OUTPUT_JSONL)
		printf("%.*s\n", (int)data.len, data.at);
	p = pool_new(FRAME_POOL);
	rc = p ? read_chunk(t, p, data) : MG_ENOMEM;
	pool_free(p);
	return rc;
}

/* ------------------------------------------------ what goes */

static void say_message(struct chat *t, const char *role, struct mg_str text)
{
	buf_print(&t->messages, "%s{\"role\":\"%s\",\"content\":", t->messages.len ? "," : "", role);
	json_quote(&t->messages, text);
	buf_text(&t->messages, "}");
}

static int write_body(struct chat *t, struct buf *out)
{
	long max;
	int rc = cli_number(t->c, "--max-tokens", 0, 1, 10000000, &max);

	buf_text(out, "{\"model\":");
	json_quote(out, (struct mg_str){ t->model, strlen(t->model) });
	buf_text(out, ",\"stream\":true,\"usage\":{\"include\":true}");
	if (max)
		buf_print(out, ",\"max_tokens\":%ld", max);
	buf_text(out, ",\"messages\":[");
	buf_str(out, buf_view(&t->messages));
	buf_text(out, "]}");
	return rc ? rc : out->failed ? cli_say(EXIT_FAILED, "the conversation is too long") : EXIT_OK;
}

static void print_json(struct chat *t)
{
	struct mg_writer w;
	struct buf out;

	buf_init(&out, CONVERSATION_MAX);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	json_put_text(&w, "id", t->id);
	json_put_text(&w, "model", t->model);
	json_put(&w, "content", buf_view(&t->answer));
	json_put_int(&w, "prompt_tokens", (int64_t)t->prompt_tokens);
	json_put_int(&w, "completion_tokens", (int64_t)t->completion_tokens);
	json_put_raw(&w, "cost", (struct mg_str){ t->cost[0] ? t->cost : "null", strlen(t->cost[0] ? t->cost : "null") });
	json_close(&w);
	printf("%.*s\n", (int)out.len, out.at);
	buf_release(&out);
}

static int turn(struct chat *t)
{
	struct buf body;
	int rc;

	buf_reset(&t->answer);
	t->prompt_tokens = t->completion_tokens = 0;
	t->cost[0] = t->id[0] = '\0';
	t->failed = false;
	buf_init(&body, CONVERSATION_MAX * 2);
	rc = write_body(t, &body);
	rc = rc ? rc : remote_stream(&t->remote, "/api/v1/chat/completions", buf_view(&body), on_frame, t);
	buf_release(&body);
	end_thought(t);
	if (t->c->output == OUTPUT_TABLE && t->answer.len && !t->failed)
		putchar('\n');
	fflush(stdout);
	if (rc || t->failed)
		return rc ? rc : EXIT_FAILED;
	say_message(t, "assistant", buf_view(&t->answer));
	if (t->c->output == OUTPUT_JSON)
		print_json(t);
	if (t->c->output == OUTPUT_TABLE && (isatty(STDERR_FILENO) || cli_switch(t->c, "--cost")))
		fprintf(stderr, "%s%s  %llu + %llu tokens  $%s  %s%s\n", t->dim ? "\033[2m" : "", t->model, (unsigned long long)t->prompt_tokens,
			(unsigned long long)t->completion_tokens, t->cost[0] ? t->cost : "?", t->id, t->dim ? "\033[0m" : "");
	return rc;
}

/* ------------------------------------------------ the prompt */

static int read_stdin(struct buf *out)
{
	char part[8192];
	size_t n;

	while ((n = fread(part, 1, sizeof(part), stdin)) > 0)
		buf_put(out, part, n);
	return out->failed ? cli_say(EXIT_FAILED, "stdin has more than %d MiB", PROMPT_MAX >> 20) : EXIT_OK;
}

/* The words of the command line, then what stdin brings. */
static int one_shot(struct chat *t, const char *words)
{
	struct buf prompt, piped;
	int rc = EXIT_OK;

	buf_init(&prompt, PROMPT_MAX + 65536);
	buf_init(&piped, PROMPT_MAX);
	if (!isatty(STDIN_FILENO))
		rc = read_stdin(&piped);
	buf_text(&prompt, words ? words : "");
	if (prompt.len && piped.len)
		buf_text(&prompt, "\n\n");
	buf_str(&prompt, buf_view(&piped));
	if (!rc && !prompt.len)
		rc = cli_say(EXIT_USAGE, "chat: no prompt\nhint: moongate chat MODEL \"Say hello\"");
	if (!rc) {
		say_message(t, "user", buf_view(&prompt));
		rc = turn(t);
	}
	buf_release(&piped);
	buf_release(&prompt);
	return rc;
}

static int interactive(struct chat *t)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	fprintf(stderr, "%s; an empty line or Ctrl-D ends\n", t->model);
	for (;;) {
		size_t before = t->messages.len;

		fputs("> ", stderr);
		n = getline(&line, &size, stdin);
		if (n <= 1)
			break;
		say_message(t, "user", (struct mg_str){ line, (size_t)n - (line[n - 1] == '\n') });
		if (turn(t))
			t->messages.len = before;	/* a question without an answer is not asked again */
	}
	free(line);
	if (n < 0)
		fputc('\n', stderr);
	return EXIT_OK;
}

/* ------------------------------------------------ which model */

static int first_model(struct chat *t)
{
	struct pool *p = pool_new(FRAME_POOL);
	struct mg_view all;
	struct mg_str id = { 0 };
	struct buf out;
	int rc;

	buf_init(&out, CONVERSATION_MAX);
	rc = remote_call(&t->remote, "GET", "/api/v1/models?limit=1", (struct mg_str){ 0 }, &out);
	if (!rc && p && json_parse(p, buf_view(&out), &all, NULL) == MG_OK)
		id = json_text(p, json_get(json_at(json_get(all, "data"), 0), "id"));
	if (!rc && !id.len)
		rc = cli_say(EXIT_NOT_FOUND, "the gateway has no models\nhint: name them in the configuration");
	snprintf(t->model, sizeof(t->model), "%.*s", (int)id.len, id.at ? id.at : "");
	pool_free(p);
	buf_release(&out);
	return rc;
}

/* "author/name" is a model; anything else begins the prompt. */
static bool is_model(const char *word)
{
	const char *slash = strchr(word, '/');

	return slash && slash != word && slash[1] && !strpbrk(word, " \t\n") && strlen(word) < 200;
}

int chat_run(int argc, char **argv)
{
	struct chat t = { .thinking = false };
	const char *words = NULL, *instructions;
	struct cli c;
	int rc = cli_begin(&c, "chat", argc, argv, 0, 2);

	if (rc)
		return rc;
	t.c = &c;
	t.dim = cli_colour(&c, stderr);
	buf_init(&t.messages, CONVERSATION_MAX);
	buf_init(&t.answer, CONVERSATION_MAX);
	if (c.argc && is_model(c.argv[0]))
		snprintf(t.model, sizeof(t.model), "%s", c.argv[0]);
	else if (c.argc > 1)
		rc = cli_say(EXIT_USAGE, "chat: '%.80s' is no model\nhint: moongate chat AUTHOR/NAME \"PROMPT\"", c.argv[0]);
	if (c.argc == (t.model[0] ? 2 : 1))
		words = c.argv[c.argc - 1];
	instructions = cli_option(&c, "--system");
	if (instructions)
		say_message(&t, "system", (struct mg_str){ instructions, strlen(instructions) });
	rc = rc ? rc : remote_open(&t.remote, &c, &t.local, ANY_KEY);
	if (!rc && !t.model[0])
		rc = first_model(&t);
	if (!rc)
		rc = words || !isatty(STDIN_FILENO) ? one_shot(&t, words) : interactive(&t);
	buf_release(&t.messages);
	buf_release(&t.answer);
	remote_close(&t.remote);
	local_close(&t.local);
	return rc;
}
