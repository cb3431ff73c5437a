/* SPDX-License-Identifier: MIT */
/** Ten connections and a lock: node-postgres' default pool. Who finds none free waits, for as long as it takes. */
#ifndef RECOMMENDATION_NAIVE_POOL_H
#define RECOMMENDATION_NAIVE_POOL_H

#include <libpq-fe.h>

struct naive_pool;

struct naive_pool *naive_pool_new(const char *url);
void naive_pool_free(struct naive_pool *pool);
/* Connects when the one that is free never was, or broke. */
PGconn *naive_pool_acquire(struct naive_pool *pool);
void naive_pool_release(struct naive_pool *pool, PGconn *connection);

#endif
