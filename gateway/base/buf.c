#include "base/buf.h"
#include "base/digits.h"

#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 4096, HUGE_PAGE = 2 * 1024 * 1024, LARGE = 4 * 1024 * 1024 };

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){ .max = max_bytes };
}

void buf_release(struct buf *b)
{
	free(b->at);
	*b = (struct buf){ .failed = true };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* Asking the kernel for 20 MB in pages of 4 KiB costs more than reading, checking and
 * sending them.  Whole pages, the heap's header with them: what is mapped stays one
 * mapping, which realloc can move without copying. */
static void in_huge_pages(const struct buf *b)
{
	size_t before = (uintptr_t)b->at % PAGE;

	madvise(b->at - before, (before + b->size + PAGE - 1) / PAGE * PAGE, MADV_HUGEPAGE);
}

/* What the kernel did not take by then costs nothing to write again.  Whole huge pages
 * alone: one in part would be split; and never the heap's header, before the first. */
void buf_lend(struct buf *b)
{
	uintptr_t from = ((uintptr_t)b->at + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	uintptr_t to = ((uintptr_t)b->at + b->size) / HUGE_PAGE * HUGE_PAGE;

	buf_reset(b);
	if (from < to)
		madvise((char *)b->at + (from - (uintptr_t)b->at), to - from, MADV_FREE);
}

char *buf_more(struct buf *b, size_t more)
{
	size_t size = b->size ? b->size : 256;
	char *at;

	if (b->failed)
		return NULL;
	if (b->at && more <= b->size - b->len)
		return b->at + b->len;
	if (more > b->max - b->len) {
		b->failed = true;
		return NULL;
	}
	while (size < b->len + more)
		size = size > b->max / 2 ? b->max : size * 2;
	if (size > b->max)
		size = b->max;
	at = realloc(b->at, size);
	if (!at) {
		b->failed = true;
		return NULL;
	}
	b->at = at;
	b->size = size;
	if (size >= LARGE)
		in_huge_pages(b);
	return at + b->len;
}

void buf_print(struct buf *b, const char *fmt, ...)
{
	char small[256], *large;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (len < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)len < sizeof(small)) {
		buf_put(b, small, (size_t)len);
		return;
	}
	large = malloc((size_t)len + 1);	/* not in place: its NUL could be one byte too many */
	if (!large) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(large, (size_t)len + 1, fmt, ap);
	va_end(ap);
	buf_put(b, large, (size_t)len);
	free(large);
}

void buf_number(struct buf *b, uint64_t n)
{
	char digits[DIGITS_MAX], *end = digits + sizeof(digits), *at = digits_before(end, n);

	buf_put(b, at, (size_t)(end - at));
}

void buf_cut(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	if (n)
		memmove(b->at, b->at + n, b->len - n);
	b->len -= n;
}

void buf_base64(struct buf *b, struct mg_str bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *to = bytes.len ? buf_room(b, (bytes.len + 2) / 3 * 4) : NULL;
	size_t n = 0;

	for (size_t i = 0; to && i < bytes.len; i += 3) {
		const unsigned char *at = (const unsigned char *)bytes.at + i;
		size_t have = bytes.len - i;
		unsigned bits = (unsigned)at[0] << 16 | (have > 1 ? (unsigned)at[1] << 8 : 0) | (have > 2 ? at[2] : 0);

		to[n++] = digits[bits >> 18];
		to[n++] = digits[bits >> 12 & 63];
		to[n++] = have > 1 ? digits[bits >> 6 & 63] : '=';
		to[n++] = have > 2 ? digits[bits & 63] : '=';
	}
	b->len += n;
}
