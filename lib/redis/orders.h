/* SPDX-License-Identifier: MIT */
/**
 * A command's way through a cluster, on paper: which commands a trip becomes, and how their answers are those of the trip.
 * Commands with several keys of different slots (UNLINK, MGET, …) become one for each key.
 *
 * One thread at a time.
 */
#ifndef SP_REDIS_ORDERS_H
#define SP_REDIS_ORDERS_H

#include "redis/command.h"
#include "redis/slot.h"

enum sp__merge { SP__MERGE_WHOLE, SP__MERGE_SUM, SP__MERGE_ELEMENT };

/** One command as it is sent. */
struct sp__order {
        struct sp__order *next; /* of those that go together */
        const char *data;       /* in the trip's request, or in the plan's splits */
        size_t len;
        int slot;
        unsigned reply; /* of the trip */
        enum sp__merge merge;
        size_t element;
        unsigned tries; /* with nodes that could not be reached */
        unsigned hops;  /* how often it was sent elsewhere */
};

struct sp__orders {
        struct sp__buf splits;
        size_t count;
        struct sp__order orders[]; /* linked in their order */
};

/** For the request that was built; it must stay. NULL when out of memory. */
struct sp__orders *sp__orders_new(struct sp__command *command);
void sp__orders_free(struct sp__orders *plan);
/** Takes the reply to an order. An error of a part is the whole command's answer. */
void sp__orders_keep(struct sp__command *command, const struct sp__order *order, redisReply *reply);

#endif
