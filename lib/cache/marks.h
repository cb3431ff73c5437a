/* SPDX-License-Identifier: MIT */
/**
 * A queue of entries by 32 bits of their hashes, 4 bytes each: an entry needs no links, and one that left otherwise is only
 * not found when its turn comes. Pure; the owner's lock guards it.
 */
#ifndef SP_CACHE_MARKS_H
#define SP_CACHE_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp__marks_part;

struct sp__marks {
        struct sp__marks_part *first;
        struct sp__marks_part *last;
        struct sp__marks_part *spare; /* else what goes round would take and give back memory all the time */
        size_t count;
        size_t bytes;
};

/** false when out of memory. */
bool sp__marks_push(struct sp__marks *marks, uint32_t mark);
/** The oldest, which stays; false: there is none. */
bool sp__marks_first(const struct sp__marks *marks, uint32_t *mark);
/** Takes it out; there is one. */
void sp__marks_pop(struct sp__marks *marks);
void sp__marks_clear(struct sp__marks *marks);

#endif
