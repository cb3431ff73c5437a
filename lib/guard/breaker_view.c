/* SPDX-License-Identifier: MIT */
/* What a breaker shows of itself. */
#include "base/buf.h"
#include "core/error.h"
#include "guard/breaker_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Rounded up, so that nobody comes too early. */
static int64_t whole_ms(int64_t ns)
{
        return ns > 0 ? (ns - 1) / SP__MS + 1 : 0;
}

/* What the clock has brought about is shown, and comes about with the next call. */
static void look_ahead(sp_breaker *breaker, struct sp__breaker_view *view)
{
        int64_t now = sp__breaker_now(breaker);

        if (breaker->state == SP_BREAKER_HALF_OPEN)
                view->wait_ms = whole_ms(sp__breaker_probe_wait(breaker, now));
        if (breaker->state != SP_BREAKER_OPEN)
                return;
        view->wait_ms = whole_ms(breaker->until - now);
        if (view->wait_ms == 0) {
                view->state = SP_BREAKER_HALF_OPEN;
                view->flying = 0;
        }
}

void sp__breaker_look(const sp_breaker *shared, struct sp__breaker_view *view)
{
        sp_breaker *breaker;

        *view = (struct sp__breaker_view){0};
        if (!shared)
                return;
        breaker = sp__breaker_enter(shared);
        *view = (struct sp__breaker_view){.state = breaker->state,
                                          .failures = breaker->failures,
                                          .flying = sp__breaker_flying(breaker),
                                          .changes = breaker->change.number,
                                          .rejected = atomic_load_explicit(&breaker->rejected, memory_order_relaxed)};
        memcpy(view->calls, breaker->calls, sizeof view->calls);
        memcpy(view->spent_ns, breaker->spent_ns, sizeof view->spent_ns);
        look_ahead(breaker, view);
        sp__window_advance(&breaker->window, sp__breaker_now(breaker));
        view->window = breaker->window.sum;
        view->rated = sp__breaker_judges(breaker);
        sp__breaker_leave(breaker);
}

const char *sp_breaker_name(const sp_breaker *breaker)
{
        return breaker ? breaker->name : "";
}

int sp_breaker_state(const sp_breaker *breaker)
{
        struct sp__breaker_view view;

        sp__breaker_look(breaker, &view);
        return view.state;
}

bool sp__breaker_refuses(const sp_breaker *breaker)
{
        int state = sp_breaker_state(breaker);

        return state == SP_BREAKER_OPEN || state == SP_BREAKER_FORCED_OPEN;
}

const char *sp_breaker_state_name(int state)
{
        static const char *const names[] = {"CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", "DISABLED", "METRICS_ONLY"};

        return state >= 0 && state <= SP_BREAKER_METRICS_ONLY ? names[state] : "UNKNOWN";
}

int64_t sp_breaker_failures(const sp_breaker *breaker)
{
        struct sp__breaker_view view;

        sp__breaker_look(breaker, &view);
        return view.failures;
}

int64_t sp_breaker_next_attempt(const sp_breaker *breaker)
{
        struct sp__breaker_view view;

        sp__breaker_look(breaker, &view);
        return view.wait_ms;
}

int64_t sp_breaker_calls(const sp_breaker *breaker, int outcome)
{
        struct sp__breaker_view view;

        sp__breaker_look(breaker, &view);
        return outcome >= SP_OUTCOME_SUCCESS && outcome <= SP_OUTCOME_IGNORED ? view.calls[outcome] : 0;
}

int64_t sp_breaker_rejected(const sp_breaker *breaker)
{
        return breaker ? atomic_load_explicit(&breaker->rejected, memory_order_relaxed) : 0;
}

int64_t sp_breaker_in_flight(const sp_breaker *breaker)
{
        struct sp__breaker_view view;

        sp__breaker_look(breaker, &view);
        return view.flying;
}

uint64_t sp_breaker_changes(const sp_breaker *breaker)
{
        struct sp__breaker_view view;

        sp__breaker_look(breaker, &view);
        return view.changes;
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

/* Without its closing brace. */
static void document_fields(struct sp__buf *json, const struct sp__breaker_view *view)
{
        char reset[48];

        reset_time(reset, sizeof reset, view->wait_ms);
        sp__buf_format(json, "{\"state\":\"%s\",\"failureCount\":%" PRId64 ",\"nextResetTime\":%s",
                       sp_breaker_state_name(view->state), view->failures, reset);
}

static void rate_field(struct sp__buf *json, const char *name, const struct sp__breaker_view *view, int64_t of)
{
        sp__buf_format(json, ",\"%s\":", name);
        if (view->rated)
                sp__buf_fixed(json, (double)of / (double)view->window.calls, 4);
        else
                sp__buf_text(json, "null");
}

static sp_status give(struct sp__buf *json, sp_value **out)
{
        sp_value *value = json->failed ? NULL : sp_value_new(json->data, json->len, SP_CODEC_JSON);

        sp__buf_free(json);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}

sp_status sp_breaker_report(const sp_breaker *breaker, sp_value **out)
{
        struct sp__buf json = SP__BUF_INIT;
        struct sp__breaker_view view;

        SP__NEED(breaker, NULL);
        SP__NEED(out, NULL);
        sp__breaker_look(breaker, &view);
        document_fields(&json, &view);
        sp__buf_char(&json, '}');
        return give(&json, out);
}

sp_status sp_breaker_stats(const sp_breaker *breaker, sp_value **out)
{
        struct sp__buf json = SP__BUF_INIT;
        struct sp__breaker_view view;

        SP__NEED(breaker, NULL);
        SP__NEED(out, NULL);
        sp__breaker_look(breaker, &view);
        document_fields(&json, &view);
        sp__buf_format(&json,
                       ",\"nextAttempt\":%" PRId64 ",\"inFlight\":%" PRId64 ",\"successful\":%" PRId64
                       ",\"failed\":%" PRId64 ",\"ignored\":%" PRId64 ",\"rejected\":%" PRId64 ",\"changes\":%" PRIu64
                       ",\"windowCalls\":%" PRId64,
                       view.wait_ms, view.flying, view.calls[SP_OUTCOME_SUCCESS], view.calls[SP_OUTCOME_FAILURE],
                       view.calls[SP_OUTCOME_IGNORED], view.rejected, view.changes, view.window.calls);
        rate_field(&json, "failureRate", &view, view.window.failed);
        rate_field(&json, "slowRate", &view, view.window.slow);
        sp__buf_char(&json, '}');
        return give(&json, out);
}

/* What the next call would find in it is no more than a new one has; one that was put into its state by hand is kept. */
static bool forgettable(const sp_breaker *breaker, int64_t now)
{
        return breaker->state == breaker->rules.initial || breaker->state == SP_BREAKER_HALF_OPEN ||
               (breaker->state == SP_BREAKER_OPEN && now >= breaker->until);
}

/* A permit that is out is no use: whoever may still bring a result holds the breaker, and a lost one is out for ever. */
bool sp__breaker_idle(const sp_breaker *shared)
{
        sp_breaker *breaker = sp__breaker_enter(shared);
        int64_t now = sp__breaker_now(breaker),
                calls = (int64_t)sp__permits_next(&breaker->permits) + sp_breaker_rejected(shared);
        bool rests;

        for (int i = SP_OUTCOME_SUCCESS; i <= SP_OUTCOME_IGNORED; i++)
                calls += breaker->calls[i];
        if (calls != breaker->used_calls || !forgettable(breaker, now))
                breaker->used = now;
        breaker->used_calls = calls;
        rests = now >= sp__after_ms(breaker->used, breaker->rules.idle_ms);
        sp__breaker_leave(breaker);
        return rests;
}
