/*
 * moongate_store.h - what a store plugin does: keep rows, in groups.
 *
 * One thread of the gateway calls a store: the store thread (and the CLI, when
 * no gateway runs).  A call may wait for the disk.  Amounts are nanodollars,
 * times are Unix milliseconds.  Strings are NUL-terminated, borrowed for the call.
 * Errors: MG_OK, or a negative mg_rc with words in why (256 bytes):
 *	MG_EINVAL	this row, path or schema is refused, and would be again; put changed nothing
 *	MG_ENOMEM	not now (disk full, busy, read-only): roll back, try again later
 *	MG_EPROTO	broken (a sync failed, a damaged page): write no more until a restart (R99, R100)
 *	MG_EDENIED	somebody else has it open
 */
#ifndef MOONGATE_STORE_H
#define MOONGATE_STORE_H

#include "moongate.h"

enum mg_store_row { MG_ROW_KEY, MG_ROW_INTENT, MG_ROW_GENERATION, MG_ROW_CREDIT, MG_ROW_DECISION, MG_ROW_ENDPOINT,
	MG_ROW_REFUSED,	/* each() alone: of the decisions those that were put for themselves, as they came */
	MG_ROW_ADJUSTMENT,
	MG_ROW_UNRATED	/* each() alone: of the generations those whose price is to be run again, as they came */ };

/* A key; found by hash. json: the other members, as the gateway wrote them. */
struct mg_store_key { size_t size; const char *hash; const char *json; int64_t created_ms; bool deleted; };

/* A hold that was taken before an attempt.  A row of its generation resolves it,
 * and with it those of all the generation's attempts, also one that comes later. */
struct mg_store_intent { size_t size; const char *attempt_id, *generation_id, *key_hash, *endpoint; int64_t hold_nusd, at_ms; };

/* What a generation came to, told with its last attempt.  attempt_id begins with generation_id, and is unique: the
 * second time is no error and changes nothing (R43).
 * charge_nusd is what the key is charged; cost_nusd what the upstream costs us;
 * loss_nusd is the cost of attempts that did not win (R47); own_nusd what an upstream took of the customer, at an
 * account of his own: it is counted, and is no movement of ours.  at_ms: when it was
 * reserved, so that it counts in that window (R52).  json: the generation record's part that stays; labels: its other
 * part, and decision: of its decision; NULL or "": none.  Both go at until_ms (0, INT64_MAX: never).
 * needs_rating: its price is to be run again; put() alone.  rated_ms: when it was, and charge_nusd is what is left of
 * the charge since then; 0: it was not; each() alone. */
struct mg_store_generation { size_t size; const char *attempt_id, *generation_id, *key_hash, *model, *provider;
	int64_t charge_nusd, cost_nusd, loss_nusd, at_ms; bool delivered; const char *json, *decision, *labels; int64_t until_ms;
	bool needs_rating; int64_t rated_ms, own_nusd; };

/* What a generation was charged too much, found when its price was run again; 0: nothing.  Only of one that needed
 * rating, and never above its charge: else MG_EINVAL.  It counts when the generation counts.  generation_id is unique:
 * the second time is no error and changes nothing. */
struct mg_store_adjustment { size_t size; const char *generation_id; int64_t refund_nusd, rated_ms; };

/* Bought credit (or taken back: negative); external_id is unique (R51). */
struct mg_store_credit { size_t size; const char *external_id; int64_t nusd, at_ms; };

/* A decision record, what policy explain replays.  Put for itself where there is no generation to have it; each() gives both.
 * The row goes at until_ms (0, INT64_MAX: never). */
struct mg_store_decision { size_t size; const char *generation_id; int64_t at_ms; const char *json, *key_hash; int64_t until_ms; };

/* What policies saw of an endpoint that decisions name by this hash of it: put once, the second time is no error and changes nothing. */
struct mg_store_endpoint { size_t size; const char *hash, *json; };

/* Charges; own_...: of own_nusd. */
struct mg_store_sums { size_t size; int64_t total, daily, weekly, monthly, own_total, own_daily, own_weekly, own_monthly; };

/* One finding of the audit: a line for a person. */
typedef void mg_store_finding(void *arg, const char *text);

struct mg_store { size_t size;
	/* path: where; the handle is the store's.  MG_EDENIED: somebody else has it open (R103). */
	int (*open)(const char *path, bool read_only, void **handle, char why[256]);
	void (*close)(void *handle);
	int (*begin)(void *handle, char why[256]);
	int (*commit)(void *handle, char why[256]);		/* durable when it returns */
	void (*rollback)(void *handle);
	int (*put)(void *handle, enum mg_store_row kind, const void *row, char why[256]);
	/* Each row of a kind, keys in any order, intents by generation, the others as they came; fn returns false to stop.
	 * Of the intents those that no generation has resolved.  where: generation_id, a key's hash (64 hex digits; of
	 * intents and generations too, but all of them are looked at), external_id, an endpoint's hash, or NULL for all; since_ms: 0 for
	 * all; limit: 0 for all. */
	int (*each)(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
		bool (*fn)(void *arg, const void *row), void *arg, char why[256]);
	/* Charges of a key (NULL: of all), less what was adjusted, and what own accounts took, in total and since three moments, each a UTC midnight. */
	int (*sums)(void *handle, const char *key_hash, const int64_t since_ms[3], struct mg_store_sums *out, char why[256]);
	/* Debits equal credits, each delivered generation settled once and adjusted once at most, money is integers, the file is whole (R60, R100).
	 * Returns the number of findings, or a negative mg_rc. */
	int (*audit)(void *handle, mg_store_finding *say, void *arg, char why[256]);
	/* A whole copy, while others read and write; path must not exist yet. */
	int (*backup)(void *handle, const char *path, char why[256]);
	/* sums() of every key that has any, in one pass. */
	int (*sums_each)(void *handle, const int64_t since_ms[3],
		void (*fn)(void *arg, const char *key_hash, const struct mg_store_sums *s), void *arg, char why[256]);
	/* Within a transaction: removes for good what has its until_ms behind it, of at most `rows` rows.  How many it
	 * looked at; fewer than `rows`: that was all.  Or a negative mg_rc. */
	int (*expire)(void *handle, int64_t now_ms, int rows, char why[256]);
	/* After such a commit, outside of a transaction: also of the copies that a store makes of what it writes. */
	int (*expired)(void *handle, char why[256]);
};

#endif
