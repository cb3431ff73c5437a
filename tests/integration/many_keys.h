/* SPDX-License-Identifier: MIT */
/** Keys that are looked up in one call. */
#ifndef MANY_KEYS_H
#define MANY_KEYS_H

#include "cache_way.h"

#include <stdio.h>

enum { KEYS = 5 };

/** With a beginning of their own, and as parameters. */
struct keys {
        char text[KEYS][80];
        sp_params *params;
};

static inline void keys_make(struct keys *keys)
{
        char prefix[64];

        fresh_key("many", prefix, sizeof prefix);
        keys->params = sp_params_new();
        for (int i = 0; i < KEYS; i++) {
                int len = snprintf(keys->text[i], sizeof keys->text[i], "%s:%d", prefix, i);

                assert_int_equal(sp_params_add_text(keys->params, keys->text[i], (size_t)len), SP_OK);
        }
}

static inline sp_lookups *look(const struct cache_way *way, sp_cache *cache, const struct keys *keys)
{
        sp_lookups *lookups = NULL;
        sp_error *error = NULL;

        if (way->lookup_many(cache, NULL, keys->params, &lookups, &error) != SP_OK)
                fail_msg("%s", error ? sp_error_message(error) : "no error");
        assert_int_equal(sp_lookups_count(lookups), KEYS);
        return lookups;
}

#endif
