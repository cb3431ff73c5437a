/* SPDX-License-Identifier: MIT */
/* What cannot work is refused at once, by name: a missing argument, a setting, a statement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <sugarperf/sugarperf.h>

/* Each names its function and the argument that is NULL; `error` may be NULL: the call has none. */
static void refuses(const char *function, const char *argument, sp_status status, sp_error **error)
{
        char said[128];

        if (status != SP_INVALID)
                fail_msg("%s: %s", function, sp_status_name(status));
        if (!error)
                return;
        snprintf(said, sizeof said, "%s(): %s is NULL", function, argument);
        assert_ptr_equal(strstr(sp_error_message(*error), said), sp_error_message(*error));
        assert_false(sp_error_retryable(*error));
        sp_error_free(*error);
        *error = NULL;
}

/* The same through a queue, whose completion says it. */
static void arrives(const char *function, const char *argument, sp_status status, sp_queue *queue)
{
        char said[128];
        sp_completion *done;

        snprintf(said, sizeof said, "%s(): %s is NULL", function, argument);
        assert_int_equal(status, SP_OK);
        assert_int_equal(sp_queue_take(queue, &done, 1), 1);
        assert_int_equal(sp_completion_tag(done), 1);
        assert_int_equal(sp_completion_status(done), SP_INVALID);
        assert_non_null(strstr(sp_error_message(sp_completion_error(done)), said));
        sp_completion_free(done);
}

static void test_a_missing_argument_is_named(void **state)
{
        const void *none = NULL;
        sp_config *config = sp_config_new();
        sp_params *params = sp_params_new();
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_session *session = NULL;
        sp_client *client = NULL;
        sp_result *result = NULL;
        sp_value *value = NULL;
        sp_error *error = NULL;
        sp_stmt *stmt, *other = NULL;
        sp_queue *queue;
        sp_pool *pool;

        assert_int_equal(sp_config_set(config, "pool.url", "postgresql://127.0.0.1:1/x", NULL), SP_OK);
        assert_int_equal(sp_pool_new(config, NULL, &pool, NULL), SP_OK);
        assert_int_equal(sp_stmt_new("one", "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);

        refuses("sp_config_set", "config", sp_config_set(NULL, "pool.max", "1", &error), &error);
        refuses("sp_config_set", "name", sp_config_set(config, NULL, "1", &error), &error);
        refuses("sp_config_set", "value", sp_config_set(config, "pool.max", NULL, &error), &error);
        refuses("sp_config_env", "config", sp_config_env(NULL, &error), &error);
        refuses("sp_ctx_set", "ctx", sp_ctx_set(NULL, "tag", "x", &error), &error);
        refuses("sp_ctx_set", "name", sp_ctx_set(ctx, NULL, "x", &error), &error);
        refuses("sp_ctx_set", "value", sp_ctx_set(ctx, "tag", NULL, &error), &error);
        refuses("sp_queue_new", "out", sp_queue_new(1, NULL), NULL);
        refuses("sp_params_add_text", "params", sp_params_add_text(NULL, "x", 1), NULL);
        refuses("sp_params_add_text", "data", sp_params_add_text(params, none, 1), NULL);
        refuses("sp_params_add_bytes", "params", sp_params_add_bytes(NULL, "x", 1), NULL);
        refuses("sp_params_add_bytes", "data", sp_params_add_bytes(params, none, 1), NULL);
        refuses("sp_params_add_int", "params", sp_params_add_int(NULL, 1), NULL);
        refuses("sp_params_add_double", "params", sp_params_add_double(NULL, 1), NULL);
        refuses("sp_params_add_bool", "params", sp_params_add_bool(NULL, true), NULL);
        refuses("sp_params_add_null", "params", sp_params_add_null(NULL), NULL);
        refuses("sp_params_load", "params", sp_params_load(NULL, "\1\0\0\0", 4), NULL);
        refuses("sp_params_load", "data", sp_params_load(params, none, 4), NULL);
        refuses("sp_stmt_new", "data", sp_stmt_new("x", NULL, 1, 0, &other, &error), &error);
        refuses("sp_stmt_new", "out", sp_stmt_new("x", "SELECT 1", 8, 0, NULL, &error), &error);
        refuses("sp_pool_new", "out", sp_pool_new(config, NULL, NULL, &error), &error);
        refuses("sp_pool_drain", "pool", sp_pool_drain(NULL, 0), NULL);
        refuses("sp_pool_query", "pool", sp_pool_query(NULL, ctx, stmt, params, &result, &error), &error);
        refuses("sp_pool_query", "stmt", sp_pool_query(pool, ctx, NULL, params, &result, &error), &error);
        refuses("sp_pool_query", "out", sp_pool_query(pool, ctx, stmt, params, NULL, &error), &error);
        refuses("sp_pool_query", "stmt", sp_pool_query(pool, ctx, NULL, params, &result, NULL), NULL);
        arrives("sp_pool_query_async", "pool", sp_pool_query_async(NULL, ctx, stmt, params, queue, 1), queue);
        arrives("sp_pool_query_async", "stmt", sp_pool_query_async(pool, ctx, NULL, params, queue, 1), queue);
        refuses("sp_pool_query_async", "queue", sp_pool_query_async(pool, ctx, stmt, params, NULL, 1), NULL);
        refuses("sp_pool_acquire", "pool", sp_pool_acquire(NULL, ctx, &session, &error), &error);
        refuses("sp_pool_acquire", "out", sp_pool_acquire(pool, ctx, NULL, &error), &error);
        arrives("sp_pool_acquire_async", "pool", sp_pool_acquire_async(NULL, ctx, queue, 1), queue);
        refuses("sp_pool_acquire_async", "queue", sp_pool_acquire_async(pool, ctx, NULL, 1), NULL);
        refuses("sp_session_query", "session", sp_session_query(NULL, ctx, stmt, params, &result, &error), &error);
        arrives("sp_session_query_async", "session", sp_session_query_async(NULL, ctx, stmt, params, queue, 1), queue);
        refuses("sp_pool_health", "pool", sp_pool_health(NULL, ctx, &value), NULL);
        refuses("sp_pool_health", "out", sp_pool_health(pool, ctx, NULL), NULL);
        arrives("sp_pool_health_async", "pool", sp_pool_health_async(NULL, ctx, queue, 1), queue);
        refuses("sp_pool_health_async", "queue", sp_pool_health_async(pool, ctx, NULL, 1), NULL);
        refuses("sp_pool_advice", "pool", sp_pool_advice(NULL, ctx, &value), NULL);
        arrives("sp_pool_advice_async", "pool", sp_pool_advice_async(NULL, ctx, queue, 1), queue);
        arrives("sp_pool_watch_async", "pool", sp_pool_watch_async(NULL, ctx, 0, queue, 1), queue);
        refuses("sp_pool_watch_async", "queue", sp_pool_watch_async(pool, ctx, 0, NULL, 1), NULL);
        refuses("sp_pool_resize", "pool", sp_pool_resize(NULL, 1, &error), &error);
        refuses("sp_client_new", "out", sp_client_new(config, NULL, &error), &error);
        refuses("sp_client_drain", "client", sp_client_drain(NULL, 0), NULL);
        refuses("sp_client_health", "client", sp_client_health(NULL, ctx, &value), NULL);
        arrives("sp_client_health_async", "client", sp_client_health_async(NULL, ctx, queue, 1), queue);
        refuses("sp_profiler_server", "profiler", sp_profiler_server(NULL, ctx, NULL, &value, &error), &error);
        arrives("sp_profiler_server_async", "profiler", sp_profiler_server_async(NULL, ctx, NULL, queue, 1), queue);
        assert_int_equal(sp_queue_pending(queue), 0);
        assert_int_equal(sp_params_count(params), 0);
        assert_null(result);
        assert_null(session);
        assert_null(client);
        assert_null(value);
        assert_null(other);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
        sp_ctx_unref(ctx);
        sp_params_free(params);
        sp_config_free(config);
}

static sp_status load_nothing(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        return SP_NOT_FOUND;
}

static sp_status load_none(void *arg, sp_lookups *lookups, sp_error **error)
{
        return SP_OK;
}

static void test_a_missing_argument_of_the_cache_is_named(void **state)
{
        sp_config *config = sp_config_new();
        sp_params *params = sp_params_new();
        sp_schedule *schedule = NULL;
        sp_template *tmpl = NULL;
        sp_error *error = NULL;
        sp_value *value = NULL;
        sp_cache *cache = NULL;
        sp_stmt *stmt;
        sp_pool *pool;
        char buf[16];
        size_t len;

        assert_int_equal(sp_config_set(config, "pool.url", "postgresql://127.0.0.1:1/x", NULL), SP_OK);
        assert_int_equal(sp_pool_new(config, NULL, &pool, NULL), SP_OK);
        assert_int_equal(sp_stmt_new("one", "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        assert_int_equal(sp_template_new("a:b:{id}", NULL, &tmpl, NULL), SP_OK);
        sp_params_add_text(params, "a", 1);
        refuses("sp_cache_new", "out", sp_cache_new(config, NULL, &error), &error);
        refuses("sp_cache_lookup", "out", sp_cache_lookup(cache, NULL, "a", 1, NULL, &error), &error);
        /* Also where there would be something to hand out. */
        assert_int_equal(sp_cache_set(cache, NULL, "a", 1, "b", 1, SP_CODEC_TEXT, 0, NULL), SP_OK);
        refuses("sp_cache_lookup", "out", sp_cache_lookup(cache, NULL, "a", 1, NULL, &error), &error);
        refuses("sp_cache_get_or_load", "out",
                sp_cache_get_or_load(cache, NULL, "a", 1, load_nothing, NULL, NULL, &error), &error);
        refuses("sp_cache_get_many", "out", sp_cache_get_many(cache, NULL, params, load_none, NULL, NULL, &error),
                &error);
        refuses("sp_cache_query", "out",
                sp_cache_query(cache, pool, NULL, "a", 1, stmt, NULL, SP_QUERY_CELL, NULL, &error), &error);
        assert_int_equal(sp_cache_peek(cache, "a", 1, NULL), 0);
        refuses("sp_schedule_new", "out", sp_schedule_new(cache, "a", "hourly", NULL, &error), &error);
        assert_int_equal(sp_schedule_new(cache, "a", "hourly", &schedule, NULL), SP_OK);
        refuses("sp_schedule_wait", "out", sp_schedule_wait(schedule, NULL, NULL, &error), &error);
        sp_schedule_free(schedule);
        assert_int_equal(sp_turn_due(NULL), -1);
        refuses("sp_cache_lookup_many", "out", sp_cache_lookup_many(cache, NULL, params, NULL, &error), &error);
        refuses("sp_cache_report", "out", sp_cache_report(cache, NULL), NULL);
        refuses("sp_cache_report", "cache", sp_cache_report(NULL, &value), NULL);
        refuses("sp_cache_templates", "out", sp_cache_templates(cache, NULL), NULL);
        refuses("sp_cache_templates", "cache", sp_cache_templates(NULL, &value), NULL);
        refuses("sp_cache_inspect", "out", sp_cache_inspect("SP", 2, NULL), NULL);
        refuses("sp_template_new", "out", sp_template_new("a:b", NULL, NULL, &error), &error);
        refuses("sp_template_pattern", "tmpl", sp_template_pattern(NULL, "a:*", &error), &error);
        refuses("sp_key_check", "tmpl", sp_key_check(NULL, params, &error), &error);
        refuses("sp_key_format", "tmpl", sp_key_format(NULL, params, buf, sizeof buf, &len), NULL);
        refuses("sp_key_format", "buf", sp_key_format(tmpl, params, NULL, sizeof buf, &len), NULL);
        refuses("sp_key_format", "len", sp_key_format(tmpl, params, buf, sizeof buf, NULL), NULL);
        refuses("sp_key_parse", "tmpl", sp_key_parse(NULL, "a:b:c", 5, params), NULL);
        refuses("sp_key_parse", "data", sp_key_parse(tmpl, NULL, 5, params), NULL);
        refuses("sp_key_parse", "out", sp_key_parse(tmpl, "a:b:c", 5, NULL), NULL);
        assert_null(sp_template_ref(NULL));
        assert_null(sp_template_text(NULL));
        assert_int_equal(sp_template_params(NULL), 0);
        assert_null(sp_template_param(NULL, 0));
        assert_int_equal(sp_template_ttl_ms(NULL), 0);
        assert_int_equal(sp_lookup_state(NULL), 0);
        assert_null(sp_lookup_value(NULL));
        assert_null(sp_lookup_take_lease(NULL));
        assert_int_equal(sp_lookups_count(NULL), 0);
        assert_int_equal(sp_lookups_next(NULL, 0), 0);
        assert_int_equal(sp_lookups_state(NULL, 0), 0);
        assert_null(sp_lookups_value(NULL, 0));
        assert_null(sp_lookups_key(NULL, 0, &len));
        assert_int_equal(sp_cache_hits(NULL), 0);
        assert_int_equal(sp_cache_misses(NULL), 0);
        assert_true(sp_cache_hit_rate_since(NULL, 1) == 0);
        sp_template_unref(tmpl);
        sp_cache_free(cache);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
        sp_params_free(params);
        sp_config_free(config);
}

static void test_a_call_without_its_queue_is_refused(void **state)
{
        sp_config *config = sp_config_new();
        sp_params *params = sp_params_new();
        sp_targets *targets = sp_targets_new();
        sp_schedule *schedule = NULL;
        sp_template *tmpl = NULL;
        sp_lookups *lookups = NULL;
        sp_lookup *lookup = NULL;
        sp_cache *cache = NULL;
        sp_warm *warm = NULL;
        sp_scan *scan = NULL;
        sp_stmt *stmt;
        sp_pool *pool;

        assert_int_equal(sp_config_set(config, "pool.url", "postgresql://127.0.0.1:1/x", NULL), SP_OK);
        assert_int_equal(sp_pool_new(config, NULL, &pool, NULL), SP_OK);
        assert_int_equal(sp_stmt_new("one", "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        assert_int_equal(sp_template_new("a:b:{id}", NULL, &tmpl, NULL), SP_OK);
        assert_int_equal(sp_schedule_new(cache, "a", "start", &schedule, NULL), SP_OK);
        assert_int_equal(sp_scan_new("a:*", &scan, NULL), SP_OK);
        assert_int_equal(sp_warm_new(cache, pool, stmt, NULL, tmpl, stmt, SP_QUERY_CELL, &warm, NULL), SP_OK);
        sp_params_add_text(params, "many", 4);
        sp_targets_key(targets, "a", 1);
        assert_int_equal(sp_cache_lookup(cache, NULL, "a", 1, &lookup, NULL), SP_OK);
        assert_int_equal(sp_cache_lookup_many(cache, NULL, params, &lookups, NULL), SP_OK);

        refuses("sp_cache_lookup_async", "queue", sp_cache_lookup_async(cache, NULL, "a", 1, NULL, 1), NULL);
        refuses("sp_lease_fill_async", "queue",
                sp_lease_fill_async(sp_lookup_take_lease(lookup), NULL, "a", 1, SP_CODEC_TEXT, 0, NULL, 1), NULL);
        refuses("sp_cache_lookup_many_async", "queue", sp_cache_lookup_many_async(cache, NULL, params, NULL, 1), NULL);
        refuses("sp_lookups_fill_async", "queue", sp_lookups_fill_async(lookups, NULL, NULL, 1), NULL);
        refuses("sp_cache_query_async", "queue",
                sp_cache_query_async(cache, pool, NULL, "a", 1, stmt, NULL, SP_QUERY_CELL, NULL, 1), NULL);
        refuses("sp_cache_set_async", "queue",
                sp_cache_set_async(cache, NULL, "a", 1, "b", 1, SP_CODEC_TEXT, 0, NULL, 1), NULL);
        refuses("sp_cache_touch_async", "queue", sp_cache_touch_async(cache, NULL, "a", 1, 0, NULL, 1), NULL);
        refuses("sp_cache_invalidate_async", "queue", sp_cache_invalidate_async(cache, NULL, targets, NULL, 1), NULL);
        refuses("sp_cache_delete_async", "queue", sp_cache_delete_async(cache, NULL, "a", 1, NULL, 1), NULL);
        refuses("sp_cache_scan_async", "queue", sp_cache_scan_async(cache, NULL, scan, NULL, 1), NULL);
        refuses("sp_schedule_wait_async", "queue", sp_schedule_wait_async(schedule, NULL, NULL, 1), NULL);
        refuses("sp_warm_run_async", "queue", sp_warm_run_async(warm, NULL, 1, NULL, 1), NULL);
        refuses("sp_cache_lookup_async", "queue", sp_cache_lookup_async(NULL, NULL, "a", 1, NULL, 1), NULL);
        /* Nothing has begun: what was to be filled still is. */
        assert_int_equal(sp_lookups_next(lookups, 0), 0);
        assert_int_equal(sp_warm_rows(warm), 0);
        assert_int_equal(sp_cache_peek(cache, "a", 1, NULL), 0);
        assert_int_equal(sp_warm_rows(NULL) + sp_warm_loaded(NULL) + sp_warm_failed(NULL), 0);
        sp_lookup_free(lookup);
        sp_lookups_free(lookups);
        sp_warm_free(warm);
        sp_scan_unref(scan);
        sp_schedule_free(schedule);
        sp_template_unref(tmpl);
        sp_cache_free(cache);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
        sp_targets_free(targets);
        sp_params_free(params);
        sp_config_free(config);
}

static void test_a_client_without_a_database_says_what_to_set(void **state)
{
        sp_config *config = sp_config_new();
        sp_client *client = NULL;
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_stmt *stmt;

        assert_int_equal(sp_client_new(config, &client, NULL), SP_OK);
        assert_int_equal(sp_stmt_new("one", "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        assert_int_equal(sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, NULL, &result, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "DATABASE_URL"));
        sp_error_free(error);
        sp_stmt_unref(stmt);
        sp_client_free(client);
        sp_config_free(config);
}

static void test_what_ends_or_asks_takes_nothing_for_nothing(void **state)
{
        sp_completion *done;

        sp_error_free(NULL);
        assert_int_equal(sp_error_status(NULL), SP_OK);
        assert_string_equal(sp_error_message(NULL), "");
        assert_string_equal(sp_error_code(NULL), "");
        assert_false(sp_error_retryable(NULL));
        sp_value_unref(NULL);
        assert_null(sp_value_new(NULL, 1, SP_CODEC_BYTES));
        sp_clock_free(NULL);
        sp_config_free(NULL);
        assert_null(sp_config_get(NULL, NULL));
        sp_ctx_unref(NULL);
        sp_ctx_cancel(NULL);
        assert_false(sp_ctx_cancelled(NULL));
        assert_int_equal(sp_ctx_remaining(NULL), -1);
        sp_params_clear(NULL);
        sp_params_free(NULL);
        assert_int_equal(sp_params_count(NULL), 0);
        sp_queue_free(NULL);
        assert_int_equal(sp_queue_fd(NULL), -1);
        assert_int_equal(sp_queue_take(NULL, &done, 1), 0);
        assert_int_equal(sp_queue_wait(NULL, &done, 1, -1), 0);
        assert_int_equal(sp_queue_pending(NULL), 0);
        sp_completion_free(NULL);
        sp_stmt_unref(NULL);
        sp_session_release(NULL);
        assert_string_equal(sp_stmt_name(NULL), "");
        sp_result_free(NULL);
        assert_int_equal(sp_result_rows(NULL) + sp_result_columns(NULL) + sp_result_sets(NULL), 0);
        assert_int_equal(sp_result_affected(NULL), 0);
        assert_string_equal(sp_result_command(NULL), "");
        assert_null(sp_result_get(NULL, 0, 0, NULL));
        assert_null(sp_result_pack(NULL, NULL));
        sp_pool_close(NULL);
        sp_pool_free(NULL);
        assert_int_equal(sp_pool_active(NULL) + sp_pool_idle(NULL) + sp_pool_waiting(NULL) + sp_pool_max(NULL) +
                             sp_pool_replicas(NULL) + sp_stmt_repeatable(NULL),
                         0);
        sp_client_close(NULL);
        sp_client_free(NULL);
        assert_null(sp_client_pool(NULL, NULL));
        assert_null(sp_client_cache(NULL));
        assert_null(sp_client_profiler(NULL));
        assert_null(sp_client_metrics(NULL));
        assert_null(sp_client_breaker(NULL, "x"));
        assert_null(sp_client_breaker_ref(NULL, "x"));
        assert_null(sp_client_policy(NULL, "x"));
}

static void test_a_configuration_that_cannot_work_is_refused(void **state)
{
        static const struct {
                const char *settings[5];
                const char *pool;
                sp_status status;
                const char *says[2];
        } cases[] = {
            {{"pool.min", "30"}, NULL, SP_CONFIG, {"pool.min is 30", "pool.max, which is 20"}},
            {{"pool.min", "3", "pool.max", "2"}, NULL, SP_CONFIG, {"pool.min is 3", "pool.max, which is 2"}},
            {{"pool.orders.min", "9", "pool.max", "8"}, "orders", SP_CONFIG, {"pool.orders.min is 9", "which is 8"}},
            {{"pool.min", "9", "pool.max", "8"}, "orders", SP_CONFIG, {"pool.orders.min is 9", "which is 8"}},
            {{"pool.url", "postgresql://a:hunter2@db:99999/x"},
             NULL,
             SP_INVALID,
             {"pool.url", "port must be 1 to 65535"}},
            {{"pool.url", "postgresql://a:hunter2@db:0/x"}, NULL, SP_INVALID, {"pool.url", "port must be 1 to 65535"}},
            {{"pool.url", "postgresql://a:hunter2@db:1,dc:70000/x"}, NULL, SP_INVALID, {"pool.url", "port must be"}},
            {{"pool.url", "postgresql://db/x?sslmode=hunter2"}, NULL, SP_INVALID, {"pool.url: sslmode", "verify-full"}},
            {{"pool.url", "postgresql://db/x?sslmode=prefer,"}, NULL, SP_INVALID, {"pool.url: sslmode", "prefer"}},
            {{"pool.orders.url", "postgresql://db/x?sslmode=on"},
             "orders",
             SP_INVALID,
             {"pool.orders.url: sslmode", ""}},
            {{"pool.url", "postgresql://db/x?gssencmode=hunter2"},
             NULL,
             SP_INVALID,
             {"pool.url: gssencmode", "disable"}},
            {{"pool.url", "postgresql://db/x?keepalives_idle=hunter2"},
             NULL,
             SP_INVALID,
             {"keepalives_idle", "number"}},
            {{"pool.url", "postgresql://db/x?sslmod=prefer"}, NULL, SP_INVALID, {"pool.url", "\"sslmod\""}},
            {{"pool.host", "db:6000"}, NULL, SP_INVALID, {"pool.host holds a port", "pool.port"}},
            {{"pool.host", "da,db:6000"}, NULL, SP_INVALID, {"pool.host holds a port", "pool.port"}},
            {{"pool.host", "postgresql://a:hunter2@db/x"}, NULL, SP_INVALID, {"pool.host is a URL", "pool.url"}},
            {{"pool.host", "a hunter2"}, NULL, SP_INVALID, {"pool.host", "neither"}},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                sp_config *config = sp_config_new();
                sp_error *error = NULL;
                sp_pool *pool = NULL;
                sp_status status;

                for (size_t j = 0; j < 4 && cases[i].settings[j]; j += 2)
                        assert_int_equal(sp_config_set(config, cases[i].settings[j], cases[i].settings[j + 1], NULL),
                                         SP_OK);
                status = sp_pool_new(config, cases[i].pool, &pool, &error);
                if (status != cases[i].status || !strstr(sp_error_message(error), cases[i].says[0]) ||
                    !strstr(sp_error_message(error), cases[i].says[1]))
                        fail_msg("%s=%s: %s, %s", cases[i].settings[0], cases[i].settings[1], sp_status_name(status),
                                 sp_error_message(error));
                assert_null(strstr(sp_error_message(error), "hunter2"));
                assert_false(sp_error_retryable(error));
                assert_null(pool);
                sp_error_free(error);
                sp_config_free(config);
        }
}

static void test_what_looks_odd_but_works_is_taken(void **state)
{
        static const char *const cases[][5] = {
            {"pool.max", "1"},
            {"pool.min", "20"},
            {"pool.min", "9", "pool.orders.max", "8"},
            {"pool.url", "postgresql://db:1,dc/x?sslmode=verify-full&target_session_attrs=prefer-standby"},
            {"pool.url", "postgresql://db/x?keepalives=0&connect_timeout=-1&sslmode=allow"},
            {"pool.url", "postgresql://%2Fvar%2Frun/x"},
            {"pool.url", "postgresql://[::1]:65535/x"},
            {"pool.host", "::1"},
            {"pool.host", "/var/run/postgresql"},
            {"pool.host", "da,db.example"},
            {"pool.host", "@abstract"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                sp_config *config = sp_config_new();
                sp_error *error = NULL;
                sp_pool *pool;

                for (size_t j = 0; j < 4 && cases[i][j]; j += 2)
                        assert_int_equal(sp_config_set(config, cases[i][j], cases[i][j + 1], NULL), SP_OK);
                if (sp_pool_new(config, "orders", &pool, &error) != SP_OK)
                        fail_msg("%s=%s: %s", cases[i][0], cases[i][1], sp_error_message(error));
                sp_pool_free(pool);
                sp_config_free(config);
        }
}

static void test_a_statement_that_does_not_parse_is_named(void **state)
{
        sp_error *error = NULL;
        sp_stmt *stmt = NULL;

        assert_int_equal(sp_stmt_new("user-by-id", "SELEC 1", 7, 0, &stmt, &error), SP_INVALID);
        assert_string_equal(sp_error_message(error),
                            "statement \"user-by-id\": the statement does not parse: error at character 1");
        sp_error_free(error);
        assert_int_equal(sp_stmt_new("two", "SELECT 1; SELECT 2", 18, 0, &stmt, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "statement \"two\": "));
        sp_error_free(error);
        assert_int_equal(sp_stmt_new("flags", "SELECT 1", 8, 1u << 30, &stmt, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "statement \"flags\": "));
        sp_error_free(error);
        assert_int_equal(sp_stmt_new(NULL, "SELEC 1", 7, 0, &stmt, &error), SP_INVALID);
        assert_string_equal(sp_error_message(error), "the statement does not parse: error at character 1");
        sp_error_free(error);
        assert_int_equal(sp_stmt_new("x", "SELEC 1", 7, 0, &stmt, NULL), SP_INVALID);
        assert_null(stmt);
}

static void test_a_target_that_was_refused_refuses_them_all(void **state)
{
        static char key[SP_KEY_MAX + 1];
        sp_config *config = sp_config_new();
        sp_targets *long_one = sp_targets_new(), *empty = sp_targets_new();
        sp_error *error = NULL;
        sp_cache *cache;

        memset(key, 'k', sizeof key);
        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        assert_int_equal(sp_targets_key(long_one, key, sizeof key), SP_LIMIT);
        assert_int_equal(sp_targets_key(long_one, "a", 1), SP_OK);
        assert_int_equal(sp_cache_invalidate(cache, NULL, long_one, &error), SP_LIMIT);
        assert_non_null(strstr(sp_error_message(error), "1025 bytes"));
        sp_error_free(error);
        error = NULL;
        assert_int_equal(sp_targets_tag(empty, "a", 1), SP_OK);
        assert_int_equal(sp_targets_tag(empty, "", 0), SP_INVALID);
        assert_int_equal(sp_cache_invalidate(cache, NULL, empty, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "was empty"));
        sp_error_free(error);
        sp_targets_free(long_one);
        sp_targets_free(empty);
        sp_cache_free(cache);
        sp_config_free(config);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_missing_argument_is_named),
            cmocka_unit_test(test_a_missing_argument_of_the_cache_is_named),
            cmocka_unit_test(test_a_call_without_its_queue_is_refused),
            cmocka_unit_test(test_a_client_without_a_database_says_what_to_set),
            cmocka_unit_test(test_what_ends_or_asks_takes_nothing_for_nothing),
            cmocka_unit_test(test_a_configuration_that_cannot_work_is_refused),
            cmocka_unit_test(test_what_looks_odd_but_works_is_taken),
            cmocka_unit_test(test_a_statement_that_does_not_parse_is_named),
            cmocka_unit_test(test_a_target_that_was_refused_refuses_them_all),
        };

        return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
