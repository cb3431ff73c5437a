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

#endif
