/* SPDX-License-Identifier: MIT */
/**
 * @file feed.h
 * @brief The change feed: what any transaction changed in the database goes from every cache, by the same rules.
 *
 *     sp_rules_load(rules, "cache.rules", &error);
 *     sp_feed_new(config, pool, rules, &feed, &error);
 *     …
 *     sp_feed_free(feed);
 *
 * It reads PostgreSQL's logical replication (plugin pgoutput, which every server has), so it misses nothing that was committed: not
 * when a service dies between COMMIT and its invalidation, not what a migration or an administrator changes. What was read is
 * confirmed to the server only once Redis has acknowledged it.
 *
 * The server needs wal_level=logical, the pool's user the attribute REPLICATION. sp_feed_check() says what is missing and how to
 * get it. Publication and slot are made where there are none (`feed.create`). Of the services that share a namespace one reads,
 * the others stand by and take over within `feed.lease`; without Redis each process reads for itself. When the slot was lost, is new, or was
 * read by somebody else, the whole namespace is invalidated, as nobody knows what was missed.
 *
 * A transaction may carry invalidations of its own, which take effect if and when it does, one a line:
 *
 *     SELECT pg_logical_emit_message(true, 'sugarperf', E'key rec:content:42:full\ntag rec:recommendations');
 *
 * with "key", "tag", "pattern" (its parameters filled in), and "all".
 *
 * Threads: safe from any thread. A feed has a thread of its own. Free it before its rules' cache and its pool.
 */
#ifndef SUGARPERF_FEED_H
#define SUGARPERF_FEED_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>
#include <sugarperf/invalidate.h>
#include <sugarperf/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_feed sp_feed;

/**
 * Starts to read, with `feed.…` of the configuration (NULL: the defaults), from where the pool connects. It keeps trying whatever
 * is wrong: sp_feed_report() tells. The rules are kept by a reference and must not change any more.
 */
SP_API sp_status sp_feed_new(const sp_config *config, sp_pool *pool, sp_rules *rules, sp_feed **out, sp_error **error);
/** Ends it; another process takes over at once. */
SP_API void sp_feed_free(sp_feed *feed);
/**
 * JSON: {"state":"leading","slot":…,"publication":…,"lagBytes":…,"lagMs":…,"changes":…,"transactions":…,"invalidations":…,
 * "resets":…,"unseen":…,"reshaped":…,"widened":…,"faults":…,"fault":…}. States: "standby", "checking", "connecting", "leading", "stopped".
 * "unseen" is how many transactions were under way at the last reset: when they all are over it is made once more. "lagMs" is how long it
 * has not caught up with the server's log, 0 when it has, and "lagBytes" by how much; who does not read asks the server about the slot, once
 * in `feed.lease`: then it is how long the slot has not moved. "fault" is the last one, or what it waits for; null while all is well.
 */
SP_API sp_status sp_feed_report(const sp_feed *feed, sp_value **out);
/**
 * What the server, the user and the rules' tables lack, before a feed is started. JSON: {"ready":true,"lacks":[…],"advice":[…]}:
 * each line says what, and what would mend it. Waits.
 */
SP_API sp_status sp_feed_check(sp_pool *pool, const sp_rules *rules, sp_ctx *ctx, sp_value **out, sp_error **error);

#ifdef __cplusplus
}
#endif
#endif
