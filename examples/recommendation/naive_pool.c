/* SPDX-License-Identifier: MIT */
#include "naive_pool.h"

#include <pthread.h>
#include <stdlib.h>

enum { CONNECTIONS = 10 };

struct naive_pool {
        const char *url;
        pthread_mutex_t lock;
        pthread_cond_t freed;
        int idle;
        PGconn *connections[CONNECTIONS]; /* the first `idle` are free; NULL: not connected yet */
};

struct naive_pool *naive_pool_new(const char *url)
{
        struct naive_pool *pool = calloc(1, sizeof *pool);

        if (!pool)
                return NULL;
        pool->url = url;
        pool->idle = CONNECTIONS;
        pthread_mutex_init(&pool->lock, NULL);
        pthread_cond_init(&pool->freed, NULL);
        return pool;
}

void naive_pool_free(struct naive_pool *pool)
{
        if (!pool)
                return;
        for (int i = 0; i < pool->idle; i++)
                PQfinish(pool->connections[i]);
        pthread_mutex_destroy(&pool->lock);
        pthread_cond_destroy(&pool->freed);
        free(pool);
}

static PGconn *connect_to(const char *url)
{
        const char *const names[] = {"dbname", "application_name", NULL}, *const values[] = {url, "naive", NULL};

        return PQconnectdbParams(names, values, 1);
}

PGconn *naive_pool_acquire(struct naive_pool *pool)
{
        PGconn *connection;

        pthread_mutex_lock(&pool->lock);
        while (pool->idle == 0)
                pthread_cond_wait(&pool->freed, &pool->lock);
        connection = pool->connections[--pool->idle];
        pthread_mutex_unlock(&pool->lock);
        if (!connection || PQstatus(connection) != CONNECTION_OK) {
                PQfinish(connection);
                connection = connect_to(pool->url);
        }
        return connection;
}

void naive_pool_release(struct naive_pool *pool, PGconn *connection)
{
        pthread_mutex_lock(&pool->lock);
        pool->connections[pool->idle++] = connection;
        pthread_cond_signal(&pool->freed);
        pthread_mutex_unlock(&pool->lock);
}
