/* SPDX-License-Identifier: MIT */
/**
 * The rules of breaker.h and of `breaker.…`, naively: every result is kept with its time, every rate is counted anew, every
 * permit remembers the era that it was given in. Plain data, so that a copy of it is a possible world.
 */
#ifndef SP_TEST_BREAKER_MODEL_H
#define SP_TEST_BREAKER_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sugarperf/breaker.h>

enum { MODEL_WINDOW = 64, MODEL_PROBES = 8, MODEL_TOTALS = 3, MODEL_SLOW_MS = 1000 };

struct model_rules {
        int64_t failures, failure_rate, slow_rate, minimum, window_calls, window_ms; /* window_ms 0: by count */
        int64_t in_flight, probes, probe_failures, probe_ms, open_ms, open_factor, open_max_ms, jitter;
};

struct model_permit {
        int era;
        bool done;
};

struct model {
        struct model_rules rules;
        int64_t now;
        int state, era;
        int64_t failures, until, open_ms, opened, flying, good, bad, rejected;
        int64_t calls[MODEL_TOTALS];
        uint64_t changes;
        struct {
                int id;
                int64_t until;
        } probes[MODEL_PROBES];
        int probe_count;
        struct {
                bool failed, slow;
                int64_t at;
        } results[MODEL_WINDOW]; /* the newest last */
        int result_count;
        bool forgetful; /* more results than it keeps came within a window of time */
};

void model_init(struct model *model, const struct model_rules *rules, int64_t now_ms);
void model_advance(struct model *model, int64_t ms);
/** `id` is the caller's name for the permit. */
bool model_acquire(struct model *model, int id, struct model_permit *permit);
void model_record(struct model *model, int id, struct model_permit *permit, int outcome, bool slow);
void model_force(struct model *model, int state);
/** As sp_breaker_state(): applies what the clock has brought about to what is shown alone. */
int model_state(const struct model *model);
/** As sp_breaker_next_attempt(). */
int64_t model_wait(const struct model *model);

/** A breaker of these rules; a call of MODEL_SLOW_MS is slow. */
sp_breaker *model_breaker(const struct model_rules *rules, sp_clock *clock);

#endif
