/* SPDX-License-Identifier: MIT */
/**
 * Every way to run a statement, so that one suite holds for all: blocking (the caller drives) and through a completion queue
 * (the engine drives).
 */
#ifndef TESTS_WAYS_H
#define TESTS_WAYS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sugarperf/sugarperf.h>

struct way {
        const char *name;
        sp_status (*query)(sp_pool *, sp_ctx *, const sp_stmt *, const sp_params *, sp_result **, sp_error **);
        sp_status (*acquire)(sp_pool *, sp_ctx *, sp_session **, sp_error **);
        sp_status (*session)(sp_session *, sp_ctx *, const sp_stmt *, const sp_params *, sp_result **, sp_error **);
};

extern const struct way ways[];
enum { WAYS = 2 };

/** The test's state is a way: cases for both. */
#define BOTH_WAYS(test)                                                                                                \
        {#test " (blocking)", test, NULL, NULL, (void *)(uintptr_t)&ways[0]},                                          \
        {                                                                                                              \
#test " (queue)", test, NULL, NULL, (void *)(uintptr_t)&ways[1]                                        \
        }

/** A pool on the test's server, with "name=value" settings that end with NULL. */
sp_pool *pool_with(const char *const settings[]);
sp_config *config_with(const char *const settings[]);
sp_stmt *stmt_of(const char *text);
/** A context that ends after so long. */
sp_ctx *ctx_of(const char *timeout);

/** Waits for the one completion (tag 42) of a queue. */
sp_completion *queue_completion(sp_queue *queue);
/** Its status; the error is a copy. */
sp_status completion_outcome(sp_completion *done, sp_error **error);
/** Both, for what yields nothing; the error is the caller's. */
sp_status queue_outcome(sp_queue *queue, sp_error **error);

/** Runs `text` with one integer; its first cell as a number, or fails the test. */
int64_t number(const struct way *way, sp_pool *pool, const char *text, int64_t param);
/** Runs `text` without parameters and expects success. */
void run(const struct way *way, sp_pool *pool, const char *text);
void session_run(const struct way *way, sp_session *session, const char *text);
int64_t session_number(const struct way *way, sp_session *session, const char *text);
/** Expects `text` to fail so; the error is the caller's. */
sp_error *fails(const struct way *way, sp_pool *pool, sp_ctx *ctx, const char *text, sp_status status);
/** Expects the message to hold (or not to hold) a text. Frees the error. */
void says(sp_error *error, const char *text, const char *never);

/** The counter's value as the pool shows it in its metrics, without "_total". */
int64_t counted(sp_pool *pool, const char *counter);

#endif
