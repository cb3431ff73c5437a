/* SPDX-License-Identifier: MIT */
/** A primary, its replica and the sentinel that watches them, of a test's own. */
#ifndef REDIS_WATCHED_H
#define REDIS_WATCHED_H

#include "redis_set.h"

enum { SERVERS = 2 };

struct set {
        struct redis_server servers[SERVERS], sentinel;
        int dead_port; /* of a sentinel that is not there */
        const char *password;
};

/** The first server is the primary. */
void watched_start(struct set *set);
void watched_stop(struct set *set);
/** redis+sentinel:// of two sentinels, the first of which is not there. */
const char *watched_url(const struct set *set, char url[160]);
/** NULL: none says that it is. */
struct redis_server *watched_primary(struct set *set);
/** Until the sentinel has made the other one the primary, and the former one knows. */
void watched_switch(struct set *set);

#endif
