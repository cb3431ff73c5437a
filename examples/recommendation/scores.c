/* SPDX-License-Identifier: MIT */
/* The batch update of the engagement scores: chunk after chunk, one statement each, one invalidation at the end. */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows a statement: 20 ms where all of them change, so that the rows are not locked and the slow log not filled for long. */
enum { CHUNK = 1000 };

static void chunk_start(struct work *work, const char *after);

static void end(struct work *work)
{
        atomic_store(&work->service->updating, false);
        work_free(work);
}

static void answer(struct work *work)
{
        char line[256];
        double total_ms = (double)(sp_profiler_start(work->service->profiler) - work->started) / 1e6;
        int len = snprintf(line, sizeof line,
                           "{\"rows\":%d,\"changed\":%d,\"statements\":%d,\"milliseconds\":%.1f,\"slowest\":%.1f}\n",
                           work->rows, work->changed, work->chunks, total_ms, (double)work->slowest_ns / 1e6);

        work_answer(work, 200, NULL, (struct http_body){.data = line, .len = (size_t)len});
        end(work);
}

static void invalidated(struct work *work, sp_completion *completion)
{
        answer(work);
}

/* Scores decide which contents are recommended and in which order, and nothing else: one entry in the log. */
static void invalidate(struct work *work)
{
        struct service *service = work->service;

        work->targets = sp_targets_new();
        work->next = invalidated;
        if (!work->targets || sp_targets_pattern(work->targets, PATTERN_RECOMMENDATIONS, NULL) != SP_OK ||
            sp_cache_invalidate_async(service->cache, NULL, work->targets, service->queue, work_tag(work)) != SP_OK) {
                work_answer_error(work, 503, "the scores were updated, the cache could not be told");
                end(work);
        }
}

static int number(const char *cell)
{
        return cell ? atoi(cell) : 0;
}

static void chunk_done(struct work *work, sp_completion *completion)
{
        sp_status status = work_asked(work, completion);
        int64_t took = sp_profiler_start(work->service->profiler) - work->chunk_started;
        const char *last = work_cell(completion, 0);
        int rows = number(work_cell(completion, 1));

        if (status != SP_OK) {
                /*
                 * What was updated before is not lost to the lists: they are dropped, and the caller may run it again.
                 */
                work_answer_failure(work, status);
                invalidate(work);
                return;
        }
        work->rows += rows;
        work->changed += number(work_cell(completion, 2));
        work->chunks++;
        if (took > work->slowest_ns)
                work->slowest_ns = took;
        if (!last || rows < CHUNK || work->rows >= work->limit)
                invalidate(work);
        else
                chunk_start(work, last);
}

static void chunk_start(struct work *work, const char *after)
{
        int left = work->limit - work->rows;
        sp_status status;

        sp_params_clear(work->params);
        sp_params_add_text(work->params, after, strlen(after));
        sp_params_add_int(work->params, left < CHUNK ? left : CHUNK);
        work->chunk_started = sp_profiler_start(work->service->profiler);
        status = work_ask(work, work->service->update_scores, chunk_done);
        if (status != SP_OK) {
                work_answer_failure(work, status);
                end(work);
        }
}

void post_scores(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
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
        work = work_new(service, call, "POST /admin/scores");
        if (!work) {
                atomic_store(&service->updating, false);
                return;
        }
        work->limit = limit;
        chunk_start(work, "");
}
