/* SPDX-License-Identifier: MIT */
#include "guard/breaker.h"
#include "observe/exposition.h"

static void collect_state(const sp_breaker *breaker, struct sp__expo *expo)
{
        static const char *const states[] = {"closed", "open", "half_open"};
        int now = sp_breaker_state(breaker);

        sp__expo_family(expo, "sugarperf_circuitbreaker_state", "gauge",
                        "1 for the state that the circuit breaker is in.");
        for (int state = SP_BREAKER_CLOSED; state <= SP_BREAKER_HALF_OPEN; state++)
                sp__expo_sample(expo, NULL,
                                (const char *const[]){"name", sp_breaker_name(breaker), "state", states[state], NULL},
                                state == now);
}

static void collect_calls(const sp_breaker *breaker, struct sp__expo *expo)
{
        static const char *const kinds[] = {"successful", "failed", "ignored"};

        sp__expo_family(expo, "sugarperf_circuitbreaker_calls", "counter", "Calls that were let through, by outcome.");
        for (int outcome = SP_OUTCOME_SUCCESS; outcome <= SP_OUTCOME_IGNORED; outcome++)
                sp__expo_sample(expo, "_total",
                                (const char *const[]){"name", sp_breaker_name(breaker), "kind", kinds[outcome], NULL},
                                (double)sp__breaker_calls(breaker, outcome));
}

void sp__breaker_collect(const sp_breaker *breaker, struct sp__expo *expo)
{
        collect_state(breaker, expo);
        collect_calls(breaker, expo);
        sp__expo_family(expo, "sugarperf_circuitbreaker_not_permitted_calls", "counter",
                        "Calls that an open circuit breaker refused.");
        sp__expo_sample(expo, "_total", (const char *const[]){"name", sp_breaker_name(breaker), NULL},
                        (double)sp__breaker_rejected(breaker));
}
