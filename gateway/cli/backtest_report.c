#include <stdlib.h>
#include "base/json.h"
#include "base/money.h"
#include "cli/backtest_report.h"

enum { GATES = 4 };
struct gate { const char *name; char limit[32], value[32]; bool shut; };

/* ------------------------------------------------ gates */

/* "2%" or "2" */
static int percent(const struct cli *c, const char *name, double *out)
{
	const char *text = cli_option(c, name);
	char *end;

	*out = -1;
	if (!text)
		return EXIT_OK;
	*out = strtod(text, &end);
	end += *end == '%';
	if (end == text || *end || !(*out >= 0))
		return cli_say(EXIT_USAGE, "policy backtest: %s: '%.40s' is no percentage\nhint: such as 2%%", name, text);
	return EXIT_OK;
}

int gates_read(const struct cli *c, struct gates *out)
{
	int rc = percent(c, "--max-cost-change", &out->cost);

	rc = rc ? rc : percent(c, "--max-p90-change", &out->p90);
	out->violations = cli_switch(c, "--no-violations");
	out->empty = cli_switch(c, "--no-empty");
	return rc;
}

/* In percent; from nothing to something is all of it. */
static double change(double from, double to)
{
	return from > 0 ? (to - from) * 100 / from : to > 0 ? 100 : 0;
}

static void rise(struct gate *g, const char *name, double most, double from, double to)
{
	*g = (struct gate){ .name = name, .shut = change(from, to) > most };
	snprintf(g->limit, sizeof(g->limit), "%+.2f%%", most);
	snprintf(g->value, sizeof(g->value), "%+.2f%%", change(from, to));
}

static void none(struct gate *g, const char *name, uint64_t most, uint64_t n)
{
	*g = (struct gate){ .name = name, .shut = n > most };
	snprintf(g->limit, sizeof(g->limit), "%llu", (unsigned long long)most);
	snprintf(g->value, sizeof(g->value), "%llu", (unsigned long long)n);
}

static size_t gates_of(struct backtest *b, const struct gates *asked, struct gate out[GATES])
{
	size_t n = 0;

	if (asked->cost >= 0)
		rise(&out[n++], "max-cost-change", asked->cost, (double)b->live.charge_nusd, (double)b->candidate.charge_nusd);
	if (asked->p90 >= 0)
		rise(&out[n++], "max-p90-change", asked->p90, tally_percentile(&b->live, 90), tally_percentile(&b->candidate, 90));
	if (asked->violations)
		none(&out[n++], "no-violations", 0, b->candidate.violations + b->candidate.kept_more);
	if (asked->empty)
		none(&out[n++], "no-empty", b->live.empty, b->candidate.empty);
	return n;
}

/* ------------------------------------------------ as JSON */

static void put_tally(struct mg_writer *w, const char *name, struct tally *c)
{
	json_open(w, name, '{');
	json_put_int(w, "charge_nusd", c->charge_nusd);
	json_put_int(w, "cost_nusd", c->cost_nusd);
	json_put_int(w, "first_token_p50_ms", tally_percentile(c, 50));
	json_put_int(w, "first_token_p90_ms", tally_percentile(c, 90));
	json_put_int(w, "failed", (int64_t)c->failed);
	json_put_int(w, "refused", (int64_t)c->refused);
	json_put_int(w, "empty", (int64_t)c->empty);
	json_put_int(w, "violations", (int64_t)c->violations);
	json_put_int(w, "kept_more", (int64_t)c->kept_more);
	json_close(w);
}

static void put_choices(struct mg_writer *w, const struct backtest *b)
{
	json_open(w, "measured", '{');
	json_put_int(w, "decisions", (int64_t)b->measured);
	json_put_int(w, "charge_nusd", b->measured_nusd);
	json_close(w);
	json_open(w, "estimated", '{');
	json_put_int(w, "decisions", (int64_t)b->estimated);
	json_put_int(w, "models_changed", (int64_t)b->models);
	json_put_int(w, "live_charge_nusd", b->was_nusd);
	json_put_int(w, "candidate_charge_nusd", b->would_nusd);
	json_put_int(w, "failures_avoided", (int64_t)b->avoided);
	json_put_int(w, "failures_caused", (int64_t)b->caused);
	json_close(w);
	json_open(w, "same_bundle", '{');
	json_put_int(w, "decisions", (int64_t)b->own);
	json_put_int(w, "identical", (int64_t)b->same);
	json_close(w);
}

static void put_real(struct mg_writer *w, const char *name, double x)
{
	char text[40];
	int n = snprintf(text, sizeof(text), "%.3f", x);

	json_put_raw(w, name, (struct mg_str){ text, (size_t)n });
}

static void put_mean(struct mg_writer *w, const char *name, const struct weighed *m)
{
	json_open(w, name, '{');
	json_put_int(w, "decisions", (int64_t)m->n);
	put_real(w, "effective_sample_size", weighed_size(m));
	put_real(w, "live_mean", weighed_live(m));
	if (m->weights)
		put_real(w, "candidate_mean", weighed_candidate(m));
	else
		json_put_null(w, "candidate_mean");
	json_close(w);
}

static void put_drawn(struct mg_writer *w, const struct backtest *b)
{
	json_open(w, "inverse_propensity", '{');
	json_put_int(w, "decisions", (int64_t)b->charge_nusd.n);
	put_real(w, "mean_weight", weighed_weight(&b->charge_nusd));
	put_mean(w, "charge_nusd", &b->charge_nusd);
	put_mean(w, "first_token_ms", &b->first_ms);
	json_close(w);
}

static void put_providers(struct mg_writer *w, const struct backtest *b)
{
	json_open(w, "providers", '[');
	for (size_t i = 0; i < b->n_providers; i++) {
		json_open(w, NULL, '{');
		json_put_text(w, "provider", b->providers[i].name);
		json_put_int(w, "live", (int64_t)b->providers[i].live);
		json_put_int(w, "candidate", (int64_t)b->providers[i].candidate);
		json_close(w);
	}
	json_close(w);
}

static void put_gates(struct mg_writer *w, const struct gate *gates, size_t n)
{
	json_open(w, "gates", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(w, NULL, '{');
		json_put_text(w, "gate", gates[i].name);
		json_put_text(w, "limit", gates[i].limit);
		json_put_text(w, "value", gates[i].value);
		json_put_bool(w, "passed", !gates[i].shut);
		json_close(w);
	}
	json_close(w);
}

static int print_json(struct backtest *b, const char *bundle, bool in_order, const struct gate *gates, size_t n)
{
	struct mg_writer w;
	struct buf out;
	int rc;

	buf_init(&out, 16 << 20);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '{');
	json_put_text(&w, "bundle", bundle);
	json_put_int(&w, "decisions", (int64_t)b->decisions);
	json_put_int(&w, "unreadable", (int64_t)b->unreadable);
	json_put_bool(&w, "in_order", in_order);
	put_choices(&w, b);
	put_tally(&w, "live", &b->live);
	put_tally(&w, "candidate", &b->candidate);
	put_drawn(&w, b);
	put_providers(&w, b);
	put_gates(&w, gates, n);
	json_close(&w);
	json_close(&w);
	rc = json_written(&w).at && printf("%.*s\n", (int)out.len, out.at) > 0 ? EXIT_OK : cli_say(EXIT_FAILED, "no memory for the answer");
	buf_release(&out);
	return rc;
}

/* ------------------------------------------------ for people */

static double part(uint64_t n, uint64_t of)
{
	return of ? (double)n * 100 / (double)of : 0;
}

static void print_counts(const char *what, uint64_t live, uint64_t candidate)
{
	printf("%-34s %12llu %12llu\n", what, (unsigned long long)live, (unsigned long long)candidate);
}

static void print_money(const char *what, int64_t live, int64_t candidate)
{
	printf("%-34s %12.6f %12.6f\n", what, (double)live / 1e9, (double)candidate / 1e9);
}

static void print_mean(const char *what, const struct weighed *m, double unit)
{
	printf("%-34s %12.6g ", what, weighed_live(m) / unit);
	if (m->weights)
		printf("%12.6g   effective sample size %.1f\n", weighed_candidate(m) / unit, weighed_size(m));
	else
		printf("%12s   the candidate chooses none that came first\n", "-");
}

static void print_drawn(const struct backtest *b)
{
	if (!b->charge_nusd.n)
		return;
	printf("drawn by the live policies %llu; each counts by the candidate's chance of it for live's (inverse propensity, no model); mean weight %.3f\n",
		(unsigned long long)b->charge_nusd.n, weighed_weight(&b->charge_nusd));
	print_mean("  mean charge, USD", &b->charge_nusd, 1e9);
	print_mean("  mean first token, ms", &b->first_ms, 1);
}

static void print_text(struct backtest *b, bool in_order, const struct gate *gates, size_t n)
{
	printf("decisions %llu   same first choice %llu (%.1f%%, measured)   changed %llu (%.1f%%, estimated)\n", (unsigned long long)b->decisions,
		(unsigned long long)b->measured, part(b->measured, b->decisions), (unsigned long long)b->estimated, part(b->estimated, b->decisions));
	if (b->unreadable)
		printf("unreadable %llu\n", (unsigned long long)b->unreadable);
	if (in_order)
		puts("limits, counters or budgets are asked for otherwise than they were: told again in the order of time");
	if (b->own)
		printf("this very bundle decided %llu; of them %llu come out the same\n", (unsigned long long)b->own, (unsigned long long)b->same);
	printf("%-34s %12s %12s\n", "", "live", "candidate");
	print_money("charge, USD", b->live.charge_nusd, b->candidate.charge_nusd);
	print_money("  of what changed (estimated)", b->was_nusd, b->would_nusd);
	print_money("cost, USD", b->live.cost_nusd, b->candidate.cost_nusd);
	print_counts("median first token, ms", tally_percentile(&b->live, 50), tally_percentile(&b->candidate, 50));
	print_counts("90th percentile first token, ms", tally_percentile(&b->live, 90), tally_percentile(&b->candidate, 90));
	print_counts("first attempt failed", b->live.failed, b->candidate.failed);
	print_counts("refused", b->live.refused, b->candidate.refused);
	print_counts("no endpoint left", b->live.empty, b->candidate.empty);
	print_counts("violations of data policy", b->live.violations, b->candidate.violations);
	print_counts("kept more than either allows", b->live.kept_more, b->candidate.kept_more);
	for (size_t i = 0; i < b->n_providers; i++)
		printf("  first choice %-19s %11.1f%% %11.1f%%\n", b->providers[i].name, part(b->providers[i].live, b->decisions), part(b->providers[i].candidate, b->decisions));
	printf("failures avoided %llu, caused %llu (estimated)   another model %llu (its quality is not judged)\n", (unsigned long long)b->avoided,
		(unsigned long long)b->caused, (unsigned long long)b->models);
	print_drawn(b);
	for (size_t i = 0; i < n; i++)
		printf("%s  %s: %s, at most %s\n", gates[i].shut ? "FAILED" : "passed", gates[i].name, gates[i].value, gates[i].limit);
}

static int by_use(const void *a, const void *b)
{
	const struct provider_mix *x = a, *y = b;

	return x->live != y->live ? (x->live < y->live) - (x->live > y->live) : strcmp(x->name, y->name);
}

int backtest_report(const struct cli *c, struct backtest *b, const char *bundle, bool in_order, const struct gates *asked)
{
	struct gate gates[GATES];
	size_t n = gates_of(b, asked, gates);
	int rc = EXIT_OK;

	qsort(b->providers, b->n_providers, sizeof(b->providers[0]), by_use);
	if (c->output == OUTPUT_TABLE)
		print_text(b, in_order, gates, n);
	else
		rc = print_json(b, bundle, in_order, gates, n);
	for (size_t i = 0; i < n && !rc; i++)
		rc = gates[i].shut ? EXIT_PROBLEMS : EXIT_OK;
	return rc;
}
