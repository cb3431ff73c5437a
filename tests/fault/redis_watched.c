/* SPDX-License-Identifier: MIT */
#include "redis_watched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void start_sentinel(struct set *set)
{
        char path[200];
        const char *const args[] = {path, "--sentinel", NULL};
        FILE *file;
        int port = redis_free_port();

        snprintf(path, sizeof path, "%s/sentinel-%d.conf", getenv("SP_TEST_SERVERS"), port);
        file = fopen(path, "w");
        assert_non_null(file);
        fprintf(file,
                "sentinel monitor mymaster 127.0.0.1 %d 1\n"
                "sentinel down-after-milliseconds mymaster 500\n"
                "sentinel failover-timeout mymaster 3000\n",
                set->servers[0].port);
        if (set->password)
                fprintf(file, "requirepass %s\n", set->password);
        fclose(file);
        redis_start(&set->sentinel, port, args);
        set->sentinel.args[0] = strdup(path);
}

void watched_start(struct set *set)
{
        static const char *const plain[] = {"--save", "", "--repl-diskless-sync-delay", "0", NULL};
        char port[16];
        const char *const follows[] = {"--save", "",  "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1",
                                       port,     NULL};

        redis_start(&set->servers[0], 0, plain);
        snprintf(port, sizeof port, "%d", set->servers[0].port);
        redis_start(&set->servers[1], 0, follows);
        redis_await(&set->servers[1], "INFO replication", "master_link_status:up");
        start_sentinel(set);
        if (!set->password)
                redis_await(&set->sentinel, "INFO sentinel", "slaves=1");
        set->dead_port = redis_free_port();
}

void watched_stop(struct set *set)
{
        redis_kill(&set->sentinel);
        for (int i = 0; i < SERVERS; i++)
                redis_kill(&set->servers[i]);
        free((char *)(uintptr_t)set->sentinel.args[0]);
}

const char *watched_url(const struct set *set, char url[160])
{
        snprintf(url, 160, "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/mymaster/0", set->dead_port, set->sentinel.port);
        return url;
}

struct redis_server *watched_primary(struct set *set)
{
        for (int i = 0; i < SERVERS; i++) {
                redisReply *reply = redis_ask(&set->servers[i], "ROLE");
                bool primary =
                    reply && reply->type == REDIS_REPLY_ARRAY && strcmp(reply->element[0]->str, "master") == 0;

                if (reply)
                        freeReplyObject(reply);
                if (primary)
                        return &set->servers[i];
        }
        return NULL;
}

void watched_switch(struct set *set)
{
        struct redis_server *former = watched_primary(set);
        struct redis_server *next = &set->servers[former == &set->servers[0]];

        /* Until it has heard of the replica's state. */
        redis_await(&set->sentinel, "SENTINEL FAILOVER mymaster", "OK");
        redis_await(next, "INFO replication", "role:master");
        redis_await(former, "INFO replication", "role:slave");
}
