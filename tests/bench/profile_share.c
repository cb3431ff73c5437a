/* SPDX-License-Identifier: MIT */
/*
 * What the profiler takes of a pool's throughput. Two processes differ by more than it costs: here one process switches it on
 * and off every 20 ms, in the order on, off, off, on, and compares the slices of each such four. `--mode cpu`: the client's CPU
 * time a statement; `rate`: statements a second, off over on. `cpu-none`, `rate-none`: the same with nothing switched, which
 * is what the method cannot tell from nothing. Callers are threads that make requests of four statements in a unit of work,
 * or with `cpu-plain`, `rate-plain` without one. "count" is the median of the fours. It runs for eight times `--seconds`.
 */
#include "driver.h"

#include "pg/pool_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/sugarperf.h>
#include <sys/resource.h>
#include <time.h>

enum { SLICE_MS = 20, LONGER = 8, STATEMENTS = 4, FOURS_MAX = 20000 };

static const char text[] = "SELECT id, title FROM bench_items WHERE id = $1";

struct share {
        const struct driver_options *options;
        sp_pool *pool;
        sp_stmt *stmt;
        void (*ran)(void *arg, const struct sp__stmt_record *record);
        atomic_bool over;
};

struct caller {
        _Alignas(64) _Atomic uint64_t count;
        struct share *share;
        pthread_t thread;
        uint32_t next;
};

/* What was there at a moment. */
struct moment {
        double ops, cpu, seconds;
};

static void one(struct caller *caller, sp_ctx *ctx, sp_params *params)
{
        sp_result *result = NULL;
        sp_error *error = NULL;

        sp_params_clear(params);
        caller->next = caller->next * 1664525 + 1013904223;
        sp_params_add_int(params, 1 + caller->next % caller->share->options->items);
        if (sp_pool_query(caller->share->pool, ctx, caller->share->stmt, params, &result, &error) != SP_OK)
                driver_die("the SELECT failed: %s", sp_error_message(error));
        sp_result_free(result);
        atomic_fetch_add_explicit(&caller->count, 1, memory_order_relaxed);
}

static void *body(void *arg)
{
        struct caller *caller = arg;
        sp_params *params = sp_params_new();

        while (!atomic_load_explicit(&caller->share->over, memory_order_relaxed)) {
                sp_ctx *ctx = sp_ctx_new(NULL);

                if (!strstr(caller->share->options->mode, "plain"))
                        sp_ctx_set(ctx, "scope", "GET /bench", NULL);
                for (int i = 0; i < STATEMENTS; i++)
                        one(caller, ctx, params);
                sp_ctx_unref(ctx);
        }
        sp_params_free(params);
        return NULL;
}

static struct moment now(const struct caller *callers, uint32_t count)
{
        struct moment moment = {.seconds = (double)driver_now() / 1e9};
        struct rusage used;

        getrusage(RUSAGE_SELF, &used);
        moment.cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                     (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
        for (uint32_t i = 0; i < count; i++)
                moment.ops += (double)atomic_load_explicit(&callers[i].count, memory_order_relaxed);
        return moment;
}

static void add(struct moment *sum, struct moment from, struct moment to)
{
        sum->ops += to.ops - from.ops;
        sum->cpu += to.cpu - from.cpu;
        sum->seconds += to.seconds - from.seconds;
}

/* on, off, off, on: what drifts does so for both. */
static void four(struct share *share, struct caller *callers, bool switches, struct moment *on, struct moment *off)
{
        static const bool order[] = {true, false, false, true};
        const struct timespec slice = {.tv_nsec = SLICE_MS * 1000000L};

        for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
                struct moment from;

                /* Read by its callers without a lock: a word, of which either value is right. */
                __atomic_store_n(&share->pool->watcher.ran, order[i] || !switches ? share->ran : NULL,
                                 __ATOMIC_RELAXED);
                from = now(callers, share->options->callers);
                nanosleep(&slice, NULL);
                add(order[i] ? on : off, from, now(callers, share->options->callers));
        }
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static void measure(struct share *share, struct caller *callers)
{
        static double ratios[FOURS_MAX];
        bool switches = !strstr(share->options->mode, "none"), cpu = strncmp(share->options->mode, "cpu", 3) == 0;
        struct moment on, off, first = now(callers, share->options->callers), last;
        size_t count = 0;

        do {
                on = off = (struct moment){0};
                four(share, callers, switches, &on, &off);
                if (on.ops > 0 && off.ops > 0)
                        ratios[count++] = cpu ? (on.cpu / on.ops) / (off.cpu / off.ops)
                                              : (off.ops / off.seconds) / (on.ops / on.seconds);
                last = now(callers, share->options->callers);
        } while (last.seconds - first.seconds < LONGER * share->options->seconds && count < FOURS_MAX);
        if (count == 0)
                driver_die("no statement was answered");
        qsort(ratios, count, sizeof *ratios, by_value);
        printf("stop\n{\"ops\": %.0f, \"seconds\": %.6f, \"p50_us\": 0, \"p99_us\": 0, \"user_cpu\": %.6f, "
               "\"sys_cpu\": 0, "
               "\"count\": %.6f}\n",
               last.ops - first.ops, last.seconds - first.seconds, last.cpu - first.cpu, ratios[count / 2]);
}

static sp_client *client_of(const struct driver_options *options)
{
        sp_config *config = sp_config_new();
        sp_error *error = NULL;
        sp_client *client = NULL;

        if (sp_config_set(config, "pool.url", options->url, &error) != SP_OK ||
            sp_client_new(config, &client, &error) != SP_OK)
                driver_die("%s", sp_error_message(error));
        sp_config_free(config);
        return client;
}

int main(int argc, char **argv)
{
        const struct timespec warm = {.tv_nsec = 500000000};
        struct driver_options options;
        struct share share = {.options = &options};
        struct caller *callers;
        sp_client *client;

        driver_parse(argc, argv, &options);
        client = client_of(&options);
        share.pool = sp_client_pool(client, NULL);
        share.ran = share.pool->watcher.ran;
        callers = aligned_alloc(64, options.callers * sizeof *callers);
        if (!callers || sp_stmt_new("bench-select", text, sizeof text - 1, 0, &share.stmt, NULL) != SP_OK)
                driver_die("out of memory");
        memset(callers, 0, options.callers * sizeof *callers);
        for (uint32_t i = 0; i < options.callers; i++) {
                callers[i].share = &share;
                callers[i].next = i;
                if (pthread_create(&callers[i].thread, NULL, body, &callers[i]) != 0)
                        driver_die("pthread_create failed");
        }
        nanosleep(&warm, NULL);
        puts("start");
        fflush(stdout);
        measure(&share, callers);
        atomic_store(&share.over, true);
        for (uint32_t i = 0; i < options.callers; i++)
                pthread_join(callers[i].thread, NULL);
        sp_stmt_unref(share.stmt);
        sp_client_free(client);
        free(callers);
        return 0;
}
