/* SPDX-License-Identifier: MIT */
/* What a change feed does while servers are not as they should be: nothing goes too early, and nothing is missed. */
#include "../integration/feed_world.h"
#include "../support/ctl.h"
#include "../support/foreign.h"

#include "base/clock.h"
#include "invalidate/feed.h"

#include <libpq-fe.h>
#include <limits.h>
#include <stdatomic.h>
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

/* From here on. */
static void hold_up_commits(PGconn *admin, PGconn *writer, const struct scene *scene)
{
        char text[256];

        exec(admin, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        exec(admin, "SELECT pg_reload_conf()");
        await_answer(admin, "SHOW synchronous_standby_names", "nobody");
        exec(writer, "SET synchronous_commit = on; SET client_min_messages = error");
        snprintf(text, sizeof text, "INSERT INTO %s VALUES (gen_random_uuid())", scene->world.table);
        await_waiting(admin, writer, text);
}

/* Its commit is in the log, and nobody sees it. */
static void change_unseen(PGconn *admin, PGconn *writer, const struct scene *scene)
{
        char text[256];

        snprintf(text, sizeof text, "UPDATE %s SET title = 'new' WHERE id = '1'", scene->world.table);
        assert_int_equal(PQsendQuery(writer, text), 1);
        await_answer(admin, waits, "1");
}

static void let_it_be_seen(PGconn *admin, const struct scene *scene)
{
        char text[256];

        snprintf(text, sizeof text, "SELECT title FROM %s WHERE id = '1'", scene->world.table);
        await_answer(admin, text, "old");
        exec(admin, "ALTER SYSTEM RESET synchronous_standby_names");
        exec(admin, "SELECT pg_reload_conf()");
        await_answer(admin, text, "new");
}

/*
 * The server tells of a transaction that waits for its synchronous standby, and nobody sees its rows yet: who loads now gets the
 * old one.
 */
static void test_nothing_goes_before_others_see_why(void **state)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL")), *writer = PQconnectdb(getenv("DATABASE_URL"));
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'old')");
        service_lead(&scene.reader);
        hold_up_commits(admin, writer, &scene);
        change_unseen(admin, writer, &scene);
        await_answer(admin, "SELECT bool_and(sent_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication", "t");
        sleep_ms(200);
        service_put(&scene.other, "1", "old");
        let_it_be_seen(admin, &scene);
        service_loses(&scene.other, "1");
        PQfinish(writer);
        PQfinish(admin);
        scene_end(&scene);
}

/* The same of one that is never told, as the slot is past it; also where who resets does not live to see it. */
static void lose_what_was_unseen(bool dies)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL")), *writer = PQconnectdb(getenv("DATABASE_URL"));
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'old')");
        service_lead(&scene.reader);
        service_leave(&scene.reader);
        hold_up_commits(admin, writer, &scene);
        change_unseen(admin, writer, &scene);
        await_answer(admin, "SELECT count(*) FROM pg_replication_slots WHERE active", "0");
        world_run(&scene.world, "SELECT pg_replication_slot_advance('sugarperf_%n', pg_current_wal_flush_lsn())");
        service_follow(&scene.reader);
        service_awaits(&scene.reader, "\"leading\"");
        assert_true(service_reports(&scene.reader, "\"resets\":1"));
        assert_false(service_reports(&scene.reader, "\"unseen\":0"));
        service_put(&scene.other, "1", "old");
        if (dies) {
                service_leave(&scene.reader);
                let_it_be_seen(admin, &scene);
                service_lead(&scene.reader);
                assert_true(service_reports(&scene.reader, "\"resets\":0"));
        } else {
                let_it_be_seen(admin, &scene);
                service_awaits(&scene.reader, "\"unseen\":0");
        }
        service_loses(&scene.other, "1");
        PQfinish(writer);
        PQfinish(admin);
        scene_end(&scene);
}

static void test_what_a_reset_came_before_goes_once_it_is_seen(void **state)
{
        lose_what_was_unseen(false);
}

static void test_who_leads_next_knows_what_a_reset_came_before(void **state)
{
        lose_what_was_unseen(true);
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
        kept = foreign("GET {%s}:fr:sugarperf_%s", scene.world.name, scene.world.name);
        assert_int_equal(kept->type, REDIS_REPLY_STRING);
        assert_int_equal(kept->len, 16);
        freeReplyObject(kept);
        scene_end(&scene);
}

/* What was not dropped is not taken for seen, by nobody: Redis refuses scripts here, and would keep what is to be kept. */
static void test_an_emptied_partition_is_remembered_once_it_was_dropped(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "DROP TABLE %s; CREATE TABLE %s (id text PRIMARY KEY) PARTITION BY LIST (id); CREATE "
                                "TABLE %s_1 PARTITION OF %s DEFAULT; INSERT INTO %s VALUES ('1')");
        service_lead(&scene.reader);
        service_put(&scene.other, "1", "a");
        foreign_does("ACL SETUSER default -eval -evalsha");
        world_run(&scene.world, "TRUNCATE %s_1");
        service_awaits(&scene.reader, "NOPERM");
        service_end(&scene.reader);
        foreign_does("ACL SETUSER default +eval +evalsha");
        assert_true(service_has(&scene.other, "1"));
        service_begin(&scene.reader, &scene.world, NULL);
        service_lead(&scene.reader);
        service_loses(&scene.other, "1");
        service_awaits(&scene.reader, "\"resets\":0");
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

/* Rows whose keys are long, some of which another process has, and one that is none of them. */
enum { ID_MAX = 1100, FAR = 20, MORE_THAN_KEPT = 12000, LESS_THAN_KEPT = 3000 };

struct far {
        struct scene scene;
        int rows;
        atomic_int parts; /* that were invalidated, or put behind; below 0: nobody counts yet */
        atomic_bool over; /* the transaction is */
};

static const char *far_id(const struct far *far, int index, char out[ID_MAX])
{
        memset(out, 'x', 1000);
        snprintf(out + 1000, ID_MAX - 1000, "%d", 1 + index * (far->rows - 1) / (FAR - 1));
        return out;
}

static void far_begin(struct far *far, int rows, void (*step)(void *arg, enum sp__feed_step step))
{
        struct service *reader = &far->scene.reader;
        char text[256], id[ID_MAX];

        *far = (struct far){.rows = rows, .parts = INT_MIN / 2};
        scene_begin(&far->scene, NULL, "TABLE(id) on update -> NAME:item:{id}:full");
        assert_int_equal(sp_config_set(reader->config, "feed.lease", "15s", NULL), SP_OK);
        snprintf(text, sizeof text, "INSERT INTO %%s SELECT repeat('x', 1000) || i FROM generate_series(1, %d) i",
                 rows);
        world_run(&far->scene.world, text);
        assert_int_equal(sp__feed_new(reader->config, reader->pool, reader->rules, step, far, &reader->feed, NULL),
                         SP_OK);
        service_awaits(reader, "\"leading\"");
        for (int i = 0; i < FAR; i++)
                service_put(&far->scene.other, far_id(far, i, id), "old");
        service_put(&far->scene.other, "none of it", "old");
        atomic_store(&far->parts, 0);
}

static void far_end(struct far *far)
{
        char id[ID_MAX];

        for (int i = 0; i < FAR; i++)
                service_loses(&far->scene.other, far_id(far, i, id));
        assert_true(service_has(&far->scene.other, "none of it"));
        scene_end(&far->scene);
}

static void test_no_more_is_kept_of_a_transaction_than_there_is_room_for(void **state)
{
        struct far far;
        char all[32];

        far_begin(&far, MORE_THAN_KEPT, NULL);
        foreign_does("CLIENT PAUSE 500 WRITE");
        world_run(&far.scene.world, "UPDATE %s SET title = 'new'");
        snprintf(all, sizeof all, "\"changes\":%d,", far.rows);
        service_awaits(&far.scene.reader, all);
        far_end(&far);
}

/* On the feed's thread. */
static void note_end(void *arg, enum sp__feed_step step)
{
        struct far *far = arg;

        if (step != SP__STEP_INVALIDATED || atomic_fetch_add(&far->parts, 1) < 1)
                return;
        if (!far->scene.reader.feed->in_transaction)
                atomic_store(&far->over, true);
}

/* What had not arrived when the feed ended comes again from the log. Its last rows touch nothing, and need no Redis. */
static void test_a_feed_that_ends_behind_a_large_transaction_loses_nothing(void **state)
{
        struct far far;

        far_begin(&far, LESS_THAN_KEPT, note_end);
        foreign_does("CLIENT PAUSE 60000 WRITE");
        world_run(&far.scene.world, "BEGIN; UPDATE %s SET title = 'new'; INSERT INTO %s SELECT i::text FROM "
                                    "generate_series(1, 6000) i; COMMIT");
        for (int i = 0; i < 2000 && !atomic_load(&far.over); i++)
                sleep_ms(5);
        /* So that it may tell the server how far it is. */
        sleep_ms(300);
        service_leave(&far.scene.reader);
        foreign_does("CLIENT UNPAUSE");
        service_lead(&far.scene.reader);
        far_end(&far);
}

static void refuse_parts(void *arg, enum sp__feed_step step)
{
        struct far *far = arg;

        if (step == SP__STEP_INVALIDATED && atomic_fetch_add(&far->parts, 1) == 1)
                foreign_does("CONFIG SET min-replicas-to-write 1");
}

static void test_what_redis_refuses_of_a_large_transaction_comes_again(void **state)
{
        struct far far;

        far_begin(&far, MORE_THAN_KEPT, refuse_parts);
        world_run(&far.scene.world, "UPDATE %s SET title = 'new'");
        service_awaits(&far.scene.reader, "NOREPLICAS");
        foreign_does("CONFIG SET min-replicas-to-write 0");
        service_awaits(&far.scene.reader, "\"leading\"");
        far_end(&far);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_nothing_goes_before_others_see_why),
            cmocka_unit_test(test_what_a_reset_came_before_goes_once_it_is_seen),
            cmocka_unit_test(test_who_leads_next_knows_what_a_reset_came_before),
            cmocka_unit_test(test_what_was_changed_while_redis_was_away_goes_when_it_is_back),
            cmocka_unit_test(test_it_reads_on_when_postgres_was_restarted),
            cmocka_unit_test(test_a_log_past_its_bound_resets_the_namespace),
            cmocka_unit_test(test_nobody_leads_whose_rules_redis_would_not_keep),
            cmocka_unit_test(test_an_emptied_partition_is_remembered_once_it_was_dropped),
            cmocka_unit_test(test_all_of_a_large_invalidation_is_owed_where_redis_refuses_it),
            cmocka_unit_test(test_a_log_that_went_back_is_ended_even_if_redis_refuses_that_first),
            cmocka_unit_test(test_no_more_is_kept_of_a_transaction_than_there_is_room_for),
            cmocka_unit_test(test_a_feed_that_ends_behind_a_large_transaction_loses_nothing),
            cmocka_unit_test(test_what_redis_refuses_of_a_large_transaction_comes_again),
        };

        return cmocka_run_group_tests_name("feed faults", tests, NULL, NULL);
}
