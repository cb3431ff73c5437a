/* SPDX-License-Identifier: MIT */
/* What a change feed does while servers are not as they should be: nothing goes too early, and nothing is missed. */
#include "../integration/feed_world.h"

#include "base/clock.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char plain[] = "id text PRIMARY KEY, title text";

static void control(const char *verb, const char *server)
{
        char command[128];

        snprintf(command, sizeof command, "python3 tests/support/servers.py ctl %s %s", verb, server);
        assert_int_equal(system(command), 0);
}

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

/*
 * The server tells of a transaction that waits for its synchronous standby, and nobody sees its rows yet: who loads now gets the
 * old one.
 */
static void test_nothing_goes_before_others_see_why(void **state)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL")), *writer = PQconnectdb(getenv("DATABASE_URL"));
        struct service reader, other;
        struct world world;
        char text[256];

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        service_begin(&other, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('1', 'old')");
        service_lead(&reader);
        exec(admin, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        exec(admin, "SELECT pg_reload_conf()");
        await_answer(admin, "SHOW synchronous_standby_names", "nobody");
        exec(writer, "SET synchronous_commit = on");
        snprintf(text, sizeof text, "UPDATE %s SET title = 'new'", world.table);
        assert_int_equal(PQsendQuery(writer, text), 1);
        await_answer(admin, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
        await_answer(admin, "SELECT bool_and(sent_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication", "t");
        sleep_ms(200);
        snprintf(text, sizeof text, "SELECT title FROM %s", world.table);
        await_answer(admin, text, "old");
        service_put(&other, "1", "old");
        exec(admin, "ALTER SYSTEM RESET synchronous_standby_names");
        exec(admin, "SELECT pg_reload_conf()");
        await_answer(admin, text, "new");
        service_loses(&other, "1");
        PQfinish(writer);
        PQfinish(admin);
        service_end(&other);
        service_end(&reader);
        world_end(&world);
}

static void test_what_was_changed_while_redis_was_away_goes_when_it_is_back(void **state)
{
        struct service reader;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&reader);
        service_put(&reader, "1", "a");
        control("freeze", "redis");
        world_run(&world, "UPDATE %s SET title = 'b'");
        service_awaits(&reader, "\"standby\"");
        control("thaw", "redis");
        service_awaits(&reader, "\"leading\"");
        service_loses(&reader, "1");
        service_end(&reader);
        world_end(&world);
}

static void test_it_reads_on_when_postgres_was_restarted(void **state)
{
        struct service reader;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        world_run(&world, "INSERT INTO %s VALUES ('1', 'a'), ('2', 'b')");
        service_lead(&reader);
        service_put(&reader, "1", "a");
        service_put(&reader, "2", "b");
        control("restart", "pg");
        world_run(&world, "DELETE FROM %s WHERE id = '2'");
        service_loses(&reader, "2");
        assert_true(service_has(&reader, "1"));
        service_awaits(&reader, "\"resets\":1");
        service_end(&reader);
        world_end(&world);
}

/* What its slot was to keep the server threw away. */
static void test_a_log_past_its_bound_resets_the_namespace(void **state)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL"));
        struct service reader, other;
        struct world world;

        world_begin(&world, true, plain);
        service_begin(&reader, &world, NULL);
        service_begin(&other, &world, NULL);
        service_lead(&reader);
        service_put(&other, "1", "a");
        sp_feed_free(reader.feed);
        reader.feed = NULL;
        exec(admin, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
        exec(admin, "SELECT pg_reload_conf()");
        await_answer(admin, "SHOW max_slot_wal_keep_size", "1MB");
        for (int i = 0; i < 6; i++) {
                world_run(&world, "INSERT INTO %s VALUES (gen_random_uuid())");
                exec(admin, "SELECT pg_switch_wal()");
        }
        exec(admin, "CHECKPOINT");
        await_answer(admin, "SELECT wal_status FROM pg_replication_slots", "lost");
        exec(admin, "ALTER SYSTEM RESET max_slot_wal_keep_size");
        exec(admin, "SELECT pg_reload_conf()");
        assert_true(service_has(&other, "1"));
        service_lead(&reader);
        service_awaits(&reader, "\"resets\":1");
        service_loses(&other, "1");
        PQfinish(admin);
        service_end(&other);
        service_end(&reader);
        world_end(&world);
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
