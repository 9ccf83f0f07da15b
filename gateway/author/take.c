/*
 * What may go live: a bundle that was tried, checked and tested, that made
 * recent decisions again, kept as a version, and without the loss of a guard.
 */
#include "author/author.h"
#include "author/versions.h"

static int keeps_guards(const struct bundle *b, const struct bundle *live, struct err *err)
{
	char names[120];

	if (!live || !bundle_lacks_guards(b, live, names, sizeof(names)))
		return 0;
	return fail(err, MG_EPROTO, "the bundle lacks guards that are live: %s\n"
		"hint: 'moongate policy publish --drop-guards' lets them go", names);
}

int versions_take(struct versions *v, struct bundle *b, const struct bundle *guards, const struct recent *recent, struct bundle **kept, struct err *err)
{
	int rc = bundle_try(b, err);

	if (!rc)
		rc = keeps_guards(b, guards, err);
	if (!rc && !versions_vetted(v, bundle_hash(b)))
		rc = bundle_vet(b, err);
	rc = rc ? rc : bundle_smoke(b, recent, SMOKE_MS, err);
	return rc ? rc : versions_keep(v, b, kept, err);
}

/* Both parts were tested: that they load together is enough. */
static int take_both(struct versions *v, const struct bundle *older, const struct bundle *guards, struct bundle **kept, struct err *err)
{
	struct bundle *both;
	int rc = bundle_with_guards(older, guards, &both, err);

	if (rc)
		return rc;
	rc = bundle_try(both, err);
	rc = rc ? rc : versions_keep(v, both, kept, err);
	bundle_unref(both);
	return rc;
}

int versions_take_older(struct versions *v, const char *version, const struct bundle *guards, struct bundle **kept, struct err *err)
{
	struct bundle *older;
	int rc = versions_read(v, version, &older, err);

	if (rc)
		return rc;
	if (!versions_vetted(v, version))
		rc = bundle_vet(older, err);
	if (!rc && guards && bundle_lacks_guards(older, guards, NULL, 0))
		rc = take_both(v, older, guards, kept, err);
	else if (!rc)
		*kept = bundle_ref(older);
	bundle_unref(older);
	return rc;
}

void versions_follow(struct versions *v, const char *folder, const char *base_dir)
{
	struct versions_state now;
	struct bundle *there;

	if (bundle_read(folder, base_dir, &there, NULL))
		return;
	versions_now(v, &now);
	if (!strcmp(bundle_hash(there), now.live))
		versions_source(v, now.live, NULL);
	bundle_unref(there);
}
