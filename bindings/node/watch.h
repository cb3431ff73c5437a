/* SPDX-License-Identifier: MIT */
/**
 * A watch ties one client and its completion queue to the event loop of one JavaScript thread: it calls a drain
 * function while the queue is readable, carries batches of completions across, and takes everything down in order when
 * the environment ends (process exit, worker terminated).
 *
 * Threads: the JavaScript thread that made it, but for the body of sp_watch_end(), which runs on libuv's pool.
 */
#ifndef SUGARPERF_NODE_WATCH_H
#define SUGARPERF_NODE_WATCH_H

#include <node_api.h>
#include <sugarperf/sugarperf.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Cells of the Float64Array that sp_watch_take() fills: the count, then SP_WATCH_CELLS for each completion. */
enum { SP_WATCH_BATCH = 64, SP_WATCH_CELLS = 6 };
/**
 * What a completion carries: tag, status, kind, offset, length, extra (codec, state, retryable). Of many look-ups, `extra` of them,
 * there are for each its state (and 256, where it is to be loaded here), codec and length, u32s, and behind them the values.
 */
enum {
        SP_KIND_NONE = 0,
        SP_KIND_ERROR = 1,
        SP_KIND_RESULT = 2,
        SP_KIND_VALUE = 3,
        SP_KIND_LOOKUP = 4,
        SP_KIND_HANDLE = 5,
        SP_KIND_LOOKUPS = 6
};
/** What JavaScript may hold of a client: given back by its face, at the latest before the client is freed. */
enum sp_noun {
        SP_NOUN_NONE,
        SP_NOUN_LEASE,
        SP_NOUN_SESSION,
        SP_NOUN_STREAM,
        SP_NOUN_COPY,
        SP_NOUN_LISTENER,
        SP_NOUN_LOOKUPS
};

typedef struct sp_watch sp_watch;

/**
 * `root` is the context above all others of this client: cancelling it ends what runs. `cells`, `bytes` and `handles`
 * are a Float64Array, a Uint8Array and an Array that takes fill. All handles are the watch's from now on.
 */
napi_value sp_watch_new(napi_env env, sp_client *client, sp_queue *queue, sp_ctx *root, napi_value drain,
                        napi_value cells, napi_value bytes, napi_value handles);
/** Whether the watch keeps the event loop alive. */
void sp_watch_hold(sp_watch *watch, bool hold);
/** Takes a batch. Returns a Buffer when the bytes did not fit into `bytes`, else undefined. */
napi_value sp_watch_take(napi_env env, sp_watch *watch);
/** sp_pool_acquire_now(): the slot of a session, which is behind those of a batch in `handles`; -1 where there is none. */
double sp_watch_borrow(napi_env env, sp_watch *watch, sp_pool *pool, sp_ctx *ctx);
/** Gives back what is in slot `slot`. */
void sp_watch_release(sp_watch *watch, uint32_t slot);
/** sp_lookups_give_up() of what is in slot `slot`; 0 where the client ended and it is not there any more. */
int sp_watch_give_up(sp_watch *watch, uint32_t slot);
/** The handle in slot `slot` was used up. */
void sp_watch_forget(sp_watch *watch, uint32_t slot);
/** Keeps a listener in a slot; freed where that cannot be. */
sp_status sp_watch_keep(sp_watch *watch, sp_listener *listener, uint32_t *slot);
/** Drains within `timeout_ms`, then cancels what is left, and frees the client, on libuv's pool. A promise. */
napi_value sp_watch_end(napi_env env, sp_watch *watch, int64_t timeout_ms);
/** Stops watching and frees the queue. */
void sp_watch_close(sp_watch *watch);

/** A number for what sp_watch_send() is told of. A statement is kept until all numbers are forgotten, or the watch goes. */
sp_status sp_watch_learn_pool(sp_watch *watch, sp_pool *pool, uint32_t *slot);
sp_status sp_watch_learn_cache(sp_watch *watch, sp_cache *cache, uint32_t *slot);
sp_status sp_watch_learn_stmt(sp_watch *watch, sp_stmt *stmt, uint32_t *slot);
void sp_watch_unlearn(sp_watch *watch);
/**
 * Submits what lies in `data`, see send.c. Returns how far it came: it stops where cells are full of those that were refused,
 * cell 0: how many, then tag and status of each.
 */
uint32_t sp_watch_send(sp_watch *watch, const void *data, size_t len);

/**
 * A function of a key, for hits of the in-process level: undefined: none; the number of the place at which JavaScript kept
 * what it made of the value; or the value, a string (text, JSON) or a Buffer, with the codec in cell 1, and in cell 2 the place at
 * which to keep what is made of it, -1: nowhere. Not to be called once the client ends.
 */
napi_value sp_watch_near(napi_env env, sp_watch *watch, sp_cache *cache);

/** Wraps a handle for JavaScript (the generated code knows how); NULL where that cannot be. */
napi_value sp__wrap(napi_env env, enum sp_noun noun, void *handle);

#ifdef __cplusplus
}
#endif
#endif
