/* SPDX-License-Identifier: MIT */
/**
 * Asks sentinels where the primary of a service is, one after the other, beginning with the one that knew last.
 * After "Guidelines for Redis clients with support for Redis Sentinel" (redis.io): a sentinel's word is proven by ROLE.
 *
 * Threads: any.
 */
#ifndef SP_REDIS_SENTINEL_H
#define SP_REDIS_SENTINEL_H

#include "redis/guards.h"
#include "redis/pipe.h"

struct sp__sentinel;

/**
 * `address` names the sentinels; user and password of it are the service's own, `user` and `password` the sentinels' (NULL: none).
 * `guards` (NULL: none) make the breaker of each primary.
 */
struct sp__sentinel *sp__sentinel_new(struct sp__engine *engine, const struct sp__address *address, const char *user,
                                      const char *password, const struct sp__pipe_options *options,
                                      struct sp__guards *guards);
/** Answers with the primary's address. */
void sp__sentinel_find(struct sp__sentinel *sentinel, struct sp__locate *locate);
/** The breaker of the primary that was named last: a reference. NULL: none was yet, or there are no guards. */
sp_breaker *sp__sentinel_breaker(struct sp__sentinel *sentinel);
/** That breaker refused: another one may be the primary by now. Asks, once a second at most. */
void sp__sentinel_refused(struct sp__sentinel *sentinel);
/** Questions that are out are answered with SP_CLOSED. */
void sp__sentinel_close(struct sp__sentinel *sentinel);
/** After closing; its memory goes with the last question. */
void sp__sentinel_free(struct sp__sentinel *sentinel);

#endif
