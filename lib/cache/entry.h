/* SPDX-License-Identifier: MIT */
/**
 * The form of an entry in Redis. Little endian:
 *
 *     0  "SP"                    8  u64 epoch                 24  i64 made      wall clock, ms
 *     2  u8 format (1, 2)       16  i64 v0                    32  i64 fresh until
 *     3  u8 codec                                             40  i64 kept until
 *     4  u8 tags, u8 packing, u16 load, end                   48  u64 for each tag, then the value
 *
 * `v0` is the log's number from before the value was loaded: the entry holds while none of its tags has a higher one. Past
 * "fresh until" it is stale, past "kept until" it is nothing. "load" is what its load took, ms, 1 to 32,767, or 0: it was set; the
 * highest bit says that the value itself ends then, so that its time is never made longer.
 *
 * Packing is 0 in format 1. In format 2 it is 1: where the value would stand are its length, a u32, and an LZ4 block. Only a
 * value that gets shorter by it is packed, so an older library, which knows format 1, still reads most. Pure.
 */
#ifndef SP_CACHE_ENTRY_H
#define SP_CACHE_ENTRY_H

#include "base/buf.h"
#include "cache/probe.h"

#include <sugarperf/cache.h>

#include <time.h>

enum { SP__ENTRY_FORMAT = 2, SP__ENTRY_TAGS = SP_TAGS_MAX };
enum { SP__LOAD_MOST = INT16_MAX };
enum { SP__PACKING_NONE = 0, SP__PACKING_LZ4 = 1 };

/** Times of an entry are from 0 to this one, so that one may be taken from another. */
#define SP__ENTRY_TIME_MOST (INT64_C(1) << 53)
/** How long an entry is fresh at most, ms: ten years, as what is configured. */
#define SP__ENTRY_FRESH_MOST (INT64_C(3650) * 24 * 3600 * 1000)

struct sp__entry {
        uint64_t e;
        int64_t v0;
        int64_t made;
        int64_t fresh_until;
        int64_t kept_until;
        uint32_t codec;
        uint16_t load_ms;
        bool ends; /* by itself, at kept_until */
        unsigned tag_count;
        uint64_t tags[SP__ENTRY_TAGS]; /* those that the loader chose */
        const char *data;              /* borrowed; of a decoded entry as it is packed */
        size_t len;
        unsigned packing; /* of a decoded entry */
        size_t whole;     /* the value's bytes, unpacked */
};

enum sp__entry_kind {
        SP__ENTRY_GOOD,
        SP__ENTRY_NEWER,  /* of a later library: not to be overwritten */
        SP__ENTRY_FOREIGN /* damaged, or nobody's */
};

/** Now, as entries mean it: the machines' clocks need not agree, see moment() in trip.c. */
static inline int64_t sp__wall_ms(void)
{
        struct timespec at;

        clock_gettime(CLOCK_REALTIME, &at);
        return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000 + sp__probe_wall_ms();
}

/** `pack_from`: a value of at least so many bytes is packed, where that makes it shorter by an eighth; 0: none is. */
void sp__entry_encode(const struct sp__entry *entry, size_t pack_from, struct sp__buf *out);
/** What stands before the value, of an entry or its beginning. false: that is none. Any bytes are safe. */
bool sp__entry_head(const void *data, size_t len, struct sp__entry *out);
/** `out` is untouched unless the answer is SP__ENTRY_GOOD. Any bytes are safe. */
enum sp__entry_kind sp__entry_decode(const void *data, size_t len, struct sp__entry *out);
/** The value of a decoded entry; NULL when out of memory, or where what is packed is damaged. */
sp_value *sp__entry_value(const struct sp__entry *entry);

#endif
