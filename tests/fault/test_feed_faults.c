/* SPDX-License-Identifier: MIT */
/* What a change feed does while servers are not as they should be: nothing goes too early, and nothing is missed. */
#include "../integration/feed_world.h"
#include "../support/ctl.h"

#include "base/clock.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void sleep_ms(int64_t ms)
{
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * SP__MS}, NULL);
}

static char *ask(PGconn *conn, const char *text)
{
        PGresult *res = PQexec(conn, text);
        char *answer;

        if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
                fail_msg("%s: %s", text, PQerrorMessage(conn));
        answer = strdup(PQntuples(res) ? PQgetvalue(res, 0, 0) : "");
        PQclear(res);
        return answer;
}

static void exec(PGconn *conn, const char *text)
{
        free(ask(conn, text));
}

static void await_answer(PGconn *conn, const char *text, const char *expected)
{
        for (int i = 0; i < 2000; i++) {
                char *answer = ask(conn, text);
                bool there = strcmp(answer, expected) == 0;

                free(answer);
                if (there)
                        return;
                sleep_ms(5);
        }
        fail_msg("%s is never %s", text, expected);
}

static const char waits[] = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/* Every COMMIT waits for a standby that there is not: once the server's checkpointer has heard of it, too. */
static void await_waiting(PGconn *admin, PGconn *writer, const char *write)
{
        bool waiting = false;

        while (!waiting) {
                PGresult *res;

                assert_int_equal(PQsendQuery(writer, write), 1);
                while (PQisBusy(writer) && !waiting) {
                        char *count = ask(admin, waits);

                        waiting = strcmp(count, "1") == 0;
                        free(count);
                        assert_int_equal(PQconsumeInput(writer), 1);
                }
                if (waiting)
                        exec(admin, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
                while ((res = PQgetResult(writer)))
                        PQclear(res);
        }
}

/*
 * The server tells of a transaction that waits for its synchronous standby, and nobody sees its rows yet: who loads now gets the
 * old one.
 */
static void test_nothing_goes_before_others_see_why(void **state)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL")), *writer = PQconnectdb(getenv("DATABASE_URL"));
        struct scene scene;
        char text[256];

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'old')");
        service_lead(&scene.reader);
        exec(admin, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        exec(admin, "SELECT pg_reload_conf()");
        await_answer(admin, "SHOW synchronous_standby_names", "nobody");
        exec(writer, "SET synchronous_commit = on; SET client_min_messages = error");
        snprintf(text, sizeof text, "INSERT INTO %s VALUES (gen_random_uuid())", scene.world.table);
        await_waiting(admin, writer, text);
        snprintf(text, sizeof text, "UPDATE %s SET title = 'new' WHERE id = '1'", scene.world.table);
        assert_int_equal(PQsendQuery(writer, text), 1);
        await_answer(admin, waits, "1");
        await_answer(admin, "SELECT bool_and(sent_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication", "t");
        sleep_ms(200);
        snprintf(text, sizeof text, "SELECT title FROM %s WHERE id = '1'", scene.world.table);
        await_answer(admin, text, "old");
        service_put(&scene.other, "1", "old");
        exec(admin, "ALTER SYSTEM RESET synchronous_standby_names");
        exec(admin, "SELECT pg_reload_conf()");
        await_answer(admin, text, "new");
        service_loses(&scene.other, "1");
        PQfinish(writer);
        PQfinish(admin);
        scene_end(&scene);
}

static void test_what_was_changed_while_redis_was_away_goes_when_it_is_back(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&scene.reader);
        service_put(&scene.reader, "1", "a");
        control("freeze", "redis");
        world_run(&scene.world, "UPDATE %s SET title = 'b'");
        service_awaits(&scene.reader, "\"standby\"");
        control("thaw", "redis");
        service_awaits(&scene.reader, "\"leading\"");
        service_loses(&scene.reader, "1");
        scene_end(&scene);
}

static void test_it_reads_on_when_postgres_was_restarted(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b')");
        service_lead(&scene.reader);
        service_put(&scene.reader, "1", "a");
        service_put(&scene.reader, "2", "b");
        control("restart", "pg");
        world_run(&scene.world, "DELETE FROM %s WHERE id = '2'");
        service_loses(&scene.reader, "2");
        assert_true(service_has(&scene.reader, "1"));
        service_awaits(&scene.reader, "\"resets\":1");
        scene_end(&scene);
}

/* What its slot was to keep the server threw away. */
static void test_a_log_past_its_bound_resets_the_namespace(void **state)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL"));
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        service_lead(&scene.reader);
        service_put(&scene.other, "1", "a");
        service_leave(&scene.reader);
        exec(admin, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
        exec(admin, "SELECT pg_reload_conf()");
        await_answer(admin, "SHOW max_slot_wal_keep_size", "1MB");
        for (int i = 0; i < 6; i++) {
                world_run(&scene.world, "INSERT INTO %s VALUES (gen_random_uuid())");
                exec(admin, "SELECT pg_switch_wal()");
        }
        exec(admin, "CHECKPOINT");
        await_answer(admin, "SELECT wal_status FROM pg_replication_slots", "lost");
        exec(admin, "ALTER SYSTEM RESET max_slot_wal_keep_size");
        exec(admin, "SELECT pg_reload_conf()");
        assert_true(service_has(&scene.other, "1"));
        service_lead(&scene.reader);
        service_awaits(&scene.reader, "\"resets\":1");
        service_loses(&scene.other, "1");
        PQfinish(admin);
        scene_end(&scene);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_nothing_goes_before_others_see_why),
            cmocka_unit_test(test_what_was_changed_while_redis_was_away_goes_when_it_is_back),
            cmocka_unit_test(test_it_reads_on_when_postgres_was_restarted),
            cmocka_unit_test(test_a_log_past_its_bound_resets_the_namespace),
        };

        return cmocka_run_group_tests_name("feed faults", tests, NULL, NULL);
}
