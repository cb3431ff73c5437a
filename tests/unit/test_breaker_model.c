/* SPDX-License-Identifier: MIT */
/*
 * The breaker does what a naive model does, under a million random events with random rules.
 */
#include "base/random.h"
#include "breaker_model.h"
#include "guard/breaker.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LIVES = 60, EVENTS = 20000, GIVEN = 256, SLOW_NS = 2 * MODEL_SLOW_MS * 1000000 };

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
        life.breaker = model_breaker(&rules, life.clock);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_it_does_what_the_model_does_under_random_events),
        };

        return cmocka_run_group_tests_name("breaker model", tests, NULL, NULL);
}
