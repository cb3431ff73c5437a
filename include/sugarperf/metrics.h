/* SPDX-License-Identifier: MIT */
/**
 * @file metrics.h
 * @brief Everything the library counts, as Prometheus or OpenMetrics text.
 *
 *     sp_metrics_text(sp_client_metrics(client), SP_METRICS_PROMETHEUS, &text);
 *
 * Threads: safe from any thread; a scrape does not stop the work that it measures.
 */
#ifndef SUGARPERF_METRICS_H
#define SUGARPERF_METRICS_H

#include <sugarperf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_metrics sp_metrics;

enum { SP_METRICS_PROMETHEUS = 0, SP_METRICS_OPENMETRICS = 1 };

/** The text, owned by the caller (sp_value_unref()). */
SP_API sp_status sp_metrics_text(sp_metrics *metrics, int format, sp_value **out);

#ifdef __cplusplus
}
#endif
#endif
