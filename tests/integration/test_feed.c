/* SPDX-License-Identifier: MIT */
/* The change feed: what is changed in the database, by whomever, goes from every process's cache, and nothing else does. */
#include "feed_world.h"

#include "../support/sanitized.h"
#include "base/clock.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of other processes (cache.bound). */
#define BOUND SP__SECOND

static void test_a_change_by_anybody_reaches_another_process_s_memory(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b'), ('3', 'c')");
        service_lead(&scene.reader);
        service_put(&scene.other, "1", "a");
        service_put(&scene.other, "2", "b");
        service_put(&scene.other, "3", "c");
        world_run(&scene.world, "UPDATE %s SET title = 'x' WHERE id = '2'");
        service_loses(&scene.other, "2");
        assert_true(service_has(&scene.other, "1"));
        world_run(&scene.world, "DELETE FROM %s WHERE id = '1'");
        service_loses(&scene.other, "1");
        assert_true(service_has(&scene.other, "3"));
        scene_end(&scene);
}

/* Columns that a rule does not name may change as often as they like. */
static void test_counters_do_not_empty_the_cache(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, "TABLE(id) when title -> NAME:item:{id}:full");
        world_run(&scene.world, "ALTER TABLE %s REPLICA IDENTITY FULL");
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b')");
        service_lead(&scene.reader);
        service_put(&scene.reader, "1", "a");
        service_put(&scene.reader, "2", "b");
        world_run(&scene.world, "UPDATE %s SET views = views + 1; UPDATE %s SET title = 'c' WHERE id = '2'");
        service_loses(&scene.reader, "2");
        assert_true(service_has(&scene.reader, "1"));
        scene_end(&scene);
}

static void test_a_row_that_moves_touches_both_keys(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a'), ('3', 'b')");
        service_lead(&scene.reader);
        service_put(&scene.reader, "1", "a");
        service_put(&scene.reader, "2", "nothing");
        service_put(&scene.reader, "3", "b");
        world_run(&scene.world, "UPDATE %s SET id = '2' WHERE id = '1'");
        service_loses(&scene.reader, "1");
        service_loses(&scene.reader, "2");
        assert_true(service_has(&scene.reader, "3"));
        scene_end(&scene);
}

static void test_a_truncate_touches_every_key_of_the_table_s_rules(void **state)
{
        struct scene scene;
        char key[64];
        const struct cache_way *way = &cache_ways[0];

        scene_begin(&scene, NULL, NULL);
        service_lead(&scene.reader);
        service_put(&scene.reader, "1", "a");
        service_put(&scene.reader, "2", "b");
        snprintf(key, sizeof key, "%s:list:all", scene.world.name);
        put_text(way, scene.reader.cache, key, "x");
        world_run(&scene.world, "TRUNCATE %s");
        service_loses(&scene.reader, "1");
        service_loses(&scene.reader, "2");
        assert_int_equal(state_of(way, scene.reader.cache, key), SP_LOOKUP_HIT);
        scene_end(&scene);
}

static void test_a_transaction_carries_its_own_invalidations(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        service_lead(&scene.reader);
        service_put(&scene.reader, "1", "a");
        service_put(&scene.reader, "2", "b");
        service_put(&scene.reader, "3", "c");
        world_run(&scene.world,
                  "BEGIN; SELECT pg_logical_emit_message(true, 'sugarperf', 'key %n:item:1:full'); ROLLBACK");
        world_run(&scene.world, "SELECT pg_logical_emit_message(true, 'another', 'all')");
        world_run(&scene.world, "SELECT pg_logical_emit_message(true, 'sugarperf', E'what\\nkey %n:item:2:full\\n')");
        service_loses(&scene.reader, "2");
        assert_true(service_has(&scene.reader, "1"));
        world_run(&scene.world, "SELECT pg_logical_emit_message(false, 'sugarperf', 'pattern %n:item:*')");
        /* Such a one is read once something else is in the log. */
        world_run(&scene.world, "INSERT INTO %s VALUES ('9')");
        service_loses(&scene.reader, "1");
        service_loses(&scene.reader, "3");
        scene_end(&scene);
}

static void test_odd_ids_invalidate_exactly_themselves(void **state)
{
        enum { LONG = 10240 };
        static char long_id[LONG + 1], almost[LONG + 1];
        const char *const ids[] = {"*", "a:b", "]", "{x}", "'", long_id, almost, "plain"};
        enum { IDS = sizeof ids / sizeof *ids };
        struct scene scene;

        memset(long_id, 'x', LONG);
        memset(almost, 'x', LONG);
        almost[LONG - 1] = 'y';
        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('*'), ('a:b'), (']'), ('{x}'), (''''), (repeat('x', 10240)), "
                                "(repeat('x', 10239) || 'y')");
        service_lead(&scene.reader);
        for (int i = 0; i < IDS; i++)
                service_put(&scene.reader, ids[i], "v");
        for (int i = 0; i < IDS - 1; i++) {
                char text[128];

                if (ids[i] == long_id || ids[i] == almost)
                        snprintf(text, sizeof text, "DELETE FROM %%s WHERE length(id) = %d AND right(id, 1) = '%c'",
                                 LONG, ids[i][LONG - 1]);
                else
                        snprintf(text, sizeof text, "DELETE FROM %%s WHERE id = $x$%s$x$", ids[i]);
                world_run(&scene.world, text);
                service_loses(&scene.reader, ids[i]);
                assert_true(service_has(&scene.reader, ids[i + 1]));
        }
        assert_true(service_has(&scene.reader, "plain"));
        scene_end(&scene);
}

/* What was committed while nobody read is made up for, and nothing else goes. */
static void test_it_goes_on_where_it_was(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b')");
        service_lead(&scene.reader);
        service_put(&scene.other, "1", "a");
        service_put(&scene.other, "2", "b");
        service_end(&scene.reader);
        world_run(&scene.world, "UPDATE %s SET title = 'x' WHERE id = '2'");
        assert_true(service_has(&scene.other, "2"));
        service_begin(&scene.reader, &scene.world, NULL);
        service_lead(&scene.reader);
        service_loses(&scene.other, "2");
        assert_true(service_has(&scene.other, "1"));
        service_awaits(&scene.reader, "\"resets\":0");
        scene_end(&scene);
}

/* Nobody knows what was missed. */
static void test_a_slot_that_was_lost_resets_the_namespace(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        service_lead(&scene.reader);
        service_awaits(&scene.reader, "\"resets\":1");
        service_put(&scene.other, "1", "a");
        service_leave(&scene.reader);
        world_run(&scene.world, "SELECT pg_drop_replication_slot('sugarperf_%n')");
        assert_true(service_has(&scene.other, "1"));
        service_lead(&scene.reader);
        service_awaits(&scene.reader, "\"resets\":1");
        service_loses(&scene.other, "1");
        scene_end(&scene);
}

/* As migrations do that fill a table beside the old one: the publication has the one that is gone. */
static void test_a_table_that_was_made_anew_is_read_again(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&scene.reader);
        service_put(&scene.other, "1", "a");
        world_run(&scene.world, "BEGIN; DROP TABLE %s; CREATE TABLE %s (id text PRIMARY KEY, title text, views int); "
                                "INSERT INTO %s VALUES ('1', 'b'); COMMIT");
        service_loses(&scene.other, "1");
        service_awaits(&scene.reader, "\"leading\"");
        service_put(&scene.other, "1", "b");
        world_run(&scene.world, "UPDATE %s SET title = 'c'");
        service_loses(&scene.other, "1");
        scene_end(&scene);
}

static void test_another_one_takes_over(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&scene.reader);
        service_follow(&scene.other);
        service_put(&scene.other, "1", "a");
        service_awaits(&scene.other, "\"standby\"");
        service_awaits(&scene.other, "\"fault\":null");
        service_leave(&scene.reader);
        service_awaits(&scene.other, "\"leading\"");
        service_awaits(&scene.other, "\"resets\":0");
        assert_true(service_has(&scene.reader, "1"));
        world_run(&scene.world, "DELETE FROM %s");
        service_loses(&scene.reader, "1");
        scene_end(&scene);
}

/* What it read it did not read for our rules. */
static void test_who_has_other_rules_is_told_and_resets(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        service_end(&scene.other);
        service_begin(&scene.other, &scene.world, "TABLE(id) -> NAME:item:{id}:full, NAME:list:*");
        service_lead(&scene.reader);
        service_follow(&scene.other);
        service_awaits(&scene.other, "another process with other rules reads");
        service_put(&scene.other, "1", "a");
        service_leave(&scene.reader);
        service_awaits(&scene.other, "\"leading\"");
        service_awaits(&scene.other, "\"resets\":1");
        service_loses(&scene.other, "1");
        scene_end(&scene);
}

static void test_without_redis_each_process_reads_for_itself(void **state)
{
        struct service first, second;
        struct world world;

        world_begin(&world, false, NULL);
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
        struct scene scene;

        scene_begin(&scene, NULL, "TABLE(id) -> NAME:item:{id}:full\nTABLE(title) on insert -> NAME:list:{title}");
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&scene.reader);
        service_put(&scene.reader, "1", "a");
        world_run(&scene.world, "ALTER TABLE %s ADD COLUMN more text DEFAULT 'x', DROP COLUMN views");
        world_run(&scene.world, "UPDATE %s SET more = 'y'");
        service_loses(&scene.reader, "1");
        service_awaits(&scene.reader, "\"reshaped\":1");
        service_put(&scene.reader, "2", "b");
        world_run(&scene.world, "ALTER TABLE %s RENAME COLUMN title TO name");
        service_loses(&scene.reader, "2");
        service_put(&scene.reader, "1", "a");
        service_put(&scene.reader, "2", "b");
        world_run(&scene.world, "DELETE FROM %s");
        service_loses(&scene.reader, "1");
        service_awaits(&scene.reader, "it has no column \\\"title\\\" any more");
        assert_true(service_has(&scene.reader, "2"));
        /* What the second rule reaches is not known any more, and widened. */
        world_run(&scene.world, "INSERT INTO %s VALUES ('3', 'b')");
        service_awaits(&scene.reader, "\"widened\":1");
        scene_end(&scene);
}

/* By another process; no read that begins later than it may, by the promise, is given the old value. Returns what the call took. */
static int64_t invalidate_by_hand(struct scene *scene, const char *id)
{
        char key[SP_KEY_MAX];
        int64_t begun, acknowledged, asked;

        service_put(&scene->other, id, "old");
        begun = sp__now();
        assert_int_equal(sp_cache_delete(scene->reader.cache, NULL, key, item_key(&scene->world, id, key), NULL),
                         SP_OK);
        acknowledged = sp__now();
        for (asked = acknowledged; service_has(&scene->other, id); asked = sp__now())
                assert_true(asked - acknowledged <= BOUND + acknowledged - begun);
        return acknowledged - begun;
}

/* Whoever invalidates by hand meanwhile is not held up, and what the batch is not about stays. */
static void test_a_batch_holds_nobody_up_and_empties_nothing_else(void **state)
{
        enum { ROWS = SANITIZED ? 10000 : 100000 };
        struct scene scene;
        char text[128], all[32], last[16];
        int64_t count = 0, most = 0;

        scene_begin(&scene, NULL, NULL);
        snprintf(text, sizeof text, "INSERT INTO %%s SELECT i::text, 'a' FROM generate_series(1, %d) i", ROWS);
        world_run(&scene.world, text);
        service_lead(&scene.reader);
        snprintf(last, sizeof last, "%d", ROWS);
        service_put(&scene.other, "1", "a");
        service_put(&scene.other, last, "a");
        service_put(&scene.other, "none of it", "a");
        world_run(&scene.world, "UPDATE %s SET title = 'b'");
        snprintf(all, sizeof all, "\"changes\":%d", ROWS);
        do {
                int64_t took = invalidate_by_hand(&scene, "by hand");

                most = took > most ? took : most;
                count++;
        } while (!service_reports(&scene.reader, all));
        printf("# %lld by hand meanwhile, the slowest took %lld us\n", (long long)count, (long long)most / 1000);
        service_loses(&scene.other, "1");
        service_loses(&scene.other, last);
        assert_true(service_has(&scene.other, "none of it"));
        scene_end(&scene);
}

static int64_t changes_of(struct service *service)
{
        const char *member = "\"changes\":", *at;
        sp_value *value = NULL;
        int64_t changes;
        size_t len;

        assert_int_equal(sp_feed_report(service->feed, &value), SP_OK);
        at = strstr(sp_value_data(value, &len), member);
        assert_non_null(at);
        changes = strtoll(at + strlen(member), NULL, 10);
        sp_value_unref(value);
        return changes;
}

/* How many rows of a batch were still under way when another row's change, which was committed behind it, had arrived. */
static int64_t overtaken(struct scene *scene, int64_t rows)
{
        int64_t before = changes_of(&scene->reader), then;

        service_put(&scene->other, "behind", "old");
        world_run(&scene->world, "UPDATE %s SET views = views + 1 WHERE id <> 'behind'");
        world_run(&scene->world, "UPDATE %s SET views = views + 1 WHERE id = 'behind'");
        service_loses(&scene->other, "behind");
        then = changes_of(&scene->reader);
        while (changes_of(&scene->reader) < before + rows + 1)
                sched_yield();
        return before + rows - then;
}

struct hog {
        pthread_t thread;
        atomic_bool over;
};

static void *hog_body(void *arg)
{
        struct hog *hog = arg;
        redisContext *redis = redisConnect("127.0.0.1", atoi(strstr(getenv("REDIS_URL"), "127.0.0.1:") + 10));

        while (!atomic_load(&hog->over))
                freeReplyObject(redisCommand(redis, "EVAL %s 0", "for i = 1, 500000 do end"));
        redisFree(redis);
        return NULL;
}

/* It waits for one part of the batch at most. Redis is slow here, else there might be nothing to overtake. */
static void test_a_change_behind_a_batch_overtakes_it(void **state)
{
        enum { ROWS = 60000, PART = 8192, TRIES = 30 };
        struct hog hog = {.over = false};
        struct scene scene;
        int64_t left = 0;

        /* The feed is slower than Redis then. (cmocka's skip() is a failure to readers of TAP.) */
        if (SANITIZED)
                return;
        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s SELECT i::text, 'a' FROM generate_series(1, 60000) i");
        world_run(&scene.world, "INSERT INTO %s VALUES ('behind', 'a')");
        service_lead(&scene.reader);
        assert_int_equal(pthread_create(&hog.thread, NULL, hog_body, &hog), 0);
        for (int i = 0; i < TRIES && left < 2 * PART; i++)
                left = overtaken(&scene, ROWS);
        atomic_store(&hog.over, true);
        pthread_join(hog.thread, NULL);
        printf("# %lld rows were overtaken\n", (long long)left);
        assert_true(left >= 2 * PART);
        scene_end(&scene);
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
        service_follow(&service);
        service_awaits(&service, text);
        service_end(&service);
}

static void test_what_it_lacks_is_said_with_its_remedy(void **state)
{
        struct world world;
        char text[128];

        world_begin(&world, true, "id text, title text, owner text");
        lacks(&world, NULL,
              "has no replica identity, without which PostgreSQL refuses updates and deletes of a published table");
        world_run(&world, "ALTER TABLE %s ADD PRIMARY KEY (id)");
        lacks(&world, "TABLE(id, nme) -> NAME:item:{id}:full", "has no column \\\"nme\\\": correct the rule");
        lacks(&world, "TABLE(id)->NAME:item:{id}:full\nTABLE(owner) -> NAME:list:{owner}",
              "test:2 needs \\\"owner\\\" of rows that were changed or deleted");
        snprintf(text, sizeof text, "test:2: table \\\"public\\\".\\\"%s\\\" has no column \\\"titel\\\"", world.table);
        lacks(&world, "TABLE(id) -> NAME:item:{id}:full\nTABLE(id) when titel -> NAME:list:{id}", text);
        lacks(&world, "no_such_table(id) -> NAME:item:{id}:full",
              "there is no table \\\"public\\\".\\\"no_such_table\\\"");
        world_run(&world, "ALTER TABLE %s SET UNLOGGED");
        lacks(&world, NULL, "is unlogged or temporary");
        world_end(&world);
}

static void test_a_role_without_replication_is_told_how_to_get_it(void **state)
{
        struct scene scene;
        char url[256];
        const char *at;

        scene_begin(&scene, NULL, NULL);
        at = strstr(getenv("DATABASE_URL"), "@127");
        snprintf(url, sizeof url, "postgresql://sugar:sweet%s", at);
        sp_pool_free(scene.reader.pool);
        assert_int_equal(sp_config_set(scene.reader.config, "pool.url", url, NULL), SP_OK);
        assert_int_equal(sp_pool_new(scene.reader.config, NULL, &scene.reader.pool, NULL), SP_OK);
        service_follow(&scene.reader);
        service_awaits(&scene.reader, "the role \\\"sugar\\\" may not replicate: ALTER ROLE \\\"sugar\\\" REPLICATION");
        scene_end(&scene);
}

static void test_a_publication_is_completed_or_its_statement_said(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "CREATE PUBLICATION sugarperf_%n");
        assert_int_equal(sp_config_set(scene.reader.config, "feed.create", "false", NULL), SP_OK);
        service_follow(&scene.reader);
        service_awaits(&scene.reader, "feed.create is off: ALTER PUBLICATION \\\"sugarperf_");
        service_leave(&scene.reader);
        assert_int_equal(sp_config_set(scene.reader.config, "feed.create", "true", NULL), SP_OK);
        service_lead(&scene.reader);
        service_put(&scene.reader, "1", "a");
        world_run(&scene.world, "INSERT INTO %s VALUES ('1')");
        service_loses(&scene.reader, "1");
        scene_end(&scene);
}

/* Of a row that the publication hides the log has no word; from 15 on it can. */
static void test_a_publication_that_hides_changes_is_told_and_made_up_for(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, "TABLE(id) -> NAME:item:{id}:full\nTABLE(title) on insert -> NAME:list:{title}");
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b')");
        world_run(&scene.world, "CREATE PUBLICATION sugarperf_%n FOR TABLE %s WHERE (id <> '1')");
        service_follow(&scene.reader);
        service_awaits(&scene.reader, "filters the rows of table \\\"public\\\".\\\"");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET TABLE %s (id, views)");
        service_awaits(&scene.reader, "does not publish the column \\\"title\\\" of table");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n DROP TABLE %s; ALTER PUBLICATION sugarperf_%n ADD "
                                "TABLE %s");
        service_awaits(&scene.reader, "\"leading\"");
        service_put(&scene.other, "1", "a");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET TABLE %s WHERE (id <> '1')");
        world_run(&scene.world, "UPDATE %s SET title = 'x' WHERE id = '1'");
        service_awaits(&scene.reader, "filters the rows");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET TABLE %s");
        service_loses(&scene.other, "1");
        service_awaits(&scene.reader, "\"leading\"");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET (publish = 'insert')");
        service_awaits(&scene.reader, "does not publish update: ALTER PUBLICATION");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET (publish = 'insert, update, delete, truncate')");
        service_awaits(&scene.reader, "\"leading\"");
        scene_end(&scene);
}

static void test_names_that_are_none_are_refused(void **state)
{
        struct scene scene;
        sp_error *error = NULL;

        scene_begin(&scene, NULL, NULL);
        assert_int_equal(sp_config_set(scene.reader.config, "feed.slot", "Not-a-slot", NULL), SP_OK);
        assert_int_equal(
            sp_feed_new(scene.reader.config, scene.reader.pool, scene.reader.rules, &scene.reader.feed, &error),
            SP_CONFIG);
        assert_non_null(strstr(sp_error_message(error), "feed.slot must be"));
        sp_error_free(error);
        scene_end(&scene);
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
            cmocka_unit_test(test_a_table_that_was_made_anew_is_read_again),
            cmocka_unit_test(test_another_one_takes_over),
            cmocka_unit_test(test_who_has_other_rules_is_told_and_resets),
            cmocka_unit_test(test_without_redis_each_process_reads_for_itself),
            cmocka_unit_test(test_columns_come_and_go),
            cmocka_unit_test(test_a_batch_holds_nobody_up_and_empties_nothing_else),
            cmocka_unit_test(test_a_change_behind_a_batch_overtakes_it),
            cmocka_unit_test(test_what_it_lacks_is_said_with_its_remedy),
            cmocka_unit_test(test_a_role_without_replication_is_told_how_to_get_it),
            cmocka_unit_test(test_a_publication_is_completed_or_its_statement_said),
            cmocka_unit_test(test_a_publication_that_hides_changes_is_told_and_made_up_for),
            cmocka_unit_test(test_names_that_are_none_are_refused),
        };

        return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
