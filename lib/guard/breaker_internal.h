/* SPDX-License-Identifier: MIT */
/** What the files of the breaker share. */
#ifndef SP_GUARD_BREAKER_INTERNAL_H
#define SP_GUARD_BREAKER_INTERNAL_H

#include "base/brief.h"
#include "base/fork.h"
#include "base/random.h"
#include "base/thread.h"
#include "core/watch.h"
#include "guard/breaker.h"
#include "guard/permit.h"
#include "guard/probe.h"
#include "guard/window.h"

#include <stdatomic.h>

struct sp__breaker_rules {
        int64_t failures, failure_rate, slow_ns, slow_rate, minimum, in_flight;
        int64_t probes, probe_failures, probe_ms;
        int64_t open_ms, open_factor, open_max_ms, jitter;
        int64_t idle_ms;
        bool timed;  /* the window is one of time */
        int initial; /* the state that breaker.mode asks for */
};

struct sp__probe {
        uint64_t permit; /* 0: none */
        int64_t until;
};

struct sp_breaker {
        atomic_uint refs;
        struct sp__fork fork;
        sp_clock *clock;
        char *name;
        struct sp__breaker_rules rules;
        struct sp__watchers *watchers;
        _Atomic int64_t shut;     /* no call passes before it; 0: look under the lock. Written under the lock */
        _Atomic int64_t rejected; /* written by any thread */

        /* All that follows, but the permits' word. What every call touches comes first: threads hand it to one another. */
        _Alignas(64) sp__brief lock;
        int state;
        uint32_t failures;   /* in a row */
        uint64_t generation; /* the first permit of this state */
        int64_t calls[SP_OUTCOME_IGNORED + 1];
        int64_t former; /* of these calls, those of older states, less the permits of this one that were given up */
        _Alignas(64) int64_t spent_ns[SP_OUTCOME_IGNORED + 1];
        struct sp__window window; /* filled where a rate is judged */
        struct sp__permits permits;
        struct sp__latest change;

        int64_t until;     /* OPEN: when a probe may go */
        int64_t opened;    /* times in a row that it opened without closing between */
        int64_t good, bad; /* HALF_OPEN: probes that came back */
        struct sp__probe *probes;
        int64_t out;   /* of them, with a permit */
        int64_t first; /* when the first of these is given up */
        struct sp__random random;
        int64_t used; /* when the registry last saw its calls move */
        int64_t used_calls;
};

static inline void sp__breaker_lock(sp_breaker *breaker, enum sp__guard_bug bug)
{
        if (!sp__guard_bugged(bug))
                sp__brief_lock(&breaker->lock);
        sp__guard_step();
}

static inline void sp__breaker_unlock(sp_breaker *breaker, enum sp__guard_bug bug)
{
        sp__guard_step();
        if (!sp__guard_bugged(bug))
                sp__brief_unlock(&breaker->lock);
}

/** A child has one thread, and a lock that another one held at the fork: it reads without, and changes nothing. */
static inline sp_breaker *sp__breaker_enter(const sp_breaker *breaker)
{
        sp_breaker *own = (sp_breaker *)(uintptr_t)breaker;

        if (!sp__forked(&own->fork))
                sp__breaker_lock(own, SP__GUARD_NO_LOCK_LOOK);
        return own;
}

static inline void sp__breaker_leave(sp_breaker *breaker)
{
        if (!sp__forked(&breaker->fork))
                sp__breaker_unlock(breaker, SP__GUARD_NO_LOCK_LOOK);
}

/** With the lock held. */
static inline void sp__breaker_sweep(sp_breaker *breaker)
{
        breaker->former -= sp__permits_sweep(&breaker->permits, breaker->generation);
}

static inline int64_t sp__breaker_recorded(const sp_breaker *breaker)
{
        return breaker->calls[SP_OUTCOME_SUCCESS] + breaker->calls[SP_OUTCOME_FAILURE] +
               breaker->calls[SP_OUTCOME_IGNORED];
}

/** With the lock held: permits of this state without a result. */
static inline int64_t sp__breaker_flying(sp_breaker *breaker)
{
        sp__breaker_sweep(breaker);
        return (int64_t)(sp__permits_next(&breaker->permits) - breaker->generation) -
               (sp__breaker_recorded(breaker) - breaker->former);
}

/** With the lock held. */
static inline int64_t sp__breaker_now(const sp_breaker *breaker)
{
        return sp__clock_now(breaker->clock);
}

/** Whether the window holds enough to be judged, and its rates in percent, exactly. */
static inline bool sp__breaker_judges(const sp_breaker *breaker)
{
        return breaker->window.sum.calls >= breaker->rules.minimum;
}

/** HALF_OPEN, with the lock held: ns until a probe may go, where no result comes before; 0: at once. */
int64_t sp__breaker_probe_wait(sp_breaker *breaker, int64_t now);
/** Reads `breaker.<instance>.…`. */
void sp__breaker_rules(struct sp__breaker_rules *rules, const sp_config *config, const char *instance);

#endif
