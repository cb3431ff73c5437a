/* SPDX-License-Identifier: MIT */
/** Redis servers of a test's own: replicas, sentinels, nodes of a cluster. They end with the test; their files are its servers' folder's. */
#ifndef REDIS_SET_H
#define REDIS_SET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

enum { REDIS_ARGS = 24 };

struct redis_server {
        pid_t pid; /* 0: it does not run */
        int port;
        char dir[160];
        const char *args[REDIS_ARGS];
        bool tls; /* on its port, and it is not asked whether it is ready but for the port */
};

/** A port that was free just now. */
int redis_free_port(void);
/** Starts redis-server on the port (0: a free one) with more arguments (NULL at the end), and waits until it answers. */
void redis_start(struct redis_server *server, int port, const char *const args[]);
/** Again, with what it had. */
void redis_restart(struct redis_server *server);
void redis_kill(struct redis_server *server);
/** Stops it where it stands; goes on. */
void redis_freeze(struct redis_server *server);
void redis_thaw(struct redis_server *server);

/** Asks it, as redisCommand(); NULL where it cannot be asked. */
redisReply *redis_ask(const struct redis_server *server, const char *format, ...);
/** The same, whose answer is a text or a number in digits, which must not be an error; to be freed. */
char *redis_says(const struct redis_server *server, const char *format, ...);
/** Until what it says to `question` has `text` in it. */
void redis_await(const struct redis_server *server, const char *question, const char *text);

#endif
