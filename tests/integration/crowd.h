/* SPDX-License-Identifier: MIT */
/** What many callers at once cost a pool, for the tests that allow so much and the benchmarks that show how much it is. */
#ifndef CROWD_H
#define CROWD_H

#include "pg_proxy.h"

#include <stddef.h>
#include <stdint.h>
#include <sugarperf/sugarperf.h>

struct crowd_cost {
        size_t bytes;    /* of memory, each */
        int64_t threads; /* more than before, of all together */
};

/** So many statements wait while a session holds the pool's only connection (pool.max 1); then all are answered. */
struct crowd_cost crowd_waits(sp_pool *pool, size_t callers);
/**
 * HikariCP's spike: pool.min connections stand (`min` of them) and connecting through `proxy` takes `connect_ms` from now on,
 * when so many callers come at once, each with a statement of 2 ms. Answers in how many milliseconds all were served.
 */
int64_t crowd_spike(sp_pool *pool, struct pg_proxy *proxy, size_t min, size_t callers, int connect_ms);

#endif
