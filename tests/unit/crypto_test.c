#include "base/clock.h"
#include "base/crypto.h"
#include "tap.h"

#include <ctype.h>

static const struct { const char *text, *hex; } sums[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static const struct { int64_t ms; const char *text; } times[] = {
	{ 0, "1970-01-01T00:00:00.000Z" }, { 1795269791042, "2026-11-21T14:03:11.042Z" }, { 951782400999, "2000-02-29T00:00:00.999Z" },
	{ -1, "1969-12-31T23:59:59.999Z" }, { INT64_MAX, "0000-00-00T00:00:00.000Z" }, { INT64_MIN, "0000-00-00T00:00:00.000Z" },
};

static bool alnum(const char *at, size_t n)
{
	while (n--)
		if (!isalnum((unsigned char)*at++))
			return false;
	return !*at;
}

static void ids(void)
{
	char id[40], last[40] = "";
	bool shaped = true, rising = true;

	for (int i = 0; i < 2000; i++) {
		const char *tail;

		id_generation(id);
		tail = strrchr(id, '-');
		shaped = shaped && !strncmp(id, "gen-", 4) && strspn(id + 4, "0123456789") == 10 && tail == id + 14 && alnum(tail + 1, 20);
		rising = rising && strcmp(id, last) > 0;
		memcpy(last, id, sizeof(id));
	}
	ok(shaped, "a generation's id is gen-<seconds>-<20 letters and digits>");
	ok(rising, "2000 of them are in order");
}

int main(void)
{
	char hex[SHA256_HEX + 1], name[33], other[33], text[32];
	unsigned char a[32] = { 0 }, b[32] = { 0 };
	uint64_t then;

	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
		sha256_hex(sums[i].text, strlen(sums[i].text), hex);
		ok(!strcmp(hex, sums[i].hex), "SHA-256 of a published vector");
	}
	sha256_hex(NULL, 0, hex);
	ok(!strcmp(hex, sums[0].hex), "and of nothing at all");
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		clock_rfc3339(times[i].ms, text);
		ok(!strcmp(text, times[i].text), times[i].text);
	}
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	ok(!same_bytes(a, b, sizeof(a)) && same_bytes(a, a, sizeof(a)) && same_bytes(a, b, 0), "random bytes differ, the same are the same");
	wipe(a, sizeof(a));
	ok(same_bytes(a, (unsigned char[32]){ 0 }, sizeof(a)), "what is wiped is gone");
	random_name(name, 32);
	random_name(other, 32);
	ok(alnum(name, 32) && strcmp(name, other), "a random name is letters and digits");
	random_name(name, 0);
	ok(!*name, "a name of no length is empty");
	ok(hash64("abcdefgh1", 9, 1) == hash64("abcdefgh1", 9, 1) && hash64("abcdefgh1", 9, 1) != hash64("abcdefgh1", 9, 2) &&
		hash64("abcdefgh1", 9, 1) != hash64("abcdefgh2", 9, 1) && hash64("\0", 1, 0) != hash64("\0\0", 2, 0) && hash64("", 0, 0) != hash64("\0", 1, 0),
		"a hash depends on text, length and seed");
	ids();
	then = clock_us();
	ok(clock_us() >= then && clock_ms() >= then / 1000 && clock_wall_ms() > 1700000000000, "clocks go on");
	return tap_done();
}
