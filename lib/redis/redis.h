/* SPDX-License-Identifier: MIT */
/** Commands of the application's own, over a link that may be somebody else's. */
#ifndef SP_REDIS_REDIS_H
#define SP_REDIS_REDIS_H

#include "redis/link.h"

#include <sugarperf/redis.h>

/** Over a link that outlives it. NULL when out of memory. */
sp_redis *sp__redis_over(struct sp__engine *engine, struct sp__link *link);
/** Of one that sp__redis_over() made. */
void sp__redis_drop(sp_redis *redis);

/**
 * PING, as a step: `then(op)` is called once, on any thread, with no lock held, perhaps before this returns, and by `deadline`.
 * false: out of memory, it will not be called.
 */
bool sp__redis_ping(sp_redis *redis, int64_t deadline, void (*then)(sp__op *op), void *owner);

#endif
