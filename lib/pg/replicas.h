/* SPDX-License-Identifier: MIT */
/**
 * The replicas behind a pool, each a pool of its own, and how far behind the primary each of them is, as far as that is proven.
 *
 * From time to time the primary is asked for the end of its log, and then each replica for how far it has replayed. A replica
 * that has come to where the primary's log ended when it was asked at time t has everything that was committed before t: it is
 * proven as of t, on one timeline: a replica that did not follow the primary onto its own, after a failover, is not read from. All
 * times are this process's own, so no clocks are compared. A unit of work that wrote at time w may read from
 * what is proven as of w or later.
 *
 * Threads: any.
 */
#ifndef SP_PG_REPLICAS_H
#define SP_PG_REPLICAS_H

#include "observe/exposition.h"
#include "pg/pool.h"

struct sp__replicas;

/** `*out` is NULL where none are configured, or reads are the primary's (pool.reads). */
sp_status sp__replicas_new(sp_pool *primary, const sp_config *config, const char *name,
                           const struct sp__pool_watcher *watcher, struct sp__replicas **out, sp_error **error);
/** 0 of NULL. */
size_t sp__replicas_count(const struct sp__replicas *replicas);
/** Where a read of this context may go; NULL: to the primary. */
sp_pool *sp__replicas_choose(struct sp__replicas *replicas, const sp_ctx *ctx);
/** A read that was sent to a replica went to the primary after all. */
void sp__replicas_fell_back(struct sp__replicas *replicas);
/** As sp__pool_each_breaker(); NULL has none. */
sp_status sp__replicas_each_breaker(struct sp__replicas *replicas, sp_status (*keep)(void *arg, sp_breaker *breaker),
                                    void *arg);
/** NULL does nothing, for these too. In the order of the pool's own; see pool_internal.h. */
void sp__replicas_close(struct sp__replicas *replicas);
void sp__replicas_shut(struct sp__replicas *replicas);
void sp__replicas_destroy(struct sp__replicas *replicas);
void sp__replicas_drop(struct sp__replicas *replicas);
void sp__replicas_collect(struct sp__replicas *replicas, struct sp__expo *expo);

/* read.c: as sp_pool_query(), on a replica, and where that fails on the primary. */

sp_status sp__read_run(sp_pool *primary, sp_pool *replica, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                       sp_result **out, sp_error **error);
sp_status sp__read_submit(sp_pool *primary, sp_pool *replica, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                          sp_queue *queue, uint64_t tag);

#endif
