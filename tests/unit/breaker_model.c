/* SPDX-License-Identifier: MIT */
#include "breaker_model.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { SLICES = 20 };

static void era(struct model *model, int state)
{
        model->changes += state != model->state;
        model->state = state;
        model->era++;
        model->probe_count = 0;
        model->flying = model->good = model->bad = 0;
        if (state == SP_BREAKER_OPEN) {
                model->open_ms = model->rules.open_ms;
                for (int64_t i = 0; i < model->opened; i++)
                        model->open_ms *= model->open_ms < model->rules.open_max_ms ? model->rules.open_factor : 1;
                if (model->open_ms > model->rules.open_max_ms)
                        model->open_ms = model->rules.open_max_ms;
                model->opened++;
                model->until = model->now + model->open_ms;
        } else if (state != SP_BREAKER_HALF_OPEN && state != SP_BREAKER_FORCED_OPEN) {
                model->opened = model->failures = 0;
                model->result_count = 0;
                model->forgetful = false;
        }
}

void model_init(struct model *model, const struct model_rules *rules, int64_t now_ms)
{
        *model = (struct model){.rules = *rules, .now = now_ms};
}

void model_advance(struct model *model, int64_t ms)
{
        model->now += ms;
}

static void lapse(struct model *model)
{
        if (model->state == SP_BREAKER_OPEN && model->now >= model->until)
                era(model, SP_BREAKER_HALF_OPEN);
}

int model_state(const struct model *model)
{
        return model->state == SP_BREAKER_OPEN && model->now >= model->until ? SP_BREAKER_HALF_OPEN : model->state;
}

int64_t model_wait(const struct model *model)
{
        int64_t out = 0, first = INT64_MAX;

        if (model_state(model) == SP_BREAKER_OPEN)
                return model->until - model->now;
        if (model->state != SP_BREAKER_HALF_OPEN)
                return 0;
        for (int i = 0; i < model->probe_count; i++) {
                if (model->now >= model->probes[i].until)
                        continue;
                out++;
                if (model->probes[i].until < first)
                        first = model->probes[i].until;
        }
        return out + model->good + model->bad >= model->rules.probes ? first - model->now : 0;
}

static void drop_probe(struct model *model, int at)
{
        model->probes[at] = model->probes[--model->probe_count];
}

static bool acquire_probe(struct model *model, int id)
{
        for (int i = model->probe_count - 1; i >= 0; i--) {
                if (model->now >= model->probes[i].until)
                        drop_probe(model, i);
        }
        if (model->probe_count + model->good + model->bad >= model->rules.probes)
                return false;
        model->probes[model->probe_count].id = id;
        model->probes[model->probe_count++].until = model->now + model->rules.probe_ms;
        return true;
}

bool model_acquire(struct model *model, int id, struct model_permit *permit)
{
        bool passes = true;

        lapse(model);
        if (model->state == SP_BREAKER_CLOSED && model->rules.in_flight && model->flying >= model->rules.in_flight)
                era(model, SP_BREAKER_OPEN);
        if (model->state == SP_BREAKER_OPEN || model->state == SP_BREAKER_FORCED_OPEN)
                passes = false;
        else if (model->state == SP_BREAKER_HALF_OPEN)
                passes = acquire_probe(model, id);
        model->rejected += !passes;
        model->flying += passes;
        if (passes)
                *permit = (struct model_permit){model->era, false};
        return passes;
}

static void keep(struct model *model, bool failed, bool slow)
{
        if (model->result_count == MODEL_WINDOW) {
                memmove(&model->results[0], &model->results[1], (MODEL_WINDOW - 1) * sizeof model->results[0]);
                model->result_count--;
                model->forgetful = true;
        }
        model->results[model->result_count].failed = failed;
        model->results[model->result_count].slow = slow;
        model->results[model->result_count++].at = model->now;
}

static bool in_window(const struct model *model, int index)
{
        int64_t slice = model->rules.window_ms / SLICES;

        if (!model->rules.window_ms)
                return index >= model->result_count - model->rules.window_calls;
        return model->now / slice - model->results[index].at / slice < SLICES;
}

static bool rates_trip(const struct model *model)
{
        int64_t calls = 0, failed = 0, slow = 0;

        for (int i = 0; i < model->result_count; i++) {
                if (!in_window(model, i))
                        continue;
                calls++;
                failed += model->results[i].failed;
                slow += model->results[i].slow;
        }
        if (calls < model->rules.minimum)
                return false;
        return (model->rules.failure_rate && failed * 100 >= model->rules.failure_rate * calls) ||
               (model->rules.slow_rate && slow * 100 >= model->rules.slow_rate * calls);
}

static void record_closed(struct model *model, bool failed, bool slow)
{
        model->failures = failed ? model->failures + 1 : 0;
        keep(model, failed, slow);
        if (model->state != SP_BREAKER_CLOSED)
                return;
        if ((model->rules.failures && model->failures >= model->rules.failures) || rates_trip(model))
                era(model, SP_BREAKER_OPEN);
}

static void record_probe(struct model *model, int id, int outcome, bool slow)
{
        for (int i = model->probe_count - 1; i >= 0; i--) {
                if (model->probes[i].id == id)
                        drop_probe(model, i);
        }
        if (outcome == SP_OUTCOME_IGNORED)
                return;
        model->failures += outcome == SP_OUTCOME_FAILURE;
        if (outcome == SP_OUTCOME_SUCCESS && !slow)
                model->good++;
        else
                model->bad++;
        if (model->bad > model->rules.probe_failures)
                era(model, SP_BREAKER_OPEN);
        else if (model->good >= model->rules.probes - model->rules.probe_failures)
                era(model, SP_BREAKER_CLOSED);
}

void model_record(struct model *model, int id, struct model_permit *permit, int outcome, bool slow)
{
        if (permit->done)
                return;
        permit->done = true;
        lapse(model);
        model->calls[outcome]++;
        if (permit->era != model->era)
                return;
        model->flying--;
        slow = slow && model->rules.slow_rate;
        if (model->state == SP_BREAKER_HALF_OPEN)
                record_probe(model, id, outcome, slow);
        else if (model->state != SP_BREAKER_DISABLED && outcome != SP_OUTCOME_IGNORED)
                record_closed(model, outcome == SP_OUTCOME_FAILURE, slow);
}

void model_force(struct model *model, int state)
{
        model->opened -= state == SP_BREAKER_OPEN && model->opened > 0;
        era(model, state);
}

sp_breaker *model_breaker(const struct model_rules *rules, sp_clock *clock)
{
        const struct {
                const char *name, *unit;
                int64_t value;
        } rows[] = {
            {"failures", "", rules->failures},
            {"failure_rate", "", rules->failure_rate},
            {"slow", "ms", MODEL_SLOW_MS},
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
