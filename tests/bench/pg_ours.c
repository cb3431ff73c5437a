/* SPDX-License-Identifier: MIT */
/*
 * The library's pool: `--callers` blocking threads, or with `--mode async` one thread with that many in flight; with
 * `--mode write` these are updates. `--mode acquire`: sessions are borrowed and given back. `--mode stream`: a table is read in
 * pages, each of which is worked on for a millisecond.
 */
#include "driver_client.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 64
#define PAGE  1000

static const char sql[] = "SELECT id, title FROM bench_items WHERE id = $1",
                  update[] = "UPDATE bench_counts SET n = n + 1 WHERE id = $1",
                  all[] = "SELECT id, title FROM bench_items";

struct select {
        sp_pool *pool;
        sp_stmt *stmt;
        bool writes;
};

struct blocking {
        const struct select *select;
        sp_params *params;
};

static void look_at(const sp_result *result)
{
        size_t len;

        if (sp_result_rows(result) != 1 || !sp_result_get(result, 0, 1, &len) || len == 0)
                driver_die("the SELECT did not find its row");
}

static void query(void *state, uint32_t item)
{
        struct blocking *caller = state;
        sp_result *result = NULL;
        sp_error *error = NULL;

        sp_params_clear(caller->params);
        sp_params_add_int(caller->params, item);
        driver_check("sp_pool_query",
                     sp_pool_query(caller->select->pool, NULL, caller->select->stmt, caller->params, &result, &error),
                     error);
        look_at(result);
        sp_result_free(result);
}

static void blocking_body(struct driver_caller *caller, void *arg)
{
        struct blocking state = {.select = arg, .params = sp_params_new()};

        query(&state, 1);
        driver_loop(caller, query, &state, 1);
        sp_params_free(state.params);
}

struct in_flight {
        struct driver_caller *caller;
        const struct select *select;
        sp_params *params;
        sp_queue *queue;
        int64_t *starts; /* by tag */
};

static void submit(struct in_flight *work, uint64_t tag)
{
        sp_params_clear(work->params);
        sp_params_add_int(work->params, driver_item(work->caller));
        work->starts[tag] = driver_now();
        driver_check("sp_pool_query_async",
                     sp_pool_query_async(work->select->pool, NULL, work->select->stmt, work->params, work->queue, tag),
                     NULL);
}

/* Takes what has ended; asks again for each while there is time, unless `once`. */
static void settle(struct in_flight *work, bool once)
{
        sp_completion *batch[BATCH];
        size_t taken = sp_queue_wait(work->queue, batch, BATCH, -1);

        for (size_t i = 0; i < taken; i++) {
                uint64_t tag = sp_completion_tag(batch[i]);

                if (sp_completion_status(batch[i]) != SP_OK)
                        driver_die("sp_pool_query_async: %s", sp_error_message(sp_completion_error(batch[i])));
                if (!work->select->writes)
                        look_at(sp_completion_result(batch[i]));
                sp_completion_free(batch[i]);
                driver_record(work->caller, work->starts[tag], driver_now(), 1);
                if (!once && driver_going(work->caller))
                        submit(work, tag);
        }
}

static void run(struct in_flight *work, uint32_t depth, bool once)
{
        for (uint32_t tag = 0; tag < depth; tag++)
                submit(work, tag);
        while (sp_queue_pending(work->queue) > 0)
                settle(work, once);
}

static void async_body(struct driver_caller *caller, void *arg)
{
        uint32_t depth = driver_options_of(caller)->callers;
        struct in_flight work = {
            .caller = caller, .select = arg, .params = sp_params_new(), .starts = calloc(depth, sizeof *work.starts)};

        if (!work.starts)
                driver_die("out of memory");
        driver_check("sp_queue_new", sp_queue_new(0, &work.queue), NULL);
        run(&work, depth, true);
        driver_ready(caller);
        run(&work, depth, false);
        sp_queue_free(work.queue);
        sp_params_free(work.params);
        free(work.starts);
}

static void borrow(void *state, uint32_t item)
{
        sp_session *session;

        driver_check("sp_pool_acquire", sp_pool_acquire(((struct select *)state)->pool, NULL, &session, NULL), NULL);
        sp_session_release(session);
}

static void acquire_body(struct driver_caller *caller, void *arg)
{
        borrow(arg, 0);
        driver_loop(caller, borrow, arg, BATCH);
}

struct reading {
        const struct select *select;
        sp_stream *stream; /* NULL: at its beginning */
};

static void turn_page(void *state, uint32_t item)
{
        struct reading *reading = state;
        sp_result *page = NULL;
        sp_error *error = NULL;

        while (!page) {
                if (!reading->stream)
                        driver_check("sp_pool_stream",
                                     sp_pool_stream(reading->select->pool, NULL, reading->select->stmt, NULL, PAGE,
                                                    &reading->stream, &error),
                                     error);
                driver_check("sp_stream_next", sp_stream_next(reading->stream, NULL, &page, &error), error);
                if (page)
                        continue;
                sp_stream_free(reading->stream);
                reading->stream = NULL;
        }
        driver_work(1000000);
        sp_result_free(page);
}

static void stream_body(struct driver_caller *caller, void *arg)
{
        struct reading reading = {.select = arg};

        turn_page(&reading, 0);
        driver_loop(caller, turn_page, &reading, 1);
        sp_stream_free(reading.stream);
}

static void prepare(struct select *select, const char *mode)
{
        const char *text = sql;
        sp_error *error = NULL;

        select->writes = strcmp(mode, "write") == 0;
        if (select->writes)
                text = update;
        else if (strcmp(mode, "stream") == 0)
                text = all;
        driver_check("sp_stmt_new", sp_stmt_new("bench", text, strlen(text), 0, &select->stmt, &error), error);
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct select select = {0};
        sp_client *client;

        driver_parse(argc, argv, &options);
        client = driver_client(&options, "pool.url", (const char *const[]){NULL});
        select.pool = sp_client_pool(client, NULL);
        prepare(&select, options.mode);
        if (select.writes || strcmp(options.mode, "async") == 0)
                driver_run(&options, 1, async_body, &select);
        else if (strcmp(options.mode, "acquire") == 0)
                driver_run(&options, options.callers, acquire_body, &select);
        else if (strcmp(options.mode, "stream") == 0)
                driver_run(&options, options.callers, stream_body, &select);
        else
                driver_run(&options, options.callers, blocking_body, &select);
        sp_stmt_unref(select.stmt);
        sp_client_free(client);
        return 0;
}
