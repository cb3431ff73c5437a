/* SPDX-License-Identifier: MIT */
/* Who reads a slot: one process, for one Redis, and everybody is told how far it is. */
#include "../integration/feed_world.h"
#include "../support/foreign.h"
#include "redis_set.h"

#include "base/clock.h"
#include "invalidate/feed.h"

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LEASE_MS = 200, URL_MAX = 256 };

static void sleep_ms(int64_t ms)
{
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * SP__MS}, NULL);
}

static void set(struct service *service, const char *name, const char *value)
{
        assert_int_equal(sp_config_set(service->config, name, value, NULL), SP_OK);
}

/* `%s` and `%n` as in world_text(); the first cell, to be freed. */
static char *ask(PGconn *conn, const struct world *world, const char *format)
{
        char text[WORLD_TEXT_MAX], *answer;
        PGresult *res;

        world_text(world, format, text);
        res = PQexec(conn, text);
        if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
                fail_msg("%s: %s", text, PQerrorMessage(conn));
        answer = strdup(PQntuples(res) ? PQgetvalue(res, 0, 0) : "");
        PQclear(res);
        return answer;
}

static void does(PGconn *conn, const struct world *world, const char *format)
{
        free(ask(conn, world, format));
}

static void await_answer(PGconn *conn, const struct world *world, const char *format, const char *expected)
{
        for (int i = 0; i < 4000; i++) {
                char *answer = ask(conn, world, format);
                bool there = strcmp(answer, expected) == 0;

                free(answer);
                if (there)
                        return;
                sleep_ms(5);
        }
        fail_msg("%s is never %s", format, expected);
}

/* The server takes its time to notice that a reader is gone. */
static void await_free(PGconn *conn, const struct world *world)
{
        await_answer(conn, world,
                     "SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name LIKE 'sugarperf_%n%'", "0");
}

/* The reader waits for a slot behind `writer`'s transaction, with a lease that is short. */
static void begin_to_wait(struct scene *scene, PGconn *writer)
{
        char fault[128];

        scene_begin(scene, NULL, NULL);
        set(&scene->reader, "feed.lease", "200ms");
        set(&scene->other, "feed.lease", "200ms");
        does(writer, &scene->world, "BEGIN");
        does(writer, &scene->world, "INSERT INTO %s VALUES ('1', 'a')");
        service_follow(&scene->reader);
        snprintf(fault, sizeof fault, "waits for transactions that began before: those of server process %d",
                 PQbackendPID(writer));
        service_awaits(&scene->reader, fault);
}

/* Longer than its lease, and than it waits for other locks. */
static void test_a_slot_that_waits_is_made_once(void **state)
{
        PGconn *writer = PQconnectdb(getenv("DATABASE_URL"));
        struct scene scene;

        begin_to_wait(&scene, writer);
        service_follow(&scene.other);
        sleep_ms(3 * LEASE_MS);
        assert_true(service_reports(&scene.reader, "\"connecting\""));
        assert_true(service_reports(&scene.other, "\"standby\""));
        does(writer, &scene.world, "COMMIT");
        service_awaits(&scene.reader, "\"leading\"");
        assert_true(service_reports(&scene.reader, "\"resets\":1"));
        assert_true(service_reports(&scene.reader, "\"faults\":0,\"fault\":null"));
        assert_true(service_reports(&scene.other, "\"faults\":0"));
        service_put(&scene.other, "1", "a");
        does(writer, &scene.world, "UPDATE %s SET title = 'b'");
        service_loses(&scene.other, "1");
        assert_true(service_reports(&scene.other, "\"standby\""));
        PQfinish(writer);
        scene_end(&scene);
}

/* No process holds it, and nobody would find it. */
static void test_a_slot_that_waits_names_a_prepared_transaction(void **state)
{
        PGconn *writer = PQconnectdb(getenv("DATABASE_URL"));
        char told[128];
        struct scene scene;
        bool seen = false;

        scene_begin(&scene, NULL, NULL);
        does(writer, &scene.world, "BEGIN");
        does(writer, &scene.world, "INSERT INTO %s VALUES ('1', 'a')");
        does(writer, &scene.world, "PREPARE TRANSACTION '%n'");
        snprintf(told, sizeof told, "began before: prepared transaction '%s' of database", scene.world.name);
        service_follow(&scene.reader);
        for (int i = 0; i < 4000 && !seen; i++) {
                sleep_ms(5);
                seen = service_reports(&scene.reader, told);
        }
        /* Whatever was said: everybody's slots wait for it. */
        does(writer, &scene.world, "ROLLBACK PREPARED '%n'");
        assert_true(seen);
        service_awaits(&scene.reader, "\"leading\"");
        PQfinish(writer);
        scene_end(&scene);
}

/* The server would make it all the same, once it can, and keep its log for it. */
static void test_a_feed_that_ends_while_its_slot_waits_leaves_none(void **state)
{
        PGconn *writer = PQconnectdb(getenv("DATABASE_URL")), *admin = PQconnectdb(getenv("DATABASE_URL"));
        struct scene scene;

        begin_to_wait(&scene, writer);
        service_leave(&scene.reader);
        await_answer(admin, &scene.world, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'sugarperf_%n'",
                     "0");
        does(writer, &scene.world, "COMMIT");
        PQfinish(admin);
        PQfinish(writer);
        scene_end(&scene);
}

/* A feed that stands still at a step, the first time. */
struct halt {
        enum sp__feed_step step;
        atomic_bool there, goes;
};

/* On the feed's thread. */
static void stand_still(void *arg, enum sp__feed_step step)
{
        struct halt *halt = arg;

        if (step == halt->step && !atomic_exchange(&halt->there, true)) {
                while (!atomic_load(&halt->goes))
                        sleep_ms(1);
        }
}

/* Who takes the lease away at a step of a feed's, once. */
struct thief {
        const struct world *world;
        enum sp__feed_step step;
        atomic_int
            reached; /* the first step behind that, which it takes without a lease; -1: not there, SP__STEPS: none */
};

/* On the feed's thread. */
static void steal(void *arg, enum sp__feed_step step)
{
        struct thief *thief = arg;
        const char *name = thief->world->name;
        int none = SP__STEPS;

        if (atomic_load(&thief->reached) >= 0) {
                atomic_compare_exchange_strong(&thief->reached, &none, (int)step);
        } else if (step == thief->step) {
                /* Until it is time to renew it. */
                sleep_ms(LEASE_MS / 2);
                foreign_does("SET {%s}:f:sugarperf_%s another", name, name);
                atomic_store(&thief->reached, SP__STEPS);
        }
}

/* All that comes before it reads takes longer than the lease where the server is far away: each would take it from the other. */
static void test_who_loses_the_lease_before_it_reads_goes_no_further(void **state)
{
        static const enum sp__feed_step steps[] = {SP__STEP_LEASED, SP__STEP_CHECKED, SP__STEP_CONNECTED,
                                                   SP__STEP_PUBLISHED, SP__STEP_SLOT};
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        service_lead(&scene.reader);
        service_leave(&scene.reader);
        set(&scene.reader, "feed.lease", "200ms");
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
                struct thief thief = {.world = &scene.world, .step = steps[i], .reached = -1};

                assert_int_equal(sp__feed_new(scene.reader.config, scene.reader.pool, scene.reader.rules, steal, &thief,
                                              &scene.reader.feed, NULL),
                                 SP_OK);
                while (atomic_load(&thief.reached) < 0)
                        sleep_ms(1);
                service_awaits(&scene.reader, "\"standby\"");
                if (atomic_load(&thief.reached) != SP__STEPS)
                        fail_msg("without a lease since step %d it comes to step %d", (int)steps[i],
                                 atomic_load(&thief.reached));
                service_leave(&scene.reader);
                foreign_does("DEL {%s}:f:sugarperf_%s", scene.world.name, scene.world.name);
        }
        scene_end(&scene);
}

/* Whoever reads has the lease: who lost it on the way there does not end him. */
static void test_who_lost_the_lease_ends_nobody(void **state)
{
        struct scene scene;
        struct halt halt = {SP__STEP_PUBLISHED, false, false};

        scene_begin(&scene, NULL, NULL);
        set(&scene.other, "feed.lease", "200ms");
        assert_int_equal(sp__feed_new(scene.other.config, scene.other.pool, scene.other.rules, stand_still, &halt,
                                      &scene.other.feed, NULL),
                         SP_OK);
        while (!atomic_load(&halt.there))
                sleep_ms(1);
        service_lead(&scene.reader);
        atomic_store(&halt.goes, true);
        service_awaits(&scene.other, "\"standby\"");
        assert_true(service_reports(&scene.reader, "\"leading\""));
        assert_true(service_reports(&scene.reader, "\"faults\":0"));
        scene_end(&scene);
}

/* A service with the same namespace, and a Redis of its own. */
static void begin_elsewhere(struct service *service, struct world *world, struct redis_server *redis)
{
        char *former = strdup(getenv("REDIS_URL")), url[URL_MAX];

        redis_start(redis, 0, (const char *const[]){NULL});
        snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis->port);
        setenv("REDIS_URL", url, 1);
        service_begin(service, world, NULL);
        setenv("REDIS_URL", former, 1);
        free(former);
}

/* Each would take the slot from the other, and with it changes that the other's caches never hear of. */
static void test_a_slot_is_read_for_one_redis(void **state)
{
        struct redis_server redis = {0};
        struct service elsewhere;
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        begin_elsewhere(&elsewhere, &scene.world, &redis);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&scene.reader);
        service_put(&scene.other, "1", "a");
        service_follow(&elsewhere);
        service_awaits(&elsewhere, "which is not for the Redis at 127.0.0.1:");
        assert_true(service_reports(&scene.reader, "\"leading\""));
        assert_true(service_reports(&scene.reader, "\"faults\":0"));

        /* What it reads while the slot is free is lost to us. */
        service_leave(&scene.reader);
        service_awaits(&elsewhere, "\"leading\"");
        world_run(&scene.world, "UPDATE %s SET title = 'b'");
        service_awaits(&elsewhere, "\"changes\":1");
        service_leave(&elsewhere);
        assert_true(service_has(&scene.other, "1"));
        service_lead(&scene.reader);
        service_loses(&scene.other, "1");
        service_end(&elsewhere);
        redis_kill(&redis);
        scene_end(&scene);
}

/* One that holds "a", and a slot that nobody reads. */
static void scene_left(struct scene *scene)
{
        scene_begin(scene, NULL, NULL);
        world_run(&scene->world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&scene->reader);
        service_put(&scene->other, "1", "a");
        service_leave(&scene->reader);
}

/* Behind a change that nobody hears of then. */
static void move_slot(struct scene *scene)
{
        world_run(&scene->world, "SET synchronous_commit = on; UPDATE %s SET title = 'b'");
        world_run(&scene->world, "SELECT pg_replication_slot_advance('sugarperf_%n', pg_current_wal_flush_lsn())");
}

static void test_a_slot_that_somebody_moved_is_not_believed(void **state)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL"));
        struct scene scene;

        scene_left(&scene);
        await_free(admin, &scene.world);
        move_slot(&scene);
        service_lead(&scene.reader);
        service_awaits(&scene.reader, "\"resets\":1");
        service_loses(&scene.other, "1");
        PQfinish(admin);
        scene_end(&scene);
}

/* Between a look at the slot and the beginning of its reading. */
static void test_a_slot_that_is_moved_while_it_is_taken_is_not_believed(void **state)
{
        struct halt halt = {SP__STEP_SLOT, false, false};
        struct scene scene;

        scene_left(&scene);
        set(&scene.reader, "feed.lease", "15s");
        assert_int_equal(sp__feed_new(scene.reader.config, scene.reader.pool, scene.reader.rules, stand_still, &halt,
                                      &scene.reader.feed, NULL),
                         SP_OK);
        while (!atomic_load(&halt.there))
                sleep_ms(1);
        move_slot(&scene);
        atomic_store(&halt.goes, true);
        service_loses(&scene.other, "1");
        service_awaits(&scene.reader, "\"leading\"");
        assert_true(service_reports(&scene.reader, "\"resets\":1"));
        scene_end(&scene);
}

/* What is kept of how far it was read: "SYSTEM LSN", of another server, or beyond the log that this one has. */
static void test_a_server_that_is_another_one_or_went_back_is_not_believed(void **state)
{
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        service_lead(&scene.reader);
        for (int i = 0; i < 2; i++) {
                const char *name = scene.world.name;
                redisReply *kept;
                char place[64];

                service_leave(&scene.reader);
                kept = foreign("HGET {%s}:fp:sugarperf_%s at", name, name);
                assert_int_equal(kept->type, REDIS_REPLY_STRING);
                if (i == 0)
                        snprintf(place, sizeof place, "1%s", strchr(kept->str, ' '));
                else
                        snprintf(place, sizeof place, "%.*s ffffffffffff", (int)strcspn(kept->str, " "), kept->str);
                freeReplyObject(kept);
                foreign_does("HSET {%s}:fp:sugarperf_%s at %b", name, name, place, strlen(place));
                service_lead(&scene.reader);
                assert_true(service_reports(&scene.reader, "\"resets\":1"));
        }
        scene_end(&scene);
}

/* A row that is changed, not committed, when the publication is mended stands in the log as it was before: hidden. */
static void test_what_was_on_its_way_while_a_publication_hid_it_goes(void **state)
{
        PGconn *writer = PQconnectdb(getenv("DATABASE_URL"));
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        world_run(&scene.world, "INSERT INTO %s VALUES ('1', 'a')");
        service_lead(&scene.reader);
        service_leave(&scene.reader);
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET (publish = 'insert')");
        service_follow(&scene.reader);
        service_awaits(&scene.reader, "does not publish update");
        does(writer, &scene.world, "BEGIN");
        does(writer, &scene.world, "UPDATE %s SET title = 'b'");
        world_run(&scene.world, "ALTER PUBLICATION sugarperf_%n SET (publish = 'insert, update, delete, truncate')");
        while (!service_reports(&scene.reader, "waits for") && !service_reports(&scene.reader, "\"leading\""))
                sleep_ms(2);
        service_put(&scene.other, "1", "a");
        does(writer, &scene.world, "COMMIT");
        service_awaits(&scene.reader, "\"leading\"");
        service_loses(&scene.other, "1");
        PQfinish(writer);
        scene_end(&scene);
}

/* The URL of another database of the same server. */
static void url_of(const char *database, char out[URL_MAX])
{
        const char *url = getenv("DATABASE_URL"), *end = strrchr(url, '/');

        assert_non_null(end);
        snprintf(out, URL_MAX, "%.*s/%s", (int)(end - url), url, database);
}

static void test_feeds_of_two_databases_both_lead(void **state)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL")), *second;
        char url[URL_MAX];
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        does(admin, &scene.world, "CREATE DATABASE %n");
        url_of(scene.world.name, url);
        second = PQconnectdb(url);
        does(second, &scene.world, "CREATE TABLE %s (id text PRIMARY KEY, title text)");
        sp_pool_free(scene.other.pool);
        set(&scene.other, "pool.second.url", url);
        assert_int_equal(sp_pool_new(scene.other.config, "second", &scene.other.pool, NULL), SP_OK);
        service_lead(&scene.reader);
        service_lead(&scene.other);
        service_put(&scene.other, "1", "a");
        service_put(&scene.other, "2", "a");
        world_run(&scene.world, "INSERT INTO %s VALUES ('1')");
        service_loses(&scene.other, "1");
        does(second, &scene.world, "INSERT INTO %s VALUES ('2')");
        service_loses(&scene.other, "2");
        assert_true(service_reports(&scene.reader, "\"leading\""));
        service_leave(&scene.reader);
        service_leave(&scene.other);
        await_free(second, &scene.world);
        does(second, &scene.world,
             "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = "
             "current_database()");
        PQfinish(second);
        sp_pool_free(scene.other.pool);
        assert_int_equal(sp_pool_new(scene.other.config, NULL, &scene.other.pool, NULL), SP_OK);
        does(admin, &scene.world, "DROP DATABASE %n WITH (FORCE)");
        PQfinish(admin);
        scene_end(&scene);
}

/* One slot's name for both: who does not read would wait for ever. */
static void test_a_feed_of_another_database_says_that_it_is_not_read(void **state)
{
        PGconn *admin = PQconnectdb(getenv("DATABASE_URL"));
        char url[URL_MAX];
        struct scene scene;

        scene_begin(&scene, NULL, NULL);
        does(admin, &scene.world, "CREATE DATABASE %n");
        url_of(scene.world.name, url);
        sp_pool_free(scene.other.pool);
        set(&scene.other, "pool.url", url);
        set(&scene.other, "feed.lease", "200ms");
        assert_int_equal(sp_pool_new(scene.other.config, NULL, &scene.other.pool, NULL), SP_OK);
        service_lead(&scene.reader);
        service_follow(&scene.other);
        service_awaits(&scene.other, "is not one of this database");
        assert_true(service_reports(&scene.reader, "\"fault\":null"));
        service_leave(&scene.other);
        sp_pool_free(scene.other.pool);
        set(&scene.other, "pool.url", getenv("DATABASE_URL"));
        assert_int_equal(sp_pool_new(scene.other.config, NULL, &scene.other.pool, NULL), SP_OK);
        does(admin, &scene.world, "DROP DATABASE %n WITH (FORCE)");
        PQfinish(admin);
        scene_end(&scene);
}

/* In bytes and in time, or in neither, sooner or later. */
static void service_lags(struct service *service, bool lags)
{
        int64_t until = sp__now() + 20 * SP__SECOND;

        while (service_reports(service, "\"lagBytes\":0,") == lags ||
               service_reports(service, "\"lagMs\":0,") == lags) {
                if (sp__now() > until)
                        service_awaits(service, lags ? "a lag" : "no lag");
                sleep_ms(2);
        }
}

/* On the feed's thread: it hangs with what it has read. */
static void hang(void *arg, enum sp__feed_step step)
{
        const atomic_bool *hangs = arg;

        while (step == SP__STEP_READ && atomic_load(hangs))
                sleep_ms(1);
}

static void test_who_does_not_read_tells_how_far_the_slot_is_behind(void **state)
{
        struct scene scene;
        atomic_bool hangs = false;

        scene_begin(&scene, NULL, NULL);
        set(&scene.reader, "feed.lease", "15s");
        set(&scene.other, "feed.lease", "200ms");
        assert_int_equal(sp__feed_new(scene.reader.config, scene.reader.pool, scene.reader.rules, hang, &hangs,
                                      &scene.reader.feed, NULL),
                         SP_OK);
        service_awaits(&scene.reader, "\"leading\"");
        service_follow(&scene.other);
        atomic_store(&hangs, true);
        world_run(&scene.world, "INSERT INTO %s SELECT i FROM generate_series(1, 1000) i");
        service_lags(&scene.other, true);
        service_lags(&scene.reader, true);
        assert_true(service_reports(&scene.other, "\"standby\""));
        atomic_store(&hangs, false);
        service_lags(&scene.other, false);
        service_lags(&scene.reader, false);

        /* Nobody can read. */
        service_leave(&scene.other);
        service_leave(&scene.reader);
        world_run(&scene.world, "DROP PUBLICATION sugarperf_%n");
        world_run(&scene.world, "UPDATE %s SET title = 'x'");
        set(&scene.other, "feed.create", "false");
        service_follow(&scene.other);
        service_lags(&scene.other, true);
        scene_end(&scene);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_slot_that_waits_is_made_once),
            cmocka_unit_test(test_a_slot_that_waits_names_a_prepared_transaction),
            cmocka_unit_test(test_a_feed_that_ends_while_its_slot_waits_leaves_none),
            cmocka_unit_test(test_who_loses_the_lease_before_it_reads_goes_no_further),
            cmocka_unit_test(test_who_lost_the_lease_ends_nobody),
            cmocka_unit_test(test_a_slot_is_read_for_one_redis),
            cmocka_unit_test(test_a_slot_that_somebody_moved_is_not_believed),
            cmocka_unit_test(test_a_slot_that_is_moved_while_it_is_taken_is_not_believed),
            cmocka_unit_test(test_a_server_that_is_another_one_or_went_back_is_not_believed),
            cmocka_unit_test(test_what_was_on_its_way_while_a_publication_hid_it_goes),
            cmocka_unit_test(test_feeds_of_two_databases_both_lead),
            cmocka_unit_test(test_a_feed_of_another_database_says_that_it_is_not_read),
            cmocka_unit_test(test_who_does_not_read_tells_how_far_the_slot_is_behind),
        };

        return cmocka_run_group_tests_name("feed lease", tests, NULL, NULL);
}
