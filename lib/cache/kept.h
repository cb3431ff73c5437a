/* SPDX-License-Identifier: MIT */
/**
 * One entry of the in-process level: one allocation, the value with 24 bytes before it, its tags and its key behind it. A
 * large value is not copied: the entry's is then an outer one.
 */
#ifndef SP_CACHE_KEPT_H
#define SP_CACHE_KEPT_H

#include "base/clock.h"
#include "core/value.h"

#include <sugarperf/key.h>

#include <string.h>

struct sp__kept {
        _Atomic uint64_t version; /* of the mirror, when it was last found fresh */
        _Atomic uint64_t until;   /* fresh; 48 bits of 1,024 ns, then the key's length - 1 (10) and how many tags (6) */
        uint32_t since;           /* the log's number before its load, from its shard's base */
        uint16_t grace;           /* how long it is kept beyond that, see sp__short_ms() */
        _Atomic uint8_t heat;     /* how often it was asked for, see heat.h */
        _Atomic uint8_t flags;    /* and in the upper half its count when it came */
        sp_value value;
};

enum {
        SP__KEPT_MAIN = 1,    /* in the main queue, else in the window */
        SP__KEPT_SEEN = 2,    /* while the queues are tidied */
        SP__KEPT_OWN_TAG = 4, /* its first tag is its key's, and not stored */
        SP__KEPT_ENDS = 8,    /* by itself: its time is not made longer */
};
enum { SP__KEPT_TICK = 10 };
/** In the upper bits of kept->until. */
#define SP__KEPT_FOREVER ((UINT64_C(1) << 48) - 1)
enum { SP__KEPT_LEAD = offsetof(struct sp__kept, value) / 8, SP__KEPT_HEAD = offsetof(struct sp__kept, value.bytes) };
_Static_assert(SP__KEPT_LEAD == 3 && SP__KEPT_HEAD == 36, "overhead of an entry");
_Static_assert(SP_KEY_MAX <= 1 << 10, "bits of a key's length");

static inline size_t sp__kept_key_len(const struct sp__kept *kept)
{
        return (atomic_load_explicit(&((struct sp__kept *)(uintptr_t)kept)->until, memory_order_relaxed) >> 6 & 1023) +
               1;
}

/* Those that it stores: its own may be made of its key. */
static inline size_t sp__kept_tags(const struct sp__kept *kept)
{
        return atomic_load_explicit(&((struct sp__kept *)(uintptr_t)kept)->until, memory_order_relaxed) & 63;
}

static inline const char *sp__kept_tail(const struct sp__kept *kept)
{
        return kept->value.bytes + kept->value.len + 1;
}

static inline const char *sp__kept_key(const struct sp__kept *kept)
{
        return sp__kept_tail(kept) + sp__kept_tags(kept) * sizeof(uint64_t);
}

static inline bool sp__kept_is(const struct sp__kept *kept, const void *key, size_t len)
{
        return sp__kept_key_len(kept) == len && memcmp(sp__kept_key(kept), key, len) == 0;
}

static inline unsigned sp__kept_born(const struct sp__kept *kept)
{
        return kept->flags >> 4;
}

static inline void sp__kept_set_born(struct sp__kept *kept, unsigned count)
{
        kept->flags = (uint8_t)((kept->flags & 15) | (count < 15 ? count : 15) << 4);
}

/** A duration in 16 bits: 11 bits of ms, times 2 to the power of the other 5; rounded down, by 1 in 1,024 at most. */
static inline uint16_t sp__short_ms(int64_t ms)
{
        unsigned power = 0;

        if (ms <= 0)
                return 0;
        while (ms > 2047 && power < 31) {
                ms >>= 1;
                power++;
        }
        return (uint16_t)((ms < 2047 ? ms : 2047) | power << 11);
}

static inline int64_t sp__long_ms(uint16_t brief)
{
        return (int64_t)(brief & 2047) << (brief >> 11);
}

/** Of kept->until, in ns. */
static inline int64_t sp__moment_of(uint64_t until)
{
        return (int64_t)(until >> 16 << SP__KEPT_TICK);
}

/** When it is over. */
static inline int64_t sp__kept_until(const struct sp__kept *kept)
{
        uint64_t until = atomic_load_explicit(&((struct sp__kept *)(uintptr_t)kept)->until, memory_order_relaxed);

        return sp__after_ms(sp__moment_of(until), sp__long_ms(kept->grace));
}

#endif
