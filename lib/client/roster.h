/* SPDX-License-Identifier: MIT */
/**
 * What a client has by name, breakers or policies: found by hash, walked in the order that they were made. Those that rest are
 * looked for when the metrics are read, and when there are twice as many as were left the last time, so that however many
 * names come and go, making one costs the same.
 *
 * The client's lock guards it.
 */
#ifndef SP_CLIENT_ROSTER_H
#define SP_CLIENT_ROSTER_H

#include "base/list.h"

#include <stdint.h>

struct sp__named {
        struct sp__list link;
        struct sp__named *next; /* in its bucket */
        const char *name;       /* its owner's */
        uint64_t hash;
        bool kept; /* somebody has it without a reference */
        bool idle; /* when it was last looked at */
};

struct sp__roster {
        struct sp__list all;
        struct sp__named **buckets;
        size_t size; /* of them; a power of two, or 0 */
        size_t count, left;
        uint64_t seed;
};

void sp__roster_init(struct sp__roster *roster);
void sp__roster_free(struct sp__roster *roster);
/** NULL: there is none. */
struct sp__named *sp__roster_find(const struct sp__roster *roster, const char *name);
/** `named->name` is set, and there is no other one of it. false: out of memory. */
bool sp__roster_add(struct sp__roster *roster, struct sp__named *named);
/** Puts it at the end of `to`. */
void sp__roster_move(struct sp__roster *roster, struct sp__named *named, struct sp__list *to);
/** Whether it is time to look who rests. */
bool sp__roster_crowded(const struct sp__roster *roster);
/** Somebody looked. */
static inline void sp__roster_swept(struct sp__roster *roster)
{
        roster->left = roster->count;
}

static inline struct sp__named *sp__named_at(struct sp__list *link)
{
        return SP__OF(link, struct sp__named, link);
}

#endif
