/* SPDX-License-Identifier: MIT */
/**
 * What is to be invalidated, each once: numbers for the log, and the names behind them, for the keys' entries and for those who
 * want to know. One thread at a time. Running out of memory is remembered: check `failed` once, at the end.
 */
#ifndef SP_INVALIDATE_AIMS_H
#define SP_INVALIDATE_AIMS_H

#include "base/buf.h"
#include "cache/tagmap.h"

enum { SP__ABOUT_MAX = 128 };

enum sp__aim_kind { SP__AIM_KEY, SP__AIM_TAG, SP__AIM_PATTERN, SP__AIM_ALL };

struct sp__aim {
        uint64_t tag;
        uint32_t at; /* in `names` */
        uint16_t len;
        uint16_t kind;
};

struct sp__aims {
        struct sp__aim *items;
        size_t count, cap;
        struct sp__buf names;
        struct sp__tagmap seen;
        bool all; /* the namespace; then nothing else counts */
        bool failed;
        const char *why; /* for those who are told; NULL: a call */
        char about[SP__ABOUT_MAX];
};

/** `len` at most SP_KEY_MAX. SP__AIM_ALL has no name. */
void sp__aims_add(struct sp__aims *aims, enum sp__aim_kind kind, const void *data, size_t len);
/** Those of another. */
void sp__aims_join(struct sp__aims *aims, const struct sp__aims *other);
/** Empties it and keeps memory. */
void sp__aims_clear(struct sp__aims *aims);
void sp__aims_free(struct sp__aims *aims);

static inline bool sp__aims_empty(const struct sp__aims *aims)
{
        return aims->count == 0 && !aims->all;
}

#endif
