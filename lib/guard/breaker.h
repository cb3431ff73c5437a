/* SPDX-License-Identifier: MIT */
/** What the breaker tells the metrics. */
#ifndef SP_GUARD_BREAKER_H
#define SP_GUARD_BREAKER_H

#include <sugarperf/breaker.h>

struct sp__expo;

/** Calls recorded since the beginning, by outcome, late ones included; any thread. */
int64_t sp__breaker_calls(const sp_breaker *breaker, int outcome);
/** Calls that were not let through. */
int64_t sp__breaker_rejected(const sp_breaker *breaker);
/** Adds the breaker's samples to the families sugarperf_circuitbreaker_…. */
void sp__breaker_collect(const sp_breaker *breaker, struct sp__expo *expo);

#endif
