/* SPDX-License-Identifier: MIT */
/**
 * The link to Redis: whatever is behind redis.url, one server, the primary that sentinels name, or a cluster, is one place to
 * send trips to. Each server has one connection that everybody shares (pipe.h).
 *
 * Threads: any.
 */
#ifndef SP_REDIS_LINK_H
#define SP_REDIS_LINK_H

#include "redis/guards.h"
#include "redis/pipe.h"

#include <sugarperf/breaker.h>
#include <sugarperf/config.h>

struct sp__link;

struct sp__link_options {
        int64_t connect_timeout; /* ns */
        int64_t timeout;         /* ns: an answer that is later means that the connection is broken */
        SSL_CTX *tls;            /* for rediss://; the link's reference. NULL: none */
        const char *sentinel_user, *sentinel_password; /* NULL: none */
        /**
         * Adds one command that the server must accept before it sees any trip (in a cluster: the server of the key `home`,
         * before any trip to that slot); `run_id` tells this server's life from any other. false: nothing was added. Locks
         * are held. May be NULL.
         */
        bool (*greet)(void *arg, const char *run_id, struct sp__buf *out);
        void *arg;
        const char *home;
        sp_breaker *breaker;       /* asked before each trip, told of its outcome; the link's reference. NULL: none */
        struct sp__guards *guards; /* each server has a breaker of them; the link's. NULL: none */
};

/** NULL: no memory or descriptor left. */
struct sp__link *sp__link_new(struct sp__engine *engine, const struct sp__address *address,
                              const struct sp__link_options *options);
/** To redis.url, which is set, by the configuration; `options` has greet, arg and home alone. */
sp_status sp__link_open(const sp_config *config, struct sp__engine *engine, const struct sp__link_options *options,
                        struct sp__link **out, sp_error **error);
/**
 * Sends it. `then(op)` is called once, on any thread, with no lock held, perhaps before this returns; op->owner is `owner`.
 * `caller` (may be NULL) is blocked in the operation that this is a step of. Takes the command; `then` may be NULL.
 */
void sp__link_run(struct sp__link *link, struct sp__command *command, sp__op *caller, void (*then)(sp__op *op),
                  void *owner);
/** Answers with a server to listen to: the one that trips go to; of a cluster, after failures (`attempt` > 0) others in turn. */
void sp__link_find(struct sp__link *link, unsigned attempt, struct sp__locate *locate);
const struct sp__address *sp__link_address(const struct sp__link *link);
/** Borrowed; NULL for none. */
SSL_CTX *sp__link_tls(const struct sp__link *link);
/** That of a single server. */
sp_breaker *sp__link_breaker(struct sp__link *link);
/** As sp__guards_watch(). */
sp_status sp__link_watch_breakers(struct sp__link *link, sp__guards_keep keep, void *arg);
/** Whether a connection ever stood. */
bool sp__link_stood(struct sp__link *link);
/** Writes its metrics. */
void sp__link_collect(const struct sp__link *link, struct sp__expo *expo);
/** Fails what is under way and what is to come with SP_CLOSED. */
void sp__link_close(struct sp__link *link);
/** After closing. Its end comes on the engine's thread. In a child after fork(): closes the descriptor. */
void sp__link_free(struct sp__link *link);

#endif
