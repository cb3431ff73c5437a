/* SPDX-License-Identifier: MIT */
#include "breaker_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char states[] = "COHXDM";

static void set(sp_config *config, const char *name, const char *value)
{
        char full[64];

        snprintf(full, sizeof full, "breaker.pay.%s", name);
        assert_int_equal(sp_config_set(config, full, value, NULL), SP_OK);
}

struct rig rig_new_with(const char *const settings[])
{
        struct rig rig = {.clock = sp_clock_new()};
        sp_config *config = sp_config_new();

        set(config, "open_time", "1s");
        set(config, "slow", "1s");
        for (size_t i = 0; settings[i]; i += 2)
                set(config, settings[i], settings[i + 1]);
        assert_int_equal(sp_breaker_new(config, "pay", rig.clock, &rig.breaker, NULL), SP_OK);
        sp_config_free(config);
        return rig;
}

struct rig rig_new(const char *failures)
{
        return rig_new_with((const char *const[]){"failures", failures, NULL});
}

void rig_free(struct rig *rig)
{
        sp_breaker_unref(rig->breaker);
        sp_clock_free(rig->clock);
}

static int outcome_of(char step)
{
        switch (step) {
        case 's':
        case 'z':
        case 'S':
        case 'Z':
                return SP_OUTCOME_SUCCESS;
        case 'f':
        case 'y':
        case 'F':
        case 'd':
                return SP_OUTCOME_FAILURE;
        default:
                return SP_OUTCOME_IGNORED;
        }
}

static uint64_t oldest(struct rig *rig, char step)
{
        assert_true(step == 'd' || rig->first < rig->last);
        return rig->kept[(step == 'd' ? rig->first - 1 : rig->first++) % 64];
}

static bool step_done(struct rig *rig, char step)
{
        int64_t elapsed = strchr("zyZ", step) ? SLOW_NS : 1;
        uint64_t permit = 0;
        bool good = true;

        if (strchr("sfizy", step)) {
                good = sp_breaker_acquire(rig->breaker, &permit) == SP_OK;
                sp_breaker_record(rig->breaker, permit, outcome_of(step), elapsed);
        } else if (strchr("SFIZd", step))
                sp_breaker_record(rig->breaker, oldest(rig, step), outcome_of(step), elapsed);
        else if (strchr(states, step))
                good = sp_breaker_state(rig->breaker) == (int)(strchr(states, step) - states);
        else if (step == 'a')
                good = sp_breaker_acquire(rig->breaker, &rig->kept[rig->last++ % 64]) == SP_OK;
        else if (step == '!')
                good = sp_breaker_acquire(rig->breaker, &permit) == SP_OPEN;
        else if (step == 'r')
                sp_breaker_release(rig->breaker, oldest(rig, step));
        else if (step == 'l')
                rig->first++;
        else if (step == '^')
                sp_breaker_reset(rig->breaker);
        else if (step >= '0' && step <= '9')
                sp_clock_advance(rig->clock, (step - '0') * 100);
        else
                good = false;
        return good;
}

static bool word_done(struct rig *rig, const char *word, size_t len)
{
        const char *letters = word, *star = memchr(word, '*', len), *state;
        long times = 1;

        switch (*word) {
        case '+':
                sp_clock_advance(rig->clock, atol(word + 1));
                return true;
        case '@':
                return sp_breaker_next_attempt(rig->breaker) == atol(word + 1);
        case '#':
                return sp_breaker_failures(rig->breaker) == atol(word + 1);
        case '~':
                return sp_breaker_in_flight(rig->breaker) == atol(word + 1);
        case '>':
                state = strchr(states, word[1]);
                return state && sp_breaker_force(rig->breaker, (int)(state - states)) == SP_OK;
        default:
                break;
        }
        if (star) {
                times = atol(word);
                letters = star + 1;
        }
        while (times-- > 0) {
                for (const char *at = letters; at < word + len; at++) {
                        if (!step_done(rig, *at))
                                return false;
                }
        }
        return true;
}

void play(struct rig *rig, const char *script)
{
        size_t len;

        for (const char *word = script; *word; word += len + (word[len] == ' ')) {
                len = strcspn(word, " ");
                if (len > 0 && !word_done(rig, word, len))
                        fail_msg("\"%s\": at \"%s\": %s, %ld failures, next attempt in %ld ms, %ld in flight", script,
                                 word, sp_breaker_state_name(sp_breaker_state(rig->breaker)),
                                 (long)sp_breaker_failures(rig->breaker), (long)sp_breaker_next_attempt(rig->breaker),
                                 (long)sp_breaker_in_flight(rig->breaker));
        }
}
