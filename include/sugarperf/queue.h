/* SPDX-License-Identifier: MIT */
/**
 * @file queue.h
 * @brief Completion queue: how finished work comes back to the caller.
 *
 * Every *_async() call names a queue and a tag. If it returns SP_OK, one completion bearing that tag arrives exactly
 * once: on success, failure, timeout, cancellation or close. If it does not, none arrives: so it refuses where the status
 * says all, and is known at once (SP_FULL of the queue, SP_CLOSED, SP_CANCELLED, SP_FORKED, SP_NOMEM). What is wrong with its
 * arguments arrives as a completion, whose error names it, as the blocking form's does; and what only shows when it is its
 * turn, whatever the status: SP_FULL, too, where the pool, a policy or a schedule takes no more.
 *
 * The library never calls your code from its threads. It makes the fd readable; you drain the queue where you like:
 *
 *     n = sp_queue_take(queue, batch, 64);
 *     for (i = 0; i < n; i++) {
 *             settle(sp_completion_tag(batch[i]), sp_completion_status(batch[i]));
 *             sp_completion_free(batch[i]);
 *     }
 *
 * A queue outlives the clients that use it. Free it when nothing is pending on it; completions that arrive after
 * sp_queue_free() are dropped with what they carry.
 *
 * Threads: sp_queue is safe from any thread. An sp_completion belongs to the thread that took it.
 */
#ifndef SUGARPERF_QUEUE_H
#define SUGARPERF_QUEUE_H

#include <sugarperf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_queue sp_queue;
typedef struct sp_completion sp_completion;

struct sp_result;
struct sp_session;
struct sp_lookup;
struct sp_lookups;
struct sp_turn;
struct sp_stream;
struct sp_copy;

/** `max` operations may be pending or untaken at once; a further submission is refused with SP_FULL. 0: 65,536. */
SP_API sp_status sp_queue_new(uint32_t max, sp_queue **out);
SP_API void sp_queue_free(sp_queue *queue);
/**
 * The fd to poll for POLLIN. Readable while the queue is not empty; one wake-up may stand for many completions, or, where
 * several threads take, for none that is left: taking nothing ends it.
 * Owned by the queue: do not read, write or close it.
 */
SP_API int sp_queue_fd(const sp_queue *queue);
/** Takes up to `max` completions, oldest first, without waiting; each is then owned by the caller. */
SP_API size_t sp_queue_take(sp_queue *queue, sp_completion **out, size_t max);
/** As sp_queue_take(), but waits up to `timeout_ms` (-1: without end) for the first one. */
SP_API size_t sp_queue_wait(sp_queue *queue, sp_completion **out, size_t max, int64_t timeout_ms);
/** Operations submitted and not yet taken. */
SP_API size_t sp_queue_pending(const sp_queue *queue);

/** The tag that was given to the *_async() call, below 2^53. */
SP_API uint64_t sp_completion_tag(const sp_completion *completion);
SP_API sp_status sp_completion_status(const sp_completion *completion);
/** NULL on success. Lives as long as the completion. */
SP_API const sp_error *sp_completion_error(const sp_completion *completion);

/** What the operation yields. Borrowed: lives as long as the completion. NULL where it yields another kind. */
SP_API const struct sp_result *sp_completion_result(const sp_completion *completion);
SP_API sp_value *sp_completion_value(const sp_completion *completion);
/** What the operation yields. Owned by the caller from now on. NULL where it yields another kind, or it was taken. */
SP_API struct sp_result *sp_completion_take_result(sp_completion *completion);
SP_API struct sp_session *sp_completion_take_session(sp_completion *completion);
SP_API struct sp_lookup *sp_completion_take_lookup(sp_completion *completion);
SP_API struct sp_lookups *sp_completion_take_lookups(sp_completion *completion);
SP_API struct sp_turn *sp_completion_take_turn(sp_completion *completion);
SP_API struct sp_stream *sp_completion_take_stream(sp_completion *completion);
SP_API struct sp_copy *sp_completion_take_copy(sp_completion *completion);
/** Frees the completion and what was not taken from it (a session or a lease goes back). */
SP_API void sp_completion_free(sp_completion *completion);

#ifdef __cplusplus
}
#endif
#endif
