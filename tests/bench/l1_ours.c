/* SPDX-License-Identifier: MIT */
/* A hit in process: sp_cache_peek, or with `--mode lookup` sp_cache_lookup. With `--url` Redis stands behind it. */
#include "driver_client.h"
#include "driver_keys.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 256

struct key {
        uint32_t len;
        char text[28];
};

struct near {
        sp_cache *cache;
        struct key *keys; /* by item, from 1 */
};

static void look_at(const struct key *key, const sp_value *value)
{
        size_t len;
        const char *data = sp_value_data(value, &len);

        if (len == 0 || data[0] != 'v')
                driver_die("%s has another value", key->text);
}

static void peek(void *state, uint32_t item)
{
        const struct near *near = state;
        const struct key *key = &near->keys[item];
        sp_value *value = NULL;

        if (!sp_cache_peek(near->cache, key->text, key->len, &value))
                driver_die("%s is not in process", key->text);
        look_at(key, value);
        sp_value_unref(value);
}

static void lookup(void *state, uint32_t item)
{
        const struct near *near = state;
        const struct key *key = &near->keys[item];
        sp_lookup *found = NULL;
        sp_error *error = NULL;

        driver_check("sp_cache_lookup", sp_cache_lookup(near->cache, NULL, key->text, key->len, &found, &error), error);
        if (sp_lookup_state(found) != SP_LOOKUP_HIT)
                driver_die("%s is not in process", key->text);
        look_at(key, sp_lookup_value(found));
        sp_lookup_free(found);
}

static void peek_body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, peek, arg, BATCH);
}

static void lookup_body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, lookup, arg, BATCH);
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct near near;
        sp_client *client;

        driver_parse(argc, argv, &options);
        client = driver_client(&options, "redis.url", (const char *const[]){NULL});
        near.cache = sp_client_cache(client);
        near.keys = calloc(options.items + 1, sizeof *near.keys);
        if (!near.keys)
                driver_die("out of memory");
        for (uint32_t item = 1; item <= options.items; item++)
                near.keys[item].len = (uint32_t)driver_key(near.keys[item].text, sizeof near.keys[item].text, item);
        driver_fill(near.cache, &options);
        driver_run(&options, options.callers, strcmp(options.mode, "lookup") == 0 ? lookup_body : peek_body, &near);
        free(near.keys);
        sp_client_free(client);
        return 0;
}
