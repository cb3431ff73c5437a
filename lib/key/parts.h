/* SPDX-License-Identifier: MIT */
/** The template itself, for the files of this room. */
#ifndef SP_KEY_PARTS_H
#define SP_KEY_PARTS_H

#include "key/shape.h"
#include "key/template.h"

#include <stdatomic.h>

enum { SP__PATTERNS_MAX = 8 };

struct sp_template {
        atomic_uint refs;
        atomic_bool frozen; /* declared: other threads may read it, so no pattern can be added any more */
        struct sp__shape shape;
        char *names[SP__SEGMENTS_MAX];
        int64_t ttl_ms;
        int64_t size;
        int64_t negative_ms;
        int64_t stale_ms; /* -1: not said */
        int64_t soft_ms;
        int64_t hard_ms;
        int64_t refresh;
        int64_t sliding_ms;
        int64_t value_max; /* 0: not said */
        int64_t raw;       /* the codec of values that stand in Redis as they are, 0: they do not */
        size_t pattern_count;
        struct sp__shape *patterns[SP__PATTERNS_MAX]; /* whose parameters are secret where the template's are */
};

/** Where the segments of a key begin; the last entry is behind the end, as if a colon followed. */
struct sp__cuts {
        size_t count;
        uint16_t at[SP__SEGMENTS_MAX + 1];
};

/** false where the key has not `count` segments, or is too long. */
bool sp__key_cut(const char *key, size_t len, size_t count, struct sp__cuts *cuts);

static inline const char *sp__cut(const struct sp__cuts *cuts, const char *key, size_t index, size_t *len)
{
        *len = (size_t)(cuts->at[index + 1] - cuts->at[index] - 1);
        return key + cuts->at[index];
}

/** Writes fixed text and parameters of a shape; stars are written as such. As sp_key_format(). */
sp_status sp__shape_format(const struct sp__shape *shape, const sp_params *params, char *buf, size_t cap, size_t *len);

#endif
