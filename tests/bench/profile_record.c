/* SPDX-License-Identifier: MIT */
/*
 * What recording costs. `--mode statement`: a statement under a known name and fingerprint, without the clock reads that the
 * pool makes anyhow; `scope`: the same within a unit of work; `unit`: such a unit of four, its
 * context and parameters included; `histogram`, `counter`: one value on a held handle; `work`: start
 * and finish, with their two clock reads; `clock`: these alone; `count`: two counters; `scrape`: a page of 1,007 series (53
 * histograms of 19 lines), made by the service's own calls; `print`: as many lines.
 */
#include "driver.h"

#include "base/clock.h"
#include "pg/stmt.h"
#include "profile/profiler.h"
#include "profile/work.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sugarperf/sugarperf.h>

enum { BATCH = 1024, UNIT = 4, SERIES = 53, LINES = 1007 };

struct bench {
        sp_profiler *profiler;
        sp_stmt *stmt;
        sp_params *params;
        struct sp__stmt_record record;
        sp_histogram *histograms[SERIES];
        sp_counter *counter;
        sp_metrics *metrics;
        _Atomic uint64_t counted, summed;
};

static const char text[] = "SELECT id, title FROM contents WHERE id = $1";

static void statement(void *state, uint32_t item)
{
        struct bench *bench = state;
        struct sp__stmt_record record = bench->record;
        void *asked = NULL;

        record.execute_ns = 100000 + item;
        record.done_ns = SP__SECOND + item * 1000;
        if (record.ctx)
                asked = sp__profiler_asked(bench->profiler, record.ctx, record.stmt, bench->params);
        sp__profiler_record(bench->profiler, &record);
        if (asked && sp__work_over(asked, record.execute_ns))
                sp_stmt_ref(bench->stmt);
}

/* As a service's request: with its context. */
static void unit(void *state, uint32_t item)
{
        struct bench *bench = state;
        sp_ctx *ctx = sp_ctx_new(NULL);

        sp_ctx_set(ctx, "scope", "GET /content", NULL);
        bench->record.ctx = ctx;
        for (uint32_t i = 0; i < UNIT; i++) {
                sp_params_clear(bench->params);
                sp_params_add_int(bench->params, 10000 + (item + i) % 80000);
                statement(bench, item + i);
        }
        bench->record.ctx = NULL;
        sp_ctx_unref(ctx);
}

static void histogram(void *state, uint32_t item)
{
        sp_histogram_record(((struct bench *)state)->histograms[0], 100000 + item);
}

static void counter(void *state, uint32_t item)
{
        sp_counter_add(((struct bench *)state)->counter, 1);
}

static void work(void *state, uint32_t item)
{
        struct bench *bench = state;
        int64_t start = sp_profiler_start(bench->profiler);

        sp_profiler_finish(bench->profiler, "getRecommendations", start, SP_OK);
}

static void clocks(void *state, uint32_t item)
{
        ((struct bench *)state)->record.wait_ns = sp__now() - sp__now();
}

/* Two shared counters: less tells neither how many nor how long. */
static void count(void *state, uint32_t item)
{
        struct bench *bench = state;

        atomic_fetch_add_explicit(&bench->counted, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&bench->summed, 100000 + item, memory_order_relaxed);
}

/* As many lines as the scrape has. */
static void print(void *state, uint32_t item)
{
        char page[64 * LINES];
        size_t len = 0;

        (void)state;
        for (int i = 0; i < LINES; i++)
                len += (size_t)snprintf(page + len, sizeof page - len, "bench_duration_seconds{route=\"/%d\"} %u\n", i,
                                        item);
        __asm__ volatile("" : : "r"(page) : "memory");
}

static void scrape(void *state, uint32_t item)
{
        sp_value *page = NULL;

        if (sp_metrics_text(((struct bench *)state)->metrics, SP_METRICS_PROMETHEUS, &page) != SP_OK)
                driver_die("no page");
        sp_value_unref(page);
}

static const struct {
        const char *mode;
        driver_step step;
        uint32_t batch;
} modes[] = {{"statement", statement, BATCH}, {"scope", statement, BATCH}, {"unit", unit, BATCH},
             {"histogram", histogram, BATCH}, {"work", work, BATCH},       {"clock", clocks, BATCH},
             {"scrape", scrape, 1},           {"count", count, BATCH},     {"print", print, 1},
             {"counter", counter, BATCH}};

static void body(struct driver_caller *caller, void *bench)
{
        const char *mode = driver_options_of(caller)->mode;

        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
                if (strcmp(mode, modes[i].mode) == 0)
                        driver_loop(caller, modes[i].step, bench, modes[i].batch);
        }
}

/* Names enough that finding one is not from the nearest cache alone. */
static void fill(struct bench *bench)
{
        struct sp__stmt_record record = bench->record;
        char name[32];

        record.stmt = NULL;
        record.ctx = NULL;
        for (int i = 0; i < 200; i++) {
                snprintf(name, sizeof name, "statement-%d", i);
                record.name = name;
                sp__profiler_record(bench->profiler, &record);
        }
        for (int i = 0; i < SERIES * 100; i++)
                sp_histogram_record(bench->histograms[i % SERIES], (int64_t)i * 100000);
}

/* What a service would ask for. */
static void own(struct bench *bench)
{
        sp_params *labels = sp_params_new();
        char route[32];

        if (sp_metrics_new(NULL, &bench->metrics, NULL) != SP_OK ||
            sp_metrics_counter(bench->metrics, "bench_calls", "Made up.", NULL, &bench->counter, NULL) != SP_OK)
                driver_die("out of memory");
        for (int i = 0; i < SERIES; i++) {
                snprintf(route, sizeof route, "/route/%d", i);
                sp_params_clear(labels);
                sp_params_add_text(labels, "route", strlen("route"));
                sp_params_add_text(labels, route, strlen(route));
                if (sp_metrics_histogram(bench->metrics, "bench_duration_seconds", "Made up.", labels,
                                         &bench->histograms[i], NULL) != SP_OK)
                        driver_die("no series");
        }
        sp_params_free(labels);
}

static void open_bench(struct bench *bench, const char *mode)
{
        sp_ctx *ctx = strcmp(mode, "scope") == 0 ? sp_ctx_new(NULL) : NULL;

        if (sp_profiler_new(NULL, NULL, &bench->profiler, NULL) != SP_OK ||
            sp_stmt_new("getContent", text, sizeof text - 1, 0, &bench->stmt, NULL) != SP_OK)
                driver_die("out of memory");
        if (ctx)
                sp_ctx_set(ctx, "scope", "GET /content", NULL);
        bench->params = sp_params_new();
        sp_params_add_int(bench->params, 12345);
        bench->record = (struct sp__stmt_record){.name = sp_stmt_name(bench->stmt),
                                                 .text = bench->stmt->sql.text,
                                                 .stmt = bench->stmt,
                                                 .fingerprint = bench->stmt->sql.fingerprint,
                                                 .pool = "default",
                                                 .wait_ns = 2000,
                                                 .execute_ns = 100000,
                                                 .fetch_ns = 3000,
                                                 .rows = 1,
                                                 .bytes = 300,
                                                 .code = "",
                                                 .ctx = ctx};
        own(bench);
        fill(bench);
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct bench bench;

        driver_parse(argc, argv, &options);
        open_bench(&bench, options.mode);
        driver_run(&options, options.callers, body, &bench);
        sp_metrics_free(bench.metrics);
        sp_ctx_unref((sp_ctx *)(uintptr_t)bench.record.ctx);
        sp_params_free(bench.params);
        sp_stmt_unref(bench.stmt);
        sp_profiler_free(bench.profiler);
        return 0;
}
