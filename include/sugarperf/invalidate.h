/* SPDX-License-Identifier: MIT */
/**
 * @file invalidate.h
 * @brief Explicit invalidation by key, tag and declared pattern, over one sequenced log.
 *
 *     sp_targets *targets = sp_targets_new();
 *     sp_targets_key(targets, key, len);
 *     sp_targets_pattern(targets, "rec:recommendations:{userId}:*", params);
 *     sp_cache_invalidate(cache, ctx, targets, &error);
 *     sp_targets_free(targets);
 *
 * A pattern costs O(1), whatever the number of keys under it: it is an entry in the log, not a scan. Call it after COMMIT,
 * also when the commit's outcome is unknown. Algorithm: docs/design.md, "Coherence".
 *
 * Threads: an sp_targets belongs to one thread at a time.
 */
#ifndef SUGARPERF_INVALIDATE_H
#define SUGARPERF_INVALIDATE_H

#include <sugarperf/base.h>
#include <sugarperf/cache.h>

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

/**
 * Returns SP_OK when it holds in this process. SP_INVALID: a pattern that no template declared. When Redis cannot be
 * reached it says so (SP_UNAVAILABLE), bypasses the targets in this process, and retries behind the scenes.
 */
SP_API sp_status sp_cache_invalidate(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_error **error);
SP_API sp_status sp_cache_invalidate_async(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_queue *queue,
                                           uint64_t tag);

/** One key, as sp_targets_key() names it. */
SP_API sp_status sp_cache_delete(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_error **error);
SP_API sp_status sp_cache_delete_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_queue *queue,
                                       uint64_t tag);

#ifdef __cplusplus
}
#endif
#endif
