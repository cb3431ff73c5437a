/* SPDX-License-Identifier: MIT */
/** The service's scheduled jobs. They run where JOBS is "on", or says when, in place of each hour and night ("every 10s"). */
#ifndef RECOMMENDATION_JOBS_H
#define RECOMMENDATION_JOBS_H

#include "service.h"

sp_status jobs_start(struct service *service, sp_error **error);
/* Ends what runs. Before the client is closed. */
void jobs_stop(struct service *service);

#endif
