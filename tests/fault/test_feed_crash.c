/* SPDX-License-Identifier: MIT */
/*
 * Writers that die between COMMIT and invalidation (or never invalidate at all), readers with caches of their own, and feeds that
 * die at every step, while Redis is killed and comes back from an old snapshot, PostgreSQL is restarted and the feed's connection cut.
 * A row's version only grows. Once all is quiet and the feed has caught up, nobody may read a version that is older than the row.
 *
 *     test-feed-crash [seconds [seed]]        beside servers of its own: tests/support/servers.py exec -- …
 */
#include "../integration/feed_world.h"
#include "../support/child.h"

#include "base/clock.h"
#include "base/random.h"
#include "invalidate/feed.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 24, FEEDS = 2, WRITERS = 2, READERS = 2, PROCESSES = FEEDS + WRITERS + READERS, PATIENCE_S = 60 };
enum role { FEED, WRITER, READER };

struct stage {
        struct world world;
        uint64_t seed;
        atomic_bool quiet, check;
        _Atomic int64_t versions[ROWS]; /* of the rows, once all is quiet */
        _Atomic int64_t writes, reads, deaths, stale, failed, harms;
        _Atomic uint64_t died_at; /* steps of the feed, as bits */
};

struct actor {
        enum role role;
        pid_t pid;
};

static struct stage *stage;
static int64_t seconds = 8;
static uint64_t given_seed;

static void sleep_ms(int64_t ms)
{
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * SP__MS}, NULL);
}

static int64_t up_to(struct sp__random *random, int64_t most)
{
        return (int64_t)(sp__random_unit(random) * (double)most);
}

static void id_of(int row, char out[16])
{
        snprintf(out, 16, "r%d", row);
}

static void die(void)
{
        atomic_fetch_add(&stage->deaths, 1);
        raise(SIGKILL);
}

/* The version that the row has; -1: it could not be asked. */
static int64_t version_of(struct service *service, int row)
{
        static const char format[] = "SELECT version FROM %s WHERE id = $1";
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_stmt *stmt = NULL;
        int64_t version = -1;
        char text[128], id[16];
        size_t len;

        id_of(row, id);
        snprintf(text, sizeof text, format, stage->world.table);
        sp_params_add_text(params, id, strlen(id));
        if (sp_stmt_new(NULL, text, strlen(text), 0, &stmt, NULL) == SP_OK &&
            sp_pool_query(service->pool, NULL, stmt, params, &result, NULL) == SP_OK && sp_result_rows(result) == 1)
                version = strtoll(sp_result_get(result, 0, 0, &len), NULL, 10);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_params_free(params);
        return version;
}

/* SP_OK where it is known to have taken effect. */
static sp_status write_row(struct service *service, int row)
{
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_stmt *stmt = NULL;
        char text[160], id[16];
        sp_status status;

        id_of(row, id);
        snprintf(text, sizeof text, "UPDATE %s SET version = version + 1 WHERE id = $1", stage->world.table);
        sp_params_add_text(params, id, strlen(id));
        status = sp_stmt_new(NULL, text, strlen(text), 0, &stmt, NULL);
        if (status == SP_OK)
                status = sp_pool_query(service->pool, NULL, stmt, params, &result, NULL);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_params_free(params);
        return status;
}

static void tell_row(struct service *service, int row)
{
        sp_row *told = sp_row_new(stage->world.table, SP_ROW_UPDATE);
        char id[16];

        id_of(row, id);
        sp_row_set(told, "id", id, strlen(id));
        sp_invalidate_row(service->rules, NULL, told, NULL);
        sp_row_free(told);
}

static void live_as_writer(struct service *service, struct sp__random *random)
{
        while (!atomic_load(&stage->quiet)) {
                int row = (int)up_to(random, ROWS);
                double then = sp__random_unit(random);

                if (write_row(service, row) == SP_OK)
                        atomic_fetch_add(&stage->writes, 1);
                if (then < .03)
                        die();
                if (then < .4)
                        tell_row(service, row);
                sleep_ms(up_to(random, 12));
        }
}

struct load {
        struct service *service;
        int row;
};

static sp_status load(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        struct load *load = arg;
        int64_t version = version_of(load->service, load->row);
        char text[24];
        int len = snprintf(text, sizeof text, "%lld", (long long)version);

        if (version < 0)
                return SP_UNAVAILABLE;
        *out = sp_value_new(text, (size_t)len, SP_CODEC_TEXT);
        return SP_OK;
}

/* Through the cache; -1: it failed. */
static int64_t read_row(struct service *service, int row)
{
        struct load loading = {service, row};
        sp_value *value = NULL;
        char key[SP_KEY_MAX], id[16];
        int64_t version;
        size_t len;

        id_of(row, id);
        if (sp_cache_get_or_load(service->cache, NULL, key, item_key(&stage->world, id, key), load, &loading, &value,
                                 NULL) != SP_OK)
                return -1;
        version = strtoll(sp_value_data(value, &len), NULL, 10);
        sp_value_unref(value);
        return version;
}

static void judge(struct service *service)
{
        for (int row = 0; row < ROWS; row++) {
                int64_t version = read_row(service, row);

                while (version < 0) {
                        sleep_ms(20);
                        version = read_row(service, row);
                }
                if (version < atomic_load(&stage->versions[row]))
                        atomic_fetch_add(&stage->stale, 1);
        }
}

static void live_as_reader(struct service *service, struct sp__random *random)
{
        while (!atomic_load(&stage->quiet)) {
                if (read_row(service, (int)up_to(random, ROWS)) < 0)
                        atomic_fetch_add(&stage->failed, 1);
                atomic_fetch_add(&stage->reads, 1);
                sleep_ms(up_to(random, 3));
        }
        while (!atomic_load(&stage->check))
                sleep_ms(10);
        judge(service);
}

/* Where this process dies, SP__STEPS: nowhere, and how often it passes there before. */
static struct {
        enum sp__feed_step step;
        int64_t passes;
} fate;

/* The feed's thread. */
static void at_step(void *arg, enum sp__feed_step step)
{
        if (atomic_load(&stage->quiet) || step != fate.step || fate.passes-- > 0)
                return;
        atomic_fetch_or(&stage->died_at, 1ull << step);
        die();
}

static void live_as_feed(struct service *service, struct sp__random *random)
{
        fate.step = (enum sp__feed_step)up_to(random, SP__STEPS + 1);
        fate.passes = fate.step > SP__STEP_STARTED ? up_to(random, 100) : up_to(random, 2);
        if (sp__feed_new(service->config, service->pool, service->rules, at_step, NULL, &service->feed, NULL) != SP_OK)
                _exit(1);
        while (!atomic_load(&stage->check))
                sleep_ms(10);
}

static void live(enum role role, uint64_t seed)
{
        struct sp__random random = {seed};
        struct service service;

        service_begin(&service, &stage->world, "TABLE(id) -> NAME:item:{id}:full");
        if (role == FEED)
                live_as_feed(&service, &random);
        else if (role == WRITER)
                live_as_writer(&service, &random);
        else
                live_as_reader(&service, &random);
        service_end(&service);
}

static void spawn(struct actor *actor, uint64_t seed)
{
        actor->pid = child_fork();
        assert_true(actor->pid >= 0);
        if (actor->pid != 0)
                return;
        live(actor->role, seed);
        fflush(NULL);
        _exit(0);
}

/* Who died is born again. */
static void revive(struct actor *actors, struct sp__random *random)
{
        for (int i = 0; i < PROCESSES; i++) {
                int status = 0;

                if (actors[i].pid <= 0 || waitpid(actors[i].pid, &status, WNOHANG) != actors[i].pid)
                        continue;
                if (atomic_load(&stage->quiet) && status == 0) {
                        actors[i].pid = 0;
                        continue;
                }
                if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                        fail_msg("a process of role %d ended by itself: %d", actors[i].role, status);
                spawn(&actors[i], sp__random_next(random));
        }
}

static void control(const char *verb, const char *server)
{
        char command[128];

        snprintf(command, sizeof command, "python3 tests/support/servers.py ctl %s %s", verb, server);
        assert_int_equal(system(command), 0);
}

/* NULL: it is away. */
static redisContext *redis_open(void)
{
        redisContext *redis = redisConnect("127.0.0.1", atoi(strstr(getenv("REDIS_URL"), "127.0.0.1:") + 10));

        if (redis && !redis->err)
                return redis;
        if (redis)
                redisFree(redis);
        return NULL;
}

static void save_snapshot(void)
{
        redisContext *redis = redis_open();

        if (!redis)
                return;
        freeReplyObject(redisCommand(redis, "SAVE"));
        redisFree(redis);
}

/* One number; -1: the server is away, or it is NULL. */
static int64_t ask(const char *text)
{
        PGconn *conn = PQconnectdb(getenv("DATABASE_URL"));
        PGresult *res = PQexec(conn, text);
        int64_t number = -1;

        if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) > 0 && !PQgetisnull(res, 0, 0))
                number = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
        PQclear(res);
        PQfinish(conn);
        return number;
}

/* Longer than its lease: another one takes its place, and it finds that out when it goes on. */
static void stop_for_a_while(struct actor *actor)
{
        kill(actor->pid, SIGSTOP);
        sleep_ms(1200);
        kill(actor->pid, SIGCONT);
}

static void do_harm(struct actor *actors, struct sp__random *random)
{
        double kind = sp__random_unit(random);

        atomic_fetch_add(&stage->harms, 1);
        if (kind < .35)
                kill(actors[up_to(random, PROCESSES)].pid, SIGKILL);
        else if (kind < .55)
                ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication");
        else if (kind < .7)
                save_snapshot();
        else if (kind < .85)
                control(sp__random_unit(random) < .5 ? "kill" : "stop", "redis"), sleep_ms(up_to(random, 300)),
                    control("start", "redis");
        else if (kind < .92)
                control("restart", "pg");
        else
                stop_for_a_while(&actors[up_to(random, FEEDS)]);
}

static void begin(void)
{
        char text[64];

        stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(stage != MAP_FAILED);
        stage->seed = given_seed ? given_seed : sp__random_seed();
        printf("# seed %llu\n", (unsigned long long)stage->seed);
        world_begin(&stage->world, true, "id text PRIMARY KEY, version bigint NOT NULL DEFAULT 0");
        snprintf(text, sizeof text, "INSERT INTO %%s SELECT 'r' || i FROM generate_series(0, %d) i", ROWS - 1);
        world_run(&stage->world, text);
}

/* Until all that was written has been confirmed by the feed. */
static void await_feed(struct actor *actors, struct sp__random *random)
{
        int64_t until = sp__now() + PATIENCE_S * SP__SECOND;
        char text[256];

        ask("SELECT pg_logical_emit_message(true, 'mark', '')");
        snprintf(
            text, sizeof text,
            "SELECT (confirmed_flush_lsn >= '0/0'::pg_lsn + %lld)::int FROM pg_replication_slots WHERE slot_name = "
            "'sugarperf_%s'",
            (long long)ask("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"), stage->world.name);
        while (ask(text) != 1) {
                revive(actors, random);
                if (sp__now() > until)
                        fail_msg("the feed does not catch up");
                sleep_ms(20);
        }
}

static void read_versions(void)
{
        for (int row = 0; row < ROWS; row++) {
                char text[128];

                snprintf(text, sizeof text, "SELECT version FROM %s WHERE id = 'r%d'", stage->world.table, row);
                atomic_store(&stage->versions[row], ask(text));
                assert_true(atomic_load(&stage->versions[row]) >= 0);
        }
}

static void await_all(struct actor *actors)
{
        for (int i = 0; i < PROCESSES; i++) {
                int status = 0;

                if (actors[i].pid <= 0)
                        continue;
                assert_int_equal(waitpid(actors[i].pid, &status, 0), actors[i].pid);
                assert_int_equal(status, 0);
        }
}

/* `feeds` false: what would be seen without them. */
static void play(int64_t run_ns, bool feeds)
{
        struct actor actors[PROCESSES] = {{0}};
        struct sp__random random;
        int64_t until;

        begin();
        random.state = stage->seed;
        for (int i = 0; i < PROCESSES; i++) {
                actors[i].role = i < FEEDS ? FEED : i < FEEDS + WRITERS ? WRITER : READER;
                if (feeds || actors[i].role != FEED)
                        spawn(&actors[i], sp__random_next(&random));
        }
        until = sp__now() + run_ns;
        while (sp__now() < until) {
                sleep_ms(up_to(&random, 400));
                if (feeds)
                        do_harm(actors, &random);
                revive(actors, &random);
        }
        atomic_store(&stage->quiet, true);
        sleep_ms(200);
        if (feeds)
                await_feed(actors, &random);
        sleep_ms(1300);
        read_versions();
        atomic_store(&stage->check, true);
        await_all(actors);
        world_end(&stage->world);
        printf("# %lld writes, %lld reads (%lld failed), %lld harms, %lld deaths by themselves, at steps %03llx; stale "
               "%lld\n",
               (long long)stage->writes, (long long)stage->reads, (long long)stage->failed, (long long)stage->harms,
               (long long)stage->deaths, (unsigned long long)stage->died_at, (long long)stage->stale);
}

static void test_after_recovery_no_cached_value_is_older_than_its_row(void **state)
{
        play(seconds * SP__SECOND, true);
        assert_true(stage->writes > 20);
        assert_true(stage->reads > 20);
        assert_int_equal(stage->stale, 0);
        munmap(stage, sizeof *stage);
}

static void test_without_the_feed_it_would_be_seen(void **state)
{
        play(3 * SP__SECOND, false);
        assert_true(stage->stale > 0);
        munmap(stage, sizeof *stage);
}

int main(int argc, char **argv)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_after_recovery_no_cached_value_is_older_than_its_row),
            cmocka_unit_test(test_without_the_feed_it_would_be_seen),
        };

        if (argc > 1)
                seconds = atoll(argv[1]);
        if (argc > 2)
                given_seed = strtoull(argv[2], NULL, 10);
        return cmocka_run_group_tests_name("feed crash", tests, NULL, NULL);
}
