/* SPDX-License-Identifier: MIT */
/** Numbers by tag: open addressing, linear probing, no removal but of everything. The owner's lock guards it. */
#ifndef SP_CACHE_TAGMAP_H
#define SP_CACHE_TAGMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp__tagmap {
        struct sp__tagmap_slot {
                uint64_t tag; /* 0: free */
                uint64_t number;
        } * slots;
        size_t count;
        size_t cap;      /* a power of two, or 0 */
        uint64_t factor; /* odd and random, so that chosen tags cannot be made to collide (multiply-shift hashing) */
};

/** 0 where it has none. */
uint64_t sp__tagmap_get(const struct sp__tagmap *map, uint64_t tag);
/** Raises the tag's number, never lowers it. false when out of memory. */
bool sp__tagmap_raise(struct sp__tagmap *map, uint64_t tag, uint64_t number);
void sp__tagmap_clear(struct sp__tagmap *map);

#endif
