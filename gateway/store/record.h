/*
 * record.h - one entry of a journal, as bytes.
 *
 *	"MGJ1"  length  CRC-32C  kind  |  8-byte integers, then NUL-ended strings
 *
 * Numbers are little-endian as on the machine that wrote them: a journal never
 * leaves it.  The length covers what follows the header, the CRC that and the kind.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "base/buf.h"
#include "moongate_store.h"

enum { RECORD_HEADER = 16, RECORD_MAX = 4 << 20 };

union record_row { struct mg_store_intent intent; struct mg_store_generation generation; struct mg_store_decision decision;
	struct mg_store_endpoint endpoint; };

void record_intent(struct buf *out, const struct mg_store_intent *i);
void record_settle(struct buf *out, const struct mg_store_generation *g);
void record_endpoint(struct buf *out, const struct mg_store_endpoint *e);

/* The record at the front of len bytes: its size, 0 when they are too few, -1 when
 * they are no whole record.  row points into the bytes. */
int64_t record_read(const char *at, size_t len, enum mg_store_row *kind, union record_row *row);

/* Offset of the next whole record behind a bad one; len when there is none. */
size_t record_resync(const char *at, size_t len);

/* CRC-32C of len bytes more; by_table: not by the processor's own instruction.  For record.c and its test. */
uint32_t record_crc(uint32_t crc, const void *at, size_t len, bool by_table);

#endif
