/* SPDX-License-Identifier: MIT */
/** The policy as the client uses it, and what its files share. */
#ifndef SP_GUARD_POLICY_H
#define SP_GUARD_POLICY_H

#include "base/fork.h"
#include "base/random.h"
#include "core/op.h"
#include "guard/budget.h"
#include "guard/limiter.h"
#include "loop/engine.h"

#include <sugarperf/policy.h>

struct sp__expo;

struct sp__policy_rules {
        int64_t timeout_ms, attempt_ms, attempts, backoff_ms, backoff_max_ms, idle_ms;
        int64_t rate_wait_ms, concurrency, waiting;
};

enum sp__policy_count {
        SP__POLICY_ADMITTED,
        SP__POLICY_RETRIED,
        SP__POLICY_RATE_LIMITED,
        SP__POLICY_FULL,
        SP__POLICY_OPEN,
        SP__POLICY_TIMED_OUT,
        SP__POLICY_EXHAUSTED,
        SP__POLICY_COUNTS
};

struct sp_policy {
        atomic_uint refs;  /* those who use it */
        atomic_uint holds; /* of its memory: theirs together, and one for each entry */
        struct sp__fork fork;
        char *name;
        struct sp__engine *engine;
        bool owns_engine;
        sp_breaker *breaker; /* a reference, or NULL */
        struct sp__policy_rules rules;

        sp__mutex lock; /* what follows, and every call's and entry's fields; the engine's timers are taken under it */
        sp__cond quiet;
        bool closed;
        int64_t pending;        /* entries that may need the engine */
        struct sp__list paused; /* entries that wait for their time, by op.link */
        struct sp__list line;   /* entries that wait for the rate, oldest first */
        struct sp__list queue;  /* entries that wait for a place, oldest first; each list holds a reference */
        int64_t lined, queued, running;
        struct sp__limiter limiter;
        struct sp__budget budget;
        struct sp__random random;
        int64_t counts[SP__POLICY_COUNTS];
        int64_t used, used_counts; /* when the registry last saw them move */
};

/** As sp_policy_new(), on an engine that outlives its work (NULL: one of its own). */
sp_status sp__policy_new(const sp_config *config, const char *name, sp_breaker *breaker, struct sp__engine *engine,
                         sp_policy **out, sp_error **error);
/** Before the engine ends: all that waits ends with SP_CLOSED, and nothing waits any more. */
void sp__policy_shut(sp_policy *policy);
sp_policy *sp__policy_hold(sp_policy *policy);
void sp__policy_drop(sp_policy *policy);
/** References to it: one is the registry's. Any thread. */
unsigned sp__policy_refs(const sp_policy *policy);
/** Whether nothing ran or waited for `policy.idle`, as seen by those who asked this from time to time. Any thread. */
bool sp__policy_idle(sp_policy *policy);
void sp__policy_collect(const sp_policy *policy, struct sp__expo *expo);

#endif
