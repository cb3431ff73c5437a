/* SPDX-License-Identifier: MIT */
/* What a change feed does while servers are not as they should be: nothing goes too early, and nothing is missed. */
#include "../integration/feed_world.h"
#include "../support/ctl.h"
#include "../support/foreign.h"

#include "base/clock.h"
#include "invalidate/feed.h"

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

static void refuse_writes(void *arg, enum sp__feed_step step)
{
        bool *refused = arg;

        if (step == SP__STEP_RESET && !*refused)
                foreign_does("CONFIG SET min-replicas-to-write 1");
        *refused = *refused || step == SP__STEP_RESET;
}

/* Whoever leads next would not know that these rules were read for, or take those of another for them. */
static void test_nobody_leads_whose_rules_redis_would_not_keep(void **state)
{
        struct scene scene;
        bool refused = false;
        redisReply *kept;

        scene_begin(&scene, NULL, NULL);
        assert_int_equal(sp__feed_new(scene.reader.config, scene.reader.pool, scene.reader.rules, refuse_writes,
                                      &refused, &scene.reader.feed, NULL),
                         SP_OK);
        service_awaits(&scene.reader, "NOREPLICAS");
        foreign_does("CONFIG SET min-replicas-to-write 0");
        service_awaits(&scene.reader, "\"leading\"");
        kept = foreign("GET {%s}:fr", scene.world.name);
        assert_int_equal(kept->type, REDIS_REPLY_STRING);
        assert_int_equal(kept->len, 16);
        freeReplyObject(kept);
        scene_end(&scene);
}

static void tell_of_many(struct scene *scene, int count)
{
        sp_session *session = NULL;
        sp_result *result = NULL;
        sp_stmt *stmt = NULL;
        char id[16];

        assert_int_equal(sp_pool_acquire(scene->reader.pool, NULL, &session, NULL), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        for (int i = 0; i < count; i++) {
                sp_row *row = sp_row_new(scene->world.table, SP_ROW_DELETE);

                snprintf(id, sizeof id, "%d", i);
                sp_row_set(row, "id", id, strlen(id));
                assert_int_equal(sp_session_invalidate_row(session, scene->reader.rules, row, NULL), SP_OK);
                sp_row_free(row);
        }
        assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
        sp_session_release(session);
}

/* Of one that takes several trips, some of them beside each other, none is forgotten. */
static void test_all_of_a_large_invalidation_is_owed_where_redis_refuses_it(void **state)
{
        enum { MANY = 6000 };
        static const char *const ids[] = {"0", "1023", "1024", "4095", "4096", "5119", "5120", "5999"};
        enum { IDS = sizeof ids / sizeof *ids };
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        for (int i = 0; i < IDS; i++)
                service_put(&scene.reader, ids[i], "old");
        service_put(&scene.reader, "6000", "old");
        foreign_does("CONFIG SET min-replicas-to-write 1");
        tell_of_many(&scene, MANY);
        for (int i = 0; i < IDS; i++)
                assert_false(service_has(&scene.reader, ids[i]));
        foreign_does("CONFIG SET min-replicas-to-write 0");
        for (int i = 0; i < IDS; i++)
                service_loses(&scene.other, ids[i]);
        assert_true(service_has(&scene.other, "6000"));
        scene_end(&scene);
}

static void epoch_of(const struct scene *scene, char out[32])
{
        redisReply *reply = foreign("HGET {%s}:v @e", scene->world.name);

        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        snprintf(out, 32, "%s", reply->str);
        freeReplyObject(reply);
}

/* Invalidations that come would have numbers that entries from before have already. */
static void test_a_log_that_went_back_is_ended_even_if_redis_refuses_that_first(void **state)
{
        int64_t until = sp__now() + 20 * SP__SECOND;
        struct scene scene;
        char before[32], now[32];

        scene_begin(&scene, NULL, NULL);
        service_put(&scene.other, "1", "a");
        tell_of_many(&scene, 1);
        tell_of_many(&scene, 1);
        service_put(&scene.other, "2", "a");
        epoch_of(&scene, before);
        foreign_does("HINCRBY {%s}:v @n -1", scene.world.name);
        foreign_does("CONFIG SET min-replicas-to-write 1");
        sleep_ms(1500);
        foreign_does("CONFIG SET min-replicas-to-write 0");
        do {
                assert_true(sp__now() < until);
                sleep_ms(10);
                epoch_of(&scene, now);
        } while (strcmp(before, now) == 0);
        service_loses(&scene.other, "2");
        scene_end(&scene);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_nothing_goes_before_others_see_why),
            cmocka_unit_test(test_what_was_changed_while_redis_was_away_goes_when_it_is_back),
            cmocka_unit_test(test_it_reads_on_when_postgres_was_restarted),
            cmocka_unit_test(test_a_log_past_its_bound_resets_the_namespace),
            cmocka_unit_test(test_nobody_leads_whose_rules_redis_would_not_keep),
            cmocka_unit_test(test_all_of_a_large_invalidation_is_owed_where_redis_refuses_it),
            cmocka_unit_test(test_a_log_that_went_back_is_ended_even_if_redis_refuses_that_first),
        };

        return cmocka_run_group_tests_name("feed faults", tests, NULL, NULL);
}
