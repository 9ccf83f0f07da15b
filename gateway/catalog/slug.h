/*
 * slug.h - one name for one model, whatever a provider calls it.
 *
 *	"accounts/fireworks/models/glm-5p1"		z-ai/glm-5.1
 *	"us.anthropic.claude-sonnet-4-5-20250929-v1:0"	anthropic/claude-sonnet-4.5, region us
 *	"openai/gpt-oss-120b"				openai/gpt-oss-120b
 *
 * A name is looked up among the slugs that are known already, in forms that say
 * less and less: as it is, without its date, without words of how it is served.
 * What nobody knows gets a slug of its author and its own name.
 */
#ifndef CATALOG_SLUG_H
#define CATALOG_SLUG_H

#include "base/pool.h"

struct slugs;
struct slugs *slugs_new(void);			/* NULL: no memory */
void slugs_free(struct slugs *s);
void slugs_add(struct slugs *s, struct mg_str slug);	/* a known one; twice is fine */

/* name: the upstream's.  fallback: the author where neither name nor slugs tell one.
 * region: "" or what the name begins with ("us", "eu", "apac", "global").  Absent: no memory. */
struct mg_str slug_of(const struct slugs *s, struct pool *p, struct mg_str name, const char *fallback, struct mg_str *region);

#endif
