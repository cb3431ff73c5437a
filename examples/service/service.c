/* SPDX-License-Identifier: MIT */
/* How a service starts, serves and ends. */
#include "service.h"

#include "options.h"
#include "work.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_THREADS = 2 };

/*
 * The environment says the rest (DATABASE_URL, REDIS_URL, SUGARPERF_…); the document's figures are the library's defaults. In a
 * namespace of its own a service has a change feed and a flush of its own.
 */
static sp_status configure(sp_config *config, const char *name, sp_error **error)
{
        const char *wish = getenv("SUGARPERF_CACHE_NAMESPACE");
        sp_status status = sp_config_set(config, "pool.application_name", name, error);

        if (status == SP_OK && !(wish && *wish))
                status = sp_config_set(config, "cache.namespace", name, error);
        return status == SP_OK ? sp_config_env(config, error) : status;
}

static sp_status client_new(struct service *service, sp_error **error)
{
        sp_config *config = sp_config_new();
        sp_status status = config ? configure(config, service->plan->name, error) : SP_NOMEM;

        if (status == SP_OK)
                status = sp_client_new(config, &service->client, error);
        sp_config_free(config);
        return status;
}

static sp_status service_start(struct service *service, sp_error **error)
{
        sp_status status = client_new(service, error);

        if (status != SP_OK)
                return status;
        service->pool = sp_client_pool(service->client, NULL);
        service->cache = sp_client_cache(service->client);
        service->profiler = sp_client_profiler(service->client);
        service->metrics = sp_client_metrics(service->client);
        service->breaker = sp_client_breaker(service->client, "database");
        service->ctx = sp_ctx_new(NULL);
        status = service->ctx ? sp_queue_new(0, &service->queue) : SP_NOMEM;
        if (status == SP_OK)
                status = catalog_new(service, error);
        return status == SP_OK ? jobs_start(service, error) : status;
}

static void service_stop(struct service *service)
{
        jobs_stop(service);
        if (service->client) {
                sp_client_close(service->client);
                if (sp_client_drain(service->client, service->drain_ms) != SP_OK)
                        fprintf(stderr, "%s: some work did not end within %d ms\n", service->plan->name,
                                service->drain_ms);
        }
        catalog_free(service);
        sp_client_free(service->client);
        sp_queue_free(service->queue);
        sp_ctx_unref(service->ctx);
}

/* The profiler counts what began; these did not. */
static void refused(void *arg)
{
        struct service *service = arg;

        sp_counter_add(service->refusals, 1);
}

/* False: the port cannot be had. Else it returns when a signal asked to stop and every request was answered, or cut. */
static bool serve(struct service *service, int port, const sigset_t *signals)
{
        struct http_options options = {
            .port = port, .threads = HTTP_THREADS, .routes = service->plan->routes, .arg = service, .refused = refused};
        struct http *http = http_start(&options);
        pthread_t finisher;

        if (!http || pthread_create(&finisher, NULL, work_run, service) != 0) {
                fprintf(stderr, "%s: cannot listen on port %d: %s; --port 0 takes a free one\n", service->plan->name,
                        port, strerror(errno));
                if (http)
                        http_drain(http, 0);
                http_stop(http);
                return false;
        }
        stop_wait(signals, http_port(http));
        if (!http_drain(http, service->drain_ms)) {
                fprintf(stderr, "%s: some requests were not answered within %d ms and are cut\n", service->plan->name,
                        service->drain_ms);
                sp_ctx_cancel(service->ctx);
        }
        http_stop(http);
        atomic_store(&service->stopping, true);
        pthread_join(finisher, NULL);
        return true;
}

int service_main(struct service *service, const struct plan *plan, int argc, char **argv)
{
        sp_error *error = NULL;
        sigset_t signals;
        bool good;
        int port;

        if (argc == 2 && strcmp(argv[1], "--statements") == 0) {
                catalog_print(plan);
                return 0;
        }
        port = options_port(argc, argv, plan->what, plan->port);
        service->drain_ms = options_drain_ms(argv[0]);
        service->with_feed = options_on(argv[0], "FEED");
        service->plan = plan;
        stop_prepare(&signals);
        good = service_start(service, &error) == SP_OK;
        if (good)
                good = serve(service, port, &signals);
        else
                fprintf(stderr, "%s: %s\n", plan->name, error ? sp_error_message(error) : "out of memory");
        sp_error_free(error);
        service_stop(service);
        return good ? 0 : 1;
}
