/*
 * moongate.d.lua: what an editor is told.  Objects come from the tables that build
 * them, the library from what a state really has; signatures[] says how each is called.
 */
#include "author/tools.h"
#include "policy/fields.h"

struct page { void (*say)(void *, const char *); void *arg; };

/* How it is called: "name:type, name?:type", what it gives, and what else there is to know. */
static const struct signature { const char *name, *takes, *gives, *about; } signatures[] = {
	{ "act.model", "slug:string", "table", "try this model: it is expanded, filtered and ranked" },
	{ "act.next", "how?:{skip:\"model\"|\"provider\"}", "table", "the next endpoint" },
	{ "act.retry", "delay_ms?:integer", "table", "the same endpoint again" },
	{ "act.stop", "", "table", "the failure is the answer" },
	{ "assert", "v:any, message?:string", "any", NULL },
	{ "budget.left_nusd", "scope:\"key\"|\"org\"|\"workspace\"|\"byok_list\", id:string", "Money?", "nil: there is no budget; what is held counts as spent" },
	{ "budget.spent_nusd", "scope:\"key\"|\"org\"|\"workspace\"|\"byok_list\", id:string", "Money", NULL },
	{ "budget.used_bps", "scope:\"key\"|\"org\"|\"workspace\"|\"byok_list\", id:string", "integer", "8000: four fifths" },
	{ "counter.add", "name:string, key:string, n?:integer", "", "only in admit and observe" },
	{ "counter.get", "name:string, key:string", "integer", NULL },
	{ "deny", "d:Deny", "Deny", "message is a constant: clients and logs see it" },
	{ "error", "message:any, level?:integer", "", NULL },
	{ "glob.any", "globs:string[], s:string", "boolean", "* stands for anything" },
	{ "glob.match", "glob:string, s:string", "boolean", NULL },
	{ "hash.bps", "s:string", "integer", "0..9999, the same for ever" },
	{ "hash.u32", "s:string", "integer", NULL },
	{ "ipairs", "t:table", "function, table, integer", NULL },
	{ "library", "l:table", "table", "what a file returns that others read by use_lib" },
	{ "limit.take", "name:string, key:string, o:{max:integer,per_s:integer,n?:integer}", "boolean, integer", "whether there was room; seconds until there is. Only in admit" },
	{ "log.info", "text:string", "", NULL },
	{ "log.warn", "text:string", "", NULL },
	{ "lookup", "name:string, arg:any, fallback:any", "any, string?", "a call that the configuration names; only in admit and resolve. Then why there is none" },
	{ "math.abs", "x:number", "number", NULL }, { "math.ceil", "x:number", "integer", NULL }, { "math.floor", "x:number", "integer", NULL },
	{ "math.log", "x:number, base?:number", "number", NULL }, { "math.max", "x:number, ...:number", "number", NULL },
	{ "math.min", "x:number, ...:number", "number", NULL }, { "math.sqrt", "x:number", "number", NULL },
	{ "math.tointeger", "x:any", "integer?", NULL }, { "math.type", "x:any", "\"integer\"|\"float\"|nil", NULL },
	{ "money.bps", "amount:Money, bps:integer", "Money", NULL },
	{ "money.flat", "bill:Bill, code:string, amount:Money, side?:\"cost\"|\"charge\"|\"customer_paid\"", "Bill", "charge where none is said" },
	{ "money.fmt", "amount:Money", "string", "\"$0.001234\"" },
	{ "money.line", "bill:Bill, code:string, qty:integer, rate:Rate, side?:\"cost\"|\"charge\"|\"customer_paid\"", "Bill", "cost where none is said" },
	{ "money.sum", "bill:Bill, side:\"cost\"|\"charge\"|\"customer_paid\"", "Money", "rounded once" },
	{ "money.usd", "usd:number", "Money", NULL },
	{ "note", "format:string, ...:any", "", "a line in the decision's record" },
	{ "pairs", "t:table", "function, table, any", "in an order of its own, always the same" },
	{ "policy", "p:Policy", "Policy", NULL },
	{ "rand", "req:Request, label:string", "number", "0 <= x < 1, the same for the same request and label" },
	{ "rank.all", "eps:Endpoint[], is:fun(e:Endpoint,arg:any):any, arg?:any", "boolean", "does it hold for each?" },
	{ "rank.by", "eps:Endpoint[], key:string|table|fun(e:Endpoint):number?, dir?:\"asc\"|\"desc\"", "Endpoint[]", "a new list, stable; key: a function, the name of a score or of a member (\"usd.prompt\"), a table by endpoint or a column" },
	{ "rank.clamp", "column:number[], least:number, most?:number", "number[]", "in place" },
	{ "rank.draw", "eps:Endpoint[], burden:string|table|fun(e:Endpoint):number, sharpness:number, u:number", "Endpoint[]", "a new list: who is drawn, then the least burden first; half the burden: 2 ^ sharpness times as often" },
	{ "rank.elect", "eps:Endpoint[], burden:string|table|fun(e:Endpoint):number, sharpness:number, u:number", "Endpoint[]", "as rank.draw, in place" },
	{ "rank.first", "eps:Endpoint[], is:fun(e:Endpoint,arg:any):any, arg?:any", "Endpoint[]", "a new list: those before the others" },
	{ "rank.groups", "eps:Endpoint[], key:fun(e:Endpoint):any", "Endpoint[][]", "in the order in which keys are first seen" },
	{ "rank.join", "...:Endpoint[]", "Endpoint[]", NULL },
	{ "rank.last", "eps:Endpoint[], is:fun(e:Endpoint,arg:any):any, arg?:any", "Endpoint[]", NULL },
	{ "rank.lead", "eps:Endpoint[], i:integer", "Endpoint[]", "moves the i-th to the front, in place" },
	{ "rank.least", "eps:Endpoint[], what:string|table|fun(e:Endpoint):number", "number", "math.huge of nobody" },
	{ "rank.most", "eps:Endpoint[], what:string|table|fun(e:Endpoint):number", "number", "-math.huge of nobody" },
	{ "rank.pick", "eps:Endpoint[], weight:string|table|fun(e:Endpoint):number, u:number", "integer", "the index of a weighted draw" },
	{ "rank.product", "eps:Endpoint[], what:number|string|table|fun(e:Endpoint):number, power:number, ...:any", "number[]", "a column: what ^ power, and so on in pairs" },
	{ "rank.smooth", "eps:Endpoint[], prior:number, toward:number?, live:string, ...:any", "number[], ...", "a column for each name: its own samples, and so many requests more of the average of the list, or of toward" },
	{ "rank.sort", "eps:Endpoint[], key:string|table|fun(e:Endpoint):number?, dir?:\"asc\"|\"desc\"", "Endpoint[]", "as rank.by, in place" },
	{ "rank.split", "eps:Endpoint[], is:fun(e:Endpoint,arg:any):any, arg?:any", "Endpoint[], Endpoint[]", "those for which it holds, and the others" },
	{ "rank.stable", "eps:Endpoint[], window_ms:number", "Endpoint[], Endpoint[]?", "those without an outage in so long and without a cool-down, and the others; all of them: the list itself, alone" },
	{ "rank.sum", "eps:Endpoint[], what:number|string|table|fun(e:Endpoint):number, weight:number, ...:any", "number[]", "a column: what * weight, and so on in pairs" },
	{ "select", "n:integer|\"#\", ...:any", "any", NULL },
	{ "set.any", "t:table", "boolean", "is there anything in it?" },
	{ "set.list", "s:table<any,any>", "any[]", "its keys, sorted" },
	{ "set.of", "list:any[]?", "table<any,boolean>", NULL },
	{ "slug.any", "wants:string[], ep:Endpoint", "boolean, integer?", "and which" },
	{ "slug.match", "want:string, ep:Endpoint", "boolean", "a provider's slug means every region, but no tier" },
	{ "sticky.at", "key:string, eps:Endpoint[]", "integer?", "where in the list the endpoint is that sticky.get names" },
	{ "sticky.get", "key:string", "string?", "the id of the endpoint that answered last, where a plan asked for it" },
	{ "string.byte", "s:string, i?:integer, j?:integer", "integer", NULL }, { "string.ends", "s:string, tail:string", "boolean", NULL },
	{ "string.format", "format:string, ...:any", "string", NULL }, { "string.has", "s:string, part:string", "boolean", "plain text, no pattern" },
	{ "string.len", "s:string", "integer", NULL }, { "string.lower", "s:string", "string", NULL },
	{ "string.rep", "s:string, n:integer", "string", "64 KiB at most" }, { "string.split", "s:string, by:string", "string[]", "plain text, no pattern" },
	{ "string.starts", "s:string, head:string", "boolean", NULL }, { "string.sub", "s:string, i:integer, j?:integer", "string", NULL },
	{ "string.upper", "s:string", "string", NULL },
	{ "table.concat", "list:any[], by?:string, i?:integer, j?:integer", "string", NULL },
	{ "table.insert", "list:any[], at:any, v?:any", "", NULL }, { "table.remove", "list:any[], at?:integer", "any", NULL },
	{ "table.sort", "list:any[], before?:fun(a:any,b:any):boolean", "", NULL }, { "table.unpack", "list:any[], i?:integer, j?:integer", "any", "200 values at most" },
	{ "test", "title:string, f:fun(t:Test)", "", "in a _test.lua" },
	{ "time.local_", "ms:integer, offset_min:integer", "{weekday:integer,minute:integer}", NULL },
	{ "time.utc", "ms:integer", "{weekday:integer,minute:integer}", "0 is Sunday; minutes since midnight" },
	{ "tonumber", "v:any", "number?", NULL }, { "tostring", "v:any", "string", NULL }, { "type", "v:any", "string", NULL },
	{ "use", "name:string, with?:table", "table", "in a _test.lua: the policy, its hooks as functions without `my`" },
	{ "use_lib", "name:string", "table", "another file of the bundle, which returns library { ... }" },
};

static void say(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct page *p, const char *fmt, ...)
{
	char line[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	p->say(p->arg, line);
}

/* ---- functions */

/* The end of a part: the next comma that is in no bracket. */
static size_t part_len(const char *text)
{
	int depth = 0;
	size_t n = 0;

	for (; text[n] && (depth || text[n] != ','); n++)
		depth += strchr("({<", text[n]) ? 1 : strchr(")}>", text[n]) ? -1 : 0;
	return n;
}

static void function_say(struct page *p, const char *name, const struct signature *s)
{
	char names[200] = "";
	size_t len = 0;

	if (s->about)
		say(p, "---%s", s->about);
	for (const char *at = s->takes; *at;) {
		size_t n = part_len(at), key = strcspn(at, ":?");

		say(p, "---@param %.*s%s %.*s", (int)key, at, at[key] == '?' ? "?" : "", (int)(n - key - 1 - (at[key] == '?')), at + key + 1 + (at[key] == '?'));
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%.*s", len ? ", " : "", (int)key, at);
		at += n + (at[n] == ',' ? 2 : 0);
	}
	for (const char *at = s->gives; *at;) {
		size_t n = part_len(at);

		say(p, "---@return %.*s", (int)n, at);
		at += n + (at[n] == ',' ? 2 : 0);
	}
	say(p, "function %s(%s) end", name, names);
}

static const struct signature *signature_of(const char *name)
{
	for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++)
		if (!strcmp(signatures[i].name, name))
			return &signatures[i];
	return NULL;
}

/* The value on top, under that name; one without a signature is told all the same. */
static void value_say(struct page *p, lua_State *L, const char *name)
{
	static const struct signature unknown = { "", "...:any", "any", NULL };
	const struct signature *s = signature_of(name);

	if (lua_isfunction(L, -1))
		function_say(p, name, s ? s : &unknown);
	else
		say(p, "---@type %s\n%s = nil", lua_isinteger(L, -1) ? "integer" : "number", name);
}

/* The table on top, by its names in order; prefix "rank." or "". */
static void names_say(struct page *p, lua_State *L, const char *prefix)
{
	int at = lua_gettop(L);
	lua_Integer n = keys_sorted(L, at);
	char name[80];

	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, at + 1, i);
		snprintf(name, sizeof(name), "%s%s", prefix, lua_tostring(L, -1));
		lua_rawget(L, at);
		if (proxy_at(L, -1)) {
			char members[82];

			say(p, "\n%s%s = {}", strcmp(name, "string") ? "" : "---@class stringlib\n", name);
			snprintf(members, sizeof(members), "%s.", name);
			luaL_getmetafield(L, -1, "__index");
			names_say(p, L, members);
		} else {
			value_say(p, L, name);
		}
		lua_settop(L, at + 1);
	}
	lua_settop(L, at);
}

/* What a policy can name: asked of a state. */
static int library_say(lua_State *L)
{
	struct page *p = lua_touserdata(L, 1);

	lua_rawgeti(L, LUA_REGISTRYINDEX, state_of(L)->env);
	luaL_getmetafield(L, -1, "__index");
	names_say(p, L, "");
	return 0;
}

/* ---- classes that are made by hand */

static const char *const classes[] = {
	"", "---@class Pcts", "---@field p50 number", "---@field p75 number", "---@field p90 number", "---@field p99 number",
	"", "---@class DataPolicy", "---@field known boolean  false: treat as trains and retains", "---@field trains boolean", "---@field retains boolean",
	"---@field retention_days? integer  nil: unknown", "---@field zdr boolean", "---@field logs_region string",
	"", "---@class Failure", "---@field n integer  attempts so far", "---@field tries_here integer  at this endpoint", "---@field status integer  HTTP; 0: none",
	"---@field kind \"connect\"|\"timeout\"|\"rate_limited\"|\"overloaded\"|\"server\"|\"auth\"|\"quota\"|\"bad_request\"|\"context_length\"|\"moderation\"|\"not_found\"|\"cancelled\"|\"upstream\"",
	"---@field phase string  connect, headers, first_token or stream", "---@field retryable boolean  the dialect's word: may another try succeed?",
	"---@field retry_after_ms integer  0: not said", "---@field bytes_sent integer  to the client", "---@field elapsed_ms integer", "---@field deadline_ms integer",
	"", "---@class Outcome", "---@field status integer", "---@field kind string  \"ok\", \"timeout\" ...", "---@field attempts integer", "---@field ttft_ms integer", "---@field latency_ms integer",
	"---@field hedged boolean", "---@field sticky_hit boolean", "---@field endpoint? Endpoint", "---@field usage? Usage", "---@field bill? {cost_nusd:Money,charge_nusd:Money}",
	"", "---@class Line", "---@field code string", "---@field qty integer", "---@field rate_pusd Rate", "---@field pusd integer", "---@field side \"cost\"|\"charge\"|\"customer_paid\"",
	"", "---@class Bill  lines are appended; a later policy may change the side of one", "---@field lines Line[]",
	"", "---@class Deny", "---@field status integer  400..599", "---@field code string", "---@field message string", "---@field retry_after_s? integer", "---@field limit? integer  that was hit",
	"", "---@class Resolution  protections only tighten", "---@field models? string[]", "---@field prefs? table  members of Prefs", "---@field strategy? string", "---@field note? string",
	"", "---@class Plan", "---@field deadline_ms? integer", "---@field connect_timeout_ms? integer", "---@field ttft_timeout_ms? integer", "---@field idle_timeout_ms? integer",
	"---@field max_attempts? integer", "---@field max_attempts_per_model? integer", "---@field hedge? {after_ms:integer,max_extra?:integer}", "---@field sticky? {key?:string,ttl_s?:integer}",
	"---@field max_charge_nusd? Money  the stream ends above it",
	"", "---@class Shape  max_tokens temperature reasoning verbosity service_tier store user metadata seed stop logit_bias parallel_tool_calls",
	"---@field set? table<string,any>", "---@field drop? string[]",
	"", "---@alias Sink \"log\"|\"record\"|\"decision\"|\"trace\"|\"cache\"|\"batch\"|\"file\"",
	"---@class Keep  of several policies' answers the less of each field; of sinks those in all",
	"---@field store \"none\"|\"metadata\"|\"hashed\"|\"full\"  none: the billing row alone; no sink takes content yet, so full keeps what hashed does",
	"---@field ttl_s? integer  then labels and decision are removed, the billing row stays; 30 days; 0: as none",
	"---@field cache? boolean  may a cache have the answer; false", "---@field sinks? Sink[]  where it may be kept; all",
	"", "---@alias Param {type:\"integer\"|\"number\"|\"string\"|\"boolean\"|\"map\"|\"string[]\",default?:any,doc?:string}",
	"---@class Policy", "---@field name string", "---@field api 1", "---@field version? string", "---@field doc? string", "---@field params? table<string,Param>",
	"---@field counters? table", "---@field setup? fun(p:table):table",
	"---@field memo? table<string,string|string[]>  by hook: the members of req that its answer depends on, such as \"variant\", \"prefs\", \"key.org\"",
	"---@field when? table<string,fun(ep:Endpoint,my:table):boolean>  by hook: does the endpoint concern it? asked once",
	"---@field scores? table<string,fun(ep:Endpoint,my:table):number>  numbers of an endpoint, for rank.by, rank.sum and the like",
	"---@field limits? {reason:string,of:string[],most:fun(ep:Endpoint,my:table):number}[]  sums of req that drop above a number of the endpoint",
	"---@field sticky? {ttl_s:integer}  who answers a session is remembered for its next turn: a plan that needs no hook",
	"---@field lists? fun(my:table):table<string,{name:string,description?:string,models:string[]}>  what GET /models shows of models that it answers for, and which it chooses from",
	"---@field admit? fun(req:Request,my:table):true|Deny", "---@field retain? fun(req:Request,my:table):Keep", "---@field resolve? fun(req:Request,my:table):(Resolution|Deny)?",
	"---@field filter? fun(req:Request,ep:Endpoint,my:table):boolean,string?", "---@field rank? fun(req:Request,eps:Endpoint[],my:table):Endpoint[]",
	"---@field plan? fun(req:Request,eps:Endpoint[],my:table):Plan?", "---@field shape? fun(req:Request,ep:Endpoint,my:table):Shape?",
	"---@field on_error? fun(req:Request,err:Failure,rest:Endpoint[],my:table):table?",
	"---@field price? fun(req:Request,ep:Endpoint,usage:Usage,bill:Bill,my:table):Bill", "---@field observe? fun(req:Request,outcome:Outcome,my:table)",
	"", "---@class Test  what a test gets", "---@field fixtures table", "---@field req fun(o:table):Request  the plain fixture with these members", "---@field ep fun(o:table):Endpoint",
	"---@field usage fun(o:table):Usage", "---@field bill fun():Bill", "---@field err fun(o:table):Failure", "---@field ids fun(eps:Endpoint[]):string  their tags",
	"---@field state fun():table  sticky, budget and lookups, to be set", "---@field eq fun(got:any,want:any,what?:string)", "---@field ok fun(v:any,what?:string)",
	"---@field errors fun(f:function,...:any)", "---@field route fun(chain:table[],req:Request,eps:Endpoint[]):Endpoint[],table<string,string>",
	"---@field price fun(chain:table[],req:Request,ep:Endpoint,usage:Usage):Bill", "---@field resolve fun(chain:table[],req:Request):Request",
	"---@field memo fun(P:table,req:Request,ep:Endpoint)  the filter reads what its memo names, and nothing else of req", NULL };

void policy_types(void (*tell)(void *arg, const char *line), void *arg)
{
	struct policy_state *s = calloc(1, sizeof(*s));
	struct page p = { tell, arg };

	say(&p, "---@meta moongate\n-- Generated by `moongate policy types`. Units are in the names.\n");
	say(&p, "---@alias Money integer   amount in nUSD (1e-9 USD)");
	say(&p, "---@alias Rate integer    pUSD per unit (1e-12 USD); 1 USD per 1M tokens = 1000000");
	types_say(tell, arg);
	for (size_t i = 0; classes[i]; i++)
		tell(arg, classes[i]);
	say(&p, "%s", "");
	if (s && !sandbox_open(s)) {
		lua_pushcfunction(s->L, library_say);
		lua_pushlightuserdata(s->L, &p);
		if (lua_pcall(s->L, 1, 0, 0))
			say(&p, "-- %s", lua_tostring(s->L, -1));
		lua_close(s->L);
	}
	say(&p, "\n-- in tests");
	function_say(&p, "test", signature_of("test"));
	function_say(&p, "use", signature_of("use"));
	free(s);
}
