/* SPDX-License-Identifier: MIT */
/**
 * @file metrics.h
 * @brief Everything the library counts, and what a service counts beside it, as Prometheus or OpenMetrics text.
 *
 *     sp_metrics_text(sp_client_metrics(client), SP_METRICS_PROMETHEUS, &text);
 *
 * What a service puts there stands on the same page:
 *
 *     sp_params_add_text(labels, "method", 6);
 *     sp_params_add_text(labels, "card", 4);
 *     sp_metrics_counter(metrics, "shop_orders", "Orders taken.", labels, &orders, &error);
 *     …
 *     sp_counter_add(orders, 1);                                   shop_orders_total{method="card"} 1
 *
 * A handle is one series, a metric with certain values of its labels. Take it once and keep it: that is a lock and a look-up,
 * counting then takes some nanoseconds, no lock and no memory. It lives as long as the metrics. Taking the same series again yields
 * the same handle.
 *
 * Memory and the page are bounded: a metric has `metrics.series` series (100); whatever values come later share one, in which
 * each label reads "other". A counter or gauge takes 192 bytes, a histogram 8.7 kB.
 *
 * Threads: safe from any thread; a scrape does not stop the work that it measures.
 */
#ifndef SUGARPERF_METRICS_H
#define SUGARPERF_METRICS_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>
#include <sugarperf/params.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_metrics sp_metrics;
typedef struct sp_counter sp_counter;
typedef struct sp_gauge sp_gauge;
typedef struct sp_histogram sp_histogram;

enum { SP_METRICS_PROMETHEUS = 0, SP_METRICS_OPENMETRICS = 1 };

/** The text, owned by the caller (sp_value_unref()). */
SP_API sp_status sp_metrics_text(sp_metrics *metrics, int format, sp_value **out);

/**
 * Metrics of one's own, without a client; `config` may be NULL. sp_client_metrics() are the client's and end with it. Free them when
 * nobody counts any more.
 */
SP_API sp_status sp_metrics_new(const sp_config *config, sp_metrics **out, sp_error **error);
SP_API void sp_metrics_free(sp_metrics *metrics);

/** Labels of a metric at most. */
enum { SP_METRICS_LABELS = 8 };

/**
 * The series of a metric; made, as its metric is, when it is first asked for. `name` is [a-zA-Z_:][a-zA-Z0-9_:]*, with the unit at its
 * end where there is one ("_seconds", "_bytes"). The library's own begin with "sugarperf_" or "db_client_". A counter's stands
 * with "_total" on the page, and may be given with it. `help` is one line without backslashes; that of the first time counts. `labels`
 * are texts: name, value, name, value, … (NULL: none), the names the same each time, the values cut at 128 bytes.
 *
 * SP_INVALID (a name, a help or labels that no scraper would take, or not those of this metric), SP_LIMIT (past 500 metrics).
 */
SP_API sp_status sp_metrics_counter(sp_metrics *metrics, const char *name, const char *help, const sp_params *labels,
                                    sp_counter **out, sp_error **error);
SP_API sp_status sp_metrics_gauge(sp_metrics *metrics, const char *name, const char *help, const sp_params *labels,
                                  sp_gauge **out, sp_error **error);
/** Of durations: the name ends in "_seconds". Scrapers see 16 buckets of 100 us to 10 s, quantiles are off by at most 1/64. */
SP_API sp_status sp_metrics_histogram(sp_metrics *metrics, const char *name, const char *help, const sp_params *labels,
                                      sp_histogram **out, sp_error **error);

/** `count` is 0 or more; a counter never falls. */
SP_API void sp_counter_add(sp_counter *counter, int64_t count);
SP_API int64_t sp_counter_value(const sp_counter *counter);
SP_API void sp_gauge_set(sp_gauge *gauge, double value);
SP_API void sp_gauge_add(sp_gauge *gauge, double change);
SP_API double sp_gauge_value(const sp_gauge *gauge);
/** One duration, in nanoseconds. */
SP_API void sp_histogram_record(sp_histogram *histogram, int64_t ns);
SP_API int64_t sp_histogram_count(const sp_histogram *histogram);
/** The value at that part (0–1) of those recorded; 0 when there are none. */
SP_API int64_t sp_histogram_quantile_ns(const sp_histogram *histogram, double q);

#ifdef __cplusplus
}
#endif
#endif
