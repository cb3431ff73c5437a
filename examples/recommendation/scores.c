/* SPDX-License-Identifier: MIT */
/* The batch update of the engagement scores: chunk after chunk, one statement each, one invalidation at the end. */
#include "recommendation.h"

#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows a statement: 20 ms where all of them change, so that the rows are not locked and the slow log not filled for long. */
enum { CHUNK = 1000 };

/* An update that somebody waits for. */
struct update {
        int limit, rows, changed, chunks;
        int64_t chunk_started, slowest_ns;
        sp_status status; /* why it stopped midway */
};

static struct recommendation *owner(const struct work *work)
{
        return (struct recommendation *)work->service;
}

static void chunk_start(struct work *work, const char *after);

/* Before the answer: who got it may ask again at once. */
static void done(struct work *work)
{
        atomic_store(&owner(work)->updating, false);
}

static void answer(struct work *work)
{
        const struct update *update = work->own;
        char line[256];
        double total_ms = (double)(sp_profiler_start(work->service->profiler) - work->started) / 1e6;
        int len = snprintf(line, sizeof line,
                           "{\"rows\":%d,\"changed\":%d,\"statements\":%d,\"milliseconds\":%.1f,\"slowest\":%.1f}\n",
                           update->rows, update->changed, update->chunks, total_ms, (double)update->slowest_ns / 1e6);

        done(work);
        work_answer(work, 200, NULL, (struct http_body){.data = line, .len = (size_t)len});
        work_free(work);
}

static void invalidated(struct work *work, sp_completion *completion)
{
        const struct update *update = work->own;

        if (update->status == SP_OK) {
                answer(work);
                return;
        }
        done(work);
        work_answer_failure(work, update->status);
        work_free(work);
}

/* Scores decide which contents are recommended and in which order, and nothing else: one entry in the log. */
static void invalidate(struct work *work)
{
        struct service *service = work->service;

        work->targets = sp_targets_new();
        work->next = invalidated;
        if (!work->targets || sp_targets_pattern(work->targets, PATTERN_RECOMMENDATIONS, NULL) != SP_OK ||
            sp_cache_invalidate_async(service->cache, NULL, work->targets, service->queue, work_tag(work)) != SP_OK) {
                done(work);
                work_answer_error(work, 503, "the scores were updated, the cache could not be told");
                work_free(work);
        }
}

static int number(const char *cell)
{
        return cell ? atoi(cell) : 0;
}

/*
 * What was updated before is not lost to the lists: they are dropped before the answer, and the caller may run it again. Where nothing
 * was, they stay: without a database they are all that there is.
 */
static void give_up(struct work *work, sp_status status)
{
        struct update *update = work->own;

        update->status = status;
        if (update->chunks || write_may_have_happened(status))
                invalidate(work);
        else
                invalidated(work, NULL);
}

static void chunk_done(struct work *work, sp_completion *completion)
{
        struct update *update = work->own;
        sp_status status = work_asked(work, completion);
        int64_t took = sp_profiler_start(work->service->profiler) - update->chunk_started;
        const char *last = work_cell(completion, 0);
        int rows = number(work_cell(completion, 1));

        if (status != SP_OK) {
                give_up(work, status);
                return;
        }
        update->rows += rows;
        update->changed += number(work_cell(completion, 2));
        update->chunks++;
        if (took > update->slowest_ns)
                update->slowest_ns = took;
        if (!last || rows < CHUNK || update->rows >= update->limit)
                invalidate(work);
        else
                chunk_start(work, last);
}

static void chunk_start(struct work *work, const char *after)
{
        struct update *update = work->own;
        int left = update->limit - update->rows;
        sp_status status;

        sp_params_clear(work->params);
        sp_params_add_text(work->params, after, strlen(after));
        sp_params_add_int(work->params, left < CHUNK ? left : CHUNK);
        update->chunk_started = sp_profiler_start(work->service->profiler);
        status = work_ask(work, owner(work)->update_scores.stmt, chunk_done);
        if (status != SP_OK)
                give_up(work, status);
}

void post_scores(void *arg, struct http_call *call, const char *id)
{
        struct recommendation *service = arg;
        struct update *update;
        struct work *work;
        int limit;

        if (!http_number(call, "limit", 1, 1000000000, 1000000000, &limit)) {
                http_error(call, 400, "limit must be a number of rows");
                return;
        }
        if (atomic_exchange(&service->updating, true)) {
                http_error(call, 409, "an update of the scores is running");
                return;
        }
        work = work_new(&service->service, call, "POST /admin/scores");
        if (!work) {
                atomic_store(&service->updating, false);
                return;
        }
        work->own = update = calloc(1, sizeof *update);
        if (!update) {
                done(work);
                work_answer_failure(work, SP_NOMEM);
                work_free(work);
                return;
        }
        update->limit = limit;
        chunk_start(work, "");
}

/* The next rows' scores, for the job; `*last` is, and gets, the last id of a chunk. */
static sp_status update_chunk(struct recommendation *service, sp_ctx *ctx, char **last, int *rows)
{
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        const char *cell;
        sp_status status;

        sp_params_add_text(params, *last, strlen(*last));
        sp_params_add_int(params, CHUNK);
        status = sp_pool_query(service->service.pool, ctx, service->update_scores.stmt, params, &result, NULL);
        sp_params_free(params);
        if (status != SP_OK)
                return status;
        cell = sp_result_get(result, 0, 0, &(size_t){0});
        *rows = number(sp_result_get(result, 0, 1, &(size_t){0}));
        if (cell) {
                free(*last);
                *last = strdup(cell);
        }
        sp_result_free(result);
        return *last ? SP_OK : SP_NOMEM;
}

sp_status update_scores(struct service *any, sp_ctx *ctx)
{
        struct recommendation *service = (struct recommendation *)any;
        sp_targets *targets = sp_targets_new();
        sp_status status = SP_OK, told = SP_OK;
        char *last;
        int rows = CHUNK;

        if (atomic_exchange(&service->updating, true)) {
                sp_targets_free(targets);
                return SP_OK;
        }
        last = strdup("");
        while (status == SP_OK && rows == CHUNK)
                status = last ? update_chunk(service, ctx, &last, &rows) : SP_NOMEM;
        sp_targets_pattern(targets, PATTERN_RECOMMENDATIONS, NULL);
        /* Also where it stopped midway, when `ctx` may be late. */
        if ((last && *last) || write_may_have_happened(status))
                told = sp_cache_invalidate(any->cache, status == SP_OK ? ctx : NULL, targets, NULL);
        free(last);
        status = status == SP_OK ? told : status;
        sp_targets_free(targets);
        atomic_store(&service->updating, false);
        return status;
}
