/* SPDX-License-Identifier: MIT */
/**
 * @file session.h
 * @brief Sessions: a PostgreSQL connection of one's own, and transactions on it.
 *
 *     sp_pool_acquire(pool, ctx, &session, &error);
 *     sp_session_begin(session, ctx, "serializable", &error);
 *     sp_session_query(session, ctx, withdraw, params, &result, &error);
 *     sp_session_commit(session, ctx, &error);
 *     sp_session_release(session);
 *
 * sp_pool_transact() does all of that around your function, and again where the server asks for it. Statements of a session
 * run in the order in which they were given, also when nobody waits for their answers in between.
 *
 * A statement that ends at its deadline or is cancelled is also ended at the server, where nothing else of the session is on
 * its way; what is given to the session meanwhile is sent when the request can hit nothing else any more. One that ends so before it
 * was sent counts in its transaction as one that failed there: what follows fails (25P02) up to a ROLLBACK, or one to a savepoint
 * before it, and a COMMIT rolls back. Only where it is a COMMIT, or begins or ends a transaction as a text, and more was given behind
 * it by then, or a BEGIN that nobody waited for, the session ends: what was given behind it is not run (SP_UNAVAILABLE).
 *
 * Threads: an sp_session belongs to one thread at a time.
 */
#ifndef SUGARPERF_SESSION_H
#define SUGARPERF_SESSION_H

#include <sugarperf/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_session sp_session;

#define SP_SAVEPOINT_MAX 63 /**< bytes of a savepoint's name */

/**
 * Borrows a connection of one's own, for transactions and session state. SP_TIMEOUT after `pool.acquire_timeout`. There are at
 * most `pool.max` - 1 sessions at a time (one where `pool.max` is 1): a connection is kept for single statements.
 */
SP_API sp_status sp_pool_acquire(sp_pool *pool, sp_ctx *ctx, sp_session **out, sp_error **error);
SP_API sp_status sp_pool_acquire_async(sp_pool *pool, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/**
 * As sp_pool_acquire(), where a connection lies idle, nobody waits for one and no breaker is to be asked. Else SP_FULL, at once:
 * ask the usual way, which also tells what is wrong. For event loops: it spares them a turn.
 */
SP_API sp_status sp_pool_acquire_now(sp_pool *pool, sp_ctx *ctx, sp_session **out);
/** Runs one statement on the session's connection; any statement is allowed but COPY (see sp_session_copy()). */
SP_API sp_status sp_session_query(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                  sp_result **out, sp_error **error);
SP_API sp_status sp_session_query_async(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                        sp_queue *queue, uint64_t tag);
/**
 * Gives the connection back, without waiting: an open transaction is rolled back and session state reset, where something ran
 * that leaves some, or may have (DO, CALL, a function of one's own in a statement that is not declared SP_STMT_READ; pool.reset_functions).
 */
SP_API void sp_session_release(sp_session *session);

/**
 * Begins a transaction. `options` (may be NULL) are words with blanks between them: "serializable", "repeatable read",
 * "read committed", "read uncommitted"; "read only", "read write"; "deferrable", "not deferrable". SP_INVALID for others,
 * for two that contradict each other, and where a transaction is open. Costs no round trip: BEGIN goes with the first
 * statement, whose error it is should it fail; none runs outside the transaction then.
 */
SP_API sp_status sp_session_begin(sp_session *session, sp_ctx *ctx, const char *options, sp_error **error);
SP_API sp_status sp_session_begin_async(sp_session *session, sp_ctx *ctx, const char *options, sp_queue *queue,
                                        uint64_t tag);
/**
 * Ends the transaction. SP_OK: it took effect, with all that was given in it. SP_SQL with code 25P02: a statement in it had failed,
 * or ended before it was sent, so the server rolled it back. SP_LOST: the connection broke meanwhile, and nobody knows. SP_INVALID where none is open.
 */
SP_API sp_status sp_session_commit(sp_session *session, sp_ctx *ctx, sp_error **error);
SP_API sp_status sp_session_commit_async(sp_session *session, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/** Takes back what the transaction did; SP_OK also where none is open. */
SP_API sp_status sp_session_rollback(sp_session *session, sp_ctx *ctx, sp_error **error);
SP_API sp_status sp_session_rollback_async(sp_session *session, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/** A savepoint in the open transaction; `name` is any text of 1 to SP_SAVEPOINT_MAX bytes (SP_LIMIT). */
SP_API sp_status sp_session_savepoint(sp_session *session, sp_ctx *ctx, const char *name, sp_error **error);
SP_API sp_status sp_session_savepoint_async(sp_session *session, sp_ctx *ctx, const char *name, sp_queue *queue,
                                            uint64_t tag);
/** Takes back what was done since the savepoint, which stays; a transaction that failed since goes on. */
SP_API sp_status sp_session_rollback_to(sp_session *session, sp_ctx *ctx, const char *name, sp_error **error);
SP_API sp_status sp_session_rollback_to_async(sp_session *session, sp_ctx *ctx, const char *name, sp_queue *queue,
                                              uint64_t tag);
/** Forgets the savepoint and keeps what was done since. */
SP_API sp_status sp_session_release_savepoint(sp_session *session, sp_ctx *ctx, const char *name, sp_error **error);
SP_API sp_status sp_session_release_savepoint_async(sp_session *session, sp_ctx *ctx, const char *name, sp_queue *queue,
                                                    uint64_t tag);

#define SP_NOTICES_MAX 1048576 /**< bytes of notices that wait to be taken */

/**
 * From now on what the server says beside the answers of this session's statements (RAISE NOTICE, DROP … IF EXISTS, a name that
 * is cut short, …) is kept for sp_session_notices(); false: no longer. It is not at first, for a session that does not want it
 * shall not pay for it. What was not taken is gone once the session is given back.
 */
SP_API sp_status sp_session_keep_notices(sp_session *session, bool on, sp_error **error);
/**
 * All that was kept since the last call, without waiting, as JSON: [{"S":"NOTICE","V":"NOTICE","C":"00000","M":"…",…}, …], oldest
 * first, by the letters of sp_error_field() and with values in the same fields. The caller's: sp_value_unref(); NULL where there is
 * none. What a statement brought is there when its answer or error is, and with it, perhaps, some of one that was given behind it.
 * What it brings while it is parsed comes each time from an SP_STMT_UNNAMED one, else where the connection prepares it. Of what is
 * beyond SP_NOTICES_MAX a last entry says how many were dropped: {"dropped":3}.
 */
SP_API sp_value *sp_session_notices(sp_session *session);

/** Works inside a transaction in sp_pool_transact(): SP_OK commits, anything else takes back. Neither commits nor releases. */
typedef sp_status (*sp_work)(void *arg, sp_session *session, sp_error **error);
/**
 * A session, a transaction with `options` (see sp_session_begin()), your function on your own thread, and COMMIT. Where the
 * server ended the transaction in favour of another one (serialization failure, deadlock) all of it is made again after a
 * growing, random pause, at most `pool.tx_attempts` times in all and within the context's deadline: the function must not
 * leave traces elsewhere.
 */
SP_API sp_status sp_pool_transact(sp_pool *pool, sp_ctx *ctx, const char *options, sp_work work, void *arg,
                                  sp_error **error);
/**
 * The same decision for a loop of your own: how many milliseconds to wait before the transaction is made again, after
 * `attempt` of them (from 1) of which the last failed with `error`; -1: not again.
 */
SP_API int64_t sp_pool_retry_pause(sp_pool *pool, const sp_error *error, int64_t attempt);
/**
 * The same, with the pause: completes with the value true (SP_CODEC_JSON) when it is over, or false at once where the transaction
 * is not to be made again or the context's deadline is nearer than that. `code` is the error's, sp_error_code(), where it is
 * retryable; NULL: none.
 */
SP_API sp_status sp_pool_retry_async(sp_pool *pool, sp_ctx *ctx, const char *code, int64_t attempt, sp_queue *queue,
                                     uint64_t tag);

/**
 * The rows of a statement that only reads, a page at a time, however many there are: while the caller has one page the next is
 * fetched, and no more than that.
 *
 *     sp_pool_stream(pool, ctx, stmt, params, 1000, &stream, &error);
 *     while (sp_stream_next(stream, ctx, &page, &error) == SP_OK && page) {
 *             …
 *             sp_result_free(page);
 *     }
 *     sp_stream_free(stream);
 *
 * A stream has a session of its own and reads in one transaction, so its pages fit together; it gives the session back with
 * the last page. `rows_a_page` 0: 1,000; SP_LIMIT past SP_STREAM_PAGE_MAX. What the server says of the statement comes with the
 * first page. The deadline of a call (the context's, else `pool.query_timeout`) and `pool.statement_timeout` hold for each
 * page (one that is fetched ahead has as long as the call before it); the time between pages is the caller's. SP_INVALID for a
 * statement that writes, or that is no query (SHOW, EXPLAIN).
 *
 * It is read on the primary, unless the context's "reads" are "replica" and one is near enough: there the server may end it in
 * favour of what it replays (SP_SQL, 40001).
 *
 * Threads: an sp_stream belongs to one thread at a time.
 */
typedef struct sp_stream sp_stream;

#define SP_STREAM_PAGE_MAX 1000000 /**< rows a page */

SP_API sp_status sp_pool_stream(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                size_t rows_a_page, sp_stream **out, sp_error **error);
/** Yields the stream: sp_completion_take_stream(). */
SP_API sp_status sp_pool_stream_async(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                      size_t rows_a_page, sp_queue *queue, uint64_t tag);
/**
 * The next page, owned by the caller; NULL at the end. After a failure the stream has ended (SP_INVALID from then on): which
 * rows were passed over nobody knows. One page at a time.
 */
SP_API sp_status sp_stream_next(sp_stream *stream, sp_ctx *ctx, sp_result **out, sp_error **error);
/** Yields a result; nothing at the end. */
SP_API sp_status sp_stream_next_async(sp_stream *stream, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/** Ends it, at whatever row, without waiting. */
SP_API void sp_stream_free(sp_stream *stream);

/**
 * COPY from or to the caller.
 *
 *     sp_stmt_new(NULL, text, sizeof text - 1, 0, &stmt, &error);      "COPY items (id, name) FROM STDIN"
 *     sp_session_copy(session, ctx, stmt, &copy, &error);
 *     sp_copy_write(copy, ctx, "1\tone\n", 6, &error);
 *     sp_copy_end(copy, ctx, &rows, &error);
 *     sp_copy_free(copy);
 *
 * Until it ended or was freed the session runs nothing else (SP_INVALID). The deadline of a call (the context's, else
 * `pool.query_timeout`) is that of its own progress; a call that is late or cancelled ends the COPY and the session's
 * connection. The server's statement_timeout does not hold for a COPY, which may take as long as its data.
 *
 * Threads: an sp_copy belongs to one thread at a time.
 */
typedef struct sp_copy sp_copy;

/** Begins. SP_INVALID for another statement, and for a COPY from or to the server's files. */
SP_API sp_status sp_session_copy(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, sp_copy **out,
                                 sp_error **error);
/** Yields the copy: sp_completion_take_copy(). */
SP_API sp_status sp_session_copy_async(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, sp_queue *queue,
                                       uint64_t tag);
/** Sends data, cut anywhere; returns once the system has taken it. What is wrong with it sp_copy_end() says. */
SP_API sp_status sp_copy_write(sp_copy *copy, sp_ctx *ctx, const void *data, size_t len, sp_error **error);
/** Copies the data. */
SP_API sp_status sp_copy_write_async(sp_copy *copy, sp_ctx *ctx, const void *data, size_t len, sp_queue *queue,
                                     uint64_t tag);
/** The next whole rows, about 64 KiB at most unless one is longer (sp_value_unref()); NULL at the end. */
SP_API sp_status sp_copy_read(sp_copy *copy, sp_ctx *ctx, sp_value **out, sp_error **error);
/** Yields a value; nothing at the end. */
SP_API sp_status sp_copy_read_async(sp_copy *copy, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/** Ends it, after all was written or read. `rows` (may be NULL) is how many there were. */
SP_API sp_status sp_copy_end(sp_copy *copy, sp_ctx *ctx, int64_t *rows, sp_error **error);
/** Yields the rows as a number (SP_CODEC_JSON). */
SP_API sp_status sp_copy_end_async(sp_copy *copy, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/**
 * Frees it, without waiting. What was not ended is given up: of COPY FROM nothing stays, and the session goes on; COPY TO with
 * rows left ends the session's connection.
 */
SP_API void sp_copy_free(sp_copy *copy);

/**
 * Hears what is sent by NOTIFY to a channel, or to several, in the order in which the server tells it.
 *
 *     sp_pool_listen(pool, "orders", &listener, &error);
 *     sp_listener_add(listener, "refunds", &error);
 *     while (sp_listener_next(listener, NULL, &value, &error) == SP_OK) {
 *             … {"channel":"orders","payload":"42","pid":4711}
 *             sp_value_unref(value);
 *     }
 *
 * All listeners of a pool share one session, one of those that the pool may have, which is made when the first one needs it and
 * goes back with the last one. The first value of a channel is the notice {"channel":…,"notice":"listening","lost":false}: it
 * is heard from here on. When the connection is lost, another one is made by itself, with growing pauses; then the notice comes
 * again, for each channel, with "lost":true: messages may have been missed in between. So it does in place of those that were
 * dropped because SP_LISTENER_MAX of them waited to be taken.
 *
 * Threads: an sp_listener belongs to one thread at a time.
 */
typedef struct sp_listener sp_listener;

#define SP_CHANNEL_MAX  63   /**< bytes of a channel's name */
#define SP_LISTENER_MAX 4096 /**< values that wait to be taken; one more for each channel but the first */

/** Does not wait. `channel` is any text, as a quoted identifier. SP_LIMIT; SP_INVALID where pool.max is 1; SP_CLOSED. */
SP_API sp_status sp_pool_listen(sp_pool *pool, const char *channel, sp_listener **out, sp_error **error);
/** One channel more, without waiting; nothing where it is heard already. SP_LIMIT; SP_CLOSED. */
SP_API sp_status sp_listener_add(sp_listener *listener, const char *channel, sp_error **error);
/**
 * Hears this channel no more, without waiting; nothing where it is not heard. What came from it and was not taken goes. Added again
 * it begins with its notice, and has missed what was sent meanwhile.
 */
SP_API void sp_listener_remove(sp_listener *listener, const char *channel);
/**
 * Waits for the next message or notice (SP_CODEC_JSON), which is the caller's: sp_value_unref(). Without a deadline in the
 * context it waits until there is one or the pool is closed (SP_CLOSED). SP_SQL, SP_AUTH: what keeps it from listening; it is
 * tried again all the same.
 */
SP_API sp_status sp_listener_next(sp_listener *listener, sp_ctx *ctx, sp_value **out, sp_error **error);
SP_API sp_status sp_listener_next_async(sp_listener *listener, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/** Those that wait for its next value end with SP_CLOSED. */
SP_API void sp_listener_free(sp_listener *listener);

#ifdef __cplusplus
}
#endif
#endif
