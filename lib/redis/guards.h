/* SPDX-License-Identifier: MIT */
/**
 * The breakers of a link's servers, one each, called redis@<place>/primary: `redis.breaker`, `breaker.redis.…`. Servers of a
 * cluster, and those that sentinels name, come while it runs, so whoever shows the breakers is told of each.
 *
 * Threads: any.
 */
#ifndef SP_REDIS_GUARDS_H
#define SP_REDIS_GUARDS_H

#include <sugarperf/breaker.h>
#include <sugarperf/config.h>

struct sp__guards;

/** Not SP_OK: no memory to keep it. A lock of the guards is held. */
typedef sp_status (*sp__guards_keep)(void *arg, sp_breaker *breaker);

/** NULL in `*out` where no breaker is wanted. */
sp_status sp__guards_new(const sp_config *config, struct sp__guards **out, sp_error **error);
struct sp__guards *sp__guards_ref(struct sp__guards *guards);
/** The breaker of the server there, made when it is the first time: a reference; NULL in `*out` without guards. */
sp_status sp__guards_at(struct sp__guards *guards, const char *place, sp_breaker **out, sp_error **error);
/** `keep` is told of those that are there, and of each that comes. Once. */
sp_status sp__guards_watch(struct sp__guards *guards, sp__guards_keep keep, void *arg);
void sp__guards_unref(struct sp__guards *guards);

#endif
