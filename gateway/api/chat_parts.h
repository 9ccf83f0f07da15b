/*
 * chat_parts.h - what the files of the chat surface share; nobody else includes it.
 *
 *	chat_answer.c	the surface: which of the two shapes an event goes into
 *	chat_stream.c	chunks
 *	chat_whole.c	one completion, gathered
 *	chat_parts.c	what both write alike
 */
#ifndef API_CHAT_PARTS_H
#define API_CHAT_PARTS_H

#include "api/chat.h"

enum { CHAT_ANSWER_MAX = 96 * 1024 * 1024, CHAT_BUFFERS = 9 };	/* bytes; buffers of struct chat */

struct tool { struct mg_str id, name; struct buf arguments; uint32_t index; struct tool *next; };

/* One of reasoning_details; text grows while deltas of the same block come. */
struct detail { struct buf text; struct mg_str extra, format; uint32_t index; bool encrypted; struct detail *next; };

struct chat {
	struct buf head;		/* "data: {...,"choices":[{"index":0,"delta":{" */
	struct buf content, reasoning, refusal, images, annotations, logprobs, audio, transcript;
	struct tool *tools, **tools_end;
	struct detail *details, **details_end, *open;
	struct pass pass;
	struct mg_str audio_extra;	/* id and end of what is in audio */
	struct mg_view whole;		/* an answer that passes through, in one piece; the attempt's, which outlives finish() */
	bool exclude_reasoning, text;
};

/* ---- chat_parts.c */
struct buf *const *chat_buffers(struct chat *c, struct buf *at[CHAT_BUFFERS]);
struct buf *chat_out(struct relay *r);		/* the worker's, emptied: for one chunk or answer, within one callback */
void chat_identity(struct mg_writer *w, const struct relay *r, const char *object);	/* id, object, created, model, provider */
void chat_image(struct relay *r, struct buf *out, const struct mg_event *e);
void chat_audio(struct relay *r, struct buf *out, struct mg_str bytes, struct mg_str transcript, struct mg_str extra);
struct mg_str chat_transcript(struct relay *r, struct mg_str extra);
void chat_logprobs(struct relay *r, struct buf *list, struct mg_str extra);	/* its items, each with all that clients insist on */
bool chat_extra_has(struct relay *r, struct mg_str extra, const char *member);
/* One item of reasoning_details (E14). */
void chat_detail(struct relay *r, struct buf *out, struct mg_str text, struct mg_str extra, struct mg_str format, uint32_t index);
void chat_list_add(struct buf *list);		/* a comma, where something stands already */

/* ---- chat_stream.c */
void chat_stream_begin(struct relay *r);
void chat_stream_comment(struct relay *r);
void chat_stream_event(struct relay *r, const struct mg_event *e);
void chat_stream_pass(struct relay *r, struct mg_view frame);
void chat_chunk_begin(struct mg_writer *w, struct relay *r);	/* up to and with the provider */
void chat_chunk_end(struct mg_writer *w, struct relay *r);
void chat_finish_chunk(struct relay *r, const struct closing *cl, const struct refusal *why);	/* why: NULL, or an error */
void chat_usage_chunk(struct relay *r, const struct closing *cl);
void chat_stream_end(struct relay *r);

/* ---- chat_whole.c */
void chat_gather(struct relay *r, const struct mg_event *e);
void chat_whole_answer(struct relay *r, const struct closing *cl);

#endif
