/*
 * moongate_form.h - multipart/form-data for upstreams that take files: pieces
 * that point at what is there, so that a sound of 20 MB is not copied.
 *
 *	struct mg_form *f = mg_form(c);
 *	mg_form_text(c, f, "model", model);
 *	mg_form_file(c, f, "file", "audio.mp3", bytes);
 *	rc = mg_form_end(c, f, MG_STR("/audio/transcriptions"), out);
 */
#ifndef MOONGATE_FORM_H
#define MOONGATE_FORM_H

#include <stdio.h>
#include "moongate.h"

enum { MG_FORM_PARTS = 24 };
#define MG_FORM_BOUNDARY "moongate-b1f7c2d94e8a46d0"

struct mg_form { struct mg_str piece[3 * MG_FORM_PARTS + 1]; size_t n; bool bad; };

static inline struct mg_form *mg_form(struct mg_call *c)
{
	return c->host->alloc(c, sizeof(struct mg_form));
}

static inline void mg_form_part(struct mg_call *c, struct mg_form *f, const char *name, const char *file, struct mg_str bytes)
{
	size_t size = strlen(name) + (file ? strlen(file) : 0) + sizeof(MG_FORM_BOUNDARY) + 160;
	char *head = f && f->n + 3 < 3 * MG_FORM_PARTS ? c->host->alloc(c, size) : NULL;
	int len;

	if (!head) {
		if (f)
			f->bad = true;
		return;
	}
	if (file)
		len = snprintf(head, size, "--" MG_FORM_BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n"
			"Content-Type: application/octet-stream\r\n\r\n", name, file);
	else
		len = snprintf(head, size, "--" MG_FORM_BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n", name);
	f->piece[f->n++] = (struct mg_str){ head, (size_t)len };
	f->piece[f->n++] = bytes;
	f->piece[f->n++] = MG_STR("\r\n");
}

/* Absent: no field. */
static inline void mg_form_text(struct mg_call *c, struct mg_form *f, const char *name, struct mg_str value)
{
	if (value.at)
		mg_form_part(c, f, name, NULL, value);
}

/* file: a name without quotes or line breaks, its extension right: some go by it. */
static inline void mg_form_file(struct mg_call *c, struct mg_form *f, const char *name, const char *file, struct mg_str bytes)
{
	mg_form_part(c, f, name, file, bytes);
}

/* The request; its Content-Type is set.  MG_EINVAL: a value has the boundary in it. */
static inline int mg_form_end(struct mg_call *c, struct mg_form *f, struct mg_str path, struct mg_http *out)
{
	if (!f || f->bad)
		return c->host->fail(c, MG_ENOMEM, "no memory for the form, or too many parts");
	for (size_t i = 1; i < f->n; i += 3)
		for (const char *at = f->piece[i].at, *end = at + f->piece[i].len; at && (at = memchr(at, 'm', (size_t)(end - at))); at++)
			if ((size_t)(end - at) >= sizeof(MG_FORM_BOUNDARY) - 1 && !memcmp(at, MG_FORM_BOUNDARY, sizeof(MG_FORM_BOUNDARY) - 1))
				return c->host->fail(c, MG_EINVAL, "a value has the form's boundary in it");
	f->piece[f->n++] = MG_STR("--" MG_FORM_BOUNDARY "--\r\n");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), path, f->piece, f->n };
	return c->host->header(c, "Content-Type", MG_STR("multipart/form-data; boundary=" MG_FORM_BOUNDARY));
}

/* "audio.mp3" by a canonical format; wav where there is none, or one that is no extension. */
static inline const char *mg_form_sound(struct mg_call *c, struct mg_str format)
{
	char *name = c->host->alloc(c, 24);
	bool good = format.len && format.len < 8;

	for (size_t i = 0; i < format.len && good; i++)
		good = (format.at[i] >= 'a' && format.at[i] <= 'z') || (format.at[i] >= '0' && format.at[i] <= '9');
	if (name)
		snprintf(name, 24, "audio.%.*s", good ? (int)format.len : 3, good ? format.at : "wav");
	return name ? name : "audio.wav";
}

#endif
