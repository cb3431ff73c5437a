/* SPDX-License-Identifier: MIT */
/** Where a pool connects to: the parameters that libpq takes, and how the place is named in errors. */
#ifndef SP_PG_TARGET_H
#define SP_PG_TARGET_H

#include <sugarperf/config.h>

struct sp__target {
        char **keywords; /* NULL-terminated, with their values */
        char **values;
        char *place; /* "127.0.0.1:5432", for messages */
};

/** SP_INVALID names the setting and masks everything else. */
sp_status sp__target_new(const sp_config *config, const char *pool, struct sp__target *out, sp_error **error);
void sp__target_free(struct sp__target *target);

#endif
