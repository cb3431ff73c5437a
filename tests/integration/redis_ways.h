/* SPDX-License-Identifier: MIT */
/** Redis commands in their blocking and their asynchronous form: one suite runs over both. */
#ifndef REDIS_WAYS_H
#define REDIS_WAYS_H

#include "ways.h"

#include <sugarperf/redis.h>

struct redis_way {
        const char *name;
        sp_status (*command)(sp_redis *, sp_ctx *, const sp_params *, sp_reply **, sp_error **);
};

extern const struct redis_way redis_ways[2];

#define BOTH_REDIS_WAYS(test)                                                                                          \
        {#test " (blocking)", test, NULL, NULL, (void *)(uintptr_t)&redis_ways[0]},                                    \
        {                                                                                                              \
#test " (queue)", test, NULL, NULL, (void *)(uintptr_t)&redis_ways[1]                                  \
        }

/** To that URL, with "name=value" settings (NULL at the end; may be NULL). Fails the test where it cannot be made. */
sp_redis *redis_to(const char *url, const char *const settings[]);
/** Words with blanks between them; '%s' is not special. */
sp_params *words_of(const char *text);
/** Runs it; its outcome. */
sp_status tell(const struct redis_way *way, sp_redis *redis, const char *text, sp_reply **reply, sp_error **error);
/** Expects success; the text of the reply (a number in digits, "" for nil), to be freed. */
char *says_reply(const struct redis_way *way, sp_redis *redis, const char *text);
/** Expects success and this reply. */
void answers(const struct redis_way *way, sp_redis *redis, const char *text, const char *expected);
/** Expects this failure; the error is the caller's. */
sp_error *refuses(const struct redis_way *way, sp_redis *redis, const char *text, sp_status status);

#endif
