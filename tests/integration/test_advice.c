/* SPDX-License-Identifier: MIT */
/*
 * On the recommendation service's data without its indexes the advice finds those that the source document lists for what
 * this workload asks, and none that nobody would use; made, they are used, and the statements read less. In a database of
 * its own, with HypoPG where that is installed.
 */
#include "ways.h"

#include "base/buf.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 20 };

static char database[64], url[512];

/* Runs psql on a database; fails the test where that fails. */
static void psql(const char *arguments)
{
        char command[2048];

        snprintf(command, sizeof command, "psql -Xq -v ON_ERROR_STOP=1 -d '%s' %s >/dev/null", url, arguments);
        if (system(command) != 0)
                fail_msg("psql %s failed", arguments);
}

static bool psql_can(const char *text)
{
        char command[2048];

        snprintf(command, sizeof command, "psql -Xq -v ON_ERROR_STOP=1 -d '%s' -c \"%s\" >/dev/null 2>&1", url, text);
        return system(command) == 0;
}

/* The test's server, another database on it. */
static void set_url(const char *name)
{
        const char *test = getenv("SP_TEST_PG");
        const char *slash = strrchr(test, '/');

        snprintf(url, sizeof url, "%.*s/%s", (int)(slash - test), test, name);
}

static const char *const files[] = {"schema.sql", "data.sql", "keys.sql"};

static int make_database(void **state)
{
        char text[512];

        snprintf(database, sizeof database, "advice_%d", (int)getpid());
        snprintf(url, sizeof url, "%s", getenv("SP_TEST_PG"));
        snprintf(text, sizeof text, "-c 'CREATE DATABASE %s'", database);
        psql(text);
        set_url(database);
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
                snprintf(
                    text, sizeof text,
                    "-v users=3000 -v contents=10000 -v interactions=60000 -v tags=200 -f examples/recommendation/%s",
                    files[i]);
                psql(text);
        }
        psql("-c 'VACUUM ANALYZE'");
        return 0;
}

static int drop_database(void **state)
{
        char text[128];

        snprintf(url, sizeof url, "%s", getenv("SP_TEST_PG"));
        snprintf(text, sizeof text, "-c 'DROP DATABASE %s WITH (FORCE)'", database);
        psql(text);
        return 0;
}

/* What the service asks, in its naive form and what else the document's indexes are for. `$1` is a user, a content or none. */
static const struct {
        const char *name, *text, *what;
        bool writes;
} workload[] = {
    {"best", "SELECT id, title, creator_id, engagement_score FROM contents ORDER BY engagement_score DESC, id LIMIT 10",
     NULL, false},
    {"recommended",
     "SELECT id, title, creator_id, engagement_score FROM contents WHERE id IN (SELECT content_id FROM "
     "content_tag_links"
     " JOIN user_interests USING (tag_id) WHERE user_id = $1) ORDER BY engagement_score DESC, id LIMIT 10",
     "user", false},
    {"latest", "SELECT id, title FROM contents ORDER BY created_at DESC LIMIT 20", NULL, false},
    {"history",
     "SELECT content_id, type, created_at FROM user_interactions WHERE user_id = $1 ORDER BY created_at DESC LIMIT 20",
     "user", false},
    {"interests", "SELECT array_agg(tag_id) FROM user_interests WHERE user_id = $1", "user", false},
    {"content", "SELECT id, title, view_count FROM contents WHERE id = $1", "content", false},
    {"tagsOf",
     "SELECT name FROM content_tags JOIN content_tag_links ON tag_id = content_tags.id WHERE content_id = $1 ORDER BY "
     "name",
     "content", false},
    {"view", "UPDATE contents SET view_count = view_count + 1 WHERE id = $1", "content", true},
    {"interact",
     "INSERT INTO user_interactions (user_id, content_id, type) SELECT 'user-1', id, 'view' FROM contents WHERE id = "
     "$1",
     "content", true},
};

enum { STATEMENTS = sizeof workload / sizeof *workload };

static sp_client *client_new(void)
{
        sp_config *config = sp_config_new();
        sp_client *client = NULL;

        assert_int_equal(sp_config_set(config, "pool.url", url, NULL), SP_OK);
        /* Without indexes a busy machine takes its time. */
        assert_int_equal(sp_config_set(config, "pool.statement_timeout", "30s", NULL), SP_OK);
        assert_int_equal(sp_client_new(config, &client, NULL), SP_OK);
        sp_config_free(config);
        return client;
}

static void run_one(sp_client *client, const sp_stmt *stmt, const char *what, int round)
{
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_error *error = NULL;
        char id[32];

        snprintf(id, sizeof id, "%s-%d", what ? what : "", round * 97 % 3000);
        if (what)
                sp_params_add_text(params, id, strlen(id));
        if (sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, params, &result, &error) != SP_OK)
                fail_msg("%s: %s", sp_stmt_name(stmt), sp_error_message(error));
        sp_result_free(result);
        sp_params_free(params);
}

static void run_all(sp_client *client, bool writes)
{
        for (size_t i = 0; i < STATEMENTS; i++) {
                sp_stmt *stmt = NULL;

                if (workload[i].writes && !writes)
                        continue;
                assert_int_equal(
                    sp_stmt_new(workload[i].name, workload[i].text, strlen(workload[i].text), 0, &stmt, NULL), SP_OK);
                for (int round = 0; round < RUNS; round++)
                        run_one(client, stmt, workload[i].what, round);
                sp_stmt_unref(stmt);
        }
}

static struct sp__json_tree *advise(sp_client *client)
{
        struct sp__json_tree *tree;
        sp_value *value = NULL;
        sp_error *error = NULL;
        size_t len;
        const char *text;

        if (sp_profiler_advise(sp_client_profiler(client), NULL, NULL, &value, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        text = sp_value_data(value, &len);
        tree = sp__json_read(text, len);
        assert_non_null(tree);
        printf("# %s\n", text);
        sp_value_unref(value);
        return tree;
}

static const struct sp__json *member(const struct sp__json_tree *tree, const char *name)
{
        const struct sp__json *found = sp__json_get(sp__json_root(tree), name);

        assert_non_null(found);
        return found;
}

/* Whether one of them has a DDL that begins so. */
static bool offered(const struct sp__json_tree *tree, const char *ddl)
{
        for (const struct sp__json *index = member(tree, "indexes")->first; index; index = index->next) {
                const char *at = strstr(sp__json_text(index, "ddl"), " ON ");

                if (at && strncmp(at + 4, ddl, strlen(ddl)) == 0)
                        return true;
        }
        return false;
}

/* Blocks that all statements that read touch, once each. */
static double blocks_read(void)
{
        sp_pool *pool;
        sp_config *config = sp_config_new();
        double blocks = 0;

        assert_int_equal(sp_config_set(config, "pool.url", url, NULL), SP_OK);
        assert_int_equal(sp_pool_new(config, NULL, &pool, NULL), SP_OK);
        sp_config_free(config);
        for (size_t i = 0; i < STATEMENTS; i++) {
                struct sp__buf text = SP__BUF_INIT;
                const char *param = strstr(workload[i].text, "$1");
                sp_result *result = NULL;
                struct sp__json_tree *plan;
                sp_stmt *stmt;
                size_t len;
                const char *json;

                if (workload[i].writes)
                        continue;
                sp__buf_text(&text, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ");
                if (param)
                        sp__buf_format(&text, "%.*s'%s-7'%s", (int)(param - workload[i].text), workload[i].text,
                                       workload[i].what, param + 2);
                else
                        sp__buf_text(&text, workload[i].text);
                sp__buf_char(&text, 0);
                stmt = stmt_of(text.data);
                assert_int_equal(sp_pool_query(pool, NULL, stmt, NULL, &result, NULL), SP_OK);
                json = sp_result_get(result, 0, 0, &len);
                plan = sp__json_read(json, len);
                const struct sp__json *node = sp__json_get(sp__json_root(plan)->first, "Plan");

                blocks +=
                    atof(sp__json_text(node, "Shared Hit Blocks")) + atof(sp__json_text(node, "Shared Read Blocks"));
                sp__json_free(plan);
                sp_result_free(result);
                sp_stmt_unref(stmt);
                sp__buf_free(&text);
        }
        sp_pool_free(pool);
        return blocks;
}

static void create_all(const struct sp__json_tree *tree)
{
        for (const struct sp__json *index = member(tree, "indexes")->first; index; index = index->next) {
                struct sp__buf command = SP__BUF_INIT;

                sp__buf_format(&command, "-c '%s'", sp__json_text(index, "ddl"));
                sp__buf_char(&command, 0);
                psql(command.data);
                sp__buf_free(&command);
        }
        psql("-c 'VACUUM ANALYZE'");
}

/* Each index that was made is in the plan of some statement. */
static void all_are_used(sp_client *client, const struct sp__json_tree *tree)
{
        struct sp__buf plans = SP__BUF_INIT;

        for (size_t i = 0; i < STATEMENTS; i++) {
                sp_value *value = NULL;
                size_t len;

                if (workload[i].writes)
                        continue;
                assert_int_equal(sp_profiler_explain(sp_client_profiler(client), NULL, workload[i].name, &value, NULL),
                                 SP_OK);
                sp__buf_text(&plans, sp_value_data(value, &len));
                sp_value_unref(value);
        }
        sp__buf_char(&plans, 0);
        for (const struct sp__json *index = member(tree, "indexes")->first; index; index = index->next) {
                const char *ddl = sp__json_text(index, "ddl"), *name = strstr(ddl, "idx_");
                char used[128];

                snprintf(used, sizeof used, "using %.*s", (int)strcspn(name, " \""), name);
                if (!strstr(plans.data, used))
                        fail_msg("%s is in no plan: %s", ddl, plans.data);
        }
        sp__buf_free(&plans);
}

static size_t count_of(const struct sp__json *list)
{
        size_t count = 0;

        for (const struct sp__json *item = list->first; item; item = item->next)
                count++;
        return count;
}

static void costs_fell(const struct sp__json_tree *tree)
{
        for (const struct sp__json *load = member(tree, "statements")->first; load; load = load->next) {
                const char *before = sp__json_text(load, "before"), *after = sp__json_text(load, "after");

                if (*before)
                        assert_true(atof(after) <= atof(before) * 1.001);
        }
}

/* What one run of each statement took, for people: a slow machine must fail nothing. */
static void show_times(sp_client *before, sp_client *after)
{
        for (size_t i = 0; i < STATEMENTS; i++) {
                const char *name = workload[i].name;

                if (!workload[i].writes)
                        printf("# %-12s %8.3f ms before, %8.3f ms after\n", name,
                               (double)sp_profiler_quantile_ns(sp_client_profiler(before), name, .5) / 1e6,
                               (double)sp_profiler_quantile_ns(sp_client_profiler(after), name, .5) / 1e6);
        }
}

/* cmocka's skip() is a failure to readers of TAP. */
static bool has_hypopg(void)
{
        bool there = psql_can("CREATE EXTENSION IF NOT EXISTS hypopg");

        if (!there)
                puts("# hypopg is not installed: nothing was tried");
        return there;
}

static void test_the_document_s_indexes_are_found_used_and_pay(void **state)
{
        sp_client *client, *cured;
        struct sp__json_tree *tree, *again;
        double before, after;

        if (!has_hypopg())
                return;
        client = client_new();
        run_all(client, true);
        before = blocks_read();
        tree = advise(client);
        assert_string_equal(sp__json_text(sp__json_root(tree), "hypopg"), "used");
        assert_true(offered(tree, "contents (engagement_score DESC"));
        assert_true(offered(tree, "contents (created_at DESC"));
        assert_true(offered(tree, "user_interactions (user_id, created_at DESC"));
        assert_true(offered(tree, "user_interests (user_id, tag_id"));
        assert_true(count_of(member(tree, "indexes")) <= 5);
        costs_fell(tree);
        create_all(tree);
        cured = client_new();
        run_all(cured, false);
        show_times(client, cured);
        all_are_used(cured, tree);
        sp_client_free(cured);
        after = blocks_read();
        printf("# blocks: %.0f before, %.0f after\n", before, after);
        assert_true(after < before / 5);
        /* Nothing is left to be advised. */
        again = advise(client);
        assert_int_equal(count_of(member(again, "indexes")), 0);
        sp__json_free(tree);
        sp__json_free(again);
        sp_client_free(client);
}

static void test_indexes_that_nobody_needs_are_named_not_dropped(void **state)
{
        sp_client *client = client_new();
        struct sp__json_tree *tree;
        const struct sp__json *idle;
        bool unused = false, duplicate = false;

        psql("-c 'CREATE INDEX idle_title ON contents (title)' -c 'CREATE INDEX idle_twin_a ON users (created_at)'"
             " -c 'CREATE INDEX idle_twin_b ON users (created_at)'");
        run_all(client, false);
        for (int i = 0; i < 3; i++) {
                sp_stmt *stmt = stmt_of("SELECT username FROM users WHERE id = $1");

                run_one(client, stmt, "user", i);
                sp_stmt_unref(stmt);
        }
        tree = advise(client);
        for (idle = member(tree, "idle")->first; idle; idle = idle->next) {
                const char *name = sp__json_text(idle, "index"), *fault = sp__json_text(idle, "fault");

                unused |= strcmp(name, "idle_title") == 0 && strcmp(fault, "unused") == 0;
                duplicate |= strcmp(name, "idle_twin_b") == 0 && strcmp(fault, "duplicate") == 0 &&
                             strcmp(sp__json_text(idle, "of"), "idle_twin_a") == 0;
                assert_null(strstr(name, "_pkey"));
        }
        assert_true(unused);
        assert_true(duplicate);
        psql("-c 'DROP INDEX idle_title, idle_twin_a, idle_twin_b'");
        sp__json_free(tree);
        sp_client_free(client);
}

static const char *fault_of(const struct sp__json_tree *tree, const char *name, const char **of)
{
        for (const struct sp__json *idle = member(tree, "idle")->first; idle; idle = idle->next) {
                if (strcmp(sp__json_text(idle, "index"), name) != 0)
                        continue;
                *of = sp__json_text(idle, "of");
                return sp__json_text(idle, "fault");
        }
        *of = "";
        return "";
}

/* What is dropped for another one must not be what a constraint needs, what all read, or of another order than the other. */
static void test_of_indexes_that_do_for_another_the_right_one_stays(void **state)
{
        static const struct {
                const char *index, *fault, *of;
        } wanted[] = {{"kinds_pkey", "", ""},
                      {"a_twin_of_the_key", "duplicate", "kinds_pkey"},
                      {"kinds_a1", "duplicate", "kinds_a2"},
                      {"kinds_a2", "redundant", "kinds_ab"},
                      {"kinds_ab", "", ""},
                      {"kinds_pattern", "", ""},
                      {"kinds_with", "", ""}};
        sp_client *client = client_new();
        sp_stmt *stmt = stmt_of("SELECT name FROM kinds WHERE id = length($1)");
        struct sp__json_tree *tree;
        const char *of;

        psql("-c 'CREATE TABLE kinds AS SELECT i AS id, i % 1000 AS a, i % 7 AS b, md5(i::text) AS name"
             "  FROM generate_series(1, 20000) i' -c 'ALTER TABLE kinds ADD PRIMARY KEY (id)'"
             " -c 'CREATE INDEX a_twin_of_the_key ON kinds (id)'"
             /* Each is read before one comes that would be read instead. */
             " -c 'CREATE INDEX kinds_a2 ON kinds (a)' -c 'VACUUM ANALYZE kinds'"
             " -c 'SET enable_seqscan = off; SELECT sum(id) FROM kinds WHERE a = 7'"
             " -c 'CREATE INDEX kinds_ab ON kinds (a, b)'"
             " -c 'SET enable_seqscan = off; SELECT sum(id) FROM kinds WHERE a = 7 AND b = 3'"
             " -c 'CREATE INDEX kinds_with ON kinds (b) INCLUDE (name)'"
             " -c 'SET enable_seqscan = off; SELECT name FROM kinds WHERE b = 3'"
             " -c 'CREATE INDEX kinds_pattern ON kinds (name text_pattern_ops)'"
             " -c 'SET enable_seqscan = off; SELECT id FROM kinds WHERE name ~~ $$abc%$$'"
             " -c 'CREATE UNIQUE INDEX kinds_bid ON kinds (b, id)' -c 'CREATE UNIQUE INDEX kinds_nid ON kinds (name, "
             "id)'"
             " -c 'CREATE INDEX kinds_a1 ON kinds (a)'");
        run_one(client, stmt, "user", 1);
        tree = advise(client);
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
                const char *fault = fault_of(tree, wanted[i].index, &of);

                if (strcmp(fault, wanted[i].fault) != 0 || strcmp(of, wanted[i].of) != 0)
                        fail_msg("%s: \"%s\" of \"%s\"", wanted[i].index, fault, of);
        }
        psql("-c 'DROP TABLE kinds'");
        sp__json_free(tree);
        sp_stmt_unref(stmt);
        sp_client_free(client);
}

/* An UPDATE or DELETE that reads all to find its rows wants an index; never is it itself what the server is asked about. */
static void test_a_write_that_reads_all_wants_an_index(void **state)
{
        sp_client *client;
        sp_stmt *done, *gone;
        struct sp__json_tree *tree;

        if (!has_hypopg())
                return;
        client = client_new();
        done = stmt_of("UPDATE jobs SET state = 'done' WHERE queue = $1");
        gone = stmt_of("DELETE FROM jobs WHERE ticket = $1");
        psql("-c \"CREATE TABLE jobs AS SELECT 'user-' || i AS queue, i::text AS ticket, 'new' AS state, i AS n"
             "  FROM generate_series(1, 30000) i\" -c 'ANALYZE jobs'");
        for (int i = 0; i < 3; i++) {
                run_one(client, done, "user", i);
                run_one(client, gone, "user", i);
        }
        tree = advise(client);
        assert_true(offered(tree, "jobs (queue)"));
        assert_true(offered(tree, "jobs (ticket)"));
        assert_int_equal(count_of(member(tree, "indexes")), 2);
        costs_fell(tree);
        assert_true(psql_can("DO \\$\\$ BEGIN ASSERT (SELECT count(*) = 30000 FROM jobs); END \\$\\$"));
        psql("-c 'DROP TABLE jobs'");
        sp__json_free(tree);
        sp_stmt_unref(done);
        sp_stmt_unref(gone);
        sp_client_free(client);
}

static void test_without_hypopg_it_is_a_guess_that_says_so(void **state)
{
        sp_client *client;
        struct sp__json_tree *tree;

        psql("-c 'DROP EXTENSION IF EXISTS hypopg'");
        client = client_new();
        run_all(client, false);
        psql("-c 'CREATE TABLE big AS SELECT i, i % 1000 AS kind, i::text AS name FROM generate_series(1, 50000) i' -c "
             "ANALYZE");
        for (int i = 0; i < 3; i++) {
                sp_stmt *stmt =
                    stmt_of("SELECT name FROM big WHERE kind = 7 AND $1::text <> 'hunter2' ORDER BY i LIMIT 3");

                run_one(client, stmt, "user", i);
                sp_stmt_unref(stmt);
        }
        tree = advise(client);
        assert_string_not_equal(sp__json_text(sp__json_root(tree), "hypopg"), "used");
        assert_true(offered(tree, "big (kind"));
        psql("-c 'DROP TABLE big'");
        sp__json_free(tree);
        sp_client_free(client);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_document_s_indexes_are_found_used_and_pay),
            cmocka_unit_test(test_indexes_that_nobody_needs_are_named_not_dropped),
            cmocka_unit_test(test_of_indexes_that_do_for_another_the_right_one_stays),
            cmocka_unit_test(test_a_write_that_reads_all_wants_an_index),
            cmocka_unit_test(test_without_hypopg_it_is_a_guess_that_says_so),
        };

        return cmocka_run_group_tests_name("advice", tests, make_database, drop_database);
}
