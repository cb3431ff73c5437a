/* SPDX-License-Identifier: MIT */
/** Which names and labels a scraper takes, so that one series of a service's cannot spoil the whole page. */
#ifndef SP_OBSERVE_OWN_NAME_H
#define SP_OBSERVE_OWN_NAME_H

#include "observe/own.h"

/** Labels as they were given: names and values side by side, cut to what counts. */
struct sp__own_labels {
        size_t count;
        const char *names[SP_METRICS_LABELS];
        const char *values[SP_METRICS_LABELS];
        size_t lens[SP_METRICS_LABELS]; /* of the values */
};

/** Of `wanted`, how much of the name is the family's: a counter's "_total" is not. */
sp_status sp__own_check(const struct sp__own_wanted *wanted, size_t *len, sp_error **error);
sp_status sp__own_labels(const sp_params *params, struct sp__own_labels *out, sp_error **error);

#endif
