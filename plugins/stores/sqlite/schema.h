/*
 * schema.h - the tables.
 *
 * A request writes one row, of generations, with its decision.  What is read while others wait is
 * found by generation_id: so there is one index for that, which makes attempts unique too, and no
 * other, for each is a page more to write.  What is of a time is found by the first row of its minute:
 * before that one there is none of that minute or a later one.
 *
 * An entry is a movement: nusd from the account that is credited to the one that is debited, so
 * that debits and credits are equal in each row (R50); the view "ledger" shows both sides.
 * What the generations of a transaction post is summed: first and last say which they are.  An
 * adjustment is a movement of its own, from sales back to the balance, of the generation with its id.
 *
 * Labels and decision go when their time is up, the rest of a row stays.  Whose time is up together came
 * together, too: the first and the last of them are noted, in place of an index.
 */
#ifndef SQLITE_SCHEMA_H
#define SQLITE_SCHEMA_H

/* PRAGMA user_version: from the oldest on a file is brought up to it, step by step; no other is opened. */
enum { OLDEST = 5, SCHEMA = 7 };

#define MONEY(column) column " INTEGER NOT NULL CHECK(" column " BETWEEN 0 AND 1000000000000000000),"

/* Of the oldest: it never changes again, what is new is a step behind it. */
static const char schema[] =
	"CREATE TABLE keys("
	"	hash TEXT PRIMARY KEY NOT NULL, json TEXT NOT NULL,"
	"	created_ms INTEGER NOT NULL, deleted INTEGER NOT NULL CHECK(deleted BETWEEN 0 AND 1)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE intents("
	"	generation_id TEXT NOT NULL, attempt_id TEXT NOT NULL, key_hash TEXT NOT NULL, endpoint TEXT NOT NULL,"
	MONEY("hold_nusd")
	"	at_ms INTEGER NOT NULL, PRIMARY KEY(generation_id, attempt_id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE parties("		/* who asked which model of whom */
	"	party INTEGER PRIMARY KEY, key_hash TEXT NOT NULL, model TEXT NOT NULL, provider TEXT NOT NULL,"
	"	UNIQUE(key_hash, model, provider)) STRICT;"
	"CREATE TABLE generations("	/* attempt: what its id has behind the generation's */
	"	id INTEGER PRIMARY KEY, generation_id TEXT NOT NULL, attempt TEXT NOT NULL,"
	"	party INTEGER NOT NULL,"
	MONEY("charge_nusd") MONEY("cost_nusd") MONEY("loss_nusd")
	"	at_ms INTEGER NOT NULL CHECK(at_ms>=0), delivered INTEGER NOT NULL CHECK(delivered BETWEEN 0 AND 1),"
	"	json TEXT NOT NULL, decision TEXT, labels TEXT, until_s INTEGER, UNIQUE(generation_id, attempt)) STRICT;"
	"CREATE TABLE leaving("		/* the generations that lose labels and decision then: some of those from first to last */
	"	until_s INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;"
	"CREATE TABLE minutes(minute INTEGER PRIMARY KEY, first INTEGER NOT NULL) STRICT;"
	"CREATE TABLE credits("
	"	id INTEGER PRIMARY KEY, external_id TEXT NOT NULL UNIQUE,"
	"	nusd INTEGER NOT NULL CHECK(abs(nusd)<=1000000000000000000), at_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE accounts(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"
	"INSERT INTO accounts(name) VALUES('balance'),('sales'),('upstream'),('payable'),('loss'),('bank');"
	"CREATE TABLE entries("		/* of generations, from first to last, or of a credit */
	"	id INTEGER PRIMARY KEY, first INTEGER, last INTEGER, credit INTEGER,"
	"	debited INTEGER NOT NULL CHECK(debited BETWEEN 1 AND 6), credited INTEGER NOT NULL CHECK(credited BETWEEN 1 AND 6),"
	"	nusd INTEGER NOT NULL CHECK(nusd BETWEEN 1 AND 1000000000000000000),"
	"	CHECK(debited<>credited), CHECK((first IS NULL)<>(credit IS NULL)), CHECK((first IS NULL)=(last IS NULL)), CHECK(first<=last)) STRICT;"
	"CREATE TABLE totals("		/* charges by key and UTC day: derived, and checked by the audit */
	"	key_hash TEXT NOT NULL, day INTEGER NOT NULL,"
	"	nusd INTEGER NOT NULL CHECK(nusd>=0), PRIMARY KEY(key_hash, day)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE decisions("	/* what policy explain replays: of requests that were refused before there was a generation */
	"	id INTEGER PRIMARY KEY, generation_id TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL, key_hash TEXT NOT NULL, json TEXT NOT NULL, until_ms INTEGER) STRICT;"
	"CREATE INDEX decisions_until ON decisions(until_ms) WHERE until_ms IS NOT NULL;"
	"CREATE TABLE endpoints("	/* as policies saw them: decisions name them by hash */
	"	hash TEXT PRIMARY KEY NOT NULL, json TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE VIEW decided AS"
	"	SELECT generation_id, at_ms, key_hash, json, until_ms FROM decisions UNION ALL"
	"	SELECT generation_id, at_ms, key_hash, decision, until_s*1000 FROM generations JOIN parties USING(party) WHERE decision IS NOT NULL;"
	"CREATE TRIGGER entries_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT,'entries never change'); END;"
	"CREATE TRIGGER entries_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT,'entries never go'); END;"
	"CREATE TRIGGER generations_update BEFORE UPDATE OF generation_id, attempt, party, charge_nusd, cost_nusd,"
	"	loss_nusd, at_ms, delivered ON generations BEGIN SELECT RAISE(ABORT,'a settled generation never changes'); END;"
	"CREATE TRIGGER generations_delete BEFORE DELETE ON generations BEGIN SELECT RAISE(ABORT,'generations never go'); END;"
	"CREATE TRIGGER parties_update BEFORE UPDATE ON parties BEGIN SELECT RAISE(ABORT,'parties never change'); END;"
	"CREATE TRIGGER parties_delete BEFORE DELETE ON parties BEGIN SELECT RAISE(ABORT,'parties never go'); END;"
	"CREATE TRIGGER credits_update BEFORE UPDATE ON credits BEGIN SELECT RAISE(ABORT,'credits never change'); END;"
	"CREATE TRIGGER credits_delete BEFORE DELETE ON credits BEGIN SELECT RAISE(ABORT,'credits never go'); END;";

/* Behind the tables of schema 5: prices that were run again. */
static const char schema_rates[] =
	"CREATE TABLE unrated(id INTEGER PRIMARY KEY) STRICT;"	/* the generations whose price is to be run again */
	"CREATE TABLE adjustments("	/* id: the generation's */
	"	id INTEGER PRIMARY KEY, generation TEXT NOT NULL UNIQUE,"
	MONEY("refund_nusd")
	"	rated_ms INTEGER NOT NULL CHECK(rated_ms>0)) STRICT;"
	"DROP VIEW IF EXISTS ledger;"
	"CREATE VIEW ledger AS"
	"	SELECT e.id, first, last, credit, name account, nusd FROM entries e JOIN accounts a ON a.id=debited UNION ALL"
	"	SELECT e.id, first, last, credit, name account, -nusd FROM entries e JOIN accounts a ON a.id=credited UNION ALL"
	"	SELECT NULL, id, id, NULL, 'sales', refund_nusd FROM adjustments UNION ALL"
	"	SELECT NULL, id, id, NULL, 'balance', -refund_nusd FROM adjustments;"
	"CREATE TRIGGER adjustments_update BEFORE UPDATE ON adjustments BEGIN SELECT RAISE(ABORT,'adjustments never change'); END;"
	"CREATE TRIGGER adjustments_delete BEFORE DELETE ON adjustments BEGIN SELECT RAISE(ABORT,'adjustments never go'); END;";

/* Behind those of schema 6: what customers' own accounts took. */
static const char schema_own[] =
	"ALTER TABLE generations ADD COLUMN own_nusd INTEGER NOT NULL DEFAULT 0 CHECK(own_nusd BETWEEN 0 AND 1000000000000000000);"
	"ALTER TABLE totals ADD COLUMN own_nusd INTEGER NOT NULL DEFAULT 0 CHECK(own_nusd>=0);"
	"DROP TRIGGER generations_update;"
	"CREATE TRIGGER generations_update BEFORE UPDATE OF generation_id, attempt, party, charge_nusd, cost_nusd,"
	"	loss_nusd, at_ms, delivered, own_nusd ON generations BEGIN SELECT RAISE(ABORT,'a settled generation never changes'); END;";

static const char *const schema_steps[SCHEMA - OLDEST] = { schema_rates, schema_own };	/* from OLDEST + n to the next */

#undef MONEY
#endif
