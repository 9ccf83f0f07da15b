/* metadata.c - the router's account of itself, for clients that asked (E20). */
#include "api/api.h"

void metadata_member(struct mg_writer *w, struct relay *r, bool selected)
{
	struct router_attempt tried[ATTEMPTS_MAX];
	struct metadata m = { .attempts = tried, .n_attempts = r->n_tried, .selected = selected ? r->endpoint : NULL, .generation_ms = -1,
		.is_byok = selected && r->endpoint && r->endpoint->provider->own.seq };

	if (!r->metadata)
		return;
	for (unsigned i = 0; i < r->n_tried; i++)
		tried[i] = (struct router_attempt){ .provider = r->tried[i].endpoint->provider->name,
			.model = r->tried[i].endpoint->model->slug, .status = r->tried[i].status };
	metadata_write(w, "openrouter_metadata", &r->d, &m);
}
