/* SPDX-License-Identifier: MIT */
/**
 * @file exporter.h
 * @brief Metrics and health over HTTP, for a service that has no HTTP server of its own.
 *
 * A library of its own, libsugarperf-exporter (-lsugarperf-exporter -lsugarperf), over libmicrohttpd, so that nobody else needs that.
 *
 *     if (sp_exporter_new(client, "127.0.0.1:9464", &exporter) != SP_OK)
 *             perror("exporter");
 *     …
 *     sp_exporter_free(exporter);                         before the client
 *
 * `GET /metrics` is sp_metrics_text() of the client's metrics, in OpenMetrics where that is asked for; `GET /health` is
 * sp_client_health(), with 503 where it is unhealthy. There is neither TLS nor a password: listen where only those come who may read.
 *
 * Threads: new and free are called by one thread. It has two threads of its own, which block all signals.
 */
#ifndef SUGARPERF_EXPORTER_H
#define SUGARPERF_EXPORTER_H

#include <sugarperf/base.h>
#include <sugarperf/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_exporter sp_exporter;

/**
 * Listens at `address`, numbers as in "127.0.0.1:9464" or "[::1]:9464" (port 0: a free one); NULL: 127.0.0.1:9464, where
 * OpenTelemetry's exporters are. SP_INVALID (that is no such address), SP_UNAVAILABLE (errno says why: the port is taken, …),
 * SP_NOMEM.
 */
SP_API sp_status sp_exporter_new(sp_client *client, const char *address, sp_exporter **out);
SP_API int sp_exporter_port(const sp_exporter *exporter);
/** Answers what it was asked for, then ends. In a child after fork() it closes nothing, for it is the parent's. */
SP_API void sp_exporter_free(sp_exporter *exporter);

#ifdef __cplusplus
}
#endif
#endif
