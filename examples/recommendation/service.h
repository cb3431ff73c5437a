/* SPDX-License-Identifier: MIT */
/** The recommendation service: one client of the library, its statements and keys, and the work in flight. */
#ifndef RECOMMENDATION_SERVICE_H
#define RECOMMENDATION_SERVICE_H

#include "http.h"

#include <stdatomic.h>
#include <sugarperf/sugarperf.h>

#define PATTERN_RECOMMENDATIONS         "rec:recommendations:*"
#define PATTERN_RECOMMENDATIONS_OF_USER "rec:recommendations:{userId}:*"
#define PATTERN_INTERESTS               "rec:user:*:interests"

/* What can be read through the cache: where it is kept, how it is loaded, what stands in when that fails. */
struct reading {
        const char *name;    /* of the endpoint, for the profiler */
        const char *missing; /* the 404's text */
        const char *fallback;
        sp_template *key;
        sp_stmt *stmt;
};

struct service {
        sp_client *client;
        sp_pool *pool;
        sp_cache *cache;
        sp_profiler *profiler;
        sp_metrics *metrics;
        sp_breaker *breaker; /* around everything that asks the database */
        struct jobs *jobs;   /* NULL: none run here */
        sp_queue *queue;     /* where all that the library finishes comes back */
        struct reading recommendations, content, interests;
        sp_stmt *record_interaction, *create_content, *update_scores;
        atomic_bool updating; /* one score update at a time */
        atomic_bool stopping;
};

/* catalog.c: declares every statement and key. */
sp_status catalog_new(struct service *service, sp_error **error);
void catalog_free(struct service *service);

/* reads.c */
void get_recommendations(void *service, struct http_call *call, const char *id);
void get_content(void *service, struct http_call *call, const char *id);
void get_interests(void *service, struct http_call *call, const char *id);
/* writes.c */
void post_content(void *service, struct http_call *call, const char *id);
void post_interaction(void *service, struct http_call *call, const char *id);
/* scores.c */
void post_scores(void *service, struct http_call *call, const char *id);
/* status.c */
void get_metrics(void *service, struct http_call *call, const char *id);
void get_cache_metrics(void *service, struct http_call *call, const char *id);
void get_database_health(void *service, struct http_call *call, const char *id);

#endif
