/* SPDX-License-Identifier: MIT */
/** What cluster.c (trips) and cluster_map.c (nodes and slots) share. */
#ifndef SP_REDIS_CLUSTER_INTERNAL_H
#define SP_REDIS_CLUSTER_INTERNAL_H

#include "base/random.h"
#include "base/thread.h"
#include "redis/cluster.h"
#include "redis/slot.h"
#include "redis/wire.h"

enum { SP__NODES_MAX = 1000 };

struct sp__node {
        struct sp__cluster *cluster;
        struct sp__address address;
        struct sp__pipe *pipe;
        sp_breaker *breaker;     /* NULL: none */
        unsigned number;         /* among the nodes, from 1 */
        atomic_uint greeted;     /* `moves` when its connection was, by the owner's greeting; 0: it was not */
        bool listed;             /* in the map, or it was never asked for one; under the cluster's lock */
        char run_id[SP__RUN_ID]; /* of its connection, "": it never had one; under the cluster's lock */
};

struct sp__cluster {
        atomic_uint refs; /* the owner's, each trip's, each question's */
        struct sp__engine *engine;
        struct sp__address address;
        struct sp__pipe_options options;
        struct sp__guards *guards;
        int home;          /* slot */
        atomic_uint moves; /* of it, from 1: who was greeted before the last one is to be greeted again */
        _Atomic uint16_t owners[SP__SLOTS];    /* number of the node, 0: unknown */
        atomic_uint count;                     /* of nodes */
        struct sp__node *nodes[SP__NODES_MAX]; /* they stay; those below `count` */
        atomic_uint turn;                      /* for what any node will do for */

        sp__mutex lock; /* before that of the guards; guards what follows */
        bool closed;
        struct sp__random random;
        bool asking;             /* for the map */
        int64_t asked_at;        /* when the last answer came */
        atomic_uint version;     /* of the map: how often it was asked for */
        struct sp__list waiting; /* for the map */
        struct sp__list pausing;
};

/** Some orders of a trip that go to one node together, or wait together. */
struct sp__piece;

/** cluster_map.c. NULL: out of memory, or there are too many. */
struct sp__node *sp__cluster_node(struct sp__cluster *cluster, const char *host, uint16_t port);
/** Who serves the slot, or anybody for SP__NO_SLOT; NULL: that is not known. */
struct sp__node *sp__cluster_owner(struct sp__cluster *cluster, int slot);
void sp__cluster_own(struct sp__cluster *cluster, int slot, const struct sp__node *node);
/** Asks for the map, unless that was done just now (false). Afterwards what waits goes on. No lock held. */
bool sp__cluster_ask(struct sp__cluster *cluster);
void sp__cluster_unref(struct sp__cluster *cluster);

/** cluster.c: the map was asked for; `error` (may be NULL) says why it is not there. */
void sp__cluster_go_on(struct sp__cluster *cluster, struct sp__list *waiting, const sp_error *error);

#endif
