/* SPDX-License-Identifier: MIT */
/** A cluster of a test's own: three primaries and a replica of the first; its slots move by hand. */
#ifndef REDIS_NODES_H
#define REDIS_NODES_H

#include "redis_set.h"

enum { PRIMARIES = 3, NODES = 4 };

/** Who is told first that a slot was handed over; the others follow some milliseconds later. */
enum told { FORMER_FIRST, NEXT_FIRST };

extern struct redis_server nodes[NODES];

/** A group's fixtures. */
int nodes_set_up(void **state);
int nodes_tear_down(void **state);
/** redis+cluster:// of two nodes, the first of which is not there. */
const char *nodes_url(void);
/** CLUSTER MYID, to be freed. */
char *node_id(int node);
/** The others miss it no sooner than in a minute: however busy the machine is, they keep their cluster. */
void node_freeze(int node);
void node_thaw(int node);
/** Who serves the slot, as the first node says that knows. */
int owner_of(int slot);
/** The primary after the one that serves it. */
int node_after(int slot);

/** The slot is on its way from its owner, which is returned: keys that are not there any more are asked for at `to`. */
int move_begin(int slot, int to);
/** All keys of the slot, one at a time. */
void move_keys(int slot, int from, int to);
/** The slot is served by `to`. */
void move_end(int slot, int from, int to, enum told told);
/** All of it. */
void move_slot(int slot, int to, enum told told);
/** All primaries are told who serves it. */
void tell_owner(int slot, int owner);

#endif
