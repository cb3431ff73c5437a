/* SPDX-License-Identifier: MIT */
/** Redis as a program sees it that knows nothing of the library. */
#ifndef TESTS_FOREIGN_H
#define TESTS_FOREIGN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

/** Of REDIS_URL, as redisCommand(); the answer, to be freed. An error fails the test. */
static inline redisReply *foreign(const char *format, ...)
{
        redisContext *redis = redisConnect("127.0.0.1", atoi(strstr(getenv("REDIS_URL"), "127.0.0.1:") + 10));
        redisReply *reply;
        va_list args;

        assert_true(redis && !redis->err);
        va_start(args, format);
        reply = redisvCommand(redis, format, args);
        va_end(args);
        assert_non_null(reply);
        if (reply->type == REDIS_REPLY_ERROR)
                fail_msg("%s: %s", format, reply->str);
        redisFree(redis);
        return reply;
}

/** The same for its effect. */
#define foreign_does(...) freeReplyObject(foreign(__VA_ARGS__))

#endif
