/* SPDX-License-Identifier: MIT */
/*
 * The change feed. `--mode latency`: from an UPDATE's answer until the row's key is gone from another process's memory (a cache of
 * its own), while all callers together make some 1,000 writes a second. `--mode rows`: rows of transactions of `--items` each that
 * it takes through. `--mode others`: the first, of rows that have nothing to do with a batch of `--items` rows which the feed has
 * before it.
 */
#include "driver_client.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 4096, PACE_US = 1000, BETWEEN_US = 50000 };

struct bench {
        sp_client *reader, *other;
        sp_rules *rules;
        sp_feed *feed;
        sp_stmt *update, *update_all, *update_other;
        uint32_t callers;
        atomic_bool taken;  /* somebody makes the batches */
        atomic_bool behind; /* the feed has one before it */
        atomic_bool counts; /* what waited behind one was measured */
};

static void sleep_us(long us)
{
        nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void declare(sp_client *client)
{
        sp_error *error = NULL;
        sp_template *tmpl;

        driver_check("sp_template_new", sp_template_new("bench:row:{id}:full", NULL, &tmpl, &error), error);
        driver_check("sp_cache_declare", sp_cache_declare(sp_client_cache(client), tmpl, &error), error);
        sp_template_unref(tmpl);
}

static void run(sp_client *client, const sp_stmt *stmt, const sp_params *params)
{
        sp_error *error = NULL;
        sp_result *result = NULL;

        driver_check("sp_pool_query", sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, params, &result, &error),
                     error);
        sp_result_free(result);
}

static sp_stmt *stmt_of(const char *text)
{
        sp_error *error = NULL;
        sp_stmt *stmt = NULL;

        driver_check("sp_stmt_new", sp_stmt_new(NULL, text, strlen(text), 0, &stmt, &error), error);
        return stmt;
}

static void run_text(sp_client *client, const char *text)
{
        sp_stmt *stmt = stmt_of(text);

        run(client, stmt, NULL);
        sp_stmt_unref(stmt);
}

/* A number of the feed's report. */
static int64_t reported(const struct bench *bench, const char *member)
{
        sp_value *value = NULL;
        size_t len;
        const char *at;
        int64_t number;

        driver_check("sp_feed_report", sp_feed_report(bench->feed, &value), NULL);
        at = strstr(sp_value_data(value, &len), member);
        number = at ? strtoll(at + strlen(member) + 1, NULL, 10) : -1;
        sp_value_unref(value);
        return number;
}

static void fill(sp_cache *cache, const char *key, size_t len)
{
        sp_error *error = NULL;
        sp_lookup *lookup = NULL;
        sp_lease *lease;

        driver_check("sp_cache_lookup", sp_cache_lookup(cache, NULL, key, len, &lookup, &error), error);
        lease = sp_lookup_take_lease(lookup);
        sp_lookup_free(lookup);
        if (lease)
                sp_lease_fill(lease, NULL, "v", 1, SP_CODEC_TEXT, 0, NULL);
}

static int in_process(sp_cache *cache, const char *key, size_t len)
{
        sp_value *value = NULL;
        int there = sp_cache_peek(cache, key, len, &value);

        if (there)
                sp_value_unref(value);
        return there;
}

/* When the COMMIT's answer was there, and the key gone; 0: it was never there, as another one changed the row, too. */
static int64_t change(struct bench *bench, const sp_stmt *stmt, const char *id, int64_t *gone)
{
        sp_cache *cache = sp_client_cache(bench->other);
        sp_params *params = sp_params_new();
        int64_t committed;
        char key[64];
        size_t len = (size_t)snprintf(key, sizeof key, "bench:row:%s:full", id);
        bool there;

        fill(cache, key, len);
        there = in_process(cache, key, len);
        sp_params_add_text(params, id, strlen(id));
        run(bench->reader, stmt, params);
        committed = driver_now();
        while (in_process(cache, key, len))
                sleep_us(100);
        *gone = driver_now();
        sp_params_free(params);
        return there ? committed : 0;
}

static void latency(struct driver_caller *caller, void *arg)
{
        struct bench *bench = arg;
        char id[16];

        driver_ready(caller);
        while (driver_going(caller)) {
                int64_t begun = driver_now(), committed, gone;

                snprintf(id, sizeof id, "%u", driver_item(caller));
                committed = change(bench, bench->update, id, &gone);
                if (committed)
                        driver_record(caller, committed, gone, 1);
                if (driver_now() - begun < (int64_t)PACE_US * 1000 * bench->callers)
                        sleep_us((long)(PACE_US * bench->callers - (driver_now() - begun) / 1000));
        }
}

/* One transaction, until the feed is through with it. */
static void change_all(struct driver_caller *caller, struct bench *bench)
{
        uint32_t each = driver_options_of(caller)->items;
        int64_t before = reported(bench, "\"changes\"");

        run(bench->reader, bench->update_all, NULL);
        atomic_store(&bench->behind, true);
        while (reported(bench, "\"changes\"") < before + each)
                sleep_us(500);
        atomic_store(&bench->behind, false);
}

static void rows(struct driver_caller *caller, void *arg)
{
        driver_ready(caller);
        while (driver_wants_one(caller)) {
                int64_t begun = driver_now();

                change_all(caller, arg);
                driver_record_late(caller, begun, driver_now(), driver_options_of(caller)->items);
        }
}

/* Another table's rows, changed while the feed has a batch before it: nothing else is measured. */
static void others(struct driver_caller *caller, void *arg)
{
        struct bench *bench = arg;
        bool makes_batches = !atomic_exchange(&bench->taken, true);
        int64_t committed, gone;
        char id[16];

        driver_ready(caller);
        while (driver_going(caller) || !atomic_load(&bench->counts)) {
                if (makes_batches)
                        change_all(caller, bench);
                if (makes_batches || !atomic_load(&bench->behind)) {
                        sleep_us(makes_batches ? BETWEEN_US : 100);
                        continue;
                }
                snprintf(id, sizeof id, "o%u", driver_item(caller) % ROWS + 1);
                committed = change(bench, bench->update_other, id, &gone);
                if (!committed)
                        continue;
                driver_record_late(caller, committed, gone, 1);
                if (driver_counted(caller))
                        atomic_store(&bench->counts, true);
        }
}

static void set_up(struct bench *bench, const struct driver_options *options)
{
        static const char rule[] = "bench_feed(id) -> bench:row:{id}:full\nbench_other(id) -> bench:row:{id}:full";
        sp_error *error = NULL;
        char text[256];

        run_text(bench->reader, "DROP TABLE IF EXISTS bench_feed");
        run_text(bench->reader, "CREATE TABLE bench_feed (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)");
        snprintf(text, sizeof text, "INSERT INTO bench_feed SELECT i FROM generate_series(1, %u) i", options->items);
        run_text(bench->reader, text);
        run_text(bench->reader, "DROP TABLE IF EXISTS bench_other");
        run_text(bench->reader, "CREATE TABLE bench_other (id text PRIMARY KEY, n int NOT NULL DEFAULT 0)");
        snprintf(text, sizeof text, "INSERT INTO bench_other SELECT 'o' || i FROM generate_series(1, %d) i", ROWS);
        run_text(bench->reader, text);
        bench->update_other = stmt_of("UPDATE bench_other SET n = n + 1 WHERE id = $1");
        bench->update = stmt_of("UPDATE bench_feed SET n = n + 1 WHERE id = $1");
        bench->update_all = stmt_of("UPDATE bench_feed SET n = n + 1");
        declare(bench->reader);
        declare(bench->other);
        driver_check("sp_rules_new", sp_rules_new(sp_client_cache(bench->reader), &bench->rules, &error), error);
        driver_check("sp_rules_add", sp_rules_add(bench->rules, NULL, rule, sizeof rule - 1, &error), error);
        driver_check("sp_client_feed", sp_client_feed(bench->reader, NULL, bench->rules, &bench->feed, &error), error);
        for (int i = 0; i < 5000; i++) {
                sp_value *value = NULL;
                bool leads = sp_feed_report(bench->feed, &value) == SP_OK &&
                             strstr(sp_value_data(value, &(size_t){0}), "\"leading\"");

                sp_value_unref(value);
                if (leads)
                        return;
                sleep_us(5000);
        }
        driver_die("the feed does not lead");
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct bench bench = {0};
        driver_body body = latency;

        driver_parse(argc, argv, &options);
        if (options.mode && strcmp(options.mode, "rows") == 0)
                body = rows;
        if (options.mode && strcmp(options.mode, "others") == 0)
                body = others;
        bench.callers = options.callers;
        bench.reader = driver_client(&options, "pool.url",
                                     (const char *const[]){"pool.statement_timeout=0", "pool.query_timeout=1m", NULL});
        bench.other = driver_client(&options, "pool.url", (const char *const[]){NULL});
        set_up(&bench, &options);
        driver_run(&options, body == rows ? 1 : options.callers + (body == others), body, &bench);
        sp_stmt_unref(bench.update);
        sp_stmt_unref(bench.update_all);
        sp_stmt_unref(bench.update_other);
        sp_client_close(bench.reader);
        sp_rules_unref(bench.rules);
        sp_client_free(bench.other);
        sp_client_free(bench.reader);
        return 0;
}
