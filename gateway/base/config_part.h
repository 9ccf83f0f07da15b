/*
 * config_part.h - what the files of config share: where a member was written,
 * what is known of each member, and the way an error gets its file and line.
 */
#ifndef BASE_CONFIG_PART_H
#define BASE_CONFIG_PART_H

#include "base/config.h"

enum { SOURCES_MAX = 64, CONFIG_DEPTH = 32, CONFIG_BYTES = 4 << 20 };

/* A file, and the line of each member in it that is written out as a literal. */
struct source { char name[256]; json_t *lines; const void *root; char prefix[256]; };

struct reading {
	struct source sources[SOURCES_MAX];
	size_t n;
	json_t *fetched;	/* strings that came from env, file or the environment: no literals */
	json_t *variables;	/* place -> the variable that says it */
	char dir[512];		/* relative paths start here */
	bool dev;
	bool looking;		/* config_look(): what cannot be fetched is null in the tree, its place and error are here */
	json_t *absent;
	char missing[240];
	json_t *unread;
	struct err *err;
};

/* A member's place in the tree, as it is written in errors: models["a/b"].endpoints[1] */
struct place { char text[512]; size_t len; };
size_t place_down(struct place *p, const char *name);	/* returns what place_up() takes */
size_t place_item(struct place *p, size_t index);	/* from 0; shown from 1 */
void place_up(struct place *p, size_t len);

/* "file:line: place: reason\nhint: ..."; hint may be NULL. */
int config_fail(struct reading *r, const char *place, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

json_t *config_origins(const struct reading *r);
/* What env or file could not give, from where it says (NULL: where place was written): NULL and r->err, or null. */
json_t *config_absent(struct reading *r, const char *place, const char *from, const char *why, const char *hint);

/* config_lines.c: json: the text is JSON.  MG_EINVAL: a member given twice. */
int source_scan(struct reading *r, const char *name, const char *text, bool json);

/* config_lua.c, config_json.c: a new reference, or NULL and r->err. */
json_t *config_read_lua(struct reading *r, const char *path, const char *text, size_t len);
json_t *config_read_json(struct reading *r, const char *path, const char *text, size_t len);

/* config_fetch.c: env and file, for both.  A reason in why and hint when it returns NULL. */
struct fetch_failure { char why[160], hint[120]; };
char *fetch_env(const char *name, const char *fallback, struct fetch_failure *no);
char *fetch_file(const char *name, const char *dir, struct fetch_failure *no);
char *read_whole(const char *path, size_t max, size_t *len, struct fetch_failure *no);

/* config_schema.c */
enum member_kind { M_STRING, M_SECRET, M_PATH, M_BOOL, M_INT, M_DURATION, M_SIZE, M_PRICE, M_WORD,
	M_OBJECT, M_MAP, M_LIST, M_LISTEN, M_ANY };
struct member {
	const char *name;
	enum member_kind kind;
	const char *fallback;		/* JSON; NULL: absent stays absent */
	const char *doc;
	const struct member *sub;	/* OBJECT: its members; MAP, LIST: what each is */
	const char *words;		/* WORD: "debug|info" */
	int64_t min, max;		/* both 0: any */
	bool required;
	const char *later;		/* what this build lacks for it: it may be asked for, and is told (config.unread); */
	bool refused;			/* or refused, where silence would be wrong */
};
extern const struct member config_root;
const struct member *member_find(const struct member *object, const char *name);

/* config_check.c: checks tree against the table and gives back the finished one; NULL and r->err. */
json_t *config_check(struct reading *r, json_t *raw);

#endif
