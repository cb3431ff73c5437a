/* SPDX-License-Identifier: MIT */
/**
 * @file redis.h
 * @brief Any Redis command over the client's own connection, for what the library does not cover by itself.
 *
 *     sp_params_add_text(words, "INCR", 4);
 *     sp_params_add_text(words, "counter", 7);
 *     if (sp_redis_command(redis, ctx, words, &reply, &error) == SP_OK) {
 *             sp_reply_int(reply, &count);
 *             sp_reply_free(reply);
 *     }
 *
 * The words of a command are the values of an sp_params, bytes as they are. What Redis answers is a tree that is read by
 * kind. An error that it answers is the call's failure: SP_REDIS with its prefix as sp_error_code() ("WRONGTYPE"), SP_AUTH or
 * SP_UNAVAILABLE; inside an array it is a reply of the kind SP_REPLY_ERROR.
 *
 * Commands are pipelined with everybody else's and sent once: one whose connection broke after it was sent ends with SP_LOST,
 * and may have taken effect; SP_UNAVAILABLE says that it has not. Behind sentinels or in a cluster (`redis.url`) they go to the
 * primary, or to the node of their first key, also while it changes. What would block or change the connection for everybody
 * (BLPOP, SUBSCRIBE, MULTI, SELECT, …) is refused with SP_UNSUPPORTED: a script (EVAL) is atomic too. In a cluster, commands
 * without a key (KEYS, SCAN, FLUSHALL, SCRIPT LOAD) reach one node only, and UNLINK, DEL, EXISTS, TOUCH and MGET may name keys
 * of any slots.
 *
 * Names are not put under `cache.namespace`. What the cache keeps there (docs/design.md) is not to be written by hand.
 *
 * Threads: sp_redis is safe from any thread. An sp_reply belongs to one thread at a time.
 */
#ifndef SUGARPERF_REDIS_H
#define SUGARPERF_REDIS_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>
#include <sugarperf/ctx.h>
#include <sugarperf/params.h>
#include <sugarperf/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_redis sp_redis;
typedef struct sp_reply sp_reply;

/** Bytes of a command at most. */
#define SP_REDIS_COMMAND_MAX (512 << 20)

enum {
        SP_REPLY_NIL = 0,
        SP_REPLY_INT = 1,
        SP_REPLY_TEXT = 2,   /**< a string of any bytes */
        SP_REPLY_STATUS = 3, /**< "OK" */
        SP_REPLY_ARRAY = 4,
        SP_REPLY_ERROR = 5
};

/** A connection without a client, of its own. `redis.url` must be set: SP_CONFIG; SP_INVALID for what is no URL. */
SP_API sp_status sp_redis_new(const sp_config *config, sp_redis **out, sp_error **error);
/** What is under way ends with SP_CLOSED, and so does what is to come. */
SP_API void sp_redis_close(sp_redis *redis);
/** Of one that sp_redis_new() made; once, last. */
SP_API void sp_redis_free(sp_redis *redis);

/**
 * Runs a command. Without a deadline in the context `redis.timeout` (and `redis.connect_timeout`) limit it. SP_TIMEOUT: the
 * context's deadline passed, the command may take effect all the same. The reply is the caller's.
 */
SP_API sp_status sp_redis_command(sp_redis *redis, sp_ctx *ctx, const sp_params *words, sp_reply **out,
                                  sp_error **error);
/** Yields the reply: sp_completion_take_reply(). */
SP_API sp_status sp_redis_command_async(sp_redis *redis, sp_ctx *ctx, const sp_params *words, sp_queue *queue,
                                        uint64_t tag);
/** Owned by the caller from now on. NULL where it yields another kind, or it was taken. */
SP_API sp_reply *sp_completion_take_reply(sp_completion *completion);

/** SP_REPLY_…; NULL is SP_REPLY_NIL. */
SP_API int sp_reply_kind(const sp_reply *reply);
/** An integer, or a string that is one. SP_INVALID for another kind. */
SP_API sp_status sp_reply_int(const sp_reply *reply, int64_t *out);
/** The bytes of a string, a status or an error's text, a zero byte behind them; NULL for another kind. They live as long as the reply. */
SP_API const void *sp_reply_data(const sp_reply *reply, size_t *len);
/** Elements of an array, 0 for another kind. */
SP_API size_t sp_reply_count(const sp_reply *reply);
/** Element `index` from 0: borrowed, as long as the whole reply lives. NULL where there is none. */
SP_API const sp_reply *sp_reply_at(const sp_reply *reply, size_t index);
/** A whole reply, not an element. */
SP_API void sp_reply_free(sp_reply *reply);

#ifdef __cplusplus
}
#endif
#endif
