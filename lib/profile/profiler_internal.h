/* SPDX-License-Identifier: MIT */
/** What a profiler consists of, for the files that share it. */
#ifndef SP_PROFILE_PROFILER_INTERNAL_H
#define SP_PROFILE_PROFILER_INTERNAL_H

#include "base/fork.h"
#include "profile/names.h"
#include "profile/slow.h"

/** What a series, or several as one, amounts to. */
struct sp__tally {
        struct sp__buckets times;
        int64_t errors;
        int64_t wait_ns;
        int64_t execute_ns;
        int64_t fetch_ns;
};

struct sp_profiler {
        struct sp__fork fork;
        const sp_clock *clock;
        int64_t slow_ns;
        struct sp__names names;
        struct sp__slow_log slow;
        sp__mutex scrape;
        struct sp__tally moved[SP__NAME_KINDS]; /* under `scrape`: what "other" owes to names that changed sides */
};

#endif
