/* SPDX-License-Identifier: MIT */
/*
 * Schedules at random, by a printed seed: writers die between COMMIT and invalidation or never invalidate, change feeds die at each
 * of their steps, hang, lose lease, slot, the slot's place and connection, Redis is killed and comes back from an old snapshot, PostgreSQL is
 * restarted (play.h). After each of them no cached value may be older than its row. SP_SCHEDULES says how many; without it as many
 * as there is time for. With it each mistake that the library can be told to make around the feed must be found, too.
 *
 *     test-feed-crash [schedules [seed]]      beside servers of its own: tests/support/servers.py exec -- …
 */
#include "play.h"

#include "../support/ctl.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { SCHEDULES = 300, SHORT_S = 15, PATIENCE_S = 60, HARM_EVERY = 25, MANY = 2000 };

static struct hall *hall;
static int64_t asked_for; /* 0: the short form */
static uint64_t given_seed;

static void save_snapshot(void)
{
        redisContext *redis = redisConnect("127.0.0.1", atoi(strstr(getenv("REDIS_URL"), "127.0.0.1:") + 10));

        assert_true(redis && !redis->err);
        freeReplyObject(redisCommand(redis, "SAVE"));
        redisFree(redis);
}

/* The servers are taken from those who write, not from those who judge. */
static void take_servers(struct sp__random *random)
{
        double kind = sp__random_unit(random);

        atomic_store(&hall->wanted, true);
        while (atomic_load(&hall->judging) > 0 && !atomic_load(&hall->broken))
                pause_us(500);
        pause_us(up_to(random, 10000));
        if (atomic_load(&hall->broken)) {
                /* It is somebody's finding. */
        } else if (kind < .75) {
                control(kind < .5 ? "kill" : "stop", "redis");
                pause_us(up_to(random, 100000));
                control("start", "redis");
        } else {
                control("restart", "pg");
        }
        pause_us(up_to(random, 20000));
        atomic_store(&hall->wanted, false);
}

static void do_harm(struct sp__random *random)
{
        if (sp__random_unit(random) < .4)
                save_snapshot();
        else
                take_servers(random);
}

static void open_hall(bool feeds, enum sp__bug bug)
{
        hall = mmap(NULL, sizeof *hall, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(hall != MAP_FAILED);
        hall->seed = given_seed ? given_seed : sp__random_seed();
        hall->feeds = feeds;
        hall->bug = bug;
        hall->patience = (feeds && !bug ? PATIENCE_S : 3) * SP__SECOND;
        printf("# seed %" PRIu64 "\n", hall->seed);
}

static void close_hall(int64_t harms)
{
        printf("# %" PRId64 " schedules, %" PRId64 " writes, %" PRId64 " reads, %" PRId64
               " deaths, servers harmed %" PRId64 " times; feeds died at steps %03" PRIx64 " of %03x; slowest %" PRId64
               " ms, stale %" PRId64 "\n",
               hall->schedules, hall->writes, hall->reads, hall->deaths, harms, hall->died_at, (1u << SP__STEPS) - 1,
               (int64_t)(hall->slowest / SP__MS), hall->stale);
        munmap(hall, sizeof *hall);
}

static void await_plays(const pid_t pids[PLAYS])
{
        atomic_store(&hall->enough, true);
        for (int i = 0; i < PLAYS; i++) {
                int status = 0;

                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
}

/* Until so many schedules were gone through, or it is late. */
static int64_t perform(int64_t schedules, int64_t until)
{
        struct sp__random random = {hall->seed};
        pid_t pids[PLAYS];
        int64_t harms = 0;

        for (int i = 0; i < PLAYS; i++) {
                hall->plays[i].hall = hall;
                pids[i] = play_begin(&hall->plays[i], sp__random_next(&random));
        }
        while (atomic_load(&hall->schedules) < schedules && sp__now() < until && !atomic_load(&hall->broken)) {
                int status;

                pause_us(2000);
                for (int i = 0; i < PLAYS; i++) {
                        if (waitpid(pids[i], &status, WNOHANG) == pids[i])
                                fail_msg("play %d ended with %#x", i, (unsigned)status);
                }
                if (hall->feeds && atomic_load(&hall->schedules) / HARM_EVERY > harms) {
                        do_harm(&random);
                        harms++;
                }
        }
        await_plays(pids);
        return harms;
}

static void test_after_recovery_no_cached_value_is_older_than_its_row(void **state)
{
        int64_t harms;

        open_hall(true, SP__BUG_NONE);
        harms = perform(asked_for ? asked_for : SCHEDULES, asked_for ? SP__FOREVER : sp__now() + SHORT_S * SP__SECOND);
        assert_true(hall->schedules > 0);
        assert_true(hall->reads > 0);
        assert_int_equal(hall->stale, 0);
        if (hall->schedules >= MANY)
                assert_int_equal(hall->died_at, (1u << SP__STEPS) - 1);
        close_hall(harms);
}

static void test_without_the_feed_it_would_be_seen(void **state)
{
        open_hall(false, SP__BUG_NONE);
        perform(INT64_MAX, SP__FOREVER);
        assert_true(hall->stale > 0);
        close_hall(0);
}

static void test_a_mistake_would_be_seen(void **state)
{
        int64_t harms;

        open_hall(true, *(const enum sp__bug *)*state);
        harms = perform(INT64_MAX, SP__FOREVER);
        assert_true(hall->stale > 0);
        close_hall(harms);
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
        static const struct CMUnitTest few[] = {
            cmocka_unit_test(test_after_recovery_no_cached_value_is_older_than_its_row),
            cmocka_unit_test(test_without_the_feed_it_would_be_seen),
        };
        const struct CMUnitTest all[] = {
            few[0],
            few[1],
            MISTAKE("confirmed before it was invalidated", SP__BUG_CONFIRMED),
            MISTAKE("a new slot without a reset", SP__BUG_NEW_SLOT),
            MISTAKE("an old snapshot believed", SP__BUG_OLD_RUN),
            MISTAKE("a slot that somebody else read on believed", SP__BUG_MOVED_SLOT),
        };
        const char *schedules = argc > 1 ? argv[1] : getenv("SP_SCHEDULES");

        asked_for = schedules ? atoll(schedules) : 0;
        given_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
        /* Where passwords cost nothing: processes are born all the time. */
        setenv("DATABASE_URL", getenv("SP_TEST_PG_SOCKET"), 1);
        if (asked_for)
                return cmocka_run_group_tests_name("feed crash", all, NULL, NULL);
        return cmocka_run_group_tests_name("feed crash", few, NULL, NULL);
}
