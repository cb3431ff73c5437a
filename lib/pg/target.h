/* SPDX-License-Identifier: MIT */
/** Where a pool connects to: the servers, and the parameters that libpq takes for each of them. */
#ifndef SP_PG_TARGET_H
#define SP_PG_TARGET_H

#include "pg/hosts.h"
#include "pg/password.h"

#include <stdatomic.h>
#include <sugarperf/config.h>

/** Parameters at most, with those that an attempt adds. */
enum { SP__KEYWORDS_MAX = 80 };

struct sp__target {
        char **keywords; /* NULL-terminated, with their values; all but hosts and ports */
        char **values;
        size_t count;
        struct sp__hosts hosts;
        char *wants; /* target_session_attrs; NULL: any */
        bool minds;  /* … whose answer may change while a connection stands */
        struct sp__password *secret;
        bool shuffle;        /* load_balance_hosts=random */
        atomic_size_t first; /* the host that answered last: attempts begin with it */
};

/** How it is named in messages: "127.0.0.1:5432", several with commas between them. */
static inline const char *sp__target_place(const struct sp__target *target)
{
        return target->hosts.place;
}

/** Whether a server that refuses writes will not do. */
bool sp__target_writes(const struct sp__target *target);

/** SP_INVALID names the setting and masks everything else. */
sp_status sp__target_new(const sp_config *config, const char *pool, struct sp__target *out, sp_error **error);
void sp__target_free(struct sp__target *target);

#endif
