/* What the audit promises to find: a ledger that is true, each thing that can be wrong with it, by hand. */
#include "ledger/store_sql.h"
#include "tap.h"

static const struct mg_plugin *plugin;
static char made[sizeof(sql_said)];	/* what makes the triggers */

/* g2's first attempt failed; g3's price was run again, g4's is to be; g5 is under way. */
static bool true_ledger(void)
{
	void *h = rig_open("true.db", false);
	struct mg_store_generation g[] = { rig_generation("g1", "g1-1", 40), rig_generation("g2", "g2-1", 0), rig_generation("g2", "g2-2", 10),
		rig_generation("g3", "g3-1", 100), rig_generation("g4", "g4-1", 7) };
	struct mg_store_credit paid = { sizeof(paid), "pay-1", 500, 1000 }, back = { sizeof(back), "back-1", -20, 2000 };
	struct mg_store_intent open = { sizeof(open), "g5-1", "g5", RIG_KEY, "a/b@c", 100, 1000 };
	struct mg_store_adjustment a = { sizeof(a), "g3", 30, 7000 };
	bool good = h;

	g[1].delivered = false;
	g[0].own_nusd = 25;
	g[3].needs_rating = g[4].needs_rating = true;
	g[4].at_ms = 90000000;
	g[4].key_hash = "another";
	for (size_t i = 0; good && i < sizeof(g) / sizeof(g[0]); i++)
		good = !rig_put(h, MG_ROW_GENERATION, &g[i]);
	good = good && !rig_put(h, MG_ROW_CREDIT, &paid) && !rig_put(h, MG_ROW_CREDIT, &back) && !rig_put(h, MG_ROW_INTENT, &open) &&
		!rig_put(h, MG_ROW_ADJUSTMENT, &a);
	if (h)
		plugin->store->close(h);
	return good;
}

struct found { const char *wanted; bool seen; size_t n; char all[2048]; };

static void on_finding(void *arg, const char *text)
{
	struct found *f = arg;
	size_t len = strlen(f->all);

	f->n++;
	f->seen = f->seen || strstr(text, f->wanted);
	snprintf(f->all + len, sizeof(f->all) - len, "# %s\n", text);
}

static void audited(const char *name, struct found *f)
{
	void *h = NULL;

	if (plugin->store->open(rig_path(name), true, &h, rig_why))
		return;
	plugin->store->audit(h, on_finding, f, rig_why);
	plugin->store->close(h);
}

static bool copied(const char *to)
{
	void *h = rig_open("true.db", true);
	bool good = h && (unlink(rig_path(to)), !plugin->store->backup(h, rig_path(to), rig_why));

	if (h)
		plugin->store->close(h);
	return good;
}

#define GENERATION(id) "(SELECT id FROM generations WHERE generation_id||attempt LIKE '" id "%')"
/* without: a table that would not take it loses that of its definition */
static const struct { const char *name, *without, *sql, *finds; } damages[] = {
	{ "a charge that is another", NULL, "UPDATE generations SET charge_nusd=39 WHERE generation_id='g1'", "sum to 39 nUSD, posted 40" },
	{ "a cost", NULL, "UPDATE generations SET cost_nusd=cost_nusd+1 WHERE generation_id='g1'", "sum to 21 nUSD, posted 20" },
	{ "an own loss", NULL, "UPDATE generations SET loss_nusd=0 WHERE generation_id='g2' AND delivered=0", "loss 4 nUSD, posted" },
	{ "a charge that moved to another generation", NULL, "UPDATE generations SET charge_nusd=charge_nusd+CASE generation_id WHEN 'g1' THEN -5 ELSE 5 END WHERE generation_id IN ('g1','g3')", "posted 40" },
	{ "a generation that is gone", NULL, "DELETE FROM generations WHERE generation_id='g1'", "rows 1 to 1 sum to 0 nUSD, posted 40" },
	{ "one that came by itself", NULL, "INSERT INTO generations SELECT 99,'gx',attempt,party,charge_nusd,cost_nusd,loss_nusd,at_ms,delivered,json,NULL,NULL,NULL,own_nusd FROM generations WHERE generation_id='g1'", "generations: charged 197, " },
	{ "an entry that is gone", NULL, "DELETE FROM entries WHERE nusd=40", "generations: charged 157, " },
	{ "an entry that is another", NULL, "UPDATE entries SET nusd=41 WHERE nusd=40", "sum to 40 nUSD, posted 41" },
	{ "an entry on other accounts", NULL, "UPDATE entries SET debited=3, credited=4 WHERE nusd=40", "sum to 20 nUSD, posted 40" },
	{ "an account that is gone", NULL, "DELETE FROM accounts WHERE name='sales'", "debits and credits differ by " },
	{ "a credit that is gone", NULL, "DELETE FROM credits WHERE external_id='pay-1'", "of a credit that is not there" },
	{ "a credit that is another", NULL, "UPDATE credits SET nusd=501 WHERE external_id='pay-1'", "credit pay-1: 501 nUSD, posted 500" },
	{ "what was given back, too", NULL, "UPDATE credits SET nusd=-19 WHERE external_id='back-1'", "credit back-1: -19 nUSD, posted -20" },
	{ "a credit that nobody posted", NULL, "INSERT INTO credits(external_id,nusd,at_ms) VALUES('gift',1000,1)", "credit gift: 1000 nUSD, posted 0" },
	{ "a generation that was delivered twice", NULL, "UPDATE generations SET delivered=1", "generation g2: delivered 2 times" },
	{ "a generation that was charged twice", NULL, "UPDATE generations SET charge_nusd=5 WHERE generation_id='g2'", "charged 2 times" },
	{ "a hold of what is settled", NULL, "UPDATE intents SET generation_id='g1', attempt_id='g1-2'", "settled, and its hold is still open" },
	{ "a day's sum", NULL, "UPDATE totals SET nusd=nusd-1 WHERE day=0", "charges sum to 1 nUSD too many or too few" },
	{ "a day's sum that is gone", NULL, "DELETE FROM totals WHERE key_hash='another'", "key another, day 1: charges sum to 7" },
	{ "what an own account took", NULL, "UPDATE generations SET own_nusd=24 WHERE generation_id='g1'", "day 0: own accounts took -1 nUSD too many" },
	{ "one that took something by itself", NULL, "UPDATE generations SET own_nusd=1 WHERE generation_id='g4'", "key another, day 1: own accounts took 1" },
	{ "a day's sum of that", NULL, "UPDATE totals SET own_nusd=own_nusd+1 WHERE key_hash='another'", "key another, day 1: own accounts took -1" },
	{ "a day's sum of that, gone", NULL, "UPDATE totals SET own_nusd=0", "day 0: own accounts took 25" },
	{ "an own account's with a fraction", "generations  STRICT", "UPDATE generations SET own_nusd=24.5 WHERE generation_id='g1'", "money that is no integer" },
	{ "a charge on another day", NULL, "UPDATE generations SET at_ms=at_ms+86400000 WHERE generation_id='g1'", "day 1: charges sum to 40" },
	{ "a charge of another key", NULL, "UPDATE parties SET key_hash='thief' WHERE key_hash='another'", "key thief, day 1: charges sum to 7" },
	{ "a party that is gone", NULL, "DELETE FROM parties WHERE key_hash='another'", "of a party that is not there" },
	{ "a refund above the charge", NULL, "UPDATE adjustments SET refund_nusd=101", "more than it was charged" },
	{ "a refund of nothing", NULL, "INSERT INTO adjustments VALUES(77,'gen-none',0,1)", "adjustment of gen-none: of no settled generation" },
	{ "a refund that is another", NULL, "UPDATE adjustments SET refund_nusd=31", "day 0: charges sum to -1" },
	{ "a refund that is gone", NULL, "DELETE FROM adjustments", "day 0: charges sum to 30" },
	{ "a refund that is to come again", NULL, "INSERT INTO unrated SELECT id FROM adjustments", "adjustment of g3: it is still to be rated" },
	{ "two refunds of one", "adjustments UNIQUE", "INSERT INTO adjustments SELECT 98,generation,0,1 FROM adjustments", "adjustment of g3: 2 times" },
	{ "a minute that begins later", NULL, "UPDATE minutes SET first=first+1 WHERE minute=0", "not found by its time" },
	{ "minutes that are gone", NULL, "DELETE FROM minutes", "not found by its time" },
	{ "money with a fraction", "generations  STRICT", "UPDATE generations SET charge_nusd=39.5 WHERE generation_id='g1'", "money that is no integer" },
	{ "what forbids to change an entry", NULL, "DROP TRIGGER entries_update", "trigger entries_update: is not there" },
	{ "what forbids to take a generation away", NULL, "DROP TRIGGER generations_delete", "trigger generations_delete: is not there" },
};

/* The triggers are out of the way, and back behind it. */
static void damage(size_t i)
{
	char sql[sizeof(made) + 2048], table[32] = "", word[32] = "", definition[256] = "";
	bool forbids = !strncmp(damages[i].sql, "DROP TRIGGER", 12);

	if (damages[i].without && sscanf(damages[i].without, "%31s %31s", table, word) == 2)
		snprintf(definition, sizeof(definition), "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql=replace(sql,'%s','') WHERE name='%s'; PRAGMA writable_schema=OFF; VACUUM", word, table);
	if (*definition)
		rig_sql("hurt.db", definition);
	if (damages[i].without && !strcmp(table, "adjustments"))
		rig_sql("hurt.db", "PRAGMA writable_schema=ON; DELETE FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_adjustments%'; PRAGMA writable_schema=OFF");
	snprintf(sql, sizeof(sql), "%s%s; %s", forbids ? "" :
		"DROP TRIGGER entries_update; DROP TRIGGER entries_delete; DROP TRIGGER generations_update; DROP TRIGGER generations_delete;"
		"DROP TRIGGER parties_update; DROP TRIGGER parties_delete; DROP TRIGGER credits_update; DROP TRIGGER credits_delete;"
		"DROP TRIGGER adjustments_update; DROP TRIGGER adjustments_delete;", damages[i].sql, forbids ? "" : made);
	if (*rig_sql("hurt.db", sql))
		printf("# %s\n", sql_said);
}

int main(void)
{
	struct found none = { .wanted = "" };

	plugin = rig_start();
	ok(true_ledger(), "a ledger with all sorts of rows");
	audited("true.db", &none);
	ok(!none.n, "is true");
	snprintf(made, sizeof(made), "%s", rig_sql("true.db", "SELECT sql||';' FROM sqlite_master WHERE type='trigger'"));
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct found f = { .wanted = damages[i].finds };
		void *h;

		if (!copied("hurt.db"))
			break;
		damage(i);
		audited("hurt.db", &f);
		ok(f.seen, damages[i].name);
		if (!f.seen)
			printf("# wanted: %s\n%s", f.wanted, f.all);
		h = rig_open("hurt.db", false);
		ok(!h && strstr(rig_why, "the audit finds"), "and no money goes into it");
		if (h)
			plugin->store->close(h);
	}
	rig_clean();
	return tap_done();
}
