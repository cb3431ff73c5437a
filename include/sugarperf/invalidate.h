/* SPDX-License-Identifier: MIT */
/**
 * @file invalidate.h
 * @brief Invalidation: by key, tag and declared pattern, and by rules that say which row stands behind which key.
 *
 *     sp_targets *targets = sp_targets_new();
 *     sp_targets_key(targets, key, len);
 *     sp_targets_pattern(targets, "rec:recommendations:{userId}:*", params);
 *     sp_cache_invalidate(cache, ctx, targets, &error);
 *     sp_targets_free(targets);
 *
 * A pattern costs O(1), whatever the number of keys under it: it is an entry in the log, not a scan. Call it after COMMIT,
 * also when the commit's outcome is unknown. Algorithm: docs/design.md, "Coherence". Guide: docs/invalidation.md.
 *
 * Threads: an sp_targets or an sp_row belongs to one thread at a time. Set an sp_rules up in one; then it is safe from any.
 */
#ifndef SUGARPERF_INVALIDATE_H
#define SUGARPERF_INVALIDATE_H

#include <sugarperf/base.h>
#include <sugarperf/cache.h>
#include <sugarperf/session.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_targets sp_targets;

#define SP_TARGETS_MAX 1024

SP_API sp_targets *sp_targets_new(void);
SP_API void sp_targets_free(sp_targets *targets);
/**
 * SP_INVALID: empty. SP_LIMIT: past SP_TARGETS_MAX targets, SP_KEY_MAX bytes of a key or SP_TAG_MAX of a tag. The bytes are
 * copied. A refusal stands: sp_cache_invalidate() then refuses them all, so that its status alone need be looked at.
 */
SP_API sp_status sp_targets_key(sp_targets *targets, const void *data, size_t len);
SP_API sp_status sp_targets_tag(sp_targets *targets, const void *data, size_t len);
/** `pattern` as it was declared; `params` (may be NULL) fill its {names} in order. */
SP_API sp_status sp_targets_pattern(sp_targets *targets, const char *pattern, const sp_params *params);
/** Everything in the cache's namespace, in every process. */
SP_API sp_status sp_targets_all(sp_targets *targets);

/**
 * Returns SP_OK when it holds in this process. SP_INVALID: a pattern that no template declared. When Redis cannot be
 * reached, refuses, or does not answer in the context's time, it says so (SP_UNAVAILABLE, SP_REDIS, SP_TIMEOUT; SP_CANCELLED where
 * that came first), bypasses the targets in this process, and retries behind the scenes
 * until it is made up for, or no entry from before can be left: after the longest time to live that this process knows of (of
 * templates, of what it stored or read). Metric: sugarperf_cache_invalidations_owed.
 */
SP_API sp_status sp_cache_invalidate(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_error **error);
SP_API sp_status sp_cache_invalidate_async(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_queue *queue,
                                           uint64_t tag);

/** One key, as sp_targets_key() names it. */
SP_API sp_status sp_cache_delete(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_error **error);
SP_API sp_status sp_cache_delete_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_queue *queue,
                                       uint64_t tag);

/**
 * Hears of invalidations, here and (`cache.events`) in other processes of the namespace. The completion yields the oldest event above
 * `seen` (0: the first; then the last event's own number) as JSON: {"event":7,"missed":0,"type":"cache.invalidated","why":"feed",
 * "from":…,"targets":[{"kind":"key","text":…}],"more":0,"here":true}. "why" is call, row, shape (of table "about"), commit, feed or reset; of
 * the targets 16 are named, "more" is how many others there were; "here": in this process. It may have happened already when it is told; "missed"
 * counts those that came and went unseen. For watching, not for coherence: others' events may be lost.
 */
SP_API sp_status sp_cache_watch(sp_cache *cache, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);

/**
 * Removes keys that are not the library's own, "legacy:user:*" by Redis's globs: SCAN and UNLINK in small pieces, between which Redis
 * serves others. It costs the server's whole keyspace: for the keys of templates declare a pattern instead.
 *
 *     sp_scan_new("legacy:user:*", &scan, &error);
 *     sp_cache_scan(cache, ctx, scan, &error);          meanwhile, on any thread: sp_scan_removed(scan), sp_ctx_cancel(ctx)
 *     sp_scan_unref(scan);
 *
 * What the cache itself keeps in its namespace is left out, whatever the pattern ("*"); not so what another namespace does. Keys that are
 * made meanwhile may stay. The context's deadline, or its end, leaves what was removed removed.
 */
typedef struct sp_scan sp_scan;

SP_API sp_status sp_scan_new(const char *pattern, sp_scan **out, sp_error **error);
SP_API void sp_scan_unref(sp_scan *scan);
/** Keys that matched, also those that are left out, and of those the ones that are gone. Any thread. */
SP_API int64_t sp_scan_visited(const sp_scan *scan);
SP_API int64_t sp_scan_removed(const sp_scan *scan);
/** SP_UNSUPPORTED without Redis; SP_INVALID for the cache's own keys. One run of a scan at a time. */
SP_API sp_status sp_cache_scan(sp_cache *cache, sp_ctx *ctx, sp_scan *scan, sp_error **error);
SP_API sp_status sp_cache_scan_async(sp_cache *cache, sp_ctx *ctx, sp_scan *scan, sp_queue *queue, uint64_t tag);

/**
 * Rules: which keys, patterns and tags a changed row makes wrong.
 *
 *     contents(id) when title, status, tags -> rec:content:{id}:full, tag rec:recommendations
 *     user_interactions(user_id, content_id) on insert, delete
 *             -> rec:recommendations:{user_id}:*, rec:content:{content_id}:full
 *
 * A rule names a table ("public" where it names no schema), the columns that its targets use, the events that it is for (all
 * without "on") and the columns of which one must have changed for an update to matter (any without "when"). {column} stands
 * where the template or the pattern has a parameter, whatever that is called there; a row that moves from one value to another
 * touches the keys of both. Behind "tag" stands a tag as loaders write it; "all" is the namespace. The arrow may be written →,
 * # begins a comment; a rule ends with the line of its targets, unless that ends with a comma. What a TRUNCATE, or a row of the
 * server's log that is not told as a whole, leaves open is widened: to a declared pattern that every key of the template has
 * (rec:content:*), else to the namespace. Rules do no I/O.
 */
typedef struct sp_rules sp_rules;

#define SP_RULES_TEXT_MAX 65536 /**< bytes of a text of rules */
#define SP_RULES_MAX      256   /**< rules of one set */

/** Rules over a cache, which outlives them. */
SP_API sp_status sp_rules_new(sp_cache *cache, sp_rules **out, sp_error **error);
SP_API sp_rules *sp_rules_ref(sp_rules *rules);
SP_API void sp_rules_unref(sp_rules *rules);
/**
 * Adds the rules of a text, all or none, after the templates were declared. SP_INVALID says where it is wrong ("source:3: …"),
 * what with, and how it would be right: a template or pattern that is not declared, a column that the rule does not name.
 * `source` (NULL: "rules") stands for the text in messages.
 */
SP_API sp_status sp_rules_add(sp_rules *rules, const char *source, const void *data, size_t len, sp_error **error);
/** The same of a file. SP_NOT_FOUND: it cannot be read. */
SP_API sp_status sp_rules_load(sp_rules *rules, const char *path, sp_error **error);

/** A row that changed, as far as is known of it. */
typedef struct sp_row sp_row;

enum { SP_ROW_INSERT = 1, SP_ROW_UPDATE = 2, SP_ROW_DELETE = 3, SP_ROW_TRUNCATE = 4 };

#define SP_ROW_COLUMNS_MAX 64            /**< columns of one row that are told */
#define SP_ROW_VALUE_MAX   (1024 * 1024) /**< bytes of a value */

/** `table` with or without a schema. NULL when out of memory, or for what is no change. */
SP_API sp_row *sp_row_new(const char *table, int change);
SP_API void sp_row_free(sp_row *row);
/**
 * The value that a column has (of a deleted row: had), as text; `data` NULL and `len` 0: SQL NULL. SP_LIMIT. Copied. A refusal
 * stands: the row is refused as a whole.
 */
SP_API sp_status sp_row_set(sp_row *row, const char *column, const void *data, size_t len);
/** The value that it had before an update; without it the column counts as not changed. */
SP_API sp_status sp_row_was(sp_row *row, const char *column, const void *data, size_t len);
/** An update changed this column, and of all others only those that are named so or by sp_row_was(). Without it any may have. */
SP_API sp_status sp_row_changed(sp_row *row, const char *column);

/**
 * Which keys would this change touch? JSON: {"table":…,"change":…,"targets":[{"rule":"rules:1","kind":"key","text":…}]}; kinds
 * are key, pattern, tag and all.
 */
SP_API sp_status sp_rules_explain(const sp_rules *rules, const sp_row *row, sp_value **out, sp_error **error);
/** Invalidates what the change touches; as sp_cache_invalidate(). SP_OK where no rule is about it. */
SP_API sp_status sp_invalidate_row(sp_rules *rules, sp_ctx *ctx, const sp_row *row, sp_error **error);
SP_API sp_status sp_invalidate_row_async(sp_rules *rules, sp_ctx *ctx, const sp_row *row, sp_queue *queue,
                                         uint64_t tag);

/**
 * The same once the session's transaction took effect: sp_session_commit() then returns when it holds in this process (its status is
 * the transaction's alone; what could not reach Redis is bypassed here and made up for). A rollback drops it, one to a savepoint
 * what came behind that; a commit whose outcome is unknown does not. Does not wait. SP_INVALID where no transaction is open. A COMMIT that is
 * sent as a statement, or that a procedure runs, is not seen: what was collected is told late, when the session begins anew or is given
 * back; behind a PREPARE TRANSACTION that is too early. The change feed sees them all; else call sp_invalidate_row() behind them.
 *
 *     sp_session_begin(session, ctx, NULL, &error);
 *     sp_session_query(session, ctx, update, params, &result, &error);
 *     sp_session_invalidate_row(session, rules, row, &error);
 *     sp_session_commit(session, ctx, &error);
 */
SP_API sp_status sp_session_invalidate_row(sp_session *session, sp_rules *rules, const sp_row *row, sp_error **error);
SP_API sp_status sp_session_invalidate(sp_session *session, sp_cache *cache, const sp_targets *targets,
                                       sp_error **error);

#ifdef __cplusplus
}
#endif
#endif
