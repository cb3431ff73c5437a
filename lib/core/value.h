/* SPDX-License-Identifier: MIT */
/**
 * Values: one allocation, the bytes behind the header.
 *
 * A value that a table lists can be *pinned*: a reference to it is a place in a line of memory of the calling thread's
 * instead of a count in the value's own, so that threads which read the same values do not take each other's cache lines
 * away. Pins and counts are interchangeable: sp_value_unref() clears a pin of the value's where its thread finds one (it need
 * not be the one that its caller made), else it counts down. While it is listed a value lives whatever its count is; when the
 * table delists it, all its pins become counts (after Michael, Hazard pointers, 2004).
 */
#ifndef SP_CORE_VALUE_H
#define SP_CORE_VALUE_H

#include <sugarperf/base.h>

#include <stdatomic.h>

struct sp_value {
        atomic_int refs; /* see value.c */
        uint8_t codec;
        uint8_t lead; /* words of 8 bytes before it, of the same allocation */
        bool outer;   /* its bytes are a reference to another value */
        uint32_t len;
        char bytes[];
};

/** A value whose `len` bytes the caller fills in before it shares it; NULL when out of memory. */
sp_value *sp__value_blank(size_t len, uint32_t codec, char **bytes);
/** What the caller allocated with `lead` * 8 bytes before the value becomes one, with one reference. */
void sp__value_init(sp_value *value, size_t lead, size_t len, uint32_t codec);
/** Bytes of memory that the value takes. */
size_t sp__value_size(const sp_value *value);

typedef _Atomic(sp_value *) sp__pin;

/** The caller's reference becomes a table's. Once in a value's life, before others can pin it. */
void sp__value_list(sp_value *value);
/** The table holds it no longer: nobody can find it there any more. It may be gone afterwards. */
void sp__value_delist(sp_value *value);
/**
 * Pins what an entry of a table named a moment ago, and what may be gone since: look again, and unless the entry (read with
 * memory_order_seq_cst) still names it, sp__value_unpin(). NULL: this thread's pins are all in use.
 */
sp__pin *sp__value_pin(sp_value *value);
void sp__value_unpin(sp__pin *pin, sp_value *value);

#endif
