/* SPDX-License-Identifier: MIT */
/**
 * The world of the races: rows whose versions only grow, processes that read, load, write and invalidate them through the
 * library, and who was told what when. All of it lies in memory that the processes share.
 */
#ifndef RACE_H
#define RACE_H

#include "base/clock.h"
#include "base/random.h"
#include "cache/probe.h"
#include "redis_proxy.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { KEYS = 24, GROUPS = 3, PROCESSES = 4, READERS = 3, WRITERS = 2, ACKS = 512, BOUND_MS = 300 };

struct ack {
        _Atomic int64_t at;
        _Atomic int64_t version;
};

struct world {
        _Atomic int64_t rows[KEYS];
        atomic_uint next_ack[KEYS];
        struct ack acks[KEYS][ACKS];
        _Atomic int64_t reads, raw_reads, hits, loads, writes, lost, refused, transactions;
        _Atomic int64_t bound_violations, own_violations, stale_at_end;
        _Atomic int64_t writers_until, readers_until;
        uint64_t seed;
        enum sp__bug bug; /* that the library makes on purpose */
        int skip;         /* one invalidation in so many is forgotten, 0: none */
        /* Raw rows are judged from then on: what stands under them cannot tell that it came back from an old snapshot. */
        _Atomic int64_t raw_from;
        _Atomic int64_t wall_ms[PROCESSES];
        char name[64];
        char url[64];
        struct proxy_faults faults;
};

extern struct world *world;

/** Some rows have raw keys, which other programs read and write, too. */
bool is_raw(int row);
size_t key_of(int row, char *out, size_t cap);
void pause_up_to(struct sp__random *random, double chance, int64_t most);
/** Forks one of the processes; it ends by itself when the readers' time is over and it has looked at what is there then. */
pid_t race_spawn(uint64_t seed, int number);
/** Of such a process, before it does anything: delays, mistakes and its clock. */
void race_probe(uint64_t seed, int number);

#endif
