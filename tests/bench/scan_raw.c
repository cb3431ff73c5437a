/* SPDX-License-Identifier: MIT */
/*
 * deletePattern() as it is usually written: SCAN through the keyspace for keys of a pattern, and DEL. Here nothing is left to be
 * deleted, so that only the walk is measured: less than the peer would take.
 */
#include "driver.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

static void delete_pattern(redisContext *redis)
{
        char cursor[24] = "0";

        do {
                redisReply *reply = redisCommand(redis, "SCAN %s MATCH gone:recommendations:* COUNT 1000", cursor);

                if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
                        driver_die("SCAN: %s", redis->errstr);
                strncpy(cursor, reply->element[0]->str, sizeof cursor - 1);
                freeReplyObject(reply);
        } while (strcmp(cursor, "0") != 0);
}

static void body(struct driver_caller *caller, void *arg)
{
        driver_ready(caller);
        while (driver_wants_one(caller)) {
                int64_t start = driver_now();

                delete_pattern(arg);
                driver_record_late(caller, start, driver_now(), 1);
        }
}

int main(int argc, char **argv)
{
        struct driver_options options;
        redisContext *redis;
        const char *at;

        driver_parse(argc, argv, &options);
        at = strstr(options.url, "127.0.0.1:");
        redis = at ? redisConnect("127.0.0.1", atoi(at + 10)) : NULL;
        if (!redis || redis->err)
                driver_die("no Redis at %s", options.url);
        driver_run(&options, 1, body, redis);
        redisFree(redis);
        return 0;
}
