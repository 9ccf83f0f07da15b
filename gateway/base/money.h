/*
 * money.h - integers only: rates in picodollars (pUSD, 1e-12 USD) per unit,
 * amounts in nanodollars (nUSD, 1e-9 USD), sums in 128 bits, one rounding.
 */
#ifndef BASE_MONEY_H
#define BASE_MONEY_H

#include "base/buf.h"
#include "base/err.h"

typedef __int128 money_sum;	/* picodollars */

/* nUSD, a million dollars: one generation is never taken to cost more, whatever a price says.  So a store's sums have room for
 * thousands of such in a day, and for all that is real. */
#define MONEY_MOST INT64_C(1000000000000000)

/* "0.15", "15", "1e-6" times 10^scale, exactly: scale 6 turns USD per million
 * tokens into pUSD per token, 12 turns USD per token into pUSD per token, 9
 * turns USD into nUSD.  MG_EINVAL: no decimal, negative, digits below one unit, too large. */
int money_parse(struct mg_str decimal, unsigned scale, int64_t *out, struct err *err);

/* sum += qty * rate; MG_EINVAL on overflow, sum unchanged. */
int money_add(money_sum *sum, uint64_t qty, int64_t rate_pusd);

/* Half away from zero; saturates at INT64_MAX. */
int64_t money_round(money_sum pusd);

/* amount / 10^scale as the shortest decimal: money_text(b, 140000, 9) is 0.00014. */
void money_text(struct buf *b, int64_t amount, unsigned scale);

#endif
