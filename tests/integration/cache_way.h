/* SPDX-License-Identifier: MIT */
/** What tests that run over all ways of the cache's calls begin and end with. */
#ifndef CACHE_WAY_H
#define CACHE_WAY_H

#include "cache_ways.h"

#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

static inline const struct cache_way *way_of(void **state)
{
        return *state;
}

static inline void wait_ms(int64_t ms)
{
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * SP__MS}, NULL);
}

static inline void reads(const struct cache_way *way, sp_cache *cache, const char *key, const char *expected)
{
        char *text = text_of(way, cache, key);

        assert_string_equal(text, expected);
        free(text);
}

struct way_test {
        const char *name;
        CMUnitTestFunction run;
};

#define WAY_TEST(name)                                                                                                 \
        {                                                                                                              \
#name, name                                                                                            \
        }

/** Runs each test over each of the first `among` ways; what main() returns. */
int run_over_ways(const char *suite, const struct way_test *tests, size_t count, size_t among);

enum { WAYS_WITH_REDIS = 2 }; /* of cache_ways those, which come first, that have Redis */

#define RUN_OVER_WAYS(suite, tests, among) run_over_ways(suite, tests, sizeof tests / sizeof *tests, among)

#endif
