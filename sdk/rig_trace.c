/* rig_trace.c - canonical events as one line of text, which a case can name. */
#include "rig_parts.h"

#include <stdio.h>

static const char *const kinds[] = {
	[MG_EV_START] = "start", [MG_EV_TEXT] = "text", [MG_EV_REFUSAL] = "refusal", [MG_EV_REASONING] = "reasoning",
	[MG_EV_TOOL_BEGIN] = "tool_begin", [MG_EV_TOOL_ARGS] = "tool_args", [MG_EV_TOOL_END] = "tool_end",
	[MG_EV_IMAGE] = "image", [MG_EV_AUDIO] = "audio", [MG_EV_ANNOTATION] = "annotation",
	[MG_EV_LOGPROBS] = "logprobs", [MG_EV_VECTOR] = "vector", [MG_EV_SCORE] = "score",
	[MG_EV_VERDICT] = "verdict", [MG_EV_SEGMENT] = "segment", [MG_EV_JOB] = "job", [MG_EV_MODEL] = "model",
	[MG_EV_LIMIT] = "limit", [MG_EV_USAGE] = "usage", [MG_EV_FINISH] = "finish", [MG_EV_ERROR] = "error",
};
static const char *const finishes[] = {
	[MG_NONE] = "none", [MG_STOP] = "stop", [MG_LENGTH] = "length", [MG_TOOL_CALLS] = "tool_calls",
	[MG_CONTENT_FILTER] = "content_filter", [MG_FAILED] = "failed",
};

static void put_shown(struct buf *b, struct mg_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.at[i];

		if (ch == '\n')
			buf_text(b, "\\n");
		else if (ch < ' ' || ch == 0x7f)
			buf_print(b, "\\x%02x", ch);
		else
			buf_put(b, &s.at[i], 1);
	}
}

void rig_trace_open(struct trace *t, const char *kind, uint32_t choice)
{
	if (t->text.len)
		buf_text(&t->text, " ");
	buf_text(&t->text, kind);
	if (choice)
		buf_print(&t->text, "[%u]", choice);
	buf_text(&t->text, "(");
}

void rig_trace_args(struct buf *b, const struct mg_str *args, size_t n)
{
	while (n && !args[n - 1].len)
		n--;
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_text(b, ", ");
		put_shown(b, args[i]);
	}
	buf_text(b, ")");
}

static void put_usage(struct buf *b, const struct mg_usage *u)
{
	const struct { const char *name; uint64_t n; } counts[] = {
		{ "input", u->input }, { "cached", u->cached }, { "cache_write", u->cache_write },
		{ "cache_write_1h", u->cache_write_1h }, { "image_tokens", u->image_tokens }, { "audio_in", u->audio_in },
		{ "audio_cached", u->audio_cached }, { "output", u->output }, { "reasoning", u->reasoning },
		{ "audio_out", u->audio_out }, { "images_out", u->images_out }, { "searches", u->searches },
		{ "requests", u->requests > 1 ? u->requests : 0 }, { "characters", u->characters },
		{ "seconds", u->seconds }, { "cost_nusd", u->cost_nusd > 0 ? (uint64_t)u->cost_nusd : 0 },
	};
	const char *between = "";

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (!counts[i].n)
			continue;
		buf_print(b, "%s%s=%llu", between, counts[i].name, (unsigned long long)counts[i].n);
		between = " ";
	}
	buf_text(b, ")");
}

static void put_failure(struct buf *b, const struct mg_failure *f)
{
	buf_text(b, error_kind_name(f->kind));
	if (f->message.len) {
		buf_text(b, ", ");
		put_shown(b, f->message);
	}
	if (f->code.len) {
		buf_text(b, ", code ");
		put_shown(b, f->code);
	}
	if (f->retry_after_ms)
		buf_print(b, ", retry after %u ms", f->retry_after_ms);
	buf_text(b, f->retryable ? ")" : ", final)");
}

static bool is_delta(enum mg_event_kind k)
{
	return k == MG_EV_TEXT || k == MG_EV_REFUSAL || k == MG_EV_REASONING || k == MG_EV_TOOL_ARGS || k == MG_EV_AUDIO;
}

static void put_event(struct trace *t, const struct mg_event *e)
{
	char number[16], much[48];
	struct mg_str index = { number, (size_t)snprintf(number, sizeof(number), "%u", e->index) }, amount = { much, 0 };

	rig_trace_open(t, kinds[e->kind], e->choice);
	switch (e->kind) {
	case MG_EV_START:
	case MG_EV_JOB:
		rig_trace_args(&t->text, (struct mg_str[]){ e->id, e->name }, 2);
		break;
	case MG_EV_MODEL:
		rig_trace_args(&t->text, (struct mg_str[]){ e->id, e->extra }, 2);
		break;
	case MG_EV_TOOL_BEGIN:
		rig_trace_args(&t->text, (struct mg_str[]){ index, e->id, e->name }, 3);
		break;
	case MG_EV_TOOL_ARGS:
	case MG_EV_TOOL_END:
		rig_trace_args(&t->text, (struct mg_str[]){ index, e->data }, e->kind == MG_EV_TOOL_ARGS ? 2 : 1);
		break;
	case MG_EV_TEXT:
	case MG_EV_REFUSAL:
		rig_trace_args(&t->text, &e->data, 1);
		break;
	case MG_EV_REASONING:
		rig_trace_args(&t->text, (struct mg_str[]){ e->data, e->name, e->extra }, 3);
		break;
	case MG_EV_SEGMENT:
		rig_trace_args(&t->text, (struct mg_str[]){ e->data, e->extra }, 2);
		break;
	case MG_EV_IMAGE:
	case MG_EV_AUDIO:
		amount.len = (size_t)snprintf(much, sizeof(much), "%zu bytes", e->data.len);
		rig_trace_args(&t->text, (struct mg_str[]){ e->name, amount, e->extra }, 3);
		break;
	case MG_EV_ANNOTATION:
	case MG_EV_LOGPROBS:
		rig_trace_args(&t->text, &e->extra, 1);
		break;
	case MG_EV_VECTOR:
	case MG_EV_SCORE:
	case MG_EV_VERDICT:
		rig_trace_args(&t->text, (struct mg_str[]){ index, e->extra }, 2);
		break;
	case MG_EV_LIMIT:
		if (e->reset_ms)
			amount.len = (size_t)snprintf(much, sizeof(much), "reset %llu ms", (unsigned long long)e->reset_ms);
		rig_trace_args(&t->text, (struct mg_str[]){ e->name, e->extra, amount }, 3);
		break;
	case MG_EV_USAGE:
		put_usage(&t->text, e->usage);
		break;
	case MG_EV_FINISH:
		rig_trace_args(&t->text, (struct mg_str[]){
			text_of((unsigned)e->finish <= MG_FAILED ? finishes[e->finish] : "?"), e->name }, 2);
		break;
	case MG_EV_ERROR:
		put_failure(&t->text, e->failure);
		break;
	}
}

void rig_trace_flush(struct trace *t)
{
	if (!t->last.size)
		return;
	t->last.data = buf_view(&t->delta);
	put_event(t, &t->last);
	t->last.size = 0;
	buf_reset(&t->delta);
}

static bool continues(const struct trace *t, const struct mg_event *e)
{
	return t->last.size && t->last.kind == e->kind && t->last.choice == e->choice && t->last.index == e->index &&
		t->last.name.len == e->name.len && !strncmp(t->format, e->name.at ? e->name.at : "", e->name.len);
}

int rig_trace_event(void *arg, const struct mg_event *e)
{
	struct trace *t = arg;

	if (++t->events == t->stop_at)
		return MG_EDENIED;
	if (!is_delta(e->kind) || e->extra.at || e->name.len >= sizeof(t->format)) {
		rig_trace_flush(t);
		put_event(t, e);
		return MG_OK;
	}
	if (!continues(t, e)) {
		rig_trace_flush(t);
		t->last = *e;
		snprintf(t->format, sizeof(t->format), "%.*s", (int)e->name.len, e->name.at ? e->name.at : "");
		t->last.name = (struct mg_str){ t->format, e->name.len };
		t->last.id = (struct mg_str){ NULL, 0 };
	}
	buf_str(&t->delta, e->data);
	return MG_OK;
}
