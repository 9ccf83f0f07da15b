/*
 * table.h - answers on stdout: {"data":[...]} or {"data":{...}} as an aligned
 * table, or as it is (json), an object a line (jsonl), or csv.
 *
 * Numbers are printed as they came: nothing here turns money into a double.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/json.h"
#include "cli/cli.h"

enum cell { CELL_TEXT, CELL_NUMBER, CELL_TIME, CELL_TOKEN_PRICE /* USD per token, shown per million */, CELL_HASH /* its first 12 */ };
struct column { const char *member, *title; enum cell cell; };	/* member: "pricing.prompt" goes down; ended by NULL */

/* Both return an exit status. */
int table_list(const struct cli *c, struct mg_str body, const struct column *columns);
int table_one(const struct cli *c, struct mg_str body, const struct column *columns);

/* What an action has done: a note on stderr, or {"data":{...}} of pairs, a name and its text each, ended by NULL. */
int table_done(const struct cli *c, const char *note, const char *const *pairs);
#define DONE(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Files that a command makes: said as each is there, or at the end as {"data":{"dir":...,"wrote":[...],"kept":[...]}};
 * kept: there was one already.  made_end: returns rc. */
struct made { const struct cli *c; struct buf wrote, kept; };
void made_begin(struct made *m, const struct cli *c);
void made_file(struct made *m, const char *path, bool kept);
int made_end(struct made *m, const char *dir, int rc);

/* Lines that a check says while it runs: printed as they come, or at the end as
 * {"problems":n,"lines":[...]}.  report_end: EXIT_PROBLEMS when there are any. */
struct report { const struct cli *c; struct buf lines; };
void report_begin(struct report *r, const struct cli *c);
void report_line(void *report, const char *line);
void print_line(void *none, const char *line);	/* text alone */
int report_end(struct report *r, int problems);

#endif
