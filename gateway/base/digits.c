#include <string.h>
#include "base/digits.h"

/* Two at a time: a division costs more than the look. */
static const char pairs[] =
	"0001020304050607080910111213141516171819"
	"2021222324252627282930313233343536373839"
	"4041424344454647484950515253545556575859"
	"6061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

char *digits_before(char *end, uint64_t n)
{
	for (; n >= 100; n /= 100) {
		end -= 2;
		memcpy(end, pairs + n % 100 * 2, 2);
	}
	if (n >= 10) {
		end -= 2;
		memcpy(end, pairs + n * 2, 2);
	} else {
		*--end = (char)('0' + n);
	}
	return end;
}

char *number_before(char *end, int64_t n)
{
	end = digits_before(end, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
	if (n < 0)
		*--end = '-';
	return end;
}
