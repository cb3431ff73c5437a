/* SPDX-License-Identifier: MIT */
/* What becomes of tables without a word of it in the server's log goes from every cache; what changes no answer does not. */
#include "feed_world.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* The world's table in partitions, and another one; each with a rule. */
static const char two_rules[] = "TABLE(id) -> NAME:item:{id}:full\nNAME_more(id) -> NAME:list:{id}";

static const char partitioned[] =
    "DROP TABLE %s; CREATE TABLE %s (id text PRIMARY KEY, title text, body text, views int) PARTITION BY LIST (id);"
    "CREATE TABLE %s_1 PARTITION OF %s FOR VALUES IN ('1'); CREATE TABLE %s_2 PARTITION OF %s FOR VALUES IN ('2');"
    "INSERT INTO %s VALUES ('1', 'a', 'b', 1), ('2', 'a', 'b', 1);"
    "CREATE TABLE %n_more (id text PRIMARY KEY, title text); INSERT INTO %n_more VALUES ('x', 'a')";

static void begin(struct scene *scene, const char *tables)
{
        scene_begin(scene, NULL, two_rules);
        world_run(&scene->world, tables);
        service_lead(&scene->reader);
}

static void end(struct scene *scene)
{
        world_run(&scene->world, "DROP TABLE %n_more CASCADE");
        scene_end(scene);
}

/* The first event that is told on the queue. */
static void expect_event(sp_queue *queue, const char *text)
{
        sp_completion *told = NULL;
        size_t len;

        assert_int_equal(sp_queue_wait(queue, &told, 1, 20000), 1);
        if (!strstr(sp_value_data(sp_completion_value(told), &len), text))
                fail_msg("%s", (const char *)sp_value_data(sp_completion_value(told), &len));
        sp_completion_free(told);
}

/* A key of the other table's rule. */
static const char *list_key(const struct scene *scene, char out[64])
{
        snprintf(out, 64, "%s:list:x", scene->world.name);
        return out;
}

static void put_list(struct scene *scene)
{
        char key[64];

        put_text(&cache_ways[0], scene->other.cache, list_key(scene, key), "x");
}

static bool has_list(struct scene *scene)
{
        char key[64];

        return state_of(&cache_ways[0], scene->other.cache, list_key(scene, key)) == SP_LOOKUP_HIT;
}

static void loses_list(struct scene *scene)
{
        int64_t until = sp__now() + 20 * SP__SECOND;

        while (has_list(scene))
                assert_true(sp__now() < until);
}

struct change {
        const char *what, *text;
};

static void test_what_the_log_does_not_tell_goes_all_the_same(void **state)
{
        static const struct change changes[] = {
            {"emptied", "TRUNCATE %s_1"},
            {"detached", "ALTER TABLE %s DETACH PARTITION %s_1"},
            {"attached",
             "INSERT INTO %s_1 VALUES ('1', 'c', 'b', 1); ALTER TABLE %s ATTACH PARTITION %s_1 FOR VALUES IN ('1')"},
            {"changed while it was away", "BEGIN; ALTER TABLE %s DETACH PARTITION %s_1; UPDATE %s_1 SET title = 'd'; "
                                          "ALTER TABLE %s ATTACH PARTITION %s_1 FOR VALUES IN ('1'); COMMIT"},
            {"dropped", "DROP TABLE %s_1"},
            {"made, filled and attached", "BEGIN; CREATE TABLE %s_1 (LIKE %s INCLUDING ALL); INSERT INTO %s_1 VALUES "
                                          "('1', 'e', 'b', 1); ALTER TABLE %s ATTACH PARTITION %s_1 FOR VALUES IN "
                                          "('1'); COMMIT"},
            {"rewritten", "ALTER TABLE %s ALTER COLUMN views TYPE text USING 'of ' || views"},
            {"renamed", "ALTER TABLE %s RENAME COLUMN title TO name"},
            {"put under another's name", "BEGIN; ALTER TABLE %s RENAME COLUMN name TO title; ALTER TABLE %s RENAME "
                                         "COLUMN body TO name; COMMIT"},
            {"a column made anew", "ALTER TABLE %s DROP COLUMN title, ADD COLUMN title text DEFAULT 'f'"},
            {"swapped", "BEGIN; ALTER TABLE %s RENAME TO %n_old; CREATE TABLE %s (LIKE %n_old INCLUDING ALL); INSERT "
                        "INTO %s SELECT * FROM %n_old; UPDATE %s SET title = 'g'; ALTER PUBLICATION sugarperf_%n ADD "
                        "TABLE %s; DROP TABLE %n_old; COMMIT"},
        };
        struct scene scene;
        sp_queue *queue;

        begin(&scene, partitioned);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_cache_watch(scene.reader.cache, NULL, 0, queue, 1), SP_OK);
        put_list(&scene);
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
                service_put(&scene.other, "1", "old");
                world_run(&scene.world, changes[i].text);
                print_message("# %s\n", changes[i].what);
                service_loses(&scene.other, "1");
        }
        assert_true(has_list(&scene));
        expect_event(queue, "\"why\":\"shape\",\"about\":\"public.");
        service_awaits(&scene.reader, "\"resets\":1");
        service_awaits(&scene.reader, "\"faults\":0");
        sp_queue_free(queue);
        end(&scene);
}

/* What is done to the other table is seen in the same look, or in a later one. */
static void test_what_changes_no_answer_empties_nothing(void **state)
{
        static const char *const changes[] = {
            "CREATE TABLE %s_3 PARTITION OF %s FOR VALUES IN ('3')",
            "CREATE TABLE %s_4 PARTITION OF %s FOR VALUES IN ('4') PARTITION BY LIST (id)",
            "CREATE TABLE %s_5 PARTITION OF %s_4 FOR VALUES IN ('4')",
            "ALTER TABLE %s ADD COLUMN more text DEFAULT 'x'",
            "CREATE INDEX ON %s (title)",
            "ANALYZE %s",
            "INSERT INTO %s VALUES ('3', 'a', 'b', 1)",
            "ALTER TABLE %s_2 RENAME TO %s_two",
        };
        struct scene scene;

        begin(&scene, partitioned);
        service_put(&scene.other, "1", "a");
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
                put_list(&scene);
                world_run(&scene.world, changes[i]);
                world_run(&scene.world, "ALTER TABLE %n_more ALTER COLUMN title TYPE text USING title || 'x'");
                loses_list(&scene);
                if (!service_has(&scene.other, "1"))
                        fail_msg("%s", changes[i]);
        }
        end(&scene);
}

/* The one that comes to lead finds it. */
static void test_what_happened_while_nobody_led_is_found(void **state)
{
        struct scene scene;

        begin(&scene, partitioned);
        service_put(&scene.other, "1", "a");
        put_list(&scene);
        service_leave(&scene.reader);
        service_lead(&scene.reader);
        assert_true(service_has(&scene.other, "1"));
        service_leave(&scene.reader);
        world_run(&scene.world, "TRUNCATE %s_1");
        assert_true(service_has(&scene.other, "1"));
        service_lead(&scene.reader);
        service_loses(&scene.other, "1");
        assert_true(has_list(&scene));
        service_awaits(&scene.reader, "\"resets\":0");
        end(&scene);
}

/* A publication that hid a change while nobody led looks as it did before. */
static void test_a_publication_that_was_altered_and_put_back_is_not_believed(void **state)
{
        static const struct change changes[] = {
            {"table left out", "ALTER PUBLICATION sugarperf_%n DROP TABLE %s; UPDATE %s SET title = 'b' WHERE id = '1';"
                               "ALTER PUBLICATION sugarperf_%n ADD TABLE %s"},
            {"event left out", "ALTER PUBLICATION sugarperf_%n SET (publish = 'insert'); UPDATE %s SET title = 'c' "
                               "WHERE id = '1';"
                               "ALTER PUBLICATION sugarperf_%n SET (publish = 'insert, update, delete, truncate')"},
            {"made anew", "DROP PUBLICATION sugarperf_%n; UPDATE %s SET title = 'd' WHERE id = '1';"
                          "CREATE PUBLICATION sugarperf_%n FOR TABLE %s, %n_more WITH (publish_via_partition_root)"},
        };
        struct scene scene;

        begin(&scene, partitioned);
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
                service_put(&scene.other, "1", "a");
                service_leave(&scene.reader);
                world_run(&scene.world, changes[i].text);
                if (!service_has(&scene.other, "1"))
                        fail_msg("%s: gone before anybody could know", changes[i].what);
                service_follow(&scene.reader);
                service_loses(&scene.other, "1");
                service_awaits(&scene.reader, "\"leading\"");
        }
        end(&scene);
}

static const char inherited[] =
    "CREATE TABLE %n_more (id text PRIMARY KEY, title text); CREATE TABLE %s_heir (PRIMARY KEY (id)) INHERITS (%s);"
    "CREATE TABLE %s_both (PRIMARY KEY (id)) INHERITS (%s_heir, %n_more);"
    "INSERT INTO %s VALUES ('1', 'a', 1); INSERT INTO %s_heir VALUES ('2', 'a', 1); INSERT INTO %s_both VALUES "
    "('3', 'a', 1), ('x', 'a', 1)";

static void test_rows_of_tables_that_inherit_are_rows_of_the_rules_table(void **state)
{
        struct scene scene;

        begin(&scene, inherited);
        service_put(&scene.other, "1", "a");
        service_put(&scene.other, "2", "a");
        service_put(&scene.other, "3", "a");
        put_list(&scene);
        world_run(&scene.world, "UPDATE %s SET title = 'b' WHERE id = '2'");
        service_loses(&scene.other, "2");
        world_run(&scene.world, "UPDATE %s_both SET title = 'b' WHERE id = '3'");
        service_loses(&scene.other, "3");
        assert_true(has_list(&scene));
        world_run(&scene.world, "DELETE FROM %n_more WHERE id = 'x'");
        loses_list(&scene);
        assert_true(service_has(&scene.other, "1"));
        service_awaits(&scene.reader, "\"resets\":1");
        end(&scene);
}

/* Nobody publishes it by itself. */
static void test_a_table_that_inherits_later_is_read_as_well(void **state)
{
        struct scene scene;

        begin(&scene, inherited);
        service_put(&scene.other, "9", "nothing");
        world_run(&scene.world, "CREATE TABLE %s_late (PRIMARY KEY (id)) INHERITS (%s); INSERT INTO %s_late VALUES "
                                "('9', 'a', 1)");
        service_loses(&scene.other, "9");
        service_awaits(&scene.reader, "\"resets\":2");
        service_awaits(&scene.reader, "\"leading\"");
        service_put(&scene.other, "9", "a");
        world_run(&scene.world, "UPDATE %s_late SET title = 'b'");
        service_loses(&scene.other, "9");
        end(&scene);
}

/* Whoever adds it to the publication at once, so that its rows are told before anybody knows whose they are. */
static void test_a_table_that_was_published_as_it_was_made_is_read_as_well(void **state)
{
        struct scene scene;

        begin(&scene, inherited);
        world_run(&scene.world, "BEGIN; CREATE TABLE %s_late (PRIMARY KEY (id)) INHERITS (%s); ALTER PUBLICATION "
                                "sugarperf_%n ADD TABLE %s_late; COMMIT; INSERT INTO %s_late VALUES ('9', 'a', 1)");
        service_awaits(&scene.reader, "\"faults\":1");
        service_awaits(&scene.reader, "\"leading\"");
        service_put(&scene.other, "9", "a");
        world_run(&scene.world, "UPDATE %s_late SET title = 'b'");
        service_loses(&scene.other, "9");
        service_awaits(&scene.reader, "\"resets\":1");
        end(&scene);
}

static void test_what_the_log_could_not_tell_of_parts_is_said(void **state)
{
        static const struct {
                const char *text, *says, *mends;
        } cases[] = {
            {"CREATE TABLE %s_heir () INHERITS (%s)", "_heir\\\" has no replica identity, without which",
             "ALTER TABLE %s_heir REPLICA IDENTITY FULL"},
            {"CREATE UNLOGGED TABLE %n_more_2 PARTITION OF %n_more FOR VALUES IN ('2')",
             "_more_2\\\" is unlogged or temporary", "ALTER TABLE %n_more_2 SET LOGGED"},
        };
        struct scene scene;

        begin(&scene, "CREATE TABLE %n_more (id text PRIMARY KEY) PARTITION BY LIST (id)");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                world_run(&scene.world, cases[i].text);
                service_awaits(&scene.reader, cases[i].says);
                world_run(&scene.world, cases[i].mends);
                service_awaits(&scene.reader, "\"leading\"");
        }
        end(&scene);
}

static void test_a_publication_that_tells_of_partitions_one_by_one_is_told(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, two_rules);
        world_run(&scene.world, partitioned);
        world_run(&scene.world, "CREATE PUBLICATION sugarperf_%n FOR TABLE %s, %n_more");
        service_follow(&scene.reader);
        service_awaits(&scene.reader, "SET (publish_via_partition_root = true)");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET (publish_via_partition_root = true)");
        service_awaits(&scene.reader, "\"leading\"");
        service_put(&scene.other, "1", "a");
        /* What was changed while it did, and nobody looked. */
        service_leave(&scene.reader);
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET (publish_via_partition_root = false)");
        world_run(&scene.world, "UPDATE %s SET title = 'b' WHERE id = '1'");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET (publish_via_partition_root = true)");
        service_lead(&scene.reader);
        service_loses(&scene.other, "1");
        service_awaits(&scene.reader, "\"resets\":0");
        end(&scene);
}

static void advises(struct scene *scene, const char *text)
{
        sp_value *value = NULL;
        size_t len;

        assert_int_equal(sp_feed_check(scene->reader.pool, scene->reader.rules, NULL, &value, NULL), SP_OK);
        if (!strstr(sp_value_data(value, &len), text))
                fail_msg("%s does not say %s", (const char *)sp_value_data(value, &len), text);
        sp_value_unref(value);
}

/* Its table's identity is not its own. */
static void test_what_a_partition_does_not_tell_is_said(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, two_rules);
        world_run(&scene.world,
                  "CREATE TABLE %n_more (id text PRIMARY KEY); DROP TABLE %s; CREATE TABLE %s (id text NOT "
                  "NULL) PARTITION BY LIST (id); CREATE TABLE %s_1 PARTITION OF %s FOR VALUES IN ('1'); "
                  "ALTER TABLE %s REPLICA IDENTITY FULL");
        advises(&scene, "_1\\\" has no replica identity");
        world_run(&scene.world, "ALTER TABLE %s ADD PRIMARY KEY (id)");
        advises(&scene, "_1\\\" has not the replica identity of its table");
        world_run(&scene.world, "ALTER TABLE %s_1 REPLICA IDENTITY FULL");
        advises(&scene, "\"ready\":true,\"lacks\":[],\"advice\":[\"max_slot_wal_keep_size");
        end(&scene);
}

/* Each partition has an identity of its own, and the log speaks of the root's. */
static void test_a_partition_that_tells_less_than_its_root_is_not_believed(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, "TABLE(id) when title -> NAME:item:{id}:full\nTABLE(body) -> NAME:list:{body}");
        world_run(&scene.world, partitioned);
        world_run(&scene.world, "ALTER TABLE %s REPLICA IDENTITY FULL");
        service_lead(&scene.reader);
        service_put(&scene.other, "1", "a");
        service_put(&scene.other, "2", "a");
        put_list(&scene);
        world_run(&scene.world, "UPDATE %s SET title = 'c' WHERE id = '1'");
        service_loses(&scene.other, "1");
        assert_true(service_has(&scene.other, "2"));
        /* What "body" was nobody says. */
        loses_list(&scene);
        service_awaits(&scene.reader, "\"widened\":1");
        end(&scene);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_the_log_does_not_tell_goes_all_the_same),
            cmocka_unit_test(test_what_changes_no_answer_empties_nothing),
            cmocka_unit_test(test_what_happened_while_nobody_led_is_found),
            cmocka_unit_test(test_a_publication_that_was_altered_and_put_back_is_not_believed),
            cmocka_unit_test(test_rows_of_tables_that_inherit_are_rows_of_the_rules_table),
            cmocka_unit_test(test_a_table_that_inherits_later_is_read_as_well),
            cmocka_unit_test(test_a_table_that_was_published_as_it_was_made_is_read_as_well),
            cmocka_unit_test(test_what_the_log_could_not_tell_of_parts_is_said),
            cmocka_unit_test(test_a_publication_that_tells_of_partitions_one_by_one_is_told),
            cmocka_unit_test(test_what_a_partition_does_not_tell_is_said),
            cmocka_unit_test(test_a_partition_that_tells_less_than_its_root_is_not_believed),
        };

        return cmocka_run_group_tests_name("feed shape", tests, NULL, NULL);
}
