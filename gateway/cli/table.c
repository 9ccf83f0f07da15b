/* table.c - rows for people and for programs. */
#include <stdio.h>
#include "base/money.h"
#include "cli/table.h"

enum { COLUMNS_MAX = 16, CELL_MAX = 60, TABLE_MAX = 256 << 20 };

/* ------------------------------------------------ one cell */

static struct mg_view member_at(struct mg_view row, const char *path)
{
	char name[64];

	for (const char *end; *path && json_kind(row); path = *end ? end + 1 : end) {
		end = path + strcspn(path, ".");
		snprintf(name, sizeof(name), "%.*s", (int)(end - path), path);
		row = json_get(row, name);
	}
	return row;
}

static void list_text(struct pool *p, struct mg_view v, struct buf *out)
{
	size_t n = 0;

	for (struct mg_view item = json_at(v, 0); json_kind(item); item = json_next(item)) {
		if (n++)
			buf_text(out, ",");
		buf_str(out, json_text(p, item));
	}
}

static void per_million(struct mg_str text, struct buf *out)
{
	int64_t pusd;

	if (money_parse(text, 12, &pusd, NULL) == MG_OK)
		money_text(out, pusd, 6);
	else
		buf_str(out, text);
}

/* The value alone: what csv shows. */
static void plain(struct pool *p, struct mg_view row, const struct column *c, struct buf *out)
{
	struct mg_view v = member_at(row, c->member);

	buf_reset(out);
	switch (json_kind(v)) {
	case MG_ABSENT: case MG_NULL:
		return;
	case MG_ARRAY:
		list_text(p, v, out);
		return;
	case MG_STRING: case MG_NUMBER:
		if (c->cell == CELL_TOKEN_PRICE)
			per_million(json_text(p, v), out);
		else
			buf_str(out, json_text(p, v));
		return;
	default:
		buf_str(out, json_raw(v));
	}
}

/* What could move the cursor is no text. */
static void printable(struct buf *b)
{
	for (size_t i = 0; i < b->len; i++) {
		unsigned char ch = (unsigned char)b->at[i];

		if (ch < 0x20 || ch == 0x7f || (ch == 0xc2 && i + 1 < b->len && (unsigned char)b->at[i + 1] < 0xa0))
			b->at[i] = '?';
		if (ch == 0xc2 && b->at[i] == '?')
			b->at[i + 1] = '?';
	}
}

static void shown(struct pool *p, struct mg_view row, const struct column *c, struct buf *out)
{
	enum mg_kind kind = json_kind(member_at(row, c->member));

	plain(p, row, c, out);
	if (kind == MG_TRUE || kind == MG_FALSE) {
		buf_reset(out);
		buf_text(out, kind == MG_TRUE ? "yes" : "no");
	}
	if (!out->len)
		buf_text(out, "-");
	if (c->cell == CELL_HASH && out->len > 12)
		out->len = 12;
	if (c->cell == CELL_TIME && out->len > 19) {
		out->len = 19;		/* "2026-11-21 14:03:11" */
		out->at[10] = ' ';
	}
	printable(out);
}

static size_t width(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += ((unsigned char)b->at[i] & 0xc0) != 0x80;
	return n;
}

/* ------------------------------------------------ the four ways */

static bool right(const struct column *c)
{
	return c->cell == CELL_NUMBER || c->cell == CELL_TOKEN_PRICE;
}

static void pad(size_t n)
{
	while (n--)
		putchar(' ');
}

static void print_cell(const struct buf *b, size_t wide, bool to_right, bool last)
{
	size_t rest = wide > width(b) ? wide - width(b) : 0;

	if (to_right)
		pad(rest);
	fwrite(b->at, 1, b->len, stdout);
	if (!to_right && !last)
		pad(rest);
	fputs(last ? "\n" : "  ", stdout);
}

static void print_table(const struct cli *c, struct pool *p, struct mg_view first, const struct column *columns)
{
	size_t wide[COLUMNS_MAX], n = 0;
	struct buf b;

	buf_init(&b, 1 << 20);
	for (; columns[n].member && n < COLUMNS_MAX; n++) {
		wide[n] = strlen(columns[n].title);
		for (struct mg_view row = first; json_kind(row); row = json_next(row)) {
			shown(p, row, &columns[n], &b);
			if (width(&b) > wide[n])
				wide[n] = width(&b) > CELL_MAX ? CELL_MAX : width(&b);
		}
	}
	if (cli_colour(c, stdout))
		fputs("\033[1m", stdout);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&b);
		buf_text(&b, columns[i].title);
		print_cell(&b, wide[i], right(&columns[i]), i + 1 == n);
	}
	if (cli_colour(c, stdout))
		fputs("\033[0m", stdout);
	for (struct mg_view row = first; json_kind(row); row = json_next(row))
		for (size_t i = 0; i < n; i++) {
			shown(p, row, &columns[i], &b);
			print_cell(&b, wide[i], right(&columns[i]), i + 1 == n);
		}
	buf_release(&b);
}

static void csv_cell(const struct buf *b, bool last)
{
	bool quote = b->len && (memchr(b->at, ',', b->len) || memchr(b->at, '"', b->len) || memchr(b->at, '\n', b->len) || memchr(b->at, '\r', b->len));

	if (quote)
		putchar('"');
	for (size_t i = 0; i < b->len; i++) {
		if (b->at[i] == '"')
			putchar('"');
		putchar(b->at[i]);
	}
	if (quote)
		putchar('"');
	putchar(last ? '\n' : ',');
}

static void print_csv(struct pool *p, struct mg_view first, const struct column *columns)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (const struct column *c = columns; c->member; c++)
		printf("%s%c", c->member, c[1].member ? ',' : '\n');
	for (struct mg_view row = first; json_kind(row); row = json_next(row))
		for (const struct column *c = columns; c->member; c++) {
			plain(p, row, c, &b);
			csv_cell(&b, !c[1].member);
		}
	buf_release(&b);
}

static void print_raw(struct mg_str text)
{
	fwrite(text.at, 1, text.len, stdout);
	putchar('\n');
}

/* "name: value" a line. */
static void print_facts(struct pool *p, struct mg_view row, const struct column *columns)
{
	size_t wide = 0;
	struct buf b;

	buf_init(&b, 1 << 20);
	for (const struct column *c = columns; c->member; c++)
		wide = strlen(c->title) > wide ? strlen(c->title) : wide;
	for (const struct column *c = columns; c->member; c++) {
		struct column whole = *c;

		if (whole.cell == CELL_HASH)
			whole.cell = CELL_TEXT;
		shown(p, row, &whole, &b);
		printf("%-*s  %.*s\n", (int)wide, c->title, (int)b.len, b.at);
	}
	buf_release(&b);
}

int table_done(const struct cli *c, const char *note, const char *const *pairs)
{
	struct mg_writer w;
	struct buf out;

	if (c->output == OUTPUT_TABLE) {
		cli_note("%s\n", note);
		return EXIT_OK;
	}
	buf_init(&out, 65536);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '{');
	for (; *pairs; pairs += 2)
		json_put_text(&w, pairs[0], pairs[1]);
	json_close(&w);
	json_close(&w);
	print_raw(buf_view(&out));
	buf_release(&out);
	return EXIT_OK;
}

/* ------------------------------------------------ files */

void made_begin(struct made *m, const struct cli *c)
{
	m->c = c;
	buf_init(&m->wrote, TABLE_MAX);
	buf_init(&m->kept, TABLE_MAX);
}

void made_file(struct made *m, const char *path, bool kept)
{
	struct buf *list = kept ? &m->kept : &m->wrote;

	if (m->c->output == OUTPUT_TABLE) {
		printf("%s  %s\n", kept ? "kept " : "wrote", path);
		return;
	}
	buf_text(list, list->len ? "," : "");
	json_quote(list, (struct mg_str){ path, strlen(path) });
}

int made_end(struct made *m, const char *dir, int rc)
{
	struct buf name;

	buf_init(&name, TABLE_MAX);
	json_quote(&name, (struct mg_str){ dir, strlen(dir) });
	if (!rc && m->c->output != OUTPUT_TABLE)
		printf("{\"data\":{\"dir\":%.*s,\"wrote\":[%.*s],\"kept\":[%.*s]}}\n", (int)name.len, name.at,
			(int)m->wrote.len, m->wrote.len ? m->wrote.at : "", (int)m->kept.len, m->kept.len ? m->kept.at : "");
	buf_release(&name);
	buf_release(&m->wrote);
	buf_release(&m->kept);
	return rc;
}

/* ------------------------------------------------ from a body */

static int parsed(struct mg_str body, struct pool **p, struct mg_view *data)
{
	struct err err = { 0 };
	struct mg_view all;

	*p = pool_new(TABLE_MAX);
	if (!*p || json_parse(*p, body, &all, &err) != MG_OK)
		return cli_say(EXIT_FAILED, "what came is no JSON: %s", *p ? err.msg : "no memory");
	*data = json_get(all, "data");
	return EXIT_OK;
}

int table_list(const struct cli *c, struct mg_str body, const struct column *columns)
{
	struct mg_view data, first;
	struct pool *p = NULL;
	int rc = parsed(body, &p, &data);

	if (!rc) {
		first = json_at(data, 0);
		if (c->output == OUTPUT_JSON)
			print_raw(body);
		else if (c->output == OUTPUT_CSV)
			print_csv(p, first, columns);
		else if (c->output == OUTPUT_TABLE)
			print_table(c, p, first, columns);
		for (; c->output == OUTPUT_JSONL && json_kind(first); first = json_next(first))
			print_raw(json_raw(first));
	}
	pool_free(p);
	return rc;
}

/* The same value without the members that follow it. */
static struct mg_view alone(struct pool *p, struct mg_view v)
{
	struct mg_view out = { 0 };

	return json_parse(p, json_raw(v), &out, NULL) == MG_OK ? out : v;
}

int table_one(const struct cli *c, struct mg_str body, const struct column *columns)
{
	struct mg_view data;
	struct pool *p = NULL;
	int rc = parsed(body, &p, &data);

	if (!rc) {
		if (c->output == OUTPUT_JSON)
			print_raw(body);
		else if (c->output == OUTPUT_JSONL)
			print_raw(json_raw(data));
		else if (c->output == OUTPUT_CSV)
			print_csv(p, alone(p, data), columns);
		else
			print_facts(p, data, columns);
	}
	pool_free(p);
	return rc;
}

/* ------------------------------------------------ what checks say */

void report_begin(struct report *r, const struct cli *c)
{
	r->c = c;
	buf_init(&r->lines, TABLE_MAX);
}

void print_line(void *none, const char *line)
{
	puts(line);
}

void report_line(void *report, const char *line)
{
	struct report *r = report;

	if (r->c->output == OUTPUT_TABLE) {
		puts(line);
		return;
	}
	if (r->lines.len)
		buf_text(&r->lines, ",");
	json_quote(&r->lines, (struct mg_str){ line, strlen(line) });
}

int report_end(struct report *r, int problems)
{
	if (r->c->output != OUTPUT_TABLE)
		printf("{\"problems\":%d,\"lines\":[%.*s]}\n", problems, (int)r->lines.len, r->lines.len ? r->lines.at : "");
	buf_release(&r->lines);
	return problems ? EXIT_PROBLEMS : EXIT_OK;
}
