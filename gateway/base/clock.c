#include "base/clock.h"

#include <time.h>

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_ms(void)
{
	return monotonic_ns() / 1000000;
}

uint64_t clock_us(void)
{
	return monotonic_ns() / 1000;
}

int64_t clock_wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void clock_rfc3339(int64_t wall_ms, char out[static 32])
{
	int64_t ms = (wall_ms % 1000 + 1000) % 1000;	/* also right before 1970 */
	time_t s = (time_t)(wall_ms / 1000 - (wall_ms % 1000 < 0));
	static _Thread_local char day[24];	/* of the second asked for last: most times are now */
	static _Thread_local time_t day_of;
	struct tm tm;
	size_t n;

	if (!day[0] || day_of != s) {
		if (!gmtime_r(&s, &tm) || tm.tm_year > 9999 - 1900 || tm.tm_year < -1900) {
			snprintf(out, 32, "0000-00-00T00:00:00.000Z");
			return;
		}
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
		day_of = s;
	}
	n = strlen(day);	/* years before 1000 are shorter */
	memcpy(out, day, n);
	memcpy(out + n, (char[]){ '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', '\0' }, 6);
}
