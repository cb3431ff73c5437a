/* SPDX-License-Identifier: MIT */
/**
 * Numbers by tag in a table of a fixed size (4 bytes a place, made when first needed): a tag has the highest number of those that
 * share its place, so that what it says is never too low. For tags past those that are remembered one by one. The owner's lock
 * guards it.
 */
#ifndef SP_CACHE_COARSE_H
#define SP_CACHE_COARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp__coarse {
        uint32_t *places; /* how far from `base`, a million before the first; 0: none */
        unsigned bits;    /* of how many places; its owner's to set */
        uint64_t factor;  /* odd and random, as a tagmap's */
        int64_t base;
};

/** Never lowers it. false when out of memory, or too far from the first number. */
bool sp__coarse_raise(struct sp__coarse *coarse, uint64_t tag, int64_t number);
/** 0 where no tag that shares its place has one. */
int64_t sp__coarse_get(const struct sp__coarse *coarse, uint64_t tag);
void sp__coarse_clear(struct sp__coarse *coarse);
size_t sp__coarse_bytes(const struct sp__coarse *coarse);

#endif
