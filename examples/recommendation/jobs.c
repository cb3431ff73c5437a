/* SPDX-License-Identifier: MIT */
/*
 * What one process of the fleet does at its time: the best contents into the cache at the start; each hour all scores anew,
 * and the best contents; each night the interests of active users. Each job has a thread that waits, and blocking calls.
 */
#include "jobs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS = 3, CHUNK = 1000, AT_A_TIME = 8 };

static const char top_text[] = "SELECT id FROM contents ORDER BY engagement_score DESC, id LIMIT 100";
static const char active_text[] = "SELECT id FROM users WHERE is_active ORDER BY id";

struct job {
        struct service *service;
        const char *name;
        sp_status (*before)(struct service *service, sp_ctx *ctx);
        sp_schedule *schedule;
        sp_warm *warm;
        pthread_t thread;
        bool runs;
};

struct jobs {
        sp_ctx *ctx; /* of all; cancelled at the end */
        sp_stmt *top, *active;
        struct job all[JOBS];
};

/* The next rows' scores; `last` is, and gets, the last id of a chunk. */
static sp_status update_chunk(struct service *service, sp_ctx *ctx, char *last, size_t cap, int *rows)
{
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        const char *cell;
        sp_status status;
        size_t len = 0;

        sp_params_add_text(params, last, strlen(last));
        sp_params_add_int(params, CHUNK);
        status = sp_pool_query(service->pool, ctx, service->update_scores, params, &result, NULL);
        sp_params_free(params);
        if (status != SP_OK)
                return status;
        cell = sp_result_get(result, 0, 0, &len);
        *rows = atoi(sp_result_get(result, 0, 1, &(size_t){0}));
        if (cell && len < cap)
                memcpy(last, cell, len + 1);
        sp_result_free(result);
        return SP_OK;
}

/* All scores, a thousand rows a statement, then every list in one step. Not while somebody else's update runs here. */
static sp_status update_scores(struct service *service, sp_ctx *ctx)
{
        sp_targets *targets = sp_targets_new();
        char last[256] = "";
        sp_status status = SP_OK;
        int rows = CHUNK;

        if (atomic_exchange(&service->updating, true)) {
                sp_targets_free(targets);
                return SP_OK;
        }
        while (status == SP_OK && rows == CHUNK)
                status = update_chunk(service, ctx, last, sizeof last, &rows);
        sp_targets_pattern(targets, PATTERN_RECOMMENDATIONS, NULL);
        if (status == SP_OK)
                status = sp_cache_invalidate(service->cache, ctx, targets, NULL);
        sp_targets_free(targets);
        atomic_store(&service->updating, false);
        return status;
}

static void *work(void *arg)
{
        struct job *job = arg;
        sp_turn *turn = NULL;

        while (sp_schedule_wait(job->schedule, job->service->jobs->ctx, &turn, NULL) == SP_OK) {
                sp_ctx *ctx = job->service->jobs->ctx;
                sp_status status = job->before ? job->before(job->service, ctx) : SP_OK;

                if (status == SP_OK)
                        status = sp_warm_run(job->warm, ctx, AT_A_TIME, NULL);
                fprintf(stderr, "%s: %s: %lld of %lld rows loaded, %lld failed\n", job->name, sp_status_text(status),
                        (long long)sp_warm_loaded(job->warm), (long long)sp_warm_rows(job->warm),
                        (long long)sp_warm_failed(job->warm));
                sp_turn_end(turn, status == SP_OK && sp_warm_failed(job->warm) == 0);
        }
        return NULL;
}

static sp_status job_start(struct job *job, const char *when, const sp_stmt *list, const struct reading *reading,
                           sp_error **error)
{
        struct service *service = job->service;
        sp_status status = sp_schedule_new(service->cache, job->name, when, &job->schedule, error);

        if (status == SP_OK)
                status = sp_warm_new(service->cache, service->pool, list, NULL, reading->key, reading->stmt,
                                     SP_QUERY_CELL, &job->warm, error);
        if (status == SP_OK)
                job->runs = pthread_create(&job->thread, NULL, work, job) == 0;
        return status;
}

sp_status jobs_start(struct service *service, sp_error **error)
{
        const char *wish = getenv("JOBS"), *hourly = "hourly", *nightly = "daily 00:00";
        struct jobs *jobs;
        sp_status status;

        if (!wish || !*wish)
                return SP_OK;
        if (strcmp(wish, "on") != 0)
                hourly = nightly = wish;
        jobs = service->jobs = calloc(1, sizeof *jobs);
        if (!jobs || !(jobs->ctx = sp_ctx_new(NULL)))
                return SP_NOMEM;
        jobs->all[0] = (struct job){.service = service, .name = "warm-contents"};
        jobs->all[1] = (struct job){.service = service, .name = "refresh-scores", .before = update_scores};
        jobs->all[2] = (struct job){.service = service, .name = "rebuild-interests"};
        status = sp_stmt_new("listTopContents", top_text, strlen(top_text), SP_STMT_READ, &jobs->top, error);
        if (status == SP_OK)
                status = sp_stmt_new("listActiveUsers", active_text, strlen(active_text), SP_STMT_READ, &jobs->active,
                                     error);
        if (status == SP_OK)
                status = job_start(&jobs->all[0], "start", jobs->top, &service->content, error);
        if (status == SP_OK)
                status = job_start(&jobs->all[1], hourly, jobs->top, &service->content, error);
        if (status == SP_OK)
                status = job_start(&jobs->all[2], nightly, jobs->active, &service->interests, error);
        return status;
}

void jobs_stop(struct service *service)
{
        struct jobs *jobs = service->jobs;

        if (!jobs)
                return;
        sp_ctx_cancel(jobs->ctx);
        for (int i = 0; i < JOBS; i++) {
                if (jobs->all[i].runs)
                        pthread_join(jobs->all[i].thread, NULL);
                sp_schedule_free(jobs->all[i].schedule);
                sp_warm_free(jobs->all[i].warm);
        }
        sp_stmt_unref(jobs->top);
        sp_stmt_unref(jobs->active);
        sp_ctx_unref(jobs->ctx);
        free(jobs);
        service->jobs = NULL;
}
