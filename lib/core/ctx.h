/* SPDX-License-Identifier: MIT */
/** Contexts as operations see them. */
#ifndef SP_CORE_CTX_H
#define SP_CORE_CTX_H

#include "core/op.h"

#include <sugarperf/ctx.h>

/** Monotonic ns; SP__FOREVER for none. */
int64_t sp__ctx_deadline(const sp_ctx *ctx);
/** false: it was cancelled, and the operation is not registered. Takes the context's lock, a leaf. */
bool sp__ctx_add(sp_ctx *ctx, sp__op *op);
/** Does nothing for an operation that is not registered. */
void sp__ctx_remove(sp_ctx *ctx, sp__op *op);
/** The "tag" and "trace" that were set, its own or the nearest ancestor's; NULL for none. */
const char *sp__ctx_tag(const sp_ctx *ctx);
const char *sp__ctx_trace(const sp_ctx *ctx);
/** When a call ends that begins now: at the context's deadline, where it has one, else `ms` later. */
int64_t sp__ctx_limit(const sp_ctx *ctx, int64_t now, int64_t ms);
/** Whether reads are to go to the primary, or are wished to go to a replica ("reads"). */
bool sp__ctx_primary(const sp_ctx *ctx);
bool sp__ctx_replica(const sp_ctx *ctx);
/**
 * A unit of work that somebody named ("scope"), and what the room that watches it (profile) keeps for it: made at first
 * need, ended with the context, on whatever thread drops its last reference, perhaps under locks.
 */
struct sp__scope {
        void (*end)(struct sp__scope *scope, const char *name);
};
/** The name of the nearest one, NULL for none. */
const char *sp__ctx_scope_name(const sp_ctx *ctx);
/** What is kept for it; where threads make one at once, all but one are ended. NULL: there is no scope, or `make` returned it. */
struct sp__scope *sp__ctx_scope(const sp_ctx *ctx, struct sp__scope *(*make)(void));
/** A write of its unit of work (all below one root or one "unit" of its own) was answered, or may have taken effect. */
void sp__ctx_note_write(const sp_ctx *ctx);
/** When that was, for the last time; 0: never. */
int64_t sp__ctx_wrote(const sp_ctx *ctx);
/** The context with which its unit of work begins. */
sp_ctx *sp__ctx_root(const sp_ctx *ctx);
/** A transaction began in its unit of work (1), or ended (-1). */
void sp__ctx_transaction(const sp_ctx *ctx, int change);
/** Whether one is open: what is read there may be older than what was invalidated meanwhile. NULL: none. */
bool sp__ctx_in_transaction(const sp_ctx *ctx);

/**
 * For a thread of the library's own, before it is shared: who waits for calls under it, or below it, leaves all the work to the
 * engine, and the exit's gate while it sleeps (loop/exit.h).
 */
void sp__ctx_stand_back(sp_ctx *ctx);
bool sp__ctx_stands_back(const sp_ctx *ctx);

/** What a cache may do under it ("cache"), its own or the nearest ancestor's. NULL: SP__CACHE_USE. */
enum sp__cache_use { SP__CACHE_INHERITED, SP__CACHE_USE, SP__CACHE_READ, SP__CACHE_REFRESH, SP__CACHE_BYPASS };
enum sp__cache_use sp__ctx_cache(const sp_ctx *ctx);
/** "use", "read", "refresh", "bypass"; SP__CACHE_INHERITED for another word. */
enum sp__cache_use sp__cache_use_of(const char *word);

#endif
