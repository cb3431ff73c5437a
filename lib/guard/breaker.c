/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker of M. Nygard, Release It! (2007): CLOSED, OPEN, HALF_OPEN with one probe. There are no timers: whoever
 * looks applies what the clock has brought about since. A state's permits are the serials issued since it began; an older
 * one is of a former state, and its result moves nothing.
 */
#include "guard/breaker.h"

#include "base/buf.h"
#include "base/fork.h"
#include "base/thread.h"
#include "core/config.h"
#include "core/error.h"
#include "guard/permit.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sp_breaker {
        atomic_uint refs;
        sp__mutex lock; /* all that follows `open_ms` */
        struct sp__fork fork;
        sp_clock *clock;
        char *name;
        int64_t threshold;
        int64_t open_ms;

        int state;
        int64_t failures;    /* in a row */
        int64_t until;       /* OPEN: when a probe may go. HALF_OPEN: when the probe is given up */
        uint64_t probe;      /* HALF_OPEN: the permit of the probe, 0 when none is on its way */
        uint64_t generation; /* the first permit of this state */
        int64_t rejected;
        int64_t calls[SP_OUTCOME_IGNORED + 1];
        struct sp__permits permits;
};

/* A child has one thread, and a lock that another one held at the fork: it reads without, and changes nothing. */
static sp_breaker *enter(const sp_breaker *breaker)
{
        sp_breaker *own = (sp_breaker *)(uintptr_t)breaker;

        if (!sp__forked(&own->fork))
                sp__lock(&own->lock);
        return own;
}

static void leave(sp_breaker *breaker)
{
        if (!sp__forked(&breaker->fork))
                sp__unlock(&breaker->lock);
}

static sp_breaker *breaker_make(const char *name)
{
        sp_breaker *breaker = calloc(1, sizeof *breaker);

        if (!breaker)
                return NULL;
        breaker->name = strdup(name);
        if (!breaker->name || !sp__fork_init(&breaker->fork)) {
                free(breaker->name);
                free(breaker);
                return NULL;
        }
        sp__mutex_init(&breaker->lock);
        atomic_init(&breaker->refs, 1);
        breaker->permits.next = breaker->generation = 1;
        return breaker;
}

sp_status sp_breaker_new(const sp_config *config, const char *name, sp_clock *clock, sp_breaker **out, sp_error **error)
{
        sp_breaker *breaker = breaker_make(name && *name ? name : "default");

        if (!breaker)
                return sp__fail(error, SP_NOMEM, "out of memory");
        breaker->clock = clock;
        breaker->threshold = sp__config_int(config, "breaker", breaker->name, "failures");
        breaker->open_ms = sp__config_int(config, "breaker", breaker->name, "open_time");
        *out = breaker;
        return SP_OK;
}

sp_breaker *sp_breaker_ref(sp_breaker *breaker)
{
        atomic_fetch_add_explicit(&breaker->refs, 1, memory_order_relaxed);
        return breaker;
}

void sp_breaker_unref(sp_breaker *breaker)
{
        if (!breaker || atomic_fetch_sub_explicit(&breaker->refs, 1, memory_order_acq_rel) != 1)
                return;
        if (!sp__forked(&breaker->fork))
                sp__mutex_destroy(&breaker->lock);
        sp__fork_destroy(&breaker->fork);
        free(breaker->name);
        free(breaker);
}

/* With the lock held, as everything below. */
static int64_t now(const sp_breaker *breaker)
{
        return sp__clock_now(breaker->clock);
}

static void become(sp_breaker *breaker, int state)
{
        breaker->state = state;
        breaker->probe = 0;
        breaker->generation = breaker->permits.next;
        if (state == SP_BREAKER_OPEN)
                breaker->until = sp__after_ms(now(breaker), breaker->open_ms);
        if (state == SP_BREAKER_CLOSED)
                breaker->failures = 0;
}

/* What the clock has brought about: an open time that has passed, a probe that never came back. */
static void tick(sp_breaker *breaker)
{
        if (breaker->state == SP_BREAKER_CLOSED || now(breaker) < breaker->until)
                return;
        if (breaker->state == SP_BREAKER_OPEN)
                become(breaker, SP_BREAKER_HALF_OPEN);
        breaker->probe = 0;
}

/* One at a time: a probe that is ignored makes room for the next. */
static sp_status admit_probe(sp_breaker *breaker, uint64_t *permit)
{
        if (breaker->state == SP_BREAKER_OPEN || breaker->probe) {
                breaker->rejected++;
                return SP_OPEN;
        }
        *permit = breaker->probe = sp__permit_issue(&breaker->permits);
        breaker->until = sp__after_ms(now(breaker), breaker->open_ms);
        return SP_OK;
}

sp_status sp_breaker_acquire(sp_breaker *breaker, uint64_t *permit)
{
        sp_status status = SP_OK;

        if (sp__forked(&breaker->fork))
                return SP_FORKED;
        sp__lock(&breaker->lock);
        tick(breaker);
        if (breaker->state == SP_BREAKER_CLOSED)
                *permit = sp__permit_issue(&breaker->permits);
        else
                status = admit_probe(breaker, permit);
        sp__unlock(&breaker->lock);
        return status;
}

static void closed_result(sp_breaker *breaker, int outcome)
{
        if (outcome == SP_OUTCOME_SUCCESS)
                breaker->failures = 0;
        else if (outcome == SP_OUTCOME_FAILURE && ++breaker->failures >= breaker->threshold)
                become(breaker, SP_BREAKER_OPEN);
}

static void probe_result(sp_breaker *breaker, int outcome)
{
        breaker->probe = 0;
        if (outcome == SP_OUTCOME_SUCCESS)
                become(breaker, SP_BREAKER_CLOSED);
        else if (outcome == SP_OUTCOME_FAILURE) {
                breaker->failures++;
                become(breaker, SP_BREAKER_OPEN);
        }
}

void sp_breaker_record(sp_breaker *breaker, uint64_t permit, int outcome, int64_t elapsed_ns)
{
        if (sp__forked(&breaker->fork))
                return;
        if (outcome != SP_OUTCOME_SUCCESS && outcome != SP_OUTCOME_FAILURE)
                outcome = SP_OUTCOME_IGNORED;
        sp__lock(&breaker->lock);
        if (sp__permit_take(&breaker->permits, permit)) {
                breaker->calls[outcome]++;
                tick(breaker);
                if (breaker->state == SP_BREAKER_CLOSED && permit >= breaker->generation)
                        closed_result(breaker, outcome);
                else if (breaker->state == SP_BREAKER_HALF_OPEN && permit == breaker->probe)
                        probe_result(breaker, outcome);
        }
        sp__unlock(&breaker->lock);
}

void sp_breaker_release(sp_breaker *breaker, uint64_t permit)
{
        sp_breaker_record(breaker, permit, SP_OUTCOME_IGNORED, 0);
}

const char *sp_breaker_name(const sp_breaker *breaker)
{
        return breaker->name;
}

/* State, failures and milliseconds until a probe, of one moment. */
struct view {
        int state;
        int64_t failures;
        int64_t wait_ms;
};

static struct view view_of(const sp_breaker *shared)
{
        sp_breaker *breaker = enter(shared);
        struct view view = {breaker->state, breaker->failures, 0};
        int64_t left;

        if (breaker->state == SP_BREAKER_OPEN) {
                left = breaker->until - now(breaker);
                view.state = left > 0 ? SP_BREAKER_OPEN : SP_BREAKER_HALF_OPEN;
                view.wait_ms = left > 0 ? (left - 1) / SP__MS + 1 : 0;
        }
        leave(breaker);
        return view;
}

int sp_breaker_state(const sp_breaker *breaker)
{
        return view_of(breaker).state;
}

const char *sp_breaker_state_name(int state)
{
        static const char *const names[] = {"CLOSED", "OPEN", "HALF_OPEN"};

        return state >= 0 && state <= SP_BREAKER_HALF_OPEN ? names[state] : "UNKNOWN";
}

int64_t sp_breaker_failures(const sp_breaker *breaker)
{
        return view_of(breaker).failures;
}

int64_t sp_breaker_next_attempt(const sp_breaker *breaker)
{
        return view_of(breaker).wait_ms;
}

/* ISO 8601 of the moment `ms` from now, as JavaScript writes a date; "null" for none. */
static void reset_time(char *out, size_t cap, int64_t ms)
{
        struct timespec wall;
        struct tm utc;
        int64_t at;
        time_t seconds;
        size_t len;

        if (ms <= 0) {
                memcpy(out, "null", 5);
                return;
        }
        clock_gettime(CLOCK_REALTIME, &wall);
        at = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / SP__MS + ms;
        seconds = (time_t)(at / 1000);
        gmtime_r(&seconds, &utc);
        len = strftime(out, cap, "\"%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(out + len, cap - len, ".%03dZ\"", (int)(at % 1000));
}

sp_status sp_breaker_report(const sp_breaker *breaker, sp_value **out)
{
        struct view view = view_of(breaker);
        struct sp__buf json = SP__BUF_INIT;
        sp_value *value = NULL;
        char reset[48];

        reset_time(reset, sizeof reset, view.wait_ms);
        sp__buf_format(&json, "{\"state\":\"%s\",\"failureCount\":%" PRId64 ",\"nextResetTime\":%s}",
                       sp_breaker_state_name(view.state), view.failures, reset);
        if (!json.failed)
                value = sp_value_new(json.data, json.len, SP_CODEC_JSON);
        sp__buf_free(&json);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}

int64_t sp__breaker_calls(const sp_breaker *shared, int outcome)
{
        sp_breaker *breaker = enter(shared);
        int64_t calls = breaker->calls[outcome];

        leave(breaker);
        return calls;
}

int64_t sp__breaker_rejected(const sp_breaker *shared)
{
        sp_breaker *breaker = enter(shared);
        int64_t rejected = breaker->rejected;

        leave(breaker);
        return rejected;
}
