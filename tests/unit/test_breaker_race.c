/* SPDX-License-Identifier: MIT */
/*
 * Two threads at one breaker: what they are answered must be what the model answers in some order of their calls. The room is
 * compiled anew with its probes (lib/guard/probe.h), which hold a thread up in the middle of what must look like one moment; the
 * same test finds each lock that is left out.
 */
#include "base/random.h"
#include "base/thread.h"
#include "breaker_model.h"
#include "guard/probe.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

/* It would report what is done on purpose. */
#if defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

enum sp__guard_bug sp__guard_bug;
static _Atomic uint64_t seeds;

static int64_t below(struct sp__random *random, int64_t limit)
{
        return (int64_t)(sp__random_next(random) % (uint64_t)limit);
}

/* A sleep, however short, gives the core away; one lap in so many, or all would be in step. */
void sp__guard_step(void)
{
        static _Thread_local struct sp__random random;

        if (!random.state)
                random.state = atomic_fetch_add(&seeds, 0x9e3779b97f4a7c15u) | 1;
        if (below(&random, 16) == 0)
                nanosleep(&(struct timespec){.tv_nsec = 1}, NULL);
}

/*
 * Two threads, a few calls each, at once. What each call answered must be what the model answers in some order of the calls
 * that keeps each thread's own.
 */
enum { STEPS = 4, DUELS = 2000, MOST = 200000 };

enum { STEP_ACQUIRE, STEP_SUCCESS, STEP_FAILURE, STEP_STATE, STEP_FORCE };

struct step {
        int what, of; /* `of`: which acquire of the thread a result belongs to, or the state to force */
        int answer;
};

struct side {
        struct step steps[STEPS];
        uint64_t permits[STEPS];
};

struct duel {
        sp_breaker *breaker;
        struct side sides[2];
        pthread_barrier_t barrier;
        atomic_bool over;
};

struct world {
        struct model model;
        struct model_permit permits[2][STEPS];
        int at[2];
};

static void side_draw(struct sp__random *random, struct side *side)
{
        int acquires = 0;

        for (int i = 0; i < STEPS; i++) {
                struct step *step = &side->steps[i];

                step->what = acquires ? (int)below(random, 4) : (int)below(random, 8) ? STEP_ACQUIRE : STEP_STATE;
                step->of = step->what == STEP_ACQUIRE ? acquires++ : acquires ? (int)below(random, acquires) : 0;
                if (below(random, 10) == 0)
                        *step = (struct step){.what = STEP_FORCE, .of = (int)below(random, SP_BREAKER_HALF_OPEN + 1)};
                side->permits[i] = 0;
        }
}

static void side_run(sp_breaker *breaker, struct side *side)
{
        for (int i = 0; i < STEPS; i++) {
                struct step *step = &side->steps[i];

                step->answer = 0;
                if (step->what == STEP_ACQUIRE)
                        step->answer = sp_breaker_acquire(breaker, &side->permits[step->of]) == SP_OK;
                else if (step->what == STEP_STATE)
                        step->answer = sp_breaker_state(breaker);
                else if (step->what == STEP_FORCE)
                        sp_breaker_force(breaker, step->of);
                else
                        sp_breaker_record(breaker, side->permits[step->of],
                                          step->what == STEP_SUCCESS ? SP_OUTCOME_SUCCESS : SP_OUTCOME_FAILURE, 1);
        }
}

static void *second(void *arg)
{
        struct duel *duel = arg;

        for (;;) {
                pthread_barrier_wait(&duel->barrier);
                if (atomic_load(&duel->over))
                        return NULL;
                side_run(duel->breaker, &duel->sides[1]);
                pthread_barrier_wait(&duel->barrier);
        }
}

/* false: the model answers otherwise. */
static bool world_step(struct world *world, const struct duel *duel, int who)
{
        const struct step *step = &duel->sides[who].steps[world->at[who]++];
        struct model_permit *permit = &world->permits[who][step->of];
        int id = who * STEPS + step->of;

        if (step->what == STEP_FORCE)
                model_force(&world->model, step->of);
        if (step->what == STEP_FORCE)
                return true;
        if (step->what == STEP_ACQUIRE)
                return model_acquire(&world->model, id, permit) == (bool)step->answer;
        if (step->what == STEP_STATE)
                return model_state(&world->model) == step->answer;
        if (permit->era >= 0)
                model_record(&world->model, id, permit,
                             step->what == STEP_SUCCESS ? SP_OUTCOME_SUCCESS : SP_OUTCOME_FAILURE, false);
        return true;
}

static bool ends_alike(const struct world *world, sp_breaker *breaker)
{
        return sp_breaker_state(breaker) == model_state(&world->model) &&
               sp_breaker_failures(breaker) == world->model.failures &&
               sp_breaker_rejected(breaker) == world->model.rejected &&
               sp_breaker_changes(breaker) == world->model.changes;
}

static bool some_order(const struct world *world, const struct duel *duel)
{
        bool over = true;

        for (int who = 0; who < 2; who++) {
                struct world next = *world;

                if (world->at[who] == STEPS)
                        continue;
                over = false;
                if (world_step(&next, duel, who) && some_order(&next, duel))
                        return true;
        }
        return over && ends_alike(world, duel->breaker);
}

/* A breaker somewhere in its life: closed and near its threshold, open, or due for its probes. */
static void duel_begin(struct sp__random *random, struct duel *duel, struct world *world, sp_clock *clock)
{
        struct model_rules rules = {.failures = 2,
                                    .probes = 2,
                                    .probe_ms = 1000,
                                    .open_ms = 1000,
                                    .open_factor = 1,
                                    .open_max_ms = 5000,
                                    .window_calls = 100,
                                    .minimum = 100};
        int64_t failures = below(random, 3), ms = below(random, 2) * 1000;
        struct model_permit permit;
        uint64_t real;

        memset(world, 0, sizeof *world);
        model_init(&world->model, &rules, 1000);
        duel->breaker = model_breaker(&rules, clock);
        for (int64_t i = 0; i < failures; i++) {
                assert_true(model_acquire(&world->model, -1, &permit));
                model_record(&world->model, -1, &permit, SP_OUTCOME_FAILURE, false);
                assert_int_equal(sp_breaker_acquire(duel->breaker, &real), SP_OK);
                sp_breaker_record(duel->breaker, real, SP_OUTCOME_FAILURE, 1);
        }
        sp_clock_advance(clock, ms);
        model_advance(&world->model, ms);
        for (int who = 0; who < 2; who++) {
                side_draw(random, &duel->sides[who]);
                for (int i = 0; i < STEPS; i++)
                        world->permits[who][i].era = -1;
        }
}

/* How many rounds it took to find one that no order explains; `most`: none. */
static int duels(int most)
{
        struct sp__random random = {sp__random_seed()};
        struct duel duel = {0};
        struct world world;
        bool explained = true;
        pthread_t thread;
        int round;

        print_message("# seed %" PRIu64 "\n", random.state);
        atomic_store(&seeds, random.state);
        pthread_barrier_init(&duel.barrier, NULL, 2);
        assert_int_equal(pthread_create(&thread, NULL, second, &duel), 0);
        for (round = 0; explained && round < most; round++) {
                sp_clock *clock = sp_clock_new();

                duel_begin(&random, &duel, &world, clock);
                pthread_barrier_wait(&duel.barrier);
                side_run(duel.breaker, &duel.sides[0]);
                pthread_barrier_wait(&duel.barrier);
                explained = some_order(&world, &duel);
                sp_breaker_unref(duel.breaker);
                sp_clock_free(clock);
        }
        atomic_store(&duel.over, true);
        pthread_barrier_wait(&duel.barrier);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&duel.barrier);
        return explained ? most : round;
}

static void test_two_threads_see_some_order_of_their_calls(void **state)
{
        assert_int_equal(duels(DUELS), DUELS);
}

static void test_a_lock_that_is_left_out_is_found(void **state)
{
        static const char *const names[] = {[SP__GUARD_NO_LOCK_ACQUIRE] = "acquire",
                                            [SP__GUARD_NO_LOCK_RECORD] = "record",
                                            [SP__GUARD_NO_LOCK_FORCE] = "force",
                                            [SP__GUARD_NO_LOCK_LOOK] = "state",
                                            [SP__GUARD_DOOR] = "the door"};

        for (int bug = SP__GUARD_SOUND + 1; !SANITIZED && bug < SP__GUARD_BUGS; bug++) {
                int rounds;

                sp__guard_bug = (enum sp__guard_bug)bug;
                rounds = duels(MOST);
                sp__guard_bug = SP__GUARD_SOUND;
                print_message("# without that of %s: found in round %d\n", names[bug], rounds);
                assert_true(rounds < MOST);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_two_threads_see_some_order_of_their_calls),
            cmocka_unit_test(test_a_lock_that_is_left_out_is_found),
        };

        return cmocka_run_group_tests_name("breaker race", tests, NULL, NULL);
}
