/* SPDX-License-Identifier: MIT */
/**
 * Schedules of what goes wrong around a change feed. A play is a table and a namespace with processes of their own: two follow the
 * feed, two read through caches, one writes. Its conductor, a process without threads, has them do what a seed says and die on the
 * way, and gives birth to them again; then everybody must come to read what the rows are. Several plays go on at once over one pair
 * of servers, which are taken from all of them now and then. What the processes share lies in shared memory.
 */
#ifndef PLAY_H
#define PLAY_H

#include "../integration/feed_world.h"

#include "base/clock.h"
#include "base/random.h"
#include "cache/probe.h"
#include "invalidate/feed.h"

#include <stdatomic.h>

enum { PLAYS = 4, ROWS = 6, FEEDS = 2, READERS = 2, ACTORS = FEEDS + READERS + 1, WRITER = FEEDS + READERS };
enum { WITNESSES = FEEDS + READERS, WITNESS_MAX = 1500 };

enum deed { DEED_TELL, DEED_NOBODY_IS_TOLD, DEED_COMMIT, DEED_ROLLBACK, DEEDS };

/* What a process says of itself when it is asked (autopsy.c). */
struct witness {
        atomic_int pid;
        atomic_uint said; /* to which inquiry */
        char text[WITNESS_MAX];
};

/* What a reader looks at, for whom it does not answer. */
struct gaze {
        atomic_int row, status;
        _Atomic int64_t got, since;
        atomic_bool asks;
};

struct play {
        struct hall *hall;
        struct world world;
        atomic_bool over; /* its processes end */

        /* For the writer: the row, and whether it dies between COMMIT and invalidation. */
        int row;
        enum deed deed;
        bool dies;
        atomic_uint ordered, obeyed;

        /* For the feeds: the step where one of them dies, SP__STEPS: nowhere; and how often they pass there before. */
        atomic_int step, passes;

        /* For the readers: what the rows are, and who has read as much. */
        _Atomic int64_t versions[ROWS];
        atomic_uint asked, seen[READERS];

        /* For when something is stale. */
        struct gaze gazes[READERS];
        atomic_uint stepped[FEEDS][SP__STEPS]; /* since it is judged */
        atomic_uint inquiry;
        struct witness witnesses[WITNESSES];
};

/** All plays, and what is to happen to the servers. */
struct hall {
        uint64_t seed;
        bool feeds;         /* false: what would be seen without them */
        enum sp__bug bug;   /* a mistake that the library makes on purpose */
        int64_t patience;   /* ns until what is read counts as stale */
        atomic_bool wanted; /* the servers are wanted: who is about to judge goes on writing */
        atomic_int judging; /* plays: nobody harms the servers, which would hide what is stale */
        atomic_bool enough; /* no more schedules */
        atomic_bool broken; /* something is stale: all ends at once */
        _Atomic int64_t schedules, writes, reads, deaths, stale;
        _Atomic uint64_t died_at; /* steps of the feed, as bits */
        _Atomic int64_t slowest;  /* ns until all was read as it is */
        struct play plays[PLAYS];
};

void pause_us(int64_t us);
/** In [0, most). */
int64_t up_to(struct sp__random *random, int64_t most);
/** Of this process: raises SIGKILL, and counts it. */
void die(struct hall *hall);

/** Forks the play's conductor, which goes on until there is enough. */
pid_t play_begin(struct play *play, uint64_t seed);

/** actors.c: what the processes of a play do until it is over. */
void act_as(struct play *play, int actor, uint64_t seed);

/** autopsy.c: an actor answers, if it is asked; and prints what everybody knows. */
void testify(struct service *service, struct play *play, int actor);
void autopsy(struct play *play);

#endif
