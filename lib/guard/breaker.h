/* SPDX-License-Identifier: MIT */
/** What the breaker tells the metrics and the registry. */
#ifndef SP_GUARD_BREAKER_H
#define SP_GUARD_BREAKER_H

#include "guard/window.h"

#include <sugarperf/breaker.h>

struct sp__expo;

/** All of one moment. */
struct sp__breaker_view {
        int state;
        int64_t failures, wait_ms, flying, rejected;
        uint64_t changes;
        int64_t calls[SP_OUTCOME_IGNORED + 1], spent_ns[SP_OUTCOME_IGNORED + 1];
        struct sp__tally window;
        bool rated; /* the window holds enough calls to be judged */
};

/** As sp_breaker_new(), with the name that it shows apart from the instance whose configuration it has. */
sp_status sp__breaker_new(const sp_config *config, const char *instance, const char *name, sp_clock *clock,
                          sp_breaker **out, sp_error **error);
/** Whether it certainly refuses now, which then counts as a refusal. */
bool sp__breaker_shut(sp_breaker *breaker);
/** Whether its state is OPEN or FORCED_OPEN now. */
bool sp__breaker_refuses(const sp_breaker *breaker);
void sp__breaker_look(const sp_breaker *breaker, struct sp__breaker_view *view);
/** References to it: one is the registry's. Any thread. */
unsigned sp__breaker_refs(const sp_breaker *breaker);
/** Whether it rested for `breaker.idle`, as seen by those who asked this from time to time. Any thread. */
bool sp__breaker_idle(const sp_breaker *breaker);
/** Adds the breaker's samples to the families sugarperf_circuitbreaker_…. */
void sp__breaker_collect(const sp_breaker *breaker, struct sp__expo *expo);

#endif
