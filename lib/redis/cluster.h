/* SPDX-License-Identifier: MIT */
/**
 * A cluster's nodes as one: each command goes to the node that serves its slot, over that node's pipe. The map of slots is
 * asked of any node (CLUSTER SLOTS), and again when a node sends a command elsewhere or cannot be reached.
 *
 * Commands of one trip that belong to different nodes run beside each other. MOVED, ASK and TRYAGAIN say that a command was not
 * executed: it is sent on, the further the slower, as long as it is wanted. One that may have been sent to a node that was lost is
 * never sent again.
 *
 * After "Redis cluster specification" (redis.io).
 *
 * Threads: any.
 */
#ifndef SP_REDIS_CLUSTER_H
#define SP_REDIS_CLUSTER_H

#include "redis/guards.h"
#include "redis/pipe.h"

struct sp__cluster;

struct sp__cluster_options {
        struct sp__pipe_options pipe; /* of each node: time-outs, TLS, stats; greet and arg as below */
        /** As sp__pipe_options.greet, towards the node that serves `home`, before any command of that slot. */
        const char *home;          /* a key; copied. NULL: nobody is greeted */
        struct sp__guards *guards; /* that make each node's breaker, until it is closed; NULL: none */
};

/** `address` names some of the nodes. NULL: no memory or descriptor left. */
struct sp__cluster *sp__cluster_new(struct sp__engine *engine, const struct sp__address *address,
                                    const struct sp__cluster_options *options);
/** As sp__pipe_run(). */
void sp__cluster_run(struct sp__cluster *cluster, struct sp__command *command);
/** Answers with the address of a node to listen at: that of `home`, after a failure (`attempt` > 0) others in turn. */
void sp__cluster_find(struct sp__cluster *cluster, unsigned attempt, struct sp__locate *locate);
bool sp__cluster_stood(struct sp__cluster *cluster);
void sp__cluster_close(struct sp__cluster *cluster);
void sp__cluster_free(struct sp__cluster *cluster);

#endif
