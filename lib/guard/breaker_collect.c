/* SPDX-License-Identifier: MIT */
#include "guard/breaker.h"
#include "base/clock.h"
#include "observe/exposition.h"

static void collect_state(const sp_breaker *breaker, const struct sp__breaker_view *view, struct sp__expo *expo)
{
        static const char *const states[] = {"closed", "open", "half_open", "forced_open", "disabled", "metrics_only"};

        sp__expo_family(expo, "sugarperf_circuitbreaker_state", "gauge",
                        "1 for the state that the circuit breaker is in.");
        for (int state = SP_BREAKER_CLOSED; state <= SP_BREAKER_METRICS_ONLY; state++)
                sp__expo_sample(expo, NULL,
                                (const char *const[]){"name", sp_breaker_name(breaker), "state", states[state], NULL},
                                state == view->state);
}

static const char *const kinds[] = {"successful", "failed", "ignored"};

static void collect_times(const sp_breaker *breaker, const struct sp__breaker_view *view, struct sp__expo *expo)
{
        sp__expo_family(expo, "sugarperf_circuitbreaker_calls_seconds", "summary",
                        "How long the calls took that were let through, by outcome.");
        for (int outcome = SP_OUTCOME_SUCCESS; outcome <= SP_OUTCOME_IGNORED; outcome++) {
                const char *const labels[] = {"name", sp_breaker_name(breaker), "kind", kinds[outcome], NULL};

                sp__expo_sample(expo, "_sum", labels, (double)view->spent_ns[outcome] / SP__SECOND);
                sp__expo_sample(expo, "_count", labels, (double)view->calls[outcome]);
        }
}

static void collect_calls(const sp_breaker *breaker, const struct sp__breaker_view *view, struct sp__expo *expo)
{
        sp__expo_family(expo, "sugarperf_circuitbreaker_calls", "counter", "Calls that were let through, by outcome.");
        for (int outcome = SP_OUTCOME_SUCCESS; outcome <= SP_OUTCOME_IGNORED; outcome++)
                sp__expo_sample(expo, "_total",
                                (const char *const[]){"name", sp_breaker_name(breaker), "kind", kinds[outcome], NULL},
                                (double)view->calls[outcome]);
}

static void collect_rates(const char *const name[], const struct sp__breaker_view *view, struct sp__expo *expo)
{
        if (!view->rated)
                return;
        sp__expo_family(expo, "sugarperf_circuitbreaker_failure_rate", "gauge",
                        "Share of failed calls in the window, 0 to 1; absent below the minimum of calls.");
        sp__expo_sample(expo, NULL, name, (double)view->window.failed / (double)view->window.calls);
        sp__expo_family(expo, "sugarperf_circuitbreaker_slow_call_rate", "gauge",
                        "Share of slow calls in the window, 0 to 1; absent below the minimum of calls.");
        sp__expo_sample(expo, NULL, name, (double)view->window.slow / (double)view->window.calls);
}

void sp__breaker_collect(const sp_breaker *breaker, struct sp__expo *expo)
{
        const char *const name[] = {"name", sp_breaker_name(breaker), NULL};
        struct sp__breaker_view view;

        sp__breaker_look(breaker, &view);
        collect_state(breaker, &view, expo);
        collect_calls(breaker, &view, expo);
        collect_times(breaker, &view, expo);
        sp__expo_family(expo, "sugarperf_circuitbreaker_not_permitted_calls", "counter",
                        "Calls that an open circuit breaker refused.");
        sp__expo_sample(expo, "_total", name, (double)view.rejected);
        sp__expo_family(expo, "sugarperf_circuitbreaker_in_flight", "gauge",
                        "Calls that were let through and have no result yet.");
        sp__expo_sample(expo, NULL, name, (double)view.flying);
        collect_rates(name, &view, expo);
}
