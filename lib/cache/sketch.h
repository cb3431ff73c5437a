/* SPDX-License-Identifier: MIT */
/**
 * How often keys that are not there were asked for, lately and about: a count-min sketch of counters of 4 bits (Cormode,
 * Muthukrishnan 2005; aging by halves after Einziger, Friedman, Manes: TinyLFU, 2017). Pure; the owner's lock guards it.
 */
#ifndef SP_CACHE_SKETCH_H
#define SP_CACHE_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SP__SKETCH_MOST = 15 };

struct sp__sketch {
        uint64_t *words; /* 16 counters each */
        size_t count;    /* a power of two, or 0: everything is 0 */
};

unsigned sp__sketch_get(const struct sp__sketch *sketch, uint64_t hash);
/** To `count`, never down. */
void sp__sketch_raise(struct sp__sketch *sketch, uint64_t hash, unsigned count);
void sp__sketch_halve(struct sp__sketch *sketch);
/** To `words`, a power of two, with what it counted; it stays as it is when out of memory. */
void sp__sketch_widen(struct sp__sketch *sketch, size_t words);
void sp__sketch_free(struct sp__sketch *sketch);

#endif
