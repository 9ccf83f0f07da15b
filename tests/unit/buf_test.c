#include "base/buf.h"
#include "tap.h"

int main(void)
{
	struct buf b;
	char big[1000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	buf_init(&b, 10);
	ok(buf_view(&b).at && !buf_view(&b).len, "an empty buffer has a view");
	buf_put(&b, "", 0);
	buf_str(&b, (struct mg_str){ NULL, 0 });
	buf_text(&b, "0123456789");
	ok(!b.failed && mg_is(buf_view(&b), "0123456789"), "up to the ceiling");
	buf_put(&b, "a", 1);
	ok(b.failed && b.len == 10, "one more fails, and what was there stays");
	buf_cut(&b, 5);
	buf_put(&b, "a", 1);
	ok(b.failed && mg_is(buf_view(&b), "56789"), "a failure sticks, though there were room");
	buf_reset(&b);
	buf_print(&b, "%d", 1234567890);
	ok(!b.failed && mg_is(buf_view(&b), "1234567890"), "reset ends it; print needs no room for a NUL");
	buf_print(&b, "%s", "");
	ok(!b.failed, "printing nothing fits a full buffer");
	buf_put(&b, big, SIZE_MAX);
	ok(b.failed && b.len == 10, "an absurd length fails before anything is read");
	buf_release(&b);
	buf_text(&b, "a");
	ok(b.failed && !b.at, "a released buffer takes nothing");

	buf_init(&b, SIZE_MAX);
	for (int i = 0; i < 100; i++)
		buf_print(&b, "%s", big);
	ok(!b.failed && b.len == 100 * 999 && b.at[b.len - 1] == 'x', "print of more than a small text, many times");
	buf_cut(&b, 100 * 999 - 3);
	ok(mg_is(buf_view(&b), "xxx"), "a cut leaves the end");
	buf_cut(&b, 4);
	ok(!b.len, "a cut of more than there is leaves nothing");
	buf_base64(&b, MG_STR("\xfb\xff\xbfhello"));
	buf_base64(&b, MG_STR("he"));
	buf_base64(&b, MG_STR("h"));
	buf_base64(&b, (struct mg_str){ NULL, 0 });
	ok(mg_is(buf_view(&b), "+/+/aGVsbG8=aGU=aA=="), "base64, with its padding");
	buf_release(&b);
	buf_init(&b, 7);
	buf_base64(&b, MG_STR("hello"));
	ok(b.failed && !b.len, "or nothing, where it does not fit");
	buf_release(&b);
	return tap_done();
}
