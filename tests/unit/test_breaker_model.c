/* SPDX-License-Identifier: MIT */
/*
 * The breaker does what a naive model does: under a million random events with random rules, and for two threads at once,
 * whose answers must be those of some order of their calls.
 */
#include "base/random.h"
#include "breaker_model.h"
#include "guard/breaker.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LIVES = 60, EVENTS = 20000, GIVEN = 256, SLOW_NS = 2000000000 };

static int64_t below(struct sp__random *random, int64_t limit)
{
        return (int64_t)(sp__random_next(random) % (uint64_t)limit);
}

/* Half of the lives judge by failures in a row alone, as the default does; every feature is on in some. */
static void rules_draw(struct sp__random *random, struct model_rules *rules)
{
        bool rated = below(random, 2), timed = rated && below(random, 2), slow = rated && below(random, 2);

        *rules = (struct model_rules){
            .failures = rated && below(random, 2) ? 0 : 1 + below(random, 5),
            .failure_rate = rated ? 30 + below(random, 60) : 0,
            .slow_rate = slow ? 30 + below(random, 60) : 0,
            .window_calls = 1 + below(random, 30),
            .window_ms = timed ? 20 * (1 + below(random, 50)) : 0,
            .minimum = 1 + below(random, 12),
            .in_flight = below(random, 3) ? 0 : 2 + below(random, 10),
            .probes = 1 + below(random, 5),
            .probe_ms = 1 + below(random, 1500),
            .open_ms = 1 + below(random, 1000),
            .open_factor = 1 + below(random, 3),
            .open_max_ms = 5000,
            .jitter = below(random, 2) ? 0 : below(random, 100),
        };
        rules->probe_failures = below(random, rules->probes);
        if (!timed && rules->minimum > rules->window_calls)
                rules->minimum = rules->window_calls;
}

static sp_breaker *breaker_of(const struct model_rules *rules, sp_clock *clock)
{
        const struct {
                const char *name, *unit;
                int64_t value;
        } rows[] = {
            {"failures", "", rules->failures},
            {"failure_rate", "", rules->failure_rate},
            {"slow", "ms", SLOW_NS / 2000000},
            {"slow_rate", "", rules->slow_rate},
            {"window_calls", "", rules->window_calls},
            {"window_time", "ms", rules->window_ms ? rules->window_ms : 1000},
            {"minimum", "", rules->minimum},
            {"in_flight", "", rules->in_flight},
            {"probes", "", rules->probes},
            {"probe_failures", "", rules->probe_failures},
            {"probe_timeout", "ms", rules->probe_ms},
            {"open_time", "ms", rules->open_ms},
            {"open_factor", "", rules->open_factor},
            {"open_max", "ms", rules->open_max_ms},
            {"jitter", "", rules->jitter},
        };
        sp_config *config = sp_config_new();
        sp_breaker *breaker = NULL;

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char name[64], value[32];

                snprintf(name, sizeof name, "breaker.%s", rows[i].name);
                snprintf(value, sizeof value, "%" PRId64 "%s", rows[i].value, rows[i].unit);
                assert_int_equal(sp_config_set(config, name, value, NULL), SP_OK);
        }
        assert_int_equal(sp_config_set(config, "breaker.window", rules->window_ms ? "time" : "count", NULL), SP_OK);
        assert_int_equal(sp_breaker_new(config, NULL, clock, &breaker, NULL), SP_OK);
        sp_config_free(config);
        return breaker;
}

struct life {
        struct model model;
        sp_clock *clock;
        sp_breaker *breaker;
        struct {
                uint64_t permit;
                struct model_permit model;
        } given[GIVEN]; /* by id */
        int count;
        uint64_t changes; /* when the open time was last compared */
        int visits[SP_BREAKER_METRICS_ONLY + 1];
};

static void life_acquire(struct life *life)
{
        int slot = life->count % GIVEN;
        struct model_permit mine = {0};
        uint64_t permit = 77;

        if (model_acquire(&life->model, life->count, &mine)) {
                assert_int_equal(sp_breaker_acquire(life->breaker, &permit), SP_OK);
                assert_true(permit < UINT64_C(1) << 53);
                life->given[slot].permit = permit;
                life->given[slot].model = mine;
                life->count++;
        } else {
                assert_int_equal(sp_breaker_acquire(life->breaker, &permit), SP_OPEN);
                assert_int_equal(permit, 77);
        }
}

/* Mostly a recent permit, at times any, so that late and second results are common. */
static void life_record(struct life *life, struct sp__random *random, int luck)
{
        int64_t reach = below(random, 4) ? 4 : GIVEN;
        int id = life->count - 1 - (int)below(random, life->count < reach ? life->count : reach);
        int outcome = (int)below(random, 3);
        bool slow = below(random, 3) == 0;

        if (outcome != SP_OUTCOME_IGNORED && luck != 2)
                outcome = luck == 0 ? SP_OUTCOME_FAILURE : SP_OUTCOME_SUCCESS;
        model_record(&life->model, id, &life->given[id % GIVEN].model, outcome, slow);
        if (outcome == SP_OUTCOME_IGNORED && below(random, 2))
                sp_breaker_release(life->breaker, life->given[id % GIVEN].permit);
        else
                sp_breaker_record(life->breaker, life->given[id % GIVEN].permit, outcome, slow ? SLOW_NS : 1);
}

static void life_force(struct life *life, struct sp__random *random)
{
        int state = (int)below(random, SP_BREAKER_METRICS_ONLY + 2);

        if (state > SP_BREAKER_METRICS_ONLY) {
                state = SP_BREAKER_CLOSED;
                sp_breaker_reset(life->breaker);
        } else
                assert_int_equal(sp_breaker_force(life->breaker, state), SP_OK);
        model_force(&life->model, state);
        life->changes = 0;
}

/* How long it is open with jitter is the breaker's to choose, within bounds; the model takes it over. */
static void take_jitter(struct life *life)
{
        struct model *model = &life->model;
        int64_t next;

        if (model->state != SP_BREAKER_OPEN || life->changes == model->changes + 1)
                return;
        life->changes = model->changes + 1;
        next = sp_breaker_next_attempt(life->breaker);
        assert_in_range(next, model->open_ms, model->open_ms + model->open_ms * model->rules.jitter / 100);
        model->until = model->now + next;
}

static void agree(struct life *life)
{
        const struct model *model = &life->model;
        struct sp__breaker_view view;

        take_jitter(life);
        sp__breaker_look(life->breaker, &view);
        assert_int_equal(view.state, model_state(model));
        assert_int_equal(view.failures, model->failures);
        assert_int_equal(view.wait_ms, model_wait(model));
        assert_int_equal(view.flying, model_state(model) == model->state ? model->flying : 0);
        assert_int_equal(view.rejected, model->rejected);
        assert_int_equal(view.changes, model->changes);
        for (int i = 0; i < MODEL_TOTALS; i++)
                assert_int_equal(view.calls[i], model->calls[i]);
        life->visits[view.state]++;
}

static void live(struct sp__random *random, int visits[])
{
        struct model_rules rules;
        struct life life = {.clock = sp_clock_new()};

        rules_draw(random, &rules);
        model_init(&life.model, &rules, 1000);
        life.breaker = breaker_of(&rules, life.clock);
        for (int event = 0; event < EVENTS && !life.model.forgetful; event++) {
                int64_t dice = below(random, 1000);
                int luck = (event / 500) % 3;

                if (dice < 420)
                        life_acquire(&life);
                else if (dice < 850 && life.count > 0)
                        life_record(&life, random, luck);
                else if (dice < 998) {
                        int64_t ms = below(random, below(random, 8) ? 60 : 1500);

                        sp_clock_advance(life.clock, ms);
                        model_advance(&life.model, ms);
                } else if (dice == 998 || event % 3 == 0)
                        life_force(&life, random);
                agree(&life);
        }
        for (int i = 0; i <= SP_BREAKER_METRICS_ONLY; i++)
                visits[i] += life.visits[i];
        sp_breaker_unref(life.breaker);
        sp_clock_free(life.clock);
}

static void test_it_does_what_the_model_does_under_random_events(void **state)
{
        struct sp__random random = {sp__random_seed()};
        int visits[SP_BREAKER_METRICS_ONLY + 1] = {0}, events = 0, lives = 0;

        print_message("# seed %" PRIu64 "\n", random.state);
        while (events < LIVES * EVENTS) {
                live(&random, visits);
                events = 0;
                for (int i = 0; i <= SP_BREAKER_METRICS_ONLY; i++)
                        events += visits[i];
                lives++;
        }
        print_message("# %d events in %d lives\n", events, lives);
        for (int i = 0; i <= SP_BREAKER_METRICS_ONLY; i++)
                assert_true(visits[i] > events / 1000);
}

/*
 * Two threads, a few calls each, at once. What each call answered must be what the model answers in some order of the calls
 * that keeps each thread's own.
 */
enum { STEPS = 4, DUELS = 4000 };

enum { STEP_ACQUIRE, STEP_SUCCESS, STEP_FAILURE, STEP_STATE };

struct step {
        int what, of; /* `of`: which acquire of the thread a result belongs to */
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
        duel->breaker = breaker_of(&rules, clock);
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

static void test_two_threads_see_some_order_of_their_calls(void **state)
{
        struct sp__random random = {sp__random_seed()};
        struct duel duel = {0};
        struct world world;
        pthread_t thread;

        print_message("# seed %" PRIu64 "\n", random.state);
        pthread_barrier_init(&duel.barrier, NULL, 2);
        assert_int_equal(pthread_create(&thread, NULL, second, &duel), 0);
        for (int round = 0; round < DUELS; round++) {
                sp_clock *clock = sp_clock_new();

                duel_begin(&random, &duel, &world, clock);
                pthread_barrier_wait(&duel.barrier);
                side_run(duel.breaker, &duel.sides[0]);
                pthread_barrier_wait(&duel.barrier);
                if (!some_order(&world, &duel))
                        fail_msg("round %d: no order of the calls explains what they answered", round);
                sp_breaker_unref(duel.breaker);
                sp_clock_free(clock);
        }
        atomic_store(&duel.over, true);
        pthread_barrier_wait(&duel.barrier);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&duel.barrier);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_it_does_what_the_model_does_under_random_events),
            cmocka_unit_test(test_two_threads_see_some_order_of_their_calls),
        };

        return cmocka_run_group_tests_name("breaker model", tests, NULL, NULL);
}
