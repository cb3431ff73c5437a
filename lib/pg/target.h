/* SPDX-License-Identifier: MIT */
/** Where a pool connects to: the servers, and the parameters that libpq takes for each of them. */
#ifndef SP_PG_TARGET_H
#define SP_PG_TARGET_H

#include "base/list.h"
#include "base/thread.h"
#include "pg/hosts.h"
#include "pg/password.h"

#include <stdatomic.h>
#include <sugarperf/config.h>

/** Parameters at most, with those that an attempt adds. */
enum { SP__KEYWORDS_MAX = 80 };

/** Attempts that are to ask for names or the password (dial.c), one after the other. */
struct sp__asking {
        sp__mutex lock; /* a leaf */
        struct sp__list waiting;
        bool busy;
};

struct sp__target {
        char **keywords; /* NULL-terminated, with their values; all but hosts and ports */
        char **values;
        size_t count;
        struct sp__hosts hosts;
        char *wants; /* target_session_attrs; NULL: any */
        bool minds;  /* … whose answer may change while a connection stands */
        bool limits; /* statement_timeout is the URL's, whatever the pool's is */
        struct sp__password *secret;
        struct sp__asking *asking;
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
