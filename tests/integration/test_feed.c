/* SPDX-License-Identifier: MIT */
/* The change feed: what is changed in the database, by whomever, goes from every process's cache, and nothing else does. */
#include "feed_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plain[] = "id text PRIMARY KEY, title text, views int DEFAULT 0";

static void test_a_change_by_anybody_reaches_another_process_s_memory(void **state)
{
        struct service reader, other;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        service_begin(&other, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b'), ('3', 'c')");
        service_lead(&reader);
        service_put(&other, "1", "a");
        service_put(&other, "2", "b");
        service_put(&other, "3", "c");
        world_run(&world, "UPDATE %s SET title = 'x' WHERE id = '2'");
        service_loses(&other, "2");
        assert_true(service_has(&other, "1"));
        world_run(&world, "DELETE FROM %s WHERE id = '1'");
        service_loses(&other, "1");
        assert_true(service_has(&other, "3"));
        service_end(&other);
        service_end(&reader);
        world_end(&world);
}

/* Columns that a rule does not name may change as often as they like. */
static void test_counters_do_not_empty_the_cache(void **state)
{
        struct service reader;
        struct world world;

        world_begin(&world, true, plain);
        world_run(&world, "ALTER TABLE %s REPLICA IDENTITY FULL");
        service_begin(&reader, &world, "TABLE(id) when title -> NAME:item:{id}:full");
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b')");
        service_lead(&reader);
        service_put(&reader, "1", "a");
        service_put(&reader, "2", "b");
        world_run(&world, "UPDATE %s SET views = views + 1; UPDATE %s SET title = 'c' WHERE id = '2'");
        service_loses(&reader, "2");
        assert_true(service_has(&reader, "1"));
        service_end(&reader);
        world_end(&world);
}

static void test_a_row_that_moves_touches_both_keys(void **state)
{
        struct service reader;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a'), ('3', 'b')");
        service_lead(&reader);
        service_put(&reader, "1", "a");
        service_put(&reader, "2", "nothing");
        service_put(&reader, "3", "b");
        world_run(&world, "UPDATE %s SET id = '2' WHERE id = '1'");
        service_loses(&reader, "1");
        service_loses(&reader, "2");
        assert_true(service_has(&reader, "3"));
        service_end(&reader);
        world_end(&world);
}

static void test_a_truncate_touches_every_key_of_the_table_s_rules(void **state)
{
        struct service reader;
        struct world world;
        char key[64];
        const struct cache_way *way = &cache_ways[0];

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        service_lead(&reader);
        service_put(&reader, "1", "a");
        service_put(&reader, "2", "b");
        snprintf(key, sizeof key, "%s:list:all", world.name);
        put_text(way, reader.cache, key, "x");
        world_run(&world, "TRUNCATE %s");
        service_loses(&reader, "1");
        service_loses(&reader, "2");
        assert_int_equal(state_of(way, reader.cache, key), SP_LOOKUP_HIT);
        service_end(&reader);
        world_end(&world);
}

static void test_a_transaction_carries_its_own_invalidations(void **state)
{
        struct service reader;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        service_lead(&reader);
        service_put(&reader, "1", "a");
        service_put(&reader, "2", "b");
        service_put(&reader, "3", "c");
        world_run(&world, "BEGIN; SELECT pg_logical_emit_message(true, 'sugarperf', 'key %n:item:1:full'); ROLLBACK");
        world_run(&world, "SELECT pg_logical_emit_message(true, 'another', 'all')");
        world_run(&world, "SELECT pg_logical_emit_message(true, 'sugarperf', E'what\\nkey %n:item:2:full\\n')");
        service_loses(&reader, "2");
        assert_true(service_has(&reader, "1"));
        world_run(&world, "SELECT pg_logical_emit_message(false, 'sugarperf', 'pattern %n:item:*')");
        /* Such a one is read once something else is in the log. */
        world_run(&world, "INSERT INTO %s VALUES ('9')");
        service_loses(&reader, "1");
        service_loses(&reader, "3");
        service_end(&reader);
        world_end(&world);
}

static void test_odd_ids_invalidate_exactly_themselves(void **state)
{
        static const char *const ids[] = {"*", "a:b", "]", "{x}", "'", "plain"};
        enum { IDS = sizeof ids / sizeof *ids };
        struct service reader;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('*'), ('a:b'), (']'), ('{x}'), (''''), (repeat('x', 10240))");
        service_lead(&reader);
        for (int i = 0; i < IDS; i++)
                service_put(&reader, ids[i], "v");
        for (int i = 0; i < IDS - 1; i++) {
                char text[128];

                snprintf(text, sizeof text, "DELETE FROM %%s WHERE id = $x$%s$x$", ids[i]);
                world_run(&world, text);
                service_loses(&reader, ids[i]);
                assert_true(service_has(&reader, ids[i + 1]));
        }
        world_run(&world, "DELETE FROM %s");
        service_awaits(&reader, "\"changes\":6");
        assert_true(service_has(&reader, "plain"));
        service_end(&reader);
        world_end(&world);
}

/* What was committed while nobody read is made up for, and nothing else goes. */
static void test_it_goes_on_where_it_was(void **state)
{
        struct service reader, other;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        service_begin(&other, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b')");
        service_lead(&reader);
        service_put(&other, "1", "a");
        service_put(&other, "2", "b");
        service_end(&reader);
        world_run(&world, "UPDATE %s SET title = 'x' WHERE id = '2'");
        assert_true(service_has(&other, "2"));
        service_begin(&reader, &world, NULL);
        service_lead(&reader);
        service_loses(&other, "2");
        assert_true(service_has(&other, "1"));
        service_awaits(&reader, "\"resets\":0");
        service_end(&other);
        service_end(&reader);
        world_end(&world);
}

/* Nobody knows what was missed. */
static void test_a_slot_that_was_lost_resets_the_namespace(void **state)
{
        struct service reader, other;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        service_begin(&other, &world, NULL);
        service_lead(&reader);
        service_awaits(&reader, "\"resets\":1");
        service_put(&other, "1", "a");
        sp_feed_free(reader.feed);
        world_run(&world, "SELECT pg_drop_replication_slot('sugarperf_%n')");
        assert_true(service_has(&other, "1"));
        service_lead(&reader);
        service_awaits(&reader, "\"resets\":1");
        service_loses(&other, "1");
        service_end(&other);
        service_end(&reader);
        world_end(&world);
}

static void test_another_one_takes_over(void **state)
{
        struct service first, second;
        struct world world;
        sp_error *error = NULL;

        world_begin(&world, true, plain);
        service_begin(&first, &world, NULL);
        service_begin(&second, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&first);
        assert_int_equal(sp_feed_new(second.config, second.pool, second.rules, &second.feed, &error), SP_OK);
        service_put(&second, "1", "a");
        service_awaits(&second, "\"standby\"");
        service_awaits(&second, "\"fault\":null");
        sp_feed_free(first.feed);
        first.feed = NULL;
        service_awaits(&second, "\"leading\"");
        service_awaits(&second, "\"resets\":0");
        assert_true(service_has(&first, "1"));
        world_run(&world, "DELETE FROM %s");
        service_loses(&first, "1");
        service_end(&second);
        service_end(&first);
        world_end(&world);
}

/* What it read it did not read for our rules. */
static void test_who_has_other_rules_is_told_and_resets(void **state)
{
        struct service first, second;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&first, &world, NULL);
        service_begin(&second, &world, "TABLE(id) -> NAME:item:{id}:full, NAME:list:*");
        service_lead(&first);
        assert_int_equal(sp_feed_new(second.config, second.pool, second.rules, &second.feed, NULL), SP_OK);
        service_awaits(&second, "another process with other rules reads");
        service_put(&second, "1", "a");
        sp_feed_free(first.feed);
        first.feed = NULL;
        service_awaits(&second, "\"leading\"");
        service_awaits(&second, "\"resets\":1");
        service_loses(&second, "1");
        service_end(&second);
        service_end(&first);
        world_end(&world);
}

static void test_without_redis_each_process_reads_for_itself(void **state)
{
        struct service first, second;
        struct world world;

        world_begin(&world, false, plain);
        service_begin(&first, &world, NULL);
        service_begin(&second, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b')");
        service_lead(&first);
        service_lead(&second);
        service_put(&first, "1", "a");
        service_put(&second, "1", "a");
        service_put(&second, "2", "b");
        world_run(&world, "DELETE FROM %s WHERE id = '1'");
        service_loses(&first, "1");
        service_loses(&second, "1");
        assert_true(service_has(&second, "2"));
        service_end(&second);
        service_end(&first);
        world_end(&world);
}

static void test_columns_come_and_go(void **state)
{
        struct service reader;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, "TABLE(id) -> NAME:item:{id}:full\nTABLE(title) on insert -> NAME:list:{title}");
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&reader);
        service_put(&reader, "1", "a");
        world_run(&world, "ALTER TABLE %s ADD COLUMN more text DEFAULT 'x', DROP COLUMN views");
        world_run(&world, "UPDATE %s SET more = 'y'");
        service_loses(&reader, "1");
        service_put(&reader, "1", "a");
        service_put(&reader, "2", "b");
        world_run(&world, "ALTER TABLE %s RENAME COLUMN title TO name");
        world_run(&world, "DELETE FROM %s");
        service_loses(&reader, "1");
        service_awaits(&reader, "it has no column \\\"title\\\" any more");
        assert_true(service_has(&reader, "2"));
        /* What the second rule reaches is not known any more, and widened. */
        world_run(&world, "INSERT INTO %s VALUES ('3', 'b')");
        service_awaits(&reader, "\"widened\":1");
        service_end(&reader);
        world_end(&world);
}

static void test_a_large_transaction_empties_nothing_else(void **state)
{
        struct service reader;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        world_run(&world, "INSERT INTO %s SELECT i::text, 'a' FROM generate_series(1, 20000) i");
        service_lead(&reader);
        service_put(&reader, "1", "a");
        service_put(&reader, "20000", "a");
        service_put(&reader, "20001", "not in it");
        world_run(&world, "UPDATE %s SET title = 'b'");
        service_loses(&reader, "1");
        service_loses(&reader, "20000");
        service_awaits(&reader, "\"lagMs\":0");
        assert_true(service_has(&reader, "20001"));
        service_end(&reader);
        world_end(&world);
}

/* The check's lines, and that a feed that was started all the same says so, too. */
static void lacks(struct world *world, const char *rules, const char *text)
{
        struct service service;
        sp_value *value = NULL;
        size_t len;

        service_begin(&service, world, rules);
        assert_int_equal(sp_feed_check(service.pool, service.rules, NULL, &value, NULL), SP_OK);
        if (!strstr(sp_value_data(value, &len), text) || !strstr(sp_value_data(value, &len), "\"ready\":false"))
                fail_msg("%s does not say %s", (const char *)sp_value_data(value, &len), text);
        sp_value_unref(value);
        assert_int_equal(sp_feed_new(service.config, service.pool, service.rules, &service.feed, NULL), SP_OK);
        service_awaits(&service, text);
        service_end(&service);
}

static void test_what_it_lacks_is_said_with_its_remedy(void **state)
{
        struct world world;

        world_begin(&world, true, "id text, title text, owner text");
        lacks(&world, NULL,
              "has no replica identity, without which PostgreSQL refuses updates and deletes of a published table");
        world_run(&world, "ALTER TABLE %s ADD PRIMARY KEY (id)");
        lacks(&world, "TABLE(id, nme) -> NAME:item:{id}:full", "has no column \\\"nme\\\": correct the rule");
        lacks(&world, "TABLE(id)->NAME:item:{id}:full\nTABLE(owner) -> NAME:list:{owner}",
              "test:2 needs \\\"owner\\\" of rows that were changed or deleted");
        lacks(&world, "no_such_table(id) -> NAME:item:{id}:full",
              "there is no table \\\"public\\\".\\\"no_such_table\\\"");
        world_run(&world, "ALTER TABLE %s SET UNLOGGED");
        lacks(&world, NULL, "is unlogged or temporary");
        world_end(&world);
}

static void test_a_role_without_replication_is_told_how_to_get_it(void **state)
{
        struct service service;
        struct world world;
        char url[256];
        const char *at;

        world_begin(&world, true, plain);
        service_begin(&service, &world, NULL);
        at = strstr(getenv("DATABASE_URL"), "@127");
        snprintf(url, sizeof url, "postgresql://sugar:sweet%s", at);
        sp_pool_free(service.pool);
        assert_int_equal(sp_config_set(service.config, "pool.url", url, NULL), SP_OK);
        assert_int_equal(sp_pool_new(service.config, NULL, &service.pool, NULL), SP_OK);
        assert_int_equal(sp_feed_new(service.config, service.pool, service.rules, &service.feed, NULL), SP_OK);
        service_awaits(&service, "the role \\\"sugar\\\" may not replicate: ALTER ROLE \\\"sugar\\\" REPLICATION");
        service_end(&service);
        world_end(&world);
}

static void test_a_publication_is_completed_or_its_statement_said(void **state)
{
        struct service service;
        struct world world;

        world_begin(&world, true, plain);
        world_run(&world, "CREATE PUBLICATION sugarperf_%n");
        service_begin(&service, &world, NULL);
        assert_int_equal(sp_config_set(service.config, "feed.create", "false", NULL), SP_OK);
        assert_int_equal(sp_feed_new(service.config, service.pool, service.rules, &service.feed, NULL), SP_OK);
        service_awaits(&service, "feed.create is off: ALTER PUBLICATION \\\"sugarperf_");
        sp_feed_free(service.feed);
        assert_int_equal(sp_config_set(service.config, "feed.create", "true", NULL), SP_OK);
        service_lead(&service);
        service_put(&service, "1", "a");
        world_run(&world, "INSERT INTO %s VALUES ('1')");
        service_loses(&service, "1");
        service_end(&service);
        world_end(&world);
}

static void test_names_that_are_none_are_refused(void **state)
{
        struct service service;
        struct world world;
        sp_error *error = NULL;

        world_begin(&world, true, plain);
        service_begin(&service, &world, NULL);
        assert_int_equal(sp_config_set(service.config, "feed.slot", "Not-a-slot", NULL), SP_OK);
        assert_int_equal(sp_feed_new(service.config, service.pool, service.rules, &service.feed, &error), SP_CONFIG);
        assert_non_null(strstr(sp_error_message(error), "feed.slot must be"));
        sp_error_free(error);
        service_end(&service);
        world_end(&world);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_change_by_anybody_reaches_another_process_s_memory),
            cmocka_unit_test(test_counters_do_not_empty_the_cache),
            cmocka_unit_test(test_a_row_that_moves_touches_both_keys),
            cmocka_unit_test(test_a_truncate_touches_every_key_of_the_table_s_rules),
            cmocka_unit_test(test_a_transaction_carries_its_own_invalidations),
            cmocka_unit_test(test_odd_ids_invalidate_exactly_themselves),
            cmocka_unit_test(test_it_goes_on_where_it_was),
            cmocka_unit_test(test_a_slot_that_was_lost_resets_the_namespace),
            cmocka_unit_test(test_another_one_takes_over),
            cmocka_unit_test(test_who_has_other_rules_is_told_and_resets),
            cmocka_unit_test(test_without_redis_each_process_reads_for_itself),
            cmocka_unit_test(test_columns_come_and_go),
            cmocka_unit_test(test_a_large_transaction_empties_nothing_else),
            cmocka_unit_test(test_what_it_lacks_is_said_with_its_remedy),
            cmocka_unit_test(test_a_role_without_replication_is_told_how_to_get_it),
            cmocka_unit_test(test_a_publication_is_completed_or_its_statement_said),
            cmocka_unit_test(test_names_that_are_none_are_refused),
        };

        return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
