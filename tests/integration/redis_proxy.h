/* SPDX-License-Identifier: MIT */
/**
 * A process between caches and Redis that harms the streams of invalidations only: it delays what they carry, stops them
 * for a while with the connection left open, and now and then swallows messages.
 */
#ifndef REDIS_PROXY_H
#define REDIS_PROXY_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/** Lies in memory that both processes share. */
struct proxy_faults {
        _Atomic int64_t stall_until; /* monotonic ns: nothing comes before */
        _Atomic int swallow;         /* percent of what comes */
};

/** Forks it. Listens on a port of its own, `*port`; ends with its parent or by a signal. */
pid_t start_proxy(int redis_port, struct proxy_faults *faults, uint64_t seed, int *port);

#endif
