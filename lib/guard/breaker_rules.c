/* SPDX-License-Identifier: MIT */
/* The breaker's configuration, made ready for its paths. */
#include "core/config.h"
#include "guard/breaker_internal.h"

#include <string.h>

static int initial(const char *mode)
{
        static const struct {
                const char *mode;
                int state;
        } modes[] = {{"forced_open", SP_BREAKER_FORCED_OPEN},
                     {"disabled", SP_BREAKER_DISABLED},
                     {"metrics_only", SP_BREAKER_METRICS_ONLY}};

        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
                if (strcmp(mode, modes[i].mode) == 0)
                        return modes[i].state;
        }
        return SP_BREAKER_CLOSED;
}

/* What contradicts itself gives way to what can be. */
static void reconcile(struct sp__breaker_rules *rules, int64_t window_calls)
{
        if (!rules->timed && rules->minimum > window_calls)
                rules->minimum = window_calls;
        if (rules->probe_failures >= rules->probes)
                rules->probe_failures = rules->probes - 1;
        if (rules->probe_ms == 0)
                rules->probe_ms = rules->open_ms;
        if (rules->open_max_ms < rules->open_ms)
                rules->open_max_ms = rules->open_ms;
}

void sp__breaker_rules(struct sp__breaker_rules *rules, const sp_config *config, const char *instance)
{
        const struct {
                const char *name;
                int64_t *to;
        } rows[] = {
            {"failures", &rules->failures},
            {"failure_rate", &rules->failure_rate},
            {"slow", &rules->slow_ns},
            {"slow_rate", &rules->slow_rate},
            {"minimum", &rules->minimum},
            {"in_flight", &rules->in_flight},
            {"probes", &rules->probes},
            {"probe_failures", &rules->probe_failures},
            {"probe_timeout", &rules->probe_ms},
            {"open_time", &rules->open_ms},
            {"open_factor", &rules->open_factor},
            {"open_max", &rules->open_max_ms},
            {"jitter", &rules->jitter},
            {"idle", &rules->idle_ms},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                *rows[i].to = sp__config_int(config, "breaker", instance, rows[i].name);
        rules->slow_ns *= SP__MS;
        rules->timed = strcmp(sp__config_text(config, "breaker", instance, "window"), "time") == 0;
        rules->initial = initial(sp__config_text(config, "breaker", instance, "mode"));
        reconcile(rules, sp__config_int(config, "breaker", instance, "window_calls"));
}
