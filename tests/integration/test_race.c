/* SPDX-License-Identifier: MIT */
/*
 * Several processes read, load, write and invalidate the same few rows, some of them under raw keys, each thread held up now
 * and then between two steps, while subscriptions are killed, stalled and robbed of messages, the log's hash and the scripts
 * are deleted, processes are killed and stopped with leases in their hands, wall clocks jump, and Redis is killed and comes back
 * from an old snapshot, after which the raw keys are deleted, as nothing under them can tell. A row's version only grows. No read
 * may return one that was superseded by an acknowledged invalidation of this process's own, nor one whose invalidation was
 * acknowledged anywhere longer ago than the bound; and once all is quiet everybody reads the last one. Each mistake that the
 * library can be told to make (lib/cache/probe.h) must be found.
 *
 *     test-race [seconds [seed [bug]]]
 */
#include "race.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAVED_MS = 700, SEARCH_SECONDS = 60 };

static int64_t seconds = 8;
static uint64_t given_seed;
static int given_bug;

/* The processes, and what was done to them. */
struct field {
        struct sp__random random;
        int redis_port;
        pid_t pids[PROCESSES];
        int stopped; /* the process that stands still; -1: none */
        int64_t stopped_until;
        bool saved;
        int64_t snapshot_at; /* when there is one, or when Redis is to come back from it; 0: not again */
        int deaths, stops, jumps, restarts;
};

static redisContext *connect_redis(const struct field *field)
{
        redisContext *redis = redisConnect("127.0.0.1", field->redis_port);

        assert_true(redis && !redis->err);
        return redis;
}

static void tell(const struct field *field, const char *format, ...)
{
        redisContext *redis = connect_redis(field);
        va_list args;
        redisReply *reply;

        va_start(args, format);
        reply = redisvCommand(redis, format, args);
        va_end(args);
        if (reply)
                freeReplyObject(reply);
        redisFree(redis);
}

static void control(const char *verb)
{
        pid_t pid = fork();
        int status = 0;

        if (pid == 0) {
                execlp("python3", "python3", "tests/support/servers.py", "ctl", verb, "redis", (char *)NULL);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void go_on(struct field *field)
{
        if (field->stopped < 0)
                return;
        kill(field->pids[field->stopped], SIGCONT);
        field->stopped = -1;
}

/* It stands still for longer than anything it knows may be believed. */
static void stop_one(struct field *field)
{
        go_on(field);
        field->stopped = (int)(sp__random_next(&field->random) % PROCESSES);
        field->stopped_until = sp__now() + 2 * BOUND_MS * SP__MS;
        kill(field->pids[field->stopped], SIGSTOP);
        field->stops++;
}

static void kill_one(struct field *field)
{
        int victim = (int)(sp__random_next(&field->random) % PROCESSES);

        go_on(field);
        kill(field->pids[victim], SIGKILL);
        waitpid(field->pids[victim], NULL, 0);
        field->deaths++;
        field->pids[victim] = race_spawn(sp__random_next(&field->random), victim);
}

/* Up to an hour, either way. */
static void jump(struct field *field)
{
        int64_t ms = (int64_t)((sp__random_unit(&field->random) - .5) * 7200000);

        atomic_store(&world->wall_ms[sp__random_next(&field->random) % PROCESSES], ms);
        field->jumps++;
}

/* What brings a mistake to light, and nothing that would hide it: a mirror that is reset all the time knows little. */
static bool harm_for_mistake(struct field *field)
{
        switch (world->bug) {
        case SP__BUG_LOST_MESSAGE:
                atomic_store(&world->faults.swallow, 50);
                return true;
        case SP__BUG_HORIZON:
                stop_one(field);
                atomic_store(&world->faults.stall_until, field->stopped_until + BOUND_MS / 2 * SP__MS);
                return true;
        case SP__BUG_TRANSACTION:
        case SP__BUG_OLD_RUN:
                return true;
        default:
                return false;
        }
}

static void do_harm(struct field *field)
{
        double kind = sp__random_unit(&field->random);

        if (harm_for_mistake(field))
                return;
        atomic_store(&world->faults.swallow, kind < .5 ? 40 : 0);
        if (kind < .15)
                tell(field, "CLIENT KILL TYPE pubsub");
        else if (kind < .23)
                tell(field, "UNLINK {%s}:v", world->name);
        else if (kind < .31)
                tell(field, "HDEL {%s}:v %s", world->name, sp__random_unit(&field->random) < .5 ? "@e" : "@n");
        else if (kind < .37)
                tell(field, "SCRIPT FLUSH");
        else if (kind < .45)
                tell(field, "HINCRBY {%s}:v @n 1", world->name);
        else if (kind < .5)
                tell(field, "CLIENT PAUSE 50");
        else if (kind < .65)
                atomic_store(&world->faults.stall_until, sp__now() + 3 * BOUND_MS * SP__MS);
        else if (kind < .8)
                stop_one(field);
        else if (kind < .87)
                jump(field);
        else
                kill_one(field);
}

/* What another program does that knows what came back: the raw keys and their leases go. */
static void drop_raw_keys(const struct field *field)
{
        for (int i = 0; i < KEYS; i++) {
                char key[96];

                if (!is_raw(i))
                        continue;
                key_of(i, key, sizeof key);
                tell(field, "UNLINK %s {%s}:%s:l", key, key, world->name);
        }
        atomic_store(&world->raw_from, sp__now() + BOUND_MS * SP__MS);
}

/* A snapshot is made, and some time later all since then is lost. */
static void lose_what_came_since(struct field *field)
{
        if (!field->snapshot_at || sp__now() < field->snapshot_at)
                return;
        if (!field->saved) {
                tell(field, "SAVE");
                field->saved = true;
                field->snapshot_at = sp__now() + SAVED_MS * SP__MS;
                return;
        }
        atomic_store(&world->raw_from, SP__FOREVER);
        control("kill");
        control("start");
        drop_raw_keys(field);
        field->restarts++;
        field->saved = false;
        field->snapshot_at = world->bug == SP__BUG_OLD_RUN ? sp__now() + SP__SECOND : 0;
}

static void begin(int64_t run_ns, enum sp__bug bug, int skip)
{
        world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(world != MAP_FAILED);
        world->seed = given_seed ? given_seed : sp__random_seed();
        world->bug = bug;
        world->skip = skip;
        atomic_store(&world->readers_until, sp__now() + run_ns);
        atomic_store(&world->writers_until, world->readers_until - SP__SECOND / 2);
        snprintf(world->name, sizeof world->name, "race%llx", (unsigned long long)sp__random_seed());
        printf("# seed %llu\n", (unsigned long long)world->seed);
}

static void report(const struct field *field)
{
        printf("# %lld reads (%lld in transactions), %lld of raw keys, %lld hits, %lld loads, %lld failed reads, %lld "
               "writes, %lld "
               "unacknowledged\n",
               (long long)world->reads, (long long)world->transactions, (long long)world->raw_reads,
               (long long)world->hits, (long long)world->loads, (long long)world->refused, (long long)world->writes,
               (long long)world->lost);
        printf("# %d deaths, %d stops, %d clock jumps, %d returns from an old snapshot\n", field->deaths, field->stops,
               field->jumps, field->restarts);
        printf("# beyond the bound %lld, own writes %lld, stale at the end %lld\n", (long long)world->bound_violations,
               (long long)world->own_violations, (long long)world->stale_at_end);
}

static int64_t violations(void)
{
        return world->bound_violations + world->own_violations + world->stale_at_end;
}

static int redis_port(void)
{
        const char *at = strstr(getenv("REDIS_URL"), "127.0.0.1:");

        assert_non_null(at);
        return atoi(at + 10);
}

static void wait_for_all(struct field *field)
{
        go_on(field);
        for (int i = 0; i < PROCESSES; i++) {
                int status = 0;

                waitpid(field->pids[i], &status, 0);
                assert_int_equal(status, 0);
        }
}

/* `until_found`: no longer than the first violation. */
static void race(int64_t run_ns, enum sp__bug bug, int skip, bool until_found)
{
        struct field field = {.redis_port = redis_port(), .stopped = -1};
        int64_t next = 0;
        pid_t proxy;
        int port;

        begin(run_ns, bug, skip);
        field.random.state = world->seed;
        field.snapshot_at = sp__now() + run_ns / 3;
        if (bug == SP__BUG_OLD_RUN)
                field.snapshot_at = sp__now() + SP__SECOND;
        proxy = start_proxy(field.redis_port, &world->faults, sp__random_next(&field.random), &port);
        snprintf(world->url, sizeof world->url, "redis://127.0.0.1:%d", port);
        for (int i = 0; i < PROCESSES; i++)
                field.pids[i] = race_spawn(sp__random_next(&field.random), i);
        while (sp__now() < world->writers_until && !(until_found && violations())) {
                usleep(20000);
                if (field.stopped >= 0 && sp__now() >= field.stopped_until)
                        go_on(&field);
                lose_what_came_since(&field);
                if (sp__now() < next)
                        continue;
                do_harm(&field);
                next = sp__now() + (int64_t)(sp__random_unit(&field.random) * 500) * SP__MS;
                if (field.stopped >= 0)
                        next += 2 * BOUND_MS * SP__MS;
        }
        if (until_found) {
                atomic_store(&world->writers_until, 0);
                atomic_store(&world->readers_until, 0);
        }
        atomic_store(&world->faults.swallow, 0);
        wait_for_all(&field);
        kill(proxy, SIGKILL);
        waitpid(proxy, NULL, 0);
        report(&field);
}

static void test_no_read_is_older_than_promised(void **state)
{
        race(seconds * SP__SECOND, SP__BUG_NONE, 0, false);
        assert_true(world->reads > 100);
        assert_true(world->raw_reads > 10);
        assert_true(world->loads > 10);
        assert_int_equal(world->bound_violations, 0);
        assert_int_equal(world->own_violations, 0);
        assert_int_equal(world->stale_at_end, 0);
        munmap(world, sizeof *world);
}

static void test_a_forgotten_invalidation_would_be_seen(void **state)
{
        race(SEARCH_SECONDS * SP__SECOND, SP__BUG_NONE, 3, true);
        assert_true(violations() > 0);
        munmap(world, sizeof *world);
}

static void test_a_mistake_would_be_seen(void **state)
{
        int64_t begun = sp__now();

        race(SEARCH_SECONDS * SP__SECOND, *(const enum sp__bug *)*state, 0, true);
        printf("# found after %.1f s\n", (double)(sp__now() - begun) / 1e9);
        assert_true(violations() > 0);
        munmap(world, sizeof *world);
}

#define MISTAKE(name, bug)                                                                                             \
        {                                                                                                              \
                "seen: " name, test_a_mistake_would_be_seen, NULL, NULL, (enum sp__bug[])                              \
                {                                                                                                      \
                        bug                                                                                            \
                }                                                                                                      \
        }

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_no_read_is_older_than_promised),
            cmocka_unit_test(test_a_forgotten_invalidation_would_be_seen),
            MISTAKE("v0 taken after the load", SP__BUG_LATE_PLACE),
            MISTAKE("the loader's tags ignored", SP__BUG_NO_TAGS),
            MISTAKE("the own acknowledgement not applied", SP__BUG_NO_OWN),
            MISTAKE("a fill inside a transaction", SP__BUG_TRANSACTION),
            MISTAKE("a lost message not noticed", SP__BUG_LOST_MESSAGE),
            MISTAKE("no horizon", SP__BUG_HORIZON),
            MISTAKE("an old snapshot believed", SP__BUG_OLD_RUN),
        };
        const struct CMUnitTest one[] = {MISTAKE("the one that was asked for", (enum sp__bug)given_bug)};

        if (argc > 1)
                seconds = atoll(argv[1]);
        if (argc > 2)
                given_seed = strtoull(argv[2], NULL, 10);
        if (argc > 3) {
                *(enum sp__bug *)one[0].initial_state = (enum sp__bug)atoi(argv[3]);
                return cmocka_run_group_tests_name("race", one, NULL, NULL);
        }
        return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
