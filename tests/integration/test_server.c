/* SPDX-License-Identifier: MIT */
/*
 * What the server knows stands beside what was recorded; what it has not, or the role may not see, is told with what would mend it;
 * nobody's literals show. Run on a server that has loaded pg_stat_statements, and on one that has not.
 */
#include "way.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVER_RUNS = 12 };

static char url[512], database[64];

static void psql(const char *text)
{
        char command[4096];

        snprintf(command, sizeof command, "psql -Xq -v ON_ERROR_STOP=1 -d '%s' -c \"%s\" >/dev/null", url, text);
        if (system(command) != 0)
                fail_msg("psql: %s", text);
}

static int make_database(void **state)
{
        const char *test = getenv("SP_TEST_PG");
        char text[128];

        snprintf(database, sizeof database, "server_%d", (int)getpid());
        snprintf(url, sizeof url, "%s", test);
        snprintf(text, sizeof text, "CREATE DATABASE %s", database);
        psql(text);
        snprintf(url, sizeof url, "%.*s/%s", (int)(strrchr(test, '/') - test), test, database);
        return 0;
}

static int drop_database(void **state)
{
        char text[128];

        snprintf(url, sizeof url, "%s", getenv("SP_TEST_PG"));
        snprintf(text, sizeof text, "DROP DATABASE %s WITH (FORCE)", database);
        psql(text);
        return 0;
}

/* NULL: the test's own role. */
static sp_client *client_of(const char *user)
{
        char setting[600];
        const char *host = strchr(url, '@');
        sp_config *config;
        sp_error *error = NULL;
        sp_client *client = NULL;

        snprintf(setting, sizeof setting, user ? "pool.url=postgresql://%s%s" : "pool.url=%s%s", user ? user : url,
                 user ? host : "");
        /* Nothing ends for want of time, on however slow a machine. */
        config = config_with((const char *[]){setting, "profiler.slow=1ms", "profiler.explain_timeout=1m",
                                              "pool.statement_timeout=1m", "pool.query_timeout=2m",
                                              "pool.acquire_timeout=2m", NULL});
        if (sp_client_new(config, &client, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_config_free(config);
        return client;
}

static sp_value *report_of(sp_client *client)
{
        sp_error *error = NULL;
        sp_value *value = NULL;

        if (sp_profiler_server(sp_client_profiler(client), NULL, NULL, &value, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        return value;
}

static const char *text_of(const sp_value *value)
{
        size_t len;

        return sp_value_data(value, &len);
}

static void holds(const sp_value *value, const char *what)
{
        if (!strstr(text_of(value), what))
                fail_msg("%s does not hold %s", text_of(value), what);
}

static void lacks(const sp_value *value, const char *what)
{
        if (strstr(text_of(value), what))
                fail_msg("%s holds %s", text_of(value), what);
}

/* The server's statistics come when its sessions find time to tell them. */
static sp_value *report_with(sp_client *client, const char *what)
{
        for (;;) {
                sp_value *value = report_of(client);

                if (strstr(text_of(value), what))
                        return value;
                sp_value_unref(value);
                sched_yield();
        }
}

static void ask(sp_client *client, const char *name, const char *text, int64_t param)
{
        sp_params *params = sp_params_new();
        sp_stmt *stmt = NULL;
        sp_result *result = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_stmt_new(name, text, strlen(text), 0, &stmt, NULL), SP_OK);
        if (param)
                sp_params_add_int(params, param);
        if (sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, params, &result, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_params_free(params);
}

static void test_statements_stand_beside_the_server_s(void **state)
{
        static const char theirs[] = "\"text\":\"SELECT word FROM joined WHERE id = $1\",\"calls\":12,\"totalMs\":";
        sp_client *client = client_of(NULL);
        sp_value *value;
        const char *at;

        psql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE TABLE joined AS SELECT i AS id, 'hunter2' AS "
             "word FROM generate_series(1, 100) i");
        psql("SELECT count(*) FROM joined WHERE word = 'hunter2' AND id < 4711");
        for (int i = 1; i <= SERVER_RUNS; i++)
                ask(client, "byId", "SELECT word /* hunter2 */ FROM joined WHERE id = $1", i);
        ask(client, "byWord", "SELECT id FROM joined WHERE word = 'hunter2' LIMIT 7", 0);
        value = report_of(client);
        holds(value, "\"rights\":true,");
        holds(value, "\"lacks\":[]}");
        at = strstr(text_of(value), "\"name\":\"byId\",\"ourRuns\":12,\"ourMeanMs\":");
        assert_non_null(at);
        at = strstr(at, "\"text\":");
        if (strncmp(at, theirs, strlen(theirs)) != 0)
                fail_msg("%s", at);
        /* A literal here is a parameter there. */
        holds(value, "\"name\":\"byWord\",\"ourRuns\":1,");
        at = strstr(text_of(value), "\"others\":[");
        assert_non_null(strstr(at, "SELECT count(*) FROM joined WHERE word = "));
        holds(value, "\"hidden\":0,");
        lacks(value, "hunter2");
        lacks(value, "4711");
        sp_value_unref(value);
        sp_client_free(client);
}

static void test_tables_that_suffer_are_told(void **state)
{
        sp_client *client = client_of(NULL);
        sp_value *value;

        psql("CREATE TABLE suffers WITH (autovacuum_enabled = off) AS SELECT i AS id, md5(i::text) AS word FROM "
             "generate_series(1, 30000) i");
        psql("CREATE TABLE fine AS SELECT 1 AS id");
        for (int i = 0; i < SERVER_RUNS; i++)
                ask(client, "scan", "SELECT count(*) FROM suffers WHERE id = $1", i + 1);
        psql("DELETE FROM suffers WHERE id <= 15000");
        value = report_with(client, "\"faults\":[\"scanned\",\"dead\"");
        holds(value, "\"schema\":\"public\",\"table\":\"suffers\",");
        holds(value, "\"deadRows\":15000,");
        holds(value, "\"vacuumed\":false,\"analyzed\":false,");
        holds(value, "\"table\":\"fine\"");
        holds(value, "\"database\":{\"connections\":");
        sp_value_unref(value);
        sp_client_free(client);
}

/* Opens a transaction that holds a row, and makes another statement wait for it. */
static void test_who_waits_for_whom_is_told(void **state)
{
        sp_client *client = client_of(NULL);
        sp_pool *pool = sp_client_pool(client, NULL);
        sp_stmt *stmt = stmt_of("UPDATE held SET word = 'hunter2' WHERE id = 4711");
        sp_queue *queue = queue_of();
        sp_session *session;
        sp_value *value;
        char blocked[64];

        psql("CREATE TABLE held AS SELECT 4711 AS id, '' AS word");
        session = session_of(&ways[0], pool);
        session_run(&ways[0], session, "BEGIN");
        session_run(&ways[0], session, "UPDATE held SET word = 'hunter2'");
        snprintf(blocked, sizeof blocked, "\"blockedBy\":[%lld],\"text\":\"UPDATE held SET word = ",
                 (long long)session_number(&ways[0], session, "SELECT pg_backend_pid()::int8"));
        assert_int_equal(sp_pool_query_async(pool, NULL, stmt, NULL, queue, 42), SP_OK);
        /* The list of transactions is asked for before that of locks: who is in the first as one that waits is in both. */
        value = report_with(client, "\"waitsFor\":\"Lock.transactionid\",");
        holds(value, blocked);
        holds(value, "\"state\":\"idle in transaction\",");
        lacks(value, "hunter2");
        lacks(value, "= 4711");
        sp_value_unref(value);
        session_run(&ways[0], session, "ROLLBACK");
        sp_session_release(session);
        assert_int_equal(queue_outcome(queue, NULL), SP_OK);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_client_free(client);
}

static void test_a_role_without_rights_is_told_what_it_lacks(void **state)
{
        sp_client *client;
        sp_value *value;

        psql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE TABLE IF NOT EXISTS seen AS SELECT 1 AS id; "
             "GRANT SELECT ON seen TO sugar");
        psql("SELECT id FROM seen WHERE id = 1");
        client = client_of("sugar:sweet");
        ask(client, "mine", "SELECT id FROM seen WHERE id = $1", 1);
        value = report_of(client);
        holds(value, "\"rights\":false,");
        holds(value, "\"other roles' sessions and statements: GRANT pg_read_all_stats TO sugar\"");
        holds(value, "\"name\":\"mine\",\"ourRuns\":1,");
        lacks(value, "\"hidden\":0,");
        sp_value_unref(value);
        /* It may not even read the view. */
        psql("REVOKE ALL ON pg_stat_statements FROM PUBLIC");
        value = report_of(client);
        holds(value, "\"statements: the server answered SQLSTATE 42501\"");
        holds(value, "\"statements\":[],\"others\":[],");
        holds(value, "\"table\":\"seen\"");
        sp_value_unref(value);
        sp_client_free(client);
}

static void test_a_server_without_the_extension_is_told_what_it_lacks(void **state)
{
        sp_client *client = client_of(NULL);
        sp_value *value = report_of(client);

        holds(value, "\"lacks\":[\"statements: CREATE EXTENSION pg_stat_statements\"]}");
        holds(value, "\"statements\":[],\"others\":[],\"hidden\":0,\"unread\":0,\"tables\":[");
        sp_value_unref(value);
        psql("CREATE EXTENSION pg_stat_statements");
        value = report_of(client);
        holds(value,
              "\"lacks\":[\"statements: shared_preload_libraries must name pg_stat_statements, and the server start "
              "anew\"]}");
        sp_value_unref(value);
        sp_client_free(client);
}

static void test_where_there_is_no_server_it_says_so(void **state)
{
        sp_client *client = client_of(NULL);
        sp_profiler *profiler = sp_client_profiler(client), *alone = NULL;
        sp_queue *queue = queue_of();
        sp_error *error = NULL;
        sp_value *value = NULL;

        assert_int_equal(sp_profiler_server(profiler, NULL, "orders", &value, &error), SP_NOT_FOUND);
        says(error, "\"orders\"", "hunter2");
        assert_int_equal(sp_profiler_server_async(profiler, NULL, "orders", queue, 42), SP_OK);
        assert_int_equal(queue_outcome(queue, NULL), SP_NOT_FOUND);
        assert_int_equal(sp_profiler_new(NULL, NULL, &alone, NULL), SP_OK);
        assert_int_equal(sp_profiler_server(alone, NULL, NULL, &value, NULL), SP_UNSUPPORTED);
        sp_profiler_free(alone);
        sp_queue_free(queue);
        sp_client_free(client);
}

static bool loaded(void)
{
        sp_pool *pool = pool_with(NULL);
        bool is =
            number(&ways[0], pool,
                   "SELECT (current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%')::int * $1::int8",
                   1) == 1;

        sp_pool_free(pool);
        return is;
}

int main(void)
{
        const struct CMUnitTest with[] = {
            cmocka_unit_test(test_statements_stand_beside_the_server_s),
            cmocka_unit_test(test_tables_that_suffer_are_told),
            cmocka_unit_test(test_who_waits_for_whom_is_told),
            cmocka_unit_test(test_a_role_without_rights_is_told_what_it_lacks),
        };
        const struct CMUnitTest without[] = {
            cmocka_unit_test(test_a_server_without_the_extension_is_told_what_it_lacks),
            cmocka_unit_test(test_where_there_is_no_server_it_says_so),
        };

        if (loaded())
                return cmocka_run_group_tests_name("server", with, make_database, drop_database);
        return cmocka_run_group_tests_name("server not loaded", without, make_database, drop_database);
}
