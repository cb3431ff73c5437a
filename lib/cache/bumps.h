/* SPDX-License-Identifier: MIT */
/**
 * When tags were bumped, 8 bytes each: 32 bits of the tag's hash and how far its number is from a million before the first one's.
 * Tags that are alike in that have one number, the higher; a number from before is taken for a later one. So what it says is never
 * too low. Open addressing, linear probing, no removal but of everything. The owner's lock guards it.
 */
#ifndef SP_CACHE_BUMPS_H
#define SP_CACHE_BUMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp__bumps {
        uint64_t *slots; /* 0: free */
        size_t count;
        unsigned bits;   /* of how many slots; 0: none */
        uint64_t factor; /* odd and random, so that chosen tags cannot be made to collide (multiply-shift hashing) */
        uint64_t base;   /* what numbers count from */
};

/** Above all numbers. */
#define SP__BUMPS_EVER UINT64_MAX

/** 0 where it has none. */
uint64_t sp__bumps_get(const struct sp__bumps *bumps, uint64_t tag);
/** Raises the tag's number (above 0), never lowers it. false when out of memory, or too far from the first one. */
bool sp__bumps_raise(struct sp__bumps *bumps, uint64_t tag, uint64_t number);
void sp__bumps_clear(struct sp__bumps *bumps);
size_t sp__bumps_bytes(const struct sp__bumps *bumps);

#endif
