/* SPDX-License-Identifier: MIT */
#include "observe/registry.h"

#include "base/fork.h"
#include "base/thread.h"
#include "core/config.h"
#include "core/error.h"
#include "observe/own.h"

#include <stdlib.h>

struct collector {
        void (*collect)(void *arg, struct sp__expo *expo);
        void *arg;
};

struct sp_metrics {
        struct sp__fork fork;
        sp__mutex mutex;
        struct collector *collectors; /* under the mutex, as is the count */
        size_t count;
        struct sp__own own; /* what the service counts */
};

sp_metrics *sp__metrics_new(const sp_config *config)
{
        sp_metrics *metrics = calloc(1, sizeof *metrics);

        if (!metrics || !sp__fork_init(&metrics->fork)) {
                free(metrics);
                return NULL;
        }
        sp__mutex_init(&metrics->mutex);
        sp__own_init(&metrics->own, (size_t)sp__config_int(config, "metrics", NULL, "series"));
        return metrics;
}

sp_status sp_metrics_new(const sp_config *config, sp_metrics **out, sp_error **error)
{
        sp_metrics *metrics;

        SP__NEED(out, error);
        metrics = sp__metrics_new(config);
        if (!metrics)
                return sp__fail(error, SP_NOMEM, "out of memory for metrics");
        *out = metrics;
        return SP_OK;
}

void sp_metrics_free(sp_metrics *metrics)
{
        if (!metrics)
                return;
        sp__own_destroy(&metrics->own);
        sp__mutex_destroy(&metrics->mutex);
        sp__fork_destroy(&metrics->fork);
        free(metrics->collectors);
        free(metrics);
}

bool sp__metrics_add(sp_metrics *metrics, void (*collect)(void *arg, struct sp__expo *expo), void *arg)
{
        struct collector *collectors;

        if (sp__forked(&metrics->fork))
                return false;
        sp__lock(&metrics->mutex);
        collectors = realloc(metrics->collectors, (metrics->count + 1) * sizeof *collectors);
        if (collectors) {
                metrics->collectors = collectors;
                collectors[metrics->count++] = (struct collector){collect, arg};
        }
        sp__unlock(&metrics->mutex);
        return collectors != NULL;
}

void sp__metrics_remove(sp_metrics *metrics, void *arg)
{
        size_t kept = 0;

        if (sp__forked(&metrics->fork))
                return;
        sp__lock(&metrics->mutex);
        for (size_t i = 0; i < metrics->count; i++) {
                if (metrics->collectors[i].arg != arg)
                        metrics->collectors[kept++] = metrics->collectors[i];
        }
        metrics->count = kept;
        sp__unlock(&metrics->mutex);
}

static void collect_all(sp_metrics *metrics, struct sp__expo *expo)
{
        sp__lock(&metrics->mutex);
        for (size_t i = 0; i < metrics->count; i++)
                metrics->collectors[i].collect(metrics->collectors[i].arg, expo);
        sp__unlock(&metrics->mutex);
        sp__own_collect(&metrics->own, expo);
}

sp_status sp_metrics_text(sp_metrics *metrics, int format, sp_value **out)
{
        struct sp__buf text = SP__BUF_INIT;
        struct sp__expo expo;
        sp_value *value = NULL;

        if (!metrics || !out || (format != SP_METRICS_PROMETHEUS && format != SP_METRICS_OPENMETRICS))
                return SP_INVALID;
        if (sp__forked(&metrics->fork))
                return SP_FORKED;
        sp__expo_init(&expo, format);
        collect_all(metrics, &expo);
        if (sp__expo_text(&expo, &text))
                value = sp_value_new(text.data, text.len, SP_CODEC_TEXT);
        sp__expo_free(&expo);
        sp__buf_free(&text);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}

/* For `function`, which writes to its `out` what it makes of the series. */
static sp_status take(const char *function, sp_metrics *metrics, const struct sp__own_wanted *wanted, const void *out,
                      struct sp__series **series, sp_error **error)
{
        const char *missing = !metrics        ? "metrics"
                              : !wanted->name ? "name"
                              : !wanted->help ? "help"
                              : !out          ? "out"
                                              : NULL;

        if (missing)
                return sp__missing(error, function, missing);
        if (sp__forked(&metrics->fork))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        return sp__own_take(&metrics->own, wanted, series, error);
}

sp_status sp_metrics_counter(sp_metrics *metrics, const char *name, const char *help, const sp_params *labels,
                             sp_counter **out, sp_error **error)
{
        const struct sp__own_wanted wanted = {SP__OWN_COUNTER, name, help, labels};
        struct sp__series *series;
        sp_status status = take(__func__, metrics, &wanted, out, &series, error);

        if (status == SP_OK)
                *out = sp__series_counter(series);
        return status;
}

sp_status sp_metrics_gauge(sp_metrics *metrics, const char *name, const char *help, const sp_params *labels,
                           sp_gauge **out, sp_error **error)
{
        const struct sp__own_wanted wanted = {SP__OWN_GAUGE, name, help, labels};
        struct sp__series *series;
        sp_status status = take(__func__, metrics, &wanted, out, &series, error);

        if (status == SP_OK)
                *out = sp__series_gauge(series);
        return status;
}

sp_status sp_metrics_histogram(sp_metrics *metrics, const char *name, const char *help, const sp_params *labels,
                               sp_histogram **out, sp_error **error)
{
        const struct sp__own_wanted wanted = {SP__OWN_HISTOGRAM, name, help, labels};
        struct sp__series *series;
        sp_status status = take(__func__, metrics, &wanted, out, &series, error);

        if (status == SP_OK)
                *out = sp__series_histogram(series);
        return status;
}
