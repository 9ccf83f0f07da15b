#include "base/json.h"
#include "tap.h"

#include <stdlib.h>

#define S(literal) literal, sizeof(literal) - 1

static char claim[200];

static const char *named(const char *what, const char *name)
{
	snprintf(claim, sizeof(claim), "%s: %s", what, name);
	for (char *c = claim; *c; c++)
		if (*c == '\n')
			*c = ' ';
	return claim;
}

/* The text ends where its memory does, so that a sanitizer sees one byte too far. */
static int parse(struct pool *p, const char *text, size_t len, struct mg_view *v, struct err *err)
{
	char *copy = pool_alloc(p, len ? len : 1);

	memcpy(copy, text, len);
	return json_parse(p, (struct mg_str){ copy, len }, v, err);
}

/* y: must be taken, n: must be refused. */
static const struct { const char *name, *text; size_t len; } taken[] = {
	{ "an empty array", S("[]") }, { "an empty object", S("{}") }, { "space around everything", S(" \t\r\n[ 1 , 2 ] \n") },
	{ "a lone string", S("\"a\"") }, { "a lone number", S("42") }, { "a lone word", S("null") },
	{ "words", S("[true,false,null]") }, { "an empty string", S("\"\"") }, { "an empty name", S("{\"\":0}") },
	{ "minus zero", S("[-0]") }, { "an exponent", S("[1e2,1E+2,1e-2,0e1,0.5e1]") }, { "a long fraction", S("[0.1000000000000000055511151231257827]") },
	{ "a number that is as good as zero", S("[1e-400,123.456e-789]") }, { "the largest double", S("[1.7976931348623157e308]") },
	{ "the largest double, rounded up", S("[1.7976931348623158e308]") }, { "zero with any exponent", S("[0e999999999999999999999]") },
	{ "leading zeros of a fraction outweigh its exponent", S("[0.00000000001e318]") }, { "a long exponent", S("[1e-00000000000000000000000001]") },
	{ "an integer beyond 64 bits", S("[123456789012345678901234567890]") },
	{ "every short escape", S("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]") }, { "unicode escapes of any case", S("[\"\\u00e9\\u00E9\\uFfFf\"]") },
	{ "a surrogate pair", S("[\"\\ud83d\\ude00\"]") }, { "an escaped zero in content", S("[\"a\\u0000b\"]") },
	{ "an escaped control character", S("[\"\\u001f\"]") }, { "DEL", S("[\"\x7f\"]") },
	{ "two, three and four bytes of UTF-8", S("[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]") },
	{ "noncharacters", S("[\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\"]") }, { "a byte order mark inside a string", S("[\"\xef\xbb\xbf\"]") },
	{ "line separators", S("[\"\xe2\x80\xa8\xe2\x80\xa9\"]") }, { "an escape in a name", S("{\"a\\n\":1}") },
	{ "names that differ in case", S("{\"a\":1,\"A\":2}") }, { "one name at two levels", S("{\"a\":{\"a\":{\"a\":1}}}") },
	{ "one name in neighbours", S("[{\"a\":1},{\"a\":1}]") }, { "a string with an escape at its end", S("[\"\\\\\"]") },
};

static const struct { const char *name, *text; size_t len; const char *why; } refused[] = {
	{ "nothing", S(""), "line 1, byte 1: the text ends" }, { "only space", S(" \n "), "line 2, byte 2:" },
	{ "a byte order mark", S("\xef\xbb\xbf{}"), "byte order mark" }, { "UTF-16", S("[\0\"\0a\0\"\0]\0"), "line 1, byte 2:" },
	{ "two texts", S("{}{}"), "line 1, byte 3: more bytes" }, { "a trailing comma behind", S("{},"), "more bytes" },
	{ "a NUL behind", S("{}\0"), "more bytes" }, { "a bracket too many", S("[]]"), "more bytes" },
	{ "an open array", S("[1"), "ends inside an array" }, { "an open array after a comma", S("[1,"), "value was expected" },
	{ "an open object", S("{\"a\":1"), "ends inside an object" }, { "a name alone", S("{\"a\""), "':' was expected" },
	{ "a colon alone", S("{\"a\":"), "value was expected" }, { "an open object after a comma", S("{\"a\":1,"), "inside an object" },
	{ "only a bracket", S("["), "inside an array" }, { "only a brace", S("{"), "inside an object" }, { "the wrong bracket", S("[1}"), "',' or ']'" },
	{ "the wrong brace", S("{\"a\":1]"), "',' or '}'" }, { "a comma first", S("[,1]"), "byte 2: a value" }, { "two commas", S("[1,,2]"), "byte 4:" },
	{ "a trailing comma", S("[1,]"), "byte 4:" }, { "a trailing comma in an object", S("{\"a\":1,}"), "name of a member" },
	{ "a missing comma", S("[1 2]"), "',' or ']'" }, { "a missing colon", S("{\"a\" 1}"), "':' was expected" }, { "two colons", S("{\"a\"::1}"), "a value" },
	{ "a name without quotes", S("{a:1}"), "double quotes" }, { "a number as a name", S("{1:1}"), "double quotes" }, { "single quotes", S("['a']"), "a value" },
	{ "a comment", S("[1/**/]"), "',' or ']'" }, { "a form feed as space", S("[\f1]"), "a value" }, { "a no-break space", S("[\xc2\xa0]"), "a value" },
	{ "NaN", S("[NaN]"), "a value" }, { "Infinity", S("[Infinity]"), "a value" }, { "-Infinity", S("[-Infinity]"), "digit is missing" },
	{ "a word cut short", S("[tru]"), "a value" }, { "a word cut by the end", S("nul"), "a value" }, { "a word in capitals", S("[True]"), "a value" },
	{ "a word with more", S("[nullx]"), "',' or ']'" }, { "a plus", S("[+1]"), "a value" }, { "a leading zero", S("[01]"), "starts with 0" },
	{ "a minus and a leading zero", S("[-012]"), "starts with 0" }, { "a minus alone", S("[-]"), "digit" }, { "a point first", S("[.5]"), "a value" },
	{ "a point last", S("[1.]"), "digit" }, { "a point before an exponent", S("[1.e1]"), "digit" }, { "no exponent", S("[1e]"), "digit" },
	{ "no exponent behind a sign", S("[1e+]"), "digit" }, { "no exponent at the end", S("1e"), "digit" }, { "no exponent behind a sign at the end", S("1e-"), "digit" },
	{ "two points", S("[1.2.3]"), "',' or" }, { "hexadecimal", S("[0x1]"), "',' or" }, { "two signs", S("[--1]"), "digit" }, { "a fullwidth digit", S("[\xef\xbc\x91]"), "a value" },
	{ "1e400", S("[1e400]"), "byte 2: a number is too large" }, { "-1e309", S("[-1e309]"), "too large" }, { "1.8e308", S("[1.8e308]"), "too large" },
	{ "just past the largest double", S("[179769313486231580793728971405303415079934132710e261]"), "too large" },
	{ "an exponent that would overflow", S("[1e99999999999999999999999999]"), "too large" }, { "0.1e310", S("[0.1e310]"), "too large" },
	{ "an open string", S("[\"a"), "inside a string" }, { "a string that ends in a backslash", S("\"\\"), "inside a string" },
	{ "an escaped closing quote", S("\"\\\""), "inside a string" }, { "a line feed in a string", S("[\"a\nb\"]"), "byte 4: a control" },
	{ "a tab in a string", S("[\"\t\"]"), "control" }, { "a zero in a string", S("[\"\0\"]"), "control" }, { "an unknown escape", S("[\"\\x00\"]"), "unknown escape" },
	{ "an escape in capitals", S("[\"\\N\"]"), "unknown escape" }, { "an escaped character beyond ASCII", S("[\"\\\xc3\xa9\"]"), "unknown escape" },
	{ "\\u with three digits", S("[\"\\u00e\"]"), "four hexadecimal" }, { "\\u at the end", S("\"\\u00"), "four hexadecimal" }, { "\\u with a G", S("[\"\\u00eg\"]"), "four hexa" },
	{ "\\U", S("[\"\\U0041\"]"), "unknown escape" }, { "a high surrogate alone", S("[\"\\ud83d\"]"), "surrogate" }, { "a low surrogate alone", S("[\"\\ude00\"]"), "surrogate" },
	{ "two high surrogates", S("[\"\\ud83d\\ud83d\"]"), "surrogate" }, { "surrogates in the wrong order", S("[\"\\ude00\\ud83d\"]"), "surrogate" },
	{ "a high surrogate and a letter", S("[\"\\ud83dx\\ude00\"]"), "surrogate" }, { "a pair cut short", S("[\"\\ud83d\\ude0\"]"), "surrogate" },
	{ "a lone continuation byte", S("[\"\x80\"]"), "UTF-8" }, { "a character cut by the quote", S("[\"\xc3\"]"), "UTF-8" }, { "a character cut by the end", S("\"\xe2\x82"), "UTF-8" },
	{ "an overlong slash", S("[\"\xc0\xaf\"]"), "UTF-8" }, { "an overlong slash in three bytes", S("[\"\xe0\x80\xaf\"]"), "UTF-8" },
	{ "an overlong slash in four bytes", S("[\"\xf0\x80\x80\xaf\"]"), "UTF-8" }, { "an encoded surrogate", S("[\"\xed\xa0\x80\"]"), "UTF-8" },
	{ "beyond U+10FFFF", S("[\"\xf4\x90\x80\x80\"]"), "UTF-8" }, { "five bytes", S("[\"\xf8\x88\x80\x80\x80\"]"), "UTF-8" }, { "Latin-1", S("[\"\xe9t\"]"), "UTF-8" },
	{ "bad bytes in a name", S("{\"\xff\":1}"), "UTF-8" }, { "bad bytes outside of strings", S("[\xff]"), "a value" },
	{ "a member twice", S("{\"model\":1,\n \"model\":2}"), "line 2, byte 2: duplicate member 'model'" },
	{ "a member twice, one escaped", S("{\"a\":1,\"\\u0061\":2}"), "byte 8: duplicate member 'a'" }, { "an empty name twice", S("{\"\":1,\"\":2}"), "duplicate member ''" },
	{ "an escaped zero in a name", S("{\"a\\u0000\":1}"), "\\u0000" }, { "line feeds in a name stay out of the reason", S("{\"a\\n\":1,\"a\\n\":2}"), "duplicate member 'a?'" },
};

static void grammar(void)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct pool *p = pool_new(1 << 20);
		struct mg_view v;

		ok(!parse(p, taken[i].text, taken[i].len, &v, NULL), named("taken", taken[i].name));
		pool_free(p);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct pool *p = pool_new(1 << 20);
		struct mg_view v;
		struct err err = { 0, "" };
		int rc = parse(p, refused[i].text, refused[i].len, &v, &err);

		ok(rc == MG_EINVAL && strstr(err.msg, refused[i].why), named("refused", refused[i].name));
		if (!strstr(err.msg, refused[i].why))
			printf("# %d: %s\n", rc, err.msg);
		pool_free(p);
	}
}

/* head, n units (each may print its number), tail; the tail "]]" closes all n. */
static int repeated(struct pool *p, const char *head, const char *unit, int n, const char *tail, struct mg_view *v, struct err *err)
{
	struct buf b;
	int rc;

	buf_init(&b, 64 << 20);
	buf_text(&b, head);
	for (int i = 0; i < n; i++)
		buf_print(&b, unit, i);
	buf_text(&b, tail);
	if (!strcmp(tail, "]]"))
		for (b.len -= 2; n--; )
			buf_put(&b, "]", 1);
	rc = parse(p, b.at, b.len, v, err);
	buf_release(&b);
	return rc;
}

static void limits(void)
{
	struct pool *p = pool_new(256 << 20);
	struct err err;
	struct mg_view v;

	ok(!repeated(p, "", "[", 64, "]]", &v, &err), "64 levels are taken");
	ok(repeated(p, "", "[", 65, "]]", &v, &err) == MG_EINVAL && strstr(err.msg, "byte 65: nested deeper"), "65 levels are refused");
	ok(repeated(p, "", "[", 1000000, "", &v, &err) == MG_EINVAL, "a million open brackets are refused");
	ok(!repeated(p, "[0", ",%d", JSON_VALUES - 2, "]", &v, &err) && json_len(v) == JSON_VALUES - 1, "200000 values are taken");
	ok(repeated(p, "[0", ",%d", JSON_VALUES - 1, "]", &v, &err) == MG_EINVAL && strstr(err.msg, "200000"), "one more is refused");
	ok(!repeated(p, "{\"x\":0", ",\"m%d\":[]", 100000, "}", &v, &err), "an object of 100001 members is taken");
	ok(json_get(v, "m99999").doc && json_get(v, "x").doc && !json_get(v, "m100000").doc, "and each is found, or not");
	ok(repeated(p, "{\"x\":0", ",\"m%d\":{}", 100000, ",\"m777\":1}", &v, &err) == MG_EINVAL &&
		strstr(err.msg, "duplicate member 'm777'"), "the double among 100000 is found");
	ok(repeated(p, "{\"x\":0", ",\"m%d\":{}", 15, ",\"m14\":1}", &v, &err) == MG_EINVAL, "the double at the change from list to table is found");
	ok(repeated(p, "{\"x\":0", ",\"m%d\":{}", 16, ",\"x\":1}", &v, &err) == MG_EINVAL, "and behind it");
	pool_free(p);
	p = pool_new(600);
	ok(repeated(p, "[0", ",%d", 9, "]", &v, &err) == MG_ENOMEM, "no room in the pool is told as such");
	pool_free(p);
}

static void views(void)
{
	static const char text[] = "{\"s\":\"a\\u00e9\\ud83d\\ude00\\n\",\"n\":[0.1,1e2,12345678901234567890,-0],\"e\":[],\"o\":{},"
		"\"\\u006bey\":true,\"z\":null,\"plain\":\"gpt\",\"f\":false,\"nul\":\"a\\u0000b\"}";
	struct pool *p = pool_new(1 << 20);
	struct mg_view v, n, none = { NULL, 0 };
	uint64_t count = 7;
	struct mg_str s;

	if (parse(p, text, sizeof(text) - 1, &v, NULL))
		abort();
	n = json_get(v, "n");
	ok(json_kind(v) == MG_OBJECT && json_len(v) == 9 && json_kind(n) == MG_ARRAY && json_len(n) == 4, "kinds and lengths");
	ok(mg_is(json_text(p, json_get(v, "s")), "a\xc3\xa9\xf0\x9f\x98\x80\n"), "a string is unescaped");
	s = json_text(p, json_get(v, "nul"));
	ok(s.len == 3 && !memcmp(s.at, "a\0b", 3), "a zero inside is carried");
	ok(mg_is(json_text(p, json_at(n, 0)), "0.1") && mg_is(json_text(p, json_at(n, 1)), "1e2") &&
		mg_is(json_text(p, json_at(n, 2)), "12345678901234567890") && mg_is(json_text(p, json_at(n, 3)), "-0"), "numbers keep their text");
	ok(mg_is(json_raw(n), "[0.1,1e2,12345678901234567890,-0]") && mg_is(json_raw(json_get(v, "o")), "{}"), "raw is what came");
	ok(mg_is(json_raw(v), text), "and of the whole too");
	ok(json_kind(json_get(v, "key")) == MG_TRUE && mg_is(json_name(json_get(v, "key")), "key"), "an escaped name is found and read unescaped");
	ok(!json_at(json_get(v, "e"), 0).doc && !json_at(json_get(v, "o"), 0).doc && !json_get(json_get(v, "o"), "x").doc, "nothing is in what is empty");
	ok(!json_at(n, 4).doc && !json_next(json_at(n, 3)).doc && !json_next(v).doc, "nothing follows the last");
	ok(mg_is(json_name(json_at(v, 1)), "n") && mg_is(json_name(json_next(json_at(v, 1))), "e"), "members in their order");
	ok(!json_name(json_at(n, 0)).at && !json_name(v).at, "an item and the whole have no name");
	ok(!json_get(n, "a").doc && !json_get(json_get(v, "plain"), "a").doc, "no member of an array or a string");
	ok(json_kind(none) == MG_ABSENT && !json_get(none, "a").doc && !json_at(none, 0).doc && !json_next(none).doc && !json_len(none) &&
		!json_name(none).at && !json_raw(none).at && !json_text(p, none).at && !json_is(none, "") && !json_count(none, &count), "absent in, absent out");
	ok(json_is(json_get(v, "plain"), "gpt") && !json_is(json_get(v, "plain"), "gpt4") && !json_is(json_get(v, "plain"), "gp"), "a string equals a word");
	ok(json_is(json_get(v, "s"), "a\xc3\xa9\xf0\x9f\x98\x80\n") && !json_is(json_get(v, "s"), "a\xc3\xa9"), "an escaped one too");
	ok(!json_is(json_get(v, "nul"), "a") && !json_is(json_get(v, "f"), "false"), "but no word, and nothing cut at a zero");
	ok(!json_text(p, n).at && !json_text(p, json_get(v, "z")).at, "an array and null are no text");
	pool_free(p);
}

static const struct { const char *text; bool whole; uint64_t n; } counts[] = {
	{ "0", true, 0 }, { "42", true, 42 }, { "9223372036854775807", true, INT64_MAX }, { "9223372036854775808", false, 0 },
	{ "12345678901234567890", false, 0 }, { "100000000000000000000", false, 0 }, { "-1", false, 0 }, { "-0", false, 0 }, { "1.0", false, 0 }, { "1e2", false, 0 },
	{ "\"1\"", false, 0 }, { "true", false, 0 }, { "[1]", false, 0 },
};

static void whole_numbers(void)
{
	struct pool *p = pool_new(1 << 20);

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t n = 7;
		struct mg_view v;
		bool is = !parse(p, counts[i].text, strlen(counts[i].text), &v, NULL) && json_count(v, &n);

		ok(is == counts[i].whole && n == (is ? counts[i].n : 7), named("counts", counts[i].text));
	}
	pool_free(p);
}

static void writer(void)
{
	struct pool *p = pool_new(1 << 20);
	struct mg_writer *w = json_writer(p), small;
	char odd[] = "n\n";		/* a name that is not of the source */
	struct mg_view read;
	struct buf b;

	json_open(w, NULL, '{');
	json_put(w, "s", (struct mg_str)MG_STR("a\"\\\n\x01\xc3\xa9\xff\x7f"));
	json_put(w, "gone", (struct mg_str){ NULL, 0 });
	json_put_raw(w, "raw", MG_STR("1e2"));
	json_put_raw(w, "gone", (struct mg_str){ NULL, 0 });
	json_open(w, "list", '[');
	json_put_int(w, NULL, INT64_MIN);
	json_put_int(w, NULL, 0);
	json_put_bool(w, NULL, true);
	json_open(w, NULL, '{');
	json_close(w);
	json_close(w);
	json_put_text(w, odd, NULL);
	ok(!json_written(w).at, "nothing is written before the last bracket");
	json_close(w);
	ok(mg_is(json_written(w), "{\"s\":\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\x7f\",\"raw\":1e2,"
		"\"list\":[-9223372036854775808,0,true,{}],\"n\\n\":null}"), "the writer escapes, separates and closes");
	json_put_int(w, NULL, 1);
	ok(!json_written(w).at, "a second value at the top is an error");
	w = json_writer(p);
	json_open(w, NULL, '[');
	json_close(w);
	json_close(w);
	ok(!json_written(w).at, "a bracket too many sticks");
	w = json_writer(p);
	json_open(w, NULL, '{');
	json_put_int(w, NULL, 1);
	json_close(w);
	ok(!json_written(w).at, "a member without a name sticks");
	w = json_writer(p);
	json_open(w, NULL, '[');
	json_put_int(w, "a", 1);
	json_close(w);
	ok(!json_written(w).at, "an item with a name sticks");
	w = json_writer(p);
	for (int i = 0; i < 65; i++)
		json_open(w, NULL, '[');
	for (int i = 0; i < 65; i++)
		json_close(w);
	ok(!json_written(w).at, "65 levels stick");
	w = json_writer(p);
	for (int i = 0; i < 64; i++)
		json_open(w, i % 2 ? "a" : NULL, i % 2 ? '[' : '{');
	for (int i = 64; i-- > 0; json_close(w))
		json_put_int(w, i % 2 ? NULL : "b", i);
	ok(json_written(w).len == 565 && !json_parse(p, json_written(w), &read, NULL), "each of 64 levels knows its bracket, and whether a comma is due");
	buf_init(&b, 12);
	buf_text(&b, "data: ");
	json_writer_init(&small, &b);
	json_put_text(&small, NULL, "abc");
	ok(mg_is(json_written(&small), "\"abc\"") && mg_is(buf_view(&b), "data: \"abc\""), "a text behind what the buffer had");
	buf_reset(&b);
	json_writer_init(&small, &b);
	json_put_text(&small, NULL, "longer than twelve");
	json_put_null(&small, NULL);
	ok(!json_written(&small).at && b.failed, "no room sticks");
	buf_release(&b);
	pool_free(p);
}

static bool same_text(struct mg_str a, struct mg_str b)
{
	return a.at && b.at && a.len == b.len && !memcmp(a.at, b.at, a.len);
}

static struct mg_str joined(struct pool *p, const struct mg_str *pieces, size_t n)
{
	return pieces ? pool_join(p, pieces, n) : (struct mg_str){ NULL, 0 };
}

/* The same calls with and without bytes that last. */
static void write_large(struct mg_writer *w, struct mg_str text, struct mg_str odd, size_t times)
{
	json_open(w, NULL, '{');
	json_put(w, "plain", text);
	json_open(w, "list", '[');
	for (size_t i = 0; i < times; i++) {
		json_put_raw(w, NULL, (struct mg_str){ text.at - 1, text.len + 2 });
		json_put(w, NULL, MG_STR("small"));
	}
	json_close(w);
	json_put(w, "odd", odd);
	json_put(w, "half", (struct mg_str){ text.at, JSON_PIECE - 1 });
	json_close(w);
}

static void pieces(void)
{
	enum { LEN = JSON_PIECE + 10 };
	static char bytes[2 * LEN + 2];
	struct mg_str text = { bytes + 1, LEN }, odd = { bytes + LEN + 2, LEN - 1 };
	static const size_t times[] = { 0, 1, 3, JSON_PIECES - 1, JSON_PIECES, JSON_PIECES + 5 };
	bool same = true, referred = true, kept = true;

	memset(bytes, 'x', sizeof(bytes));
	bytes[0] = bytes[LEN + 1] = '"';
	bytes[sizeof(bytes) - 9] = '\n';	/* must be escaped: cannot stay where it is */
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		struct pool *p = pool_new(64 << 20);
		struct mg_writer *copied = json_writer(p), *w = json_writer(p);
		const struct mg_str *list, *again;
		struct mg_str all;
		size_t n, m, refs = 0;

		write_large(copied, text, odd, times[i]);
		w->lasting = (struct mg_str){ bytes, sizeof(bytes) };
		write_large(w, text, odd, times[i]);
		all = json_written(copied);
		list = json_pieces(w, &n);
		for (size_t k = 0; k < n; k++)
			refs += list[k].at >= bytes && list[k].at < bytes + sizeof(bytes);
		referred = referred && refs == (times[i] + 1 < JSON_PIECES ? times[i] + 1 : JSON_PIECES);
		same = same && all.at && same_text(joined(p, list, n), all) && same_text(json_written(w), all) && same_text(json_written(w), all);
		again = json_pieces(w, &m);
		kept = kept && m == n && same_text(joined(p, list, n), all) && same_text(joined(p, again, m), all);
		list = json_pieces(copied, &n);
		kept = kept && n == 1 && list[0].at == all.at;
		pool_free(p);
	}
	ok(same, "the pieces joined, and the text of a writer with pieces, are what one buffer would hold");
	ok(referred, "what is large and lasts is not copied, up to a number of pieces");
	ok(kept, "pieces stay when they are joined, and a writer without large values has one");
}

static void pieces_refused(void)
{
	struct pool *p = pool_new(1 << 20), *small = pool_new(4 * JSON_PIECE);
	struct mg_writer *w = json_writer(p);
	static char bytes[4 * JSON_PIECE];
	size_t n = 7;

	json_open(w, NULL, '{');
	ok(!json_pieces(w, &n) && !n, "no pieces before the last bracket");
	memset(bytes, '1', sizeof(bytes));
	w = json_writer(small);
	w->lasting = (struct mg_str){ bytes, sizeof(bytes) };
	json_put_raw(w, NULL, (struct mg_str){ bytes, sizeof(bytes) });
	ok(json_pieces(w, &n) && n == 1, "pieces take no room of the pool");
	ok(!json_written(w).at, "where there is no room to join them, there is no text");
	w = json_writer(p);
	w->lasting = (struct mg_str){ bytes, sizeof(bytes) - 1 };
	json_put_raw(w, NULL, (struct mg_str){ bytes, sizeof(bytes) });
	ok(json_pieces(w, &n) && n == 1 && json_pieces(w, &n)[0].at != bytes, "what reaches beyond the lasting bytes is copied");
	pool_free(small);
	pool_free(p);
}

/* a is replaced by A, b removed, c added where it is not. */
static const struct { const char *in, *out; } splices[] = {
	{ "{}", "{\"c\":0}" }, { " { } ", "{\"c\":0 }" }, { "{\"x\" : 1e2}", "{\"x\" : 1e2,\"c\":0}" }, { "{ \"a\" : 0.10 , \"x\":[ ] }", "{ \"a\" : [A] , \"x\":[ ],\"c\":0 }" },
	{ "{\"b\":1}", "{\"c\":0}" }, { "{ \"b\" : 1 }", "{ \"c\":0 }" }, { "{\"b\":1, \"x\":2}", "{\"x\":2,\"c\":0}" }, { "{\"x\":2 ,\t\"b\":1\n}", "{\"x\":2,\"c\":0\n}" },
	{ "{\"x\":1,\"b\":{\"b\":2},\"y\":3}", "{\"x\":1,\"y\":3,\"c\":0}" }, { "{\"c\":1,\"x\":{\"a\":1,\"b\":2}}", "{\"c\":0,\"x\":{\"a\":1,\"b\":2}}" },
	{ "{\"\\u0061\":1,\"\\u0062\":2}", "{\"\\u0061\":[A],\"c\":0}" }, { "{\"x\":\"\xc3\xa9\\/\",\"a\":null}", "{\"x\":\"\xc3\xa9\\/\",\"a\":[A],\"c\":0}" },
};

static void splice(void)
{
	static const struct json_edit edits[] = { { "a", MG_STR("[A]") }, { "b", { NULL, 0 } }, { "c", MG_STR("0") }, { "c", MG_STR("1") } };
	struct mg_view v;
	struct buf b;

	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(splices) / sizeof(splices[0]); i++) {
		struct pool *p = pool_new(1 << 20);

		buf_reset(&b);
		if (!parse(p, splices[i].in, strlen(splices[i].in), &v, NULL))
			json_splice(v, edits + (i == 3 || i > 9 ? 0 : 1), i == 3 || i > 9 ? 4 : 3, &b);
		ok(mg_is(buf_view(&b), splices[i].out), named("splice", splices[i].in));
		if (!mg_is(buf_view(&b), splices[i].out))
			printf("# %.*s\n", (int)b.len, b.at);
		pool_free(p);
	}
	json_splice((struct mg_view){ NULL, 0 }, edits, 4, &b);
	ok(b.failed, "a splice of no object fails the buffer");
	buf_release(&b);
}

/* Long strings are looked at in blocks: each place in a block must be seen. */
static void blocks(void)
{
	char text[202];
	struct mg_view v;
	bool sees = true;

	for (size_t i = 1; i < sizeof(text) - 1; i++) {
		struct pool *p = pool_new(1 << 20);

		memset(text, 'A', sizeof(text));
		text[0] = text[sizeof(text) - 1] = '"';
		sees = sees && !parse(p, text, sizeof(text), &v, NULL);
		text[i] = '\x1f';
		sees = sees && parse(p, text, sizeof(text), &v, NULL) == MG_EINVAL;
		text[i] = '\x80';
		sees = sees && parse(p, text, sizeof(text), &v, NULL) == MG_EINVAL;
		text[i] = '"';
		sees = sees && (parse(p, text, sizeof(text), &v, NULL) == MG_EINVAL) == (i < sizeof(text) - 1);
		pool_free(p);
	}
	ok(sees, "a bad byte is seen at each place of a long string");
}

/* Names and texts of up to 40 bytes are looked at in words that overlap. */
static void words(void)
{
	char text[80], name[64], other[64];
	bool found = true, seen = true;

	memset(name, 'n', sizeof(name));
	for (size_t len = 1; len <= 40; len++) {
		struct pool *p = pool_new(1 << 20);
		struct mg_view v;
		struct buf b;

		name[len] = '\0';
		snprintf(text, sizeof(text), "{\"%s\":1}", name);
		found = found && !parse(p, text, strlen(text), &v, NULL) && json_get(v, name).doc;
		buf_init(&b, 1 << 10);
		json_quote(&b, (struct mg_str){ name, len });
		seen = seen && b.len == len + 2;
		for (size_t i = 0; i < len; i++) {
			memcpy(other, name, sizeof(name));
			other[i] = 'm';
			found = found && !json_get(v, other).doc;
			other[i] = '\x1f';
			buf_reset(&b);
			json_quote(&b, (struct mg_str){ other, len });
			seen = seen && b.len == len + 7 && !memcmp(b.at + 1 + i, "\\u001f", 6);
		}
		buf_release(&b);
		pool_free(p);
		name[len] = 'n';
	}
	ok(found, "a name of any length is found, and none that differs in one byte");
	ok(seen, "a byte to escape is seen at each place of a short text, and nowhere else");
}

int main(void)
{
	grammar();
	limits();
	views();
	whole_numbers();
	writer();
	pieces();
	pieces_refused();
	splice();
	blocks();
	words();
	return tap_done();
}
