/* SPDX-License-Identifier: MIT */
/* What one process of the fleet does at its time. Each job has a thread that waits, and blocking calls. */
#include "service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS_MAX = 8, AT_A_TIME = 8 };

struct running {
        struct service *service;
        const struct job *job;
        sp_stmt *list;
        sp_schedule *schedule;
        sp_warm *warm;
        pthread_t thread;
        bool runs;
};

struct service_jobs {
        sp_ctx *ctx; /* of all; cancelled at the end */
        struct running all[JOBS_MAX];
};

static bool load_rows(struct running *running, sp_ctx *ctx)
{
        sp_warm *warm = running->warm;
        sp_status status = sp_warm_run(warm, ctx, AT_A_TIME, NULL);

        fprintf(stderr, "%s: %s: %lld of %lld rows loaded, %lld failed\n", running->job->name, sp_status_text(status),
                (long long)sp_warm_loaded(warm), (long long)sp_warm_rows(warm), (long long)sp_warm_failed(warm));
        return status == SP_OK && sp_warm_failed(warm) == 0;
}

/* The counts of rows are those of an earlier turn. */
static void give_up(const struct job *job, sp_turn *turn, sp_status status)
{
        fprintf(stderr, "%s: %s: nothing was loaded\n", job->name, sp_status_text(status));
        sp_turn_end(turn, false);
}

static void *work(void *arg)
{
        struct running *running = arg;
        struct service *service = running->service;
        const struct job *job = running->job;
        sp_ctx *ctx = service->jobs->ctx;
        sp_turn *turn = NULL;

        while (sp_schedule_wait(running->schedule, ctx, &turn, NULL) == SP_OK) {
                sp_status status = job->before ? job->before(service, ctx) : SP_OK;

                if (status == SP_OK)
                        sp_turn_end(turn, load_rows(running, ctx));
                else
                        give_up(job, turn, status);
        }
        return NULL;
}

static sp_status job_start(struct running *running, const char *wish, sp_error **error)
{
        struct service *service = running->service;
        const struct job *job = running->job;
        bool planned = strcmp(wish, "on") == 0 || strcmp(job->when, "start") == 0;
        sp_status status =
            sp_schedule_new(service->cache, job->name, planned ? job->when : wish, &running->schedule, error);

        if (status == SP_OK)
                status = sp_stmt_new(job->query, job->text, strlen(job->text), SP_STMT_READ, &running->list, error);
        if (status == SP_OK)
                status = sp_warm_new(service->cache, service->pool, running->list, NULL, job->reading->tmpl,
                                     job->reading->stmt, SP_QUERY_CELL, &running->warm, error);
        if (status == SP_OK)
                running->runs = pthread_create(&running->thread, NULL, work, running) == 0;
        return status;
}

sp_status jobs_start(struct service *service, sp_error **error)
{
        const char *wish = getenv("JOBS");
        struct service_jobs *jobs;
        sp_status status = SP_OK;

        if (!wish || !*wish || strcmp(wish, "off") == 0)
                return SP_OK;
        jobs = service->jobs = calloc(1, sizeof *jobs);
        if (!jobs || !(jobs->ctx = sp_ctx_new(NULL)))
                return SP_NOMEM;
        for (int i = 0; status == SP_OK && i < JOBS_MAX && service->plan->jobs[i].name; i++) {
                jobs->all[i] = (struct running){.service = service, .job = &service->plan->jobs[i]};
                status = job_start(&jobs->all[i], wish, error);
        }
        return status;
}

void jobs_stop(struct service *service)
{
        struct service_jobs *jobs = service->jobs;

        if (!jobs)
                return;
        if (jobs->ctx)
                sp_ctx_cancel(jobs->ctx);
        for (int i = 0; i < JOBS_MAX; i++) {
                if (jobs->all[i].runs)
                        pthread_join(jobs->all[i].thread, NULL);
                sp_schedule_free(jobs->all[i].schedule);
                sp_warm_free(jobs->all[i].warm);
                sp_stmt_unref(jobs->all[i].list);
        }
        if (jobs->ctx)
                sp_ctx_unref(jobs->ctx);
        free(jobs);
        service->jobs = NULL;
}
