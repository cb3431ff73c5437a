/* SPDX-License-Identifier: MIT */
/**
 * Scripts of a breaker's life on a virtual clock; tests/vectors/breaker.json holds more, for every language. Words, a blank
 * between them:
 *
 *     +250        advances the clock by so many milliseconds        >O  forces a state
 *     @1000  #3  ~2   expects: milliseconds to the next attempt, failures in a row, calls in flight
 *     20*sf       repeats
 *     else one letter a step: s f i acquire and record success, failure, ignored; z y a slow success, a slow failure;
 *     a acquire and keep; S F record, I and r release the oldest kept permit, Z a slow success, d records it once more;
 *     l drops the oldest kept permit; ! an acquire that is refused; a digit advances by so many hundred milliseconds;
 *     ^ resets; C O H X D M expect CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED, METRICS_ONLY.
 */
#ifndef SP_TEST_BREAKER_PLAY_H
#define SP_TEST_BREAKER_PLAY_H

#include <sugarperf/breaker.h>

#define SLOW_NS 2000000000LL /* twice the `breaker.slow` of the scripts, 1s */

struct rig {
        sp_clock *clock;
        sp_breaker *breaker;
        uint64_t kept[64]; /* by play() */
        size_t first, last;
};

/** `settings` are the rest of a name and its value, …, NULL: "failures", "3". open_time is 1s, slow 1s. */
struct rig rig_new_with(const char *const settings[]);
struct rig rig_new(const char *failures);
void rig_free(struct rig *rig);
/** Fails the test, naming it, at the step that is not as expected. */
void play(struct rig *rig, const char *script);

#endif
