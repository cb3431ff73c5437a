/* SPDX-License-Identifier: MIT */
/**
 * What the four services have in common. A service says what it reads, what it writes, which rows stand behind which keys, and
 * which work is due when; the skeleton does the rest with the library: look-up, lease, breaker, statement, fill; statement,
 * invalidation, answer; warming and refresh; metrics, health, start and end.
 *
 *     struct auth {
 *             struct service service;          first: the handlers of routes get its address
 *             struct reading permissions;
 *     };
 *
 *     auth.permissions = (struct reading){.name = "GET /auth/user/permissions", .key = "auth:user:{userId}:permissions", …};
 *     return service_main(&auth.service, &(struct plan){.name = "auth", .readings = readings, …}, argc, argv);
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "http.h"

#include <stdatomic.h>
#include <sugarperf/sugarperf.h>

struct service;

/* What is read through the cache: where it is kept, how it is loaded, what stands in when that fails. */
struct reading {
        const char *name;        /* of the endpoint, for the profiler */
        const char *key;         /* template */
        const char *options;     /* of the template: "ttl=1h stale=10m" */
        const char *patterns[3]; /* under which its keys can be invalidated together */
        const char *query, *text;
        const char *absent; /* the text when there is no row, or its first cell is NULL */
        unsigned status;    /* then; 0: 404 */
        const char *fallback;
        sp_template *tmpl;
        sp_stmt *stmt;
        sp_counter *fallbacks; /* of answers that the fallback stood in for */
};

/* Errors of PostgreSQL that are the caller's, by SQLSTATE. */
struct refusal {
        const char *code;
        unsigned status;
        const char *text;
};

/* One statement that writes, and the row that it changes, from which the rules tell what is not right any more. */
struct writing {
        const char *name;
        const char *query, *text;
        uint32_t flags; /* SP_STMT_IDEMPOTENT: it may run again */
        const char *table;
        int change; /* SP_ROW_… */
        struct refusal refusals[3];
        const struct reading *also; /* by whose key what the column "also" names is to go */
        const char *absent;         /* the text when no row comes back: 404 */
        unsigned status;            /* when one does */
        sp_stmt *stmt;
        sp_counter *count; /* of those that were written, on the page of metrics */
};

/* Work that one process of the fleet does at its time: `before`, then each row of `text` is loaded as `reading`. */
struct job {
        const char *name;
        const char *when; /* "start", "hourly", "daily 00:00" */
        const char *query, *text;
        struct reading *reading;
        sp_status (*before)(struct service *service, sp_ctx *ctx);
};

struct plan {
        const char *name; /* also of its sessions, pg_stat_activity's application_name */
        const char *what; /* for --help */
        int port;
        const struct http_route *routes; /* ends with SERVICE_ROUTES */
        struct reading *const *readings; /* these three end with NULL, the jobs with one without a name */
        struct writing *const *writings;
        const struct job *jobs;
        const char *rules; /* see sugarperf/invalidate.h */
};

struct service {
        const struct plan *plan;
        sp_client *client;
        sp_pool *pool;
        sp_cache *cache;
        sp_profiler *profiler;
        sp_metrics *metrics;
        sp_breaker *breaker;  /* around everything that asks the database */
        sp_counter *refusals; /* of requests that were a 503 before any work began */
        sp_rules *rules;
        sp_feed *feed;             /* NULL: not with_feed */
        struct service_jobs *jobs; /* NULL: none run here */
        sp_ctx *ctx;               /* of all that requests wait for; cancelled when the time to end is over */
        bool with_feed;            /* FEED is "on" */
        int drain_ms;              /* for what runs when it is asked to stop */
        sp_queue *queue;           /* where all that the library finishes comes back */
        atomic_bool stopping;
};

/* Starts, serves until a signal, ends; what main() returns. */
int service_main(struct service *service, const struct plan *plan, int argc, char **argv);

/* catalog.c: makes every statement, key, rule of the plan, and the change feed. */
sp_status catalog_new(struct service *service, sp_error **error);
void catalog_free(struct service *service);
/* Prints the statements' texts by name, as JSON: what --statements does. */
void catalog_print(const struct plan *plan);

/* jobs.c: they run where JOBS is "on", or says when, in place of the plan ("every 10s"); not where it is empty or "off". */
sp_status jobs_start(struct service *service, sp_error **error);
/* Ends what runs. Before the client is closed. */
void jobs_stop(struct service *service);

/* status.c: what an operator asks, and does. */
void get_metrics(void *service, struct http_call *call, const char *id);
void get_cache_metrics(void *service, struct http_call *call, const char *id);
void get_health(void *service, struct http_call *call, const char *id);
void get_profile(void *service, struct http_call *call, const char *id);
void get_server(void *service, struct http_call *call, const char *id);
void get_indexes(void *service, struct http_call *call, const char *id);
void get_database_health(void *service, struct http_call *call, const char *id);
void get_feed_health(void *service, struct http_call *call, const char *id);
void get_breaker_health(void *service, struct http_call *call, const char *id);
void post_flush(void *service, struct http_call *call, const char *id);
void post_breaker(void *service, struct http_call *call, const char *id);
void post_pool(void *service, struct http_call *call, const char *id);

#define SERVICE_ROUTES                                                                                                 \
        {"GET", "/metrics", get_metrics}, {"GET", "/metrics/cache", get_cache_metrics},                                \
            {"GET", "/health", get_health}, {"GET", "/health/database", get_database_health},                          \
            {"GET", "/profiler", get_profile}, {"GET", "/profiler/server", get_server},                                \
            {"GET", "/profiler/indexes", get_indexes}, {"GET", "/health/feed", get_feed_health},                       \
            {"GET", "/health/breaker", get_breaker_health}, {"POST", "/admin/cache/flush", post_flush},                \
            {"POST", "/admin/breaker/{}", post_breaker}, {"POST", "/admin/pool", post_pool},                           \
        {                                                                                                              \
                NULL, NULL, NULL                                                                                       \
        }

#endif
