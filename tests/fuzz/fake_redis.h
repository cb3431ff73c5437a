/* SPDX-License-Identifier: MIT */
/**
 * A server that can be Redis, a sentinel or a cluster's node all in one, honest or hostile: then answers are wrong, mutilated, late,
 * cut anywhere or missing.
 */
#ifndef FAKE_REDIS_H
#define FAKE_REDIS_H

#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>

enum { FAKE_CONNECTIONS = 32, FAKE_BUFFER = 65536, FAKE_WRITES = 1 << 20 };

struct fake_redis {
        int listener, port;
        pthread_t thread;
        atomic_bool stop, hostile;
        struct sp__random random;
        struct {
                int fd; /* -1: none */
                size_t len;
                char bytes[FAKE_BUFFER];
        } connections[FAKE_CONNECTIONS];
        atomic_uchar written[FAKE_WRITES]; /* how often "WRITE number" was received */
};

void fake_start(struct fake_redis *fake, uint64_t seed);
void fake_stop(struct fake_redis *fake);

#endif
