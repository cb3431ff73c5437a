/* SPDX-License-Identifier: MIT */
/** What is to be invalidated, as it was named; a cache makes tags of it. One thread at a time. */
#ifndef SP_INVALIDATE_TARGETS_H
#define SP_INVALIDATE_TARGETS_H

#include "base/buf.h"
#include "invalidate/aims.h"
#include "key/registry.h"

#include <sugarperf/invalidate.h>

enum { SP__TARGETS_MAX = SP_TARGETS_MAX };

enum sp__target_kind { SP__TARGET_KEY, SP__TARGET_NAME, SP__TARGET_PATTERN };

struct sp__target {
        enum sp__target_kind kind;
        size_t at; /* in `bytes` */
        size_t len;
        sp_params *params; /* of a pattern, a copy, may be NULL */
};

struct sp_targets {
        struct sp__buf bytes;
        size_t count;
        bool all;
        sp_status refused; /* the first target that could not be added: then nothing is invalidated */
        size_t refused_len;
        struct sp__target all_of[SP__TARGETS_MAX];
};

/** SP_INVALID where there are none. */
sp_status sp__targets_admit(const sp_targets *targets, sp_error **error);
/** What they are for the log. SP_INVALID names a pattern that nobody declared; a target that was refused refuses them all. */
sp_status sp__targets_aims(const sp_targets *targets, const struct sp__keys *keys, struct sp__aims *aims,
                           sp_error **error);

#endif
