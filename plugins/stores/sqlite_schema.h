/*
 * sqlite_schema.h - the tables, step by step, and the questions of the audit.
 *
 * A step that was released never changes; a new one is added at the end.
 */
#ifndef STORES_SQLITE_SCHEMA_H
#define STORES_SQLITE_SCHEMA_H

static const char *const migrations[] = {
	"CREATE TABLE keys("
	"	hash TEXT PRIMARY KEY NOT NULL, json TEXT NOT NULL,"
	"	created_ms INTEGER NOT NULL CHECK(typeof(created_ms)='integer'),"
	"	deleted INTEGER NOT NULL CHECK(deleted IN (0,1))) STRICT;"
	"CREATE TABLE intents("
	"	attempt_id TEXT NOT NULL, generation_id TEXT NOT NULL, key_hash TEXT NOT NULL,"
	"	endpoint TEXT NOT NULL, hold_nusd INTEGER NOT NULL CHECK(typeof(hold_nusd)='integer' AND hold_nusd>=0),"
	"	at_ms INTEGER NOT NULL, PRIMARY KEY(generation_id, attempt_id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE generations("
	"	id INTEGER PRIMARY KEY, attempt_id TEXT NOT NULL UNIQUE, generation_id TEXT NOT NULL,"
	"	key_hash TEXT NOT NULL, model TEXT NOT NULL, provider TEXT NOT NULL,"
	"	charge_nusd INTEGER NOT NULL CHECK(typeof(charge_nusd)='integer' AND charge_nusd BETWEEN 0 AND 1000000000000000000),"
	"	cost_nusd INTEGER NOT NULL CHECK(typeof(cost_nusd)='integer' AND cost_nusd BETWEEN 0 AND 1000000000000000000),"
	"	loss_nusd INTEGER NOT NULL CHECK(typeof(loss_nusd)='integer' AND loss_nusd BETWEEN 0 AND 1000000000000000000),"
	"	at_ms INTEGER NOT NULL CHECK(at_ms>=0), delivered INTEGER NOT NULL CHECK(delivered IN (0,1)),"
	"	json TEXT NOT NULL) STRICT;"
	"CREATE INDEX generations_id ON generations(generation_id);"
	"CREATE INDEX generations_key ON generations(key_hash, at_ms);"
	"CREATE INDEX generations_at ON generations(at_ms);"
	"CREATE TABLE credits("
	"	id INTEGER PRIMARY KEY, external_id TEXT NOT NULL UNIQUE,"
	"	nusd INTEGER NOT NULL CHECK(typeof(nusd)='integer' AND abs(nusd)<=1000000000000000000),"
	"	at_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE entries("
	"	id INTEGER PRIMARY KEY, generation INTEGER REFERENCES generations(id), credit INTEGER REFERENCES credits(id),"
	"	account TEXT NOT NULL CHECK(account IN ('balance','sales','upstream','loss','payable','bank')),"
	"	nusd INTEGER NOT NULL CHECK(typeof(nusd)='integer' AND nusd<>0),"
	"	CHECK((generation IS NULL)<>(credit IS NULL))) STRICT;"
	"CREATE TABLE totals("
	"	key_hash TEXT NOT NULL, day INTEGER NOT NULL,"
	"	nusd INTEGER NOT NULL CHECK(typeof(nusd)='integer' AND nusd>=0), PRIMARY KEY(key_hash, day)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE decisions("
	"	generation_id TEXT PRIMARY KEY NOT NULL, at_ms INTEGER NOT NULL, json TEXT NOT NULL) STRICT;"
	"CREATE INDEX decisions_at ON decisions(at_ms);"
	"CREATE TRIGGER entries_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT,'entries never change'); END;"
	"CREATE TRIGGER entries_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT,'entries never go'); END;"
	"CREATE TRIGGER generations_update BEFORE UPDATE OF attempt_id, generation_id, key_hash, charge_nusd, cost_nusd,"
	"	loss_nusd, at_ms, delivered ON generations BEGIN SELECT RAISE(ABORT,'a settled generation never changes'); END;"
	"CREATE TRIGGER generations_delete BEFORE DELETE ON generations BEGIN SELECT RAISE(ABORT,'generations never go'); END;"
	"CREATE TRIGGER credits_update BEFORE UPDATE ON credits BEGIN SELECT RAISE(ABORT,'credits never change'); END;"
	"CREATE TRIGGER credits_delete BEFORE DELETE ON credits BEGIN SELECT RAISE(ABORT,'credits never go'); END;",
};

/* Each question answers with one line for each thing that is wrong. */
static const char *const questions[] = {
	"SELECT 'file: '||quick_check FROM pragma_quick_check WHERE quick_check<>'ok'",
	"SELECT 'reference: row '||rowid||' of '||\"table\"||' points to nothing' FROM pragma_foreign_key_check",
	"SELECT 'entries: debits and credits differ by '||sum(nusd)||' nUSD' FROM entries HAVING sum(nusd)<>0",
	"SELECT 'entries: generation row '||generation||' is out of balance by '||sum(nusd)||' nUSD'"
	" FROM entries WHERE generation IS NOT NULL GROUP BY generation HAVING sum(nusd)<>0",
	"SELECT 'attempt '||g.attempt_id||': charged '||g.charge_nusd||', cost '||g.cost_nusd||', loss '||g.loss_nusd||"
	"' nUSD, posted '||coalesce(e.sales,0)||', '||coalesce(e.cost,0)||', '||coalesce(e.loss,0)"
	" FROM generations g LEFT JOIN (SELECT generation, -sum(nusd) FILTER (WHERE account='sales') sales,"
	" sum(nusd) FILTER (WHERE account='upstream') cost, sum(nusd) FILTER (WHERE account='loss') loss"
	" FROM entries WHERE generation IS NOT NULL GROUP BY generation) e ON e.generation=g.id"
	" WHERE g.charge_nusd<>coalesce(e.sales,0) OR g.cost_nusd<>coalesce(e.cost,0) OR g.loss_nusd<>coalesce(e.loss,0)",
	"SELECT 'credit '||c.external_id||': '||c.nusd||' nUSD, posted '||coalesce(e.n,0) FROM credits c"
	" LEFT JOIN (SELECT credit, sum(nusd) FILTER (WHERE account='bank') n FROM entries WHERE credit IS NOT NULL GROUP BY credit) e"
	" ON e.credit=c.id WHERE c.nusd<>coalesce(e.n,0)",
	"SELECT 'generation '||generation_id||': delivered '||sum(delivered)||' times, charged '||sum(charge_nusd>0)||' times'"
	" FROM generations GROUP BY generation_id HAVING sum(delivered)>1 OR sum(charge_nusd>0)>1",
	"SELECT 'attempt '||i.attempt_id||': settled, and its hold is still open' FROM intents i"
	" WHERE EXISTS(SELECT 1 FROM generations g WHERE g.generation_id=i.generation_id)",
	"SELECT 'key '||key_hash||', day '||day||': charges sum to '||sum(n)||' nUSD too many or too few' FROM"
	" (SELECT key_hash, at_ms/86400000 day, charge_nusd n FROM generations UNION ALL SELECT key_hash, day, -nusd FROM totals)"
	" GROUP BY key_hash, day HAVING sum(n)<>0",
	"SELECT 'attempt '||attempt_id||': money that is no integer' FROM generations WHERE typeof(charge_nusd)<>'integer'"
	" OR typeof(cost_nusd)<>'integer' OR typeof(loss_nusd)<>'integer'",
};

#endif
