/* SPDX-License-Identifier: MIT */
/* hiredis as its manual shows it: a thread, a connection, GET of the bytes that the library stored under its namespace. */
#include "driver.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

static void get(void *state, uint32_t item)
{
        redisContext *link = state;
        char key[64];
        size_t len = (size_t)snprintf(key, sizeof key, "sp:bench:item:%u", (unsigned)item);
        redisReply *reply = redisCommand(link, "GET %b", key, len);

        if (!reply || reply->type != REDIS_REPLY_STRING || reply->len == 0)
                driver_die("GET %s: %s", key, reply ? "no such key" : link->errstr);
        freeReplyObject(reply);
}

static void body(struct driver_caller *caller, void *arg)
{
        const char *url = driver_options_of(caller)->url;
        redisContext *link;
        char host[64];
        int port;

        if (sscanf(url, "redis://%63[^:/]:%d", host, &port) != 2)
                driver_die("--url: %s is not redis://host:port", url);
        link = redisConnect(host, port);
        if (!link || link->err)
                driver_die("redisConnect: %s", link ? link->errstr : "out of memory");
        get(link, 1);
        driver_loop(caller, get, link, 1);
        redisFree(link);
}

int main(int argc, char **argv)
{
        struct driver_options options;

        driver_parse(argc, argv, &options);
        driver_run(&options, options.callers, body, NULL);
        return 0;
}
