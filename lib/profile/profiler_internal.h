/* SPDX-License-Identifier: MIT */
/** What a profiler consists of, for the files that share it. */
#ifndef SP_PROFILE_PROFILER_INTERNAL_H
#define SP_PROFILE_PROFILER_INTERNAL_H

#include "base/fork.h"
#include "profile/findings.h"
#include "profile/names.h"
#include "profile/profiler.h"
#include "profile/slow.h"
#include "profile/spans.h"

/** What a series, or several as one, amounts to. */
struct sp__tally {
        struct sp__buckets times;
        int64_t errors;
        int64_t wait_ns;
        int64_t execute_ns;
        int64_t fetch_ns;
        int64_t rows;
        int64_t bytes;
        int64_t cached[SP__OUTCOMES];
};

/** What each record reads is in front. */
struct sp_profiler {
        atomic_bool traced; /* somebody once asked for spans */
        int64_t repeats;    /* so many make a finding; 0: nobody looks */
        struct sp__findings *findings;
        struct sp__fork fork;
        struct sp__names names;
        const sp_clock *clock;
        sp_config *config; /* NULL: the defaults */
        struct sp__slow_log slow;
        struct sp__watchers *spans;
        _Atomic uint64_t span_id;
        struct sp__inspector *inspector; /* borrowed; NULL: there is no database to ask */
        int64_t plan_every_ns;           /* a slow statement's plan is looked at so often; 0: never */
        sp__mutex plans;                 /* of every name's plan; a leaf */
        sp__mutex scrape;
        struct sp__tally moved[SP__NAME_KINDS]; /* under `scrape`: what "other" owes to names that changed sides */
};

/** The shape of a statement's plan as last seen, to be freed; NULL: none was. */
char *sp__profiler_plan(sp_profiler *profiler, const struct sp__name *name);
/** The statement was slow: its plan is looked at, if that is due. */
void sp__profiler_sample(sp_profiler *profiler, struct sp__name *name, int64_t now);

#endif
