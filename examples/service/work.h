/* SPDX-License-Identifier: MIT */
/**
 * One request on its way. Nothing waits for it: each step submits an asynchronous call of the library with the work's
 * address as tag and names the step that goes on, which work_run() calls with the completion. After a submission that
 * succeeded the work belongs to that step, on another thread: do not touch it.
 */
#ifndef SERVICE_WORK_H
#define SERVICE_WORK_H

#include "service.h"

struct work {
        struct service *service;
        struct http_call *call; /* NULL once it was answered */
        const char *name;       /* of the endpoint, for the profiler */
        int64_t started;
        void (*next)(struct work *work, sp_completion *completion);
        sp_params *params;
        sp_ctx *ctx;     /* the unit of work whose statements the profiler looks at together; from the first one on */
        uint64_t permit; /* of the breaker, while the database is asked */
        int64_t asked;
        /* read.c */
        const struct reading *reading;
        sp_lease *lease;
        int64_t expires_ms; /* when the value itself expires, since 1970; 0: as its template says */
        char key[SP_KEY_MAX];
        size_t key_len;
        /* write.c */
        const struct writing *writing;
        sp_row *row;
        sp_targets *targets;
        char *reply;
        unsigned status;
        /* a service's own; free()d */
        void *own;
};

/* NULL, and the call is answered, when out of memory. */
struct work *work_new(struct service *service, struct http_call *call, const char *name);
/* Gives back what it holds. An unanswered call must not be left. */
void work_free(struct work *work);

uint64_t work_tag(const struct work *work);
/* The thread of the completion queue: runs the steps until the service stops. `arg` is the service. */
void *work_run(void *arg);

/* Adds a parameter of the statement, or of the key; NULL: SQL's NULL. */
void work_param(struct work *work, const char *text);
/* What it waits for ends with the service. */
sp_ctx *work_ctx(struct work *work);
/* Asks the database under the breaker; then `next` runs, and calls work_asked() first. SP_OPEN: it was not asked. */
sp_status work_ask(struct work *work, const sp_stmt *stmt, void (*next)(struct work *, sp_completion *));
/* Tells the breaker how it went. */
sp_status work_asked(struct work *work, const sp_completion *completion);

/* Records the endpoint's time and hands the call out, to be answered with that status. NULL when it was answered. */
struct http_call *work_take_call(struct work *work, unsigned status);
/* Answers and records the endpoint's time; does nothing when the call was answered before. */
void work_answer(struct work *work, unsigned status, const char *source, struct http_body body);
void work_answer_value(struct work *work, const char *source, sp_value *value);
void work_answer_error(struct work *work, unsigned status, const char *text);
/* 503 with the status in words. */
void work_answer_failure(struct work *work, sp_status status);

/* A cell of the first row of what was asked; NULL for SQL's NULL and without a row. */
const char *work_cell(const sp_completion *completion, size_t column);

#endif
