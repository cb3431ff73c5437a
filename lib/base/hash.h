/* SPDX-License-Identifier: MIT */
/** Hash of bytes for tables in memory: XXH3 (libxxhash, inlined), seeded so that keys from outside cannot be made to collide. */
#ifndef SP_BASE_HASH_H
#define SP_BASE_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t sp__hash(const void *data, size_t len, uint64_t seed)
{
        return XXH3_64bits_withSeed(data, len, seed);
}

/* At most SP__BRIEF bytes as two words, which may overlap. */
enum { SP__BRIEF = 16 };
static inline void sp__hash_words(const unsigned char *at, size_t len, uint64_t *head, uint64_t *tail)
{
        uint32_t low, high;

        if (len >= 8) {
                memcpy(head, at, 8);
                memcpy(tail, at + len - 8, 8);
        } else if (len >= 4) {
                memcpy(&low, at, 4);
                memcpy(&high, at + len - 4, 4);
                *head = low;
                *tail = high;
        } else if (len > 0) {
                *head = at[0];
                *tail = (uint64_t)at[len / 2] << 8 | at[len - 1];
        }
}

/**
 * For at most SP__BRIEF bytes, in a third of the instructions; its upper half is the better one. Keys from outside can be made to
 * collide, and another kind of CPU hashes otherwise.
 */
static inline uint64_t sp__hash_brief(const void *data, size_t len, uint64_t seed)
{
        uint64_t head = 0, tail = 0;

        sp__hash_words(data, len, &head, &tail);
        return head * 0x9fb21c651e98df25u + tail * 0xd6e8feb86659fd93u + (seed << 8 | len) * 0xff51afd7ed558ccdu;
}

#endif
