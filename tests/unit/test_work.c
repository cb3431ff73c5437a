/* SPDX-License-Identifier: MIT */
/* A unit of work that asks the same again and again is told of once, with what would do instead; others are not. */
#include "../support/child.h"
#include "profile/work.h"

#include "core/ctx.h"
#include "core/params.h"
#include "pg/stmt.h"
#include "profile/profiler.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sugarperf/sugarperf.h>
#include <sys/wait.h>
#include <unistd.h>

static sp_stmt *stmt_of(const char *name, const char *text)
{
        sp_stmt *stmt = NULL;

        assert_int_equal(sp_stmt_new(name, text, strlen(text), 0, &stmt, NULL), SP_OK);
        return stmt;
}

static sp_ctx *scope_of(const char *name)
{
        sp_ctx *ctx = sp_ctx_new(NULL);

        assert_int_equal(sp_ctx_set(ctx, "scope", name, NULL), SP_OK);
        return ctx;
}

/* As a query that is let go of. */
static void over(void *asked, sp_stmt *stmt, int64_t ns)
{
        if (asked && sp__work_over(asked, ns))
                sp_stmt_ref(stmt);
}

/* One run with these parameters. */
static void run(sp_profiler *profiler, sp_ctx *ctx, sp_stmt *stmt, int64_t first, int64_t second)
{
        sp_params *params = sp_params_new();
        void *asked;
        struct sp__stmt_record record = {.name = stmt->name,
                                         .text = stmt->sql.text,
                                         .stmt = stmt,
                                         .fingerprint = stmt->sql.fingerprint,
                                         .pool = "default",
                                         .execute_ns = SP__MS,
                                         .done_ns = SP__SECOND,
                                         .code = "",
                                         .ctx = ctx};

        sp_params_add_int(params, first);
        sp_params_add_int(params, second);
        asked = ctx ? sp__profiler_asked(profiler, ctx, stmt, params) : NULL;
        sp__profiler_record(profiler, &record);
        sp_params_free(params);
        over(asked, stmt, record.execute_ns);
}

static sp_profiler *profiler_new(void)
{
        sp_profiler *profiler = NULL;

        assert_int_equal(sp_profiler_new(NULL, NULL, &profiler, NULL), SP_OK);
        return profiler;
}

static void finds(sp_profiler *profiler, const char *text)
{
        sp_value *value = NULL;
        const char *report;
        size_t len;

        assert_int_equal(sp_profiler_report(profiler, 0, &value), SP_OK);
        report = strstr(sp_value_data(value, &len), "\"findings\":");
        if (strncmp(report + strlen("\"findings\":"), text, strlen(text)) != 0)
                fail_msg("not %s but %s", text, report);
        sp_value_unref(value);
}

static void finds_instead(sp_profiler *profiler, const char *instead)
{
        sp_value *value = NULL;
        const char *found;
        size_t len;

        assert_int_equal(sp_profiler_report(profiler, 0, &value), SP_OK);
        found = strstr(sp_value_data(value, &len), "\"instead\":\"");
        assert_non_null(found);
        if (strncmp(found + strlen("\"instead\":\""), instead, strlen(instead)) != 0)
                fail_msg("not %s but %s", instead, found);
        sp_value_unref(value);
}

#define NAMES "SELECT name FROM tags WHERE content_id = $1"

static void test_different_parameters_are_an_n_plus_1_told_once_a_place(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_stmt *names = stmt_of("tagsOf", NAMES " -- secret"), *other = stmt_of(NULL, "SELECT 'secret'");
        char text[1024], expected[1024];
        sp_completion *done;
        sp_queue *queue;
        size_t len;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_profiler_watch_async(profiler, NULL, 0, queue, 1), SP_OK);
        for (int unit = 0; unit < 3; unit++) {
                sp_ctx *ctx = scope_of("GET /contents"), *child = sp_ctx_new(ctx);

                run(profiler, ctx, other, 0, 0);
                for (int i = 0; i < 10 + unit; i++)
                        run(profiler, i % 2 ? child : ctx, names, i, 0);
                sp_ctx_unref(child);
                /* Told when it has ended, and once. */
                assert_int_equal(sp_queue_take(queue, &done, 1), 0);
                sp_ctx_unref(ctx);
                if (unit > 0)
                        continue;
                assert_int_equal(sp_queue_take(queue, &done, 1), 1);
                snprintf(text, sizeof text, "%s", (const char *)sp_value_data(sp_completion_value(done), &len));
                sp_completion_free(done);
                assert_int_equal(sp_profiler_watch_async(profiler, NULL, 1, queue, 1), SP_OK);
        }
        snprintf(expected, sizeof expected,
                 "{\"event\":1,\"missed\":0,\"kind\":\"n+1\",\"place\":\"GET /contents\",\"name\":\"tagsOf\","
                 "\"text\":\"SELECT name FROM tags WHERE content_id = $1\",\"fingerprint\":\"%016" PRIx64
                 "\",\"runs\":10,\"distinct\":10,\"totalMs\":10.000,"
                 "\"instead\":\"SELECT content_id, name FROM tags WHERE content_id = ANY($1)\"}",
                 names->sql.fingerprint);
        assert_string_equal(text, expected);
        finds(profiler, "[{\"kind\":\"n+1\",\"place\":\"GET /contents\"");
        sp_profiler_free(profiler);
        /* Nothing but its end was told since. */
        assert_int_equal(sp_queue_take(queue, &done, 1), 1);
        assert_int_equal(sp_completion_status(done), SP_CLOSED);
        sp_completion_free(done);
        sp_queue_free(queue);
        sp_stmt_unref(names);
        sp_stmt_unref(other);
}

static void test_the_same_parameters_are_a_missing_cache(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_stmt *names = stmt_of("tagsOf", NAMES);
        sp_ctx *ctx = scope_of("GET /");

        for (int i = 0; i < 5; i++)
                run(profiler, ctx, names, 1, 0);
        for (int i = 0; i < 3; i++)
                run(profiler, ctx, names, 2, 0);
        sp_ctx_unref(ctx);
        finds(profiler, "[{\"kind\":\"repeat\",\"place\":\"GET /\",\"name\":\"tagsOf\"");
        sp_profiler_free(profiler);
        sp_stmt_unref(names);
}

/* A unit of work of ten runs of `format`, each with the number of its run in the text. */
static void run_texts(sp_profiler *profiler, const char *place, const char *format)
{
        sp_ctx *ctx = scope_of(place);
        char text[256];

        for (int i = 0; i < 10; i++) {
                sp_stmt *stmt;

                snprintf(text, sizeof text, format, i * 10);
                stmt = stmt_of("texts", text);
                run(profiler, ctx, stmt, 0, 0);
                sp_stmt_unref(stmt);
        }
        sp_ctx_unref(ctx);
}

/* The same, asked with a parameter and with the values in the text: the fingerprint is one. */
static void run_mixed(sp_profiler *profiler)
{
        sp_stmt *names = stmt_of("tagsOf", NAMES), *seven = stmt_of(NULL, "SELECT name FROM tags WHERE content_id = 7");
        sp_ctx *ctx = scope_of("mixed");

        assert_true(names->sql.fingerprint == seven->sql.fingerprint);
        for (int i = 0; i < 6; i++)
                run(profiler, ctx, names, i, 0);
        run(profiler, ctx, seven, 0, 0);
        sp_ctx_unref(ctx);
        sp_stmt_unref(names);
        sp_stmt_unref(seven);
}

static void test_values_in_the_text_count_as_parameters_do(void **state)
{
        sp_profiler *profiler = profiler_new();

        run_texts(profiler, "pages", "SELECT name FROM tags WHERE id > %d ORDER BY id LIMIT 10");
        run_texts(profiler, "pages", "SELECT name FROM tags ORDER BY id LIMIT 10 OFFSET %d");
        finds(profiler, "[]");
        run_texts(profiler, "loop", "SELECT name FROM tags WHERE content_id = %d AND kind = 'secret'");
        finds(profiler,
              "[{\"kind\":\"n+1\",\"place\":\"loop\",\"name\":\"texts\",\"text\":\"SELECT name FROM tags WHERE "
              "content_id = ? AND kind = ?\"");
        finds_instead(profiler, "SELECT content_id, name FROM tags WHERE content_id = ANY($1) AND kind = ?");
        sp_profiler_free(profiler);
        profiler = profiler_new();
        run_mixed(profiler);
        finds_instead(profiler, "SELECT content_id, name FROM tags WHERE content_id = ANY($1)");
        sp_profiler_free(profiler);
        profiler = profiler_new();
        /* Only a comment differs: it is a caller's trace. */
        run_texts(profiler, "again", "SELECT name FROM tags WHERE content_id = 7 /* %d */");
        finds(profiler, "[{\"kind\":\"repeat\",\"place\":\"again\"");
        sp_profiler_free(profiler);
}

static void test_few_runs_pages_and_other_units_are_none(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_stmt *names = stmt_of("tagsOf", NAMES);
        sp_stmt *page = stmt_of("page", "SELECT id FROM t WHERE id > $1 AND b = $2 ORDER BY id LIMIT 100");
        sp_ctx *ctx = scope_of("export"), *plain = sp_ctx_new(NULL);

        for (int i = 0; i < 100; i++)
                run(profiler, ctx, page, i, 7);
        for (int i = 0; i < 4; i++)
                run(profiler, ctx, names, i, 0);
        /* No unit of work, or one for each. */
        for (int i = 0; i < 100; i++) {
                sp_ctx *each = scope_of("job");

                run(profiler, each, names, i, 0);
                run(profiler, plain, names, i, 0);
                run(profiler, NULL, names, i, 0);
                sp_ctx_unref(each);
        }
        sp_ctx_unref(ctx);
        sp_ctx_unref(plain);
        finds(profiler, "[]");
        sp_profiler_free(profiler);
        sp_stmt_unref(names);
        sp_stmt_unref(page);
}

/* As when the database is away: nothing of it would be mended by another statement. */
static void test_what_was_asked_for_and_never_sent_is_none(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_stmt *names = stmt_of("tagsOf", NAMES);
        sp_ctx *ctx = scope_of("GET /");
        sp_params *params = sp_params_new();

        for (int i = 0; i < 4; i++)
                run(profiler, ctx, names, i, 0);
        sp_params_add_int(params, 1);
        for (int i = 0; i < 50; i++)
                over(sp__profiler_asked(profiler, ctx, names, params), names, 0);
        sp_params_free(params);
        sp_ctx_unref(ctx);
        finds(profiler, "[]");
        sp_profiler_free(profiler);
        sp_stmt_unref(names);
}

/* All of them at once, let go of in another order, the unit's first statement last: it alone knows that text. */
static void test_statements_that_run_at_once_outlive_who_asked(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_ctx *ctx = scope_of("at once");
        sp_stmt *stmts[10];
        void *asked[10];
        char text[128];

        for (int i = 0; i < 10; i++) {
                snprintf(text, sizeof text, "SELECT name FROM tags WHERE content_id = %d", i);
                stmts[i] = stmt_of("texts", text);
                asked[i] = sp__profiler_asked(profiler, ctx, stmts[i], NULL);
                assert_non_null(asked[i]);
        }
        for (int i = 9; i >= 0; i--) {
                over(asked[i], stmts[i], SP__MS);
                sp_stmt_unref(stmts[i]);
        }
        sp_ctx_unref(ctx);
        finds(profiler, "[{\"kind\":\"n+1\",\"place\":\"at once\",\"name\":\"texts\"");
        finds_instead(profiler, "SELECT content_id, name FROM tags WHERE content_id = ANY($1)");
        sp_profiler_free(profiler);
}

/* The first of them are kept one by one, the others counted: none of either is lost. */
static void test_statements_in_turn_are_each_counted_whole(void **state)
{
        static const char *const texts[] = {"SELECT a FROM t1 WHERE b = $1", "SELECT a FROM t2 WHERE b = $1",
                                            "SELECT a FROM t3 WHERE b = $1"};
        sp_profiler *profiler = profiler_new();
        const char *at;
        sp_value *value = NULL;
        size_t len, found = 0;

        for (int rounds = 4; rounds <= 5; rounds++) {
                sp_ctx *ctx = scope_of("in turn");

                for (int i = 0; i < rounds * 3; i++) {
                        sp_stmt *stmt = stmt_of(NULL, texts[i % 3]);

                        run(profiler, ctx, stmt, i, 0);
                        sp_stmt_unref(stmt);
                }
                sp_ctx_unref(ctx);
                if (rounds == 4)
                        finds(profiler, "[]");
        }
        assert_int_equal(sp_profiler_report(profiler, 0, &value), SP_OK);
        for (at = sp_value_data(value, &len); (at = strstr(at, "\"runs\":5,\"distinct\":5,\"totalMs\":5.000")); at++)
                found++;
        assert_int_equal(found, 3);
        sp_value_unref(value);
        sp_profiler_free(profiler);
}

enum { SHARERS = 4, SHARED_RUNS = 500 };

struct shared {
        sp_profiler *profiler;
        sp_ctx *ctx;
        sp_stmt *stmt;
};

static void *share(void *arg)
{
        const struct shared *shared = arg;

        for (int i = 0; i < SHARED_RUNS; i++)
                run(shared->profiler, shared->ctx, shared->stmt, i, 0);
        return NULL;
}

/* Its threads begin it at the same time. */
static void test_threads_of_one_unit_lose_no_run(void **state)
{
        struct shared shared = {
            .profiler = profiler_new(), .stmt = stmt_of("tagsOf", NAMES), .ctx = scope_of("threads")};
        pthread_t threads[SHARERS];
        sp_value *value = NULL;
        char expected[64];
        size_t len;

        for (int i = 0; i < SHARERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, share, &shared), 0);
        for (int i = 0; i < SHARERS; i++)
                pthread_join(threads[i], NULL);
        sp_ctx_unref(shared.ctx);
        assert_int_equal(sp_profiler_report(shared.profiler, 0, &value), SP_OK);
        snprintf(expected, sizeof expected, "\"runs\":%d,", SHARERS * SHARED_RUNS);
        assert_non_null(strstr(sp_value_data(value, &len), expected));
        assert_int_equal(sp_profiler_count(shared.profiler, "tagsOf"), SHARERS * SHARED_RUNS);
        sp_value_unref(value);
        sp_profiler_free(shared.profiler);
        sp_stmt_unref(shared.stmt);
}

static void test_a_loop_of_writes_wants_a_batch(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_stmt *save = stmt_of("save", "UPDATE contents SET score = $1 WHERE id = $2");
        sp_ctx *ctx = scope_of("scores");

        for (int i = 0; i < 50; i++)
                run(profiler, ctx, save, i, i);
        sp_ctx_unref(ctx);
        finds(profiler, "[{\"kind\":\"n+1\",\"place\":\"scores\",\"name\":\"save\"");
        sp_profiler_free(profiler);
        sp_stmt_unref(save);
}

static void test_a_unit_may_end_after_its_profiler(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_stmt *names = stmt_of("tagsOf", NAMES);
        sp_ctx *ctx = scope_of("late");

        for (int i = 0; i < 50; i++)
                run(profiler, ctx, names, i, 0);
        sp_profiler_free(profiler);
        sp_stmt_unref(names);
        sp_ctx_unref(ctx);
}

static void test_more_statements_and_places_than_are_kept_are_borne(void **state)
{
        sp_profiler *profiler = profiler_new();
        char text[128];

        for (int place = 0; place < 20; place++) {
                snprintf(text, sizeof text, "place %d", place);
                sp_ctx *ctx = scope_of(text);

                for (int i = 0; i < 50; i++) {
                        snprintf(text, sizeof text, "SELECT a FROM t%d WHERE b = $1", i);
                        sp_stmt *stmt = stmt_of(NULL, text);

                        for (int n = 0; n < 6; n++)
                                run(profiler, ctx, stmt, n, 0);
                        sp_stmt_unref(stmt);
                }
                sp_ctx_unref(ctx);
        }
        finds(profiler, "[{\"kind\":\"n+1\",\"place\":\"place 0\"");
        sp_profiler_free(profiler);
}

static atomic_long allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);

void *__wrap_malloc(size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_realloc(data, size);
}

static void test_recording_a_known_statement_takes_no_memory(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_stmt *names = stmt_of("tagsOf", NAMES);
        sp_ctx *ctx = scope_of("GET /");
        sp_params *params = sp_params_new();
        struct sp__stmt_record record = {.name = names->name,
                                         .text = names->sql.text,
                                         .stmt = names,
                                         .fingerprint = names->sql.fingerprint,
                                         .pool = "default",
                                         .execute_ns = SP__MS,
                                         .done_ns = SP__SECOND,
                                         .code = "",
                                         .ctx = ctx};
        long before;

        sp_params_add_int(params, 1000);
        over(sp__profiler_asked(profiler, ctx, names, params), names, record.execute_ns);
        sp__profiler_record(profiler, &record);
        sp_profiler_finish(profiler, "work", sp_profiler_start(profiler), SP_OK);
        before = atomic_load(&allocations);
        for (uint64_t i = 0; i < 1000; i++) {
                sp_params_clear(params);
                sp_params_add_int(params, (int64_t)i);
                over(sp__profiler_asked(profiler, ctx, names, params), names, record.execute_ns);
                record.status = i % 10 ? SP_OK : SP_SQL;
                record.code = i % 10 ? "" : "23505";
                record.done_ns += SP__SECOND;
                sp__profiler_record(profiler, &record);
                sp_profiler_finish(profiler, "work", sp_profiler_start(profiler), SP_OK);
        }
        assert_int_equal(atomic_load(&allocations), before);
        assert_true(before > 0);
        sp_params_free(params);
        sp_ctx_unref(ctx);
        sp_stmt_unref(names);
        sp_profiler_free(profiler);
}

static void test_profilers_that_share_a_statement_each_have_its_runs(void **state)
{
        sp_stmt *names = stmt_of("tagsOf", NAMES), *others = stmt_of("tagsOf", "SELECT count(*) FROM tags");
        sp_profiler *first = profiler_new(), *second = profiler_new();

        for (int i = 0; i < 3; i++) {
                run(first, NULL, names, i, 0);
                run(second, NULL, names, i, 0);
                run(second, NULL, others, i, 0);
        }
        assert_int_equal(sp_profiler_count(first, "tagsOf"), 3);
        assert_int_equal(sp_profiler_count(second, "tagsOf"), 6);
        sp_profiler_free(first);
        /* What the first one left on the statement is nothing to those that come after it. */
        first = profiler_new();
        run(first, NULL, others, 0, 0);
        run(first, NULL, names, 0, 0);
        run(second, NULL, names, 0, 0);
        assert_int_equal(sp_profiler_count(first, "tagsOf"), 2);
        assert_int_equal(sp_profiler_count(second, "tagsOf"), 7);
        assert_int_equal(sp_profiler_total_ns(second, "tagsOf"), 7 * SP__MS);
        sp_profiler_free(first);
        sp_profiler_free(second);
        sp_stmt_unref(names);
        sp_stmt_unref(others);
}

/* getUser(), which asks getUser: neither's runs are the other's, whichever came first. */
static void test_work_and_a_statement_of_one_name_are_two(void **state)
{
        sp_stmt *tags = stmt_of("tagsOf", NAMES), *user = stmt_of("getUser", "SELECT name FROM users WHERE id = $1");
        sp_profiler *profiler = profiler_new();
        sp_value *value = NULL;
        const char *report;
        size_t len;

        sp_profiler_finish(profiler, "tagsOf", sp_profiler_start(profiler), SP_TIMEOUT);
        assert_int_equal(sp_profiler_count(profiler, "tagsOf"), 1);
        for (int i = 0; i < 3; i++) {
                run(profiler, NULL, tags, i, 0);
                run(profiler, NULL, user, i, 0);
                sp_profiler_finish(profiler, "getUser", sp_profiler_start(profiler), SP_OK);
                sp_profiler_finish(profiler, "other", sp_profiler_start(profiler), SP_OK);
        }
        assert_int_equal(sp_profiler_count(profiler, "tagsOf"), 3);
        assert_int_equal(sp_profiler_errors(profiler, "tagsOf"), 0);
        assert_int_equal(sp_profiler_total_ns(profiler, "getUser"), 3 * SP__MS);
        assert_int_equal(sp_profiler_report(profiler, 0, &value), SP_OK);
        report = strstr(sp_value_data(value, &len), "\"work\":[");
        assert_non_null(strstr(report, "{\"name\":\"tagsOf\",\"count\":1,\"errors\":1,"));
        assert_non_null(strstr(report, "{\"name\":\"getUser\",\"count\":3,\"errors\":0,"));
        /* The page has one series of that name. */
        assert_null(strstr(report, "\"other\""));
        sp_value_unref(value);
        sp_profiler_free(profiler);
        sp_stmt_unref(tags);
        sp_stmt_unref(user);
}

/* A lock of the parent's may be held there for good. */
static void test_a_child_process_does_not_record_what_is_known(void **state)
{
        sp_profiler *profiler = profiler_new();
        sp_stmt *names = stmt_of("tagsOf", NAMES);
        pid_t child;
        int status;

        run(profiler, NULL, names, 1, 0);
        child = child_fork();
        if (child == 0) {
                run(profiler, NULL, names, 1, 0);
                _exit(sp_profiler_count(profiler, "tagsOf") == 1 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        sp_stmt_unref(names);
        sp_profiler_free(profiler);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_different_parameters_are_an_n_plus_1_told_once_a_place),
            cmocka_unit_test(test_the_same_parameters_are_a_missing_cache),
            cmocka_unit_test(test_values_in_the_text_count_as_parameters_do),
            cmocka_unit_test(test_few_runs_pages_and_other_units_are_none),
            cmocka_unit_test(test_what_was_asked_for_and_never_sent_is_none),
            cmocka_unit_test(test_statements_that_run_at_once_outlive_who_asked),
            cmocka_unit_test(test_statements_in_turn_are_each_counted_whole),
            cmocka_unit_test(test_threads_of_one_unit_lose_no_run),
            cmocka_unit_test(test_a_loop_of_writes_wants_a_batch),
            cmocka_unit_test(test_a_unit_may_end_after_its_profiler),
            cmocka_unit_test(test_recording_a_known_statement_takes_no_memory),
            cmocka_unit_test(test_profilers_that_share_a_statement_each_have_its_runs),
            cmocka_unit_test(test_work_and_a_statement_of_one_name_are_two),
            cmocka_unit_test(test_more_statements_and_places_than_are_kept_are_borne),
            cmocka_unit_test(test_a_child_process_does_not_record_what_is_known),
        };

        return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
