/* SPDX-License-Identifier: MIT */
/** The recommendation service: what it reads and writes, on the skeleton of ../service/. */
#ifndef RECOMMENDATION_RECOMMENDATION_H
#define RECOMMENDATION_RECOMMENDATION_H

#include "service.h"

#define PATTERN_RECOMMENDATIONS "rec:recommendations:*"
#define TAG_OPEN_LISTS          "rec:recommendations:open"

struct recommendation {
        struct service service;
        struct reading recommendations, content, interests;
        struct writing record_interaction, create_content, change_content, update_scores;
        atomic_bool updating; /* one score update at a time */
};

/* catalog.c */
void catalog(struct recommendation *service);
/* writes.c */
void post_content(void *service, struct http_call *call, const char *id);
void post_content_change(void *service, struct http_call *call, const char *id);
void post_interaction(void *service, struct http_call *call, const char *id);
/* scores.c: the batch update, for whoever asks and for the hourly job. */
void post_scores(void *service, struct http_call *call, const char *id);
sp_status update_scores(struct service *service, sp_ctx *ctx);

#endif
