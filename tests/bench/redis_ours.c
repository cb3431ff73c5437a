/* SPDX-License-Identifier: MIT */
/* The library's cache without its in-process level: each lookup is a hit in Redis. `--mode fill` stores the keys. */
#include "driver_client.h"
#include "driver_keys.h"

#include <string.h>

static void lookup(void *state, uint32_t item)
{
        sp_cache *cache = state;
        sp_lookup *found = NULL;
        sp_error *error = NULL;
        char key[64];
        size_t len = driver_key(key, sizeof key, item);

        driver_check("sp_cache_lookup", sp_cache_lookup(cache, NULL, key, len, &found, &error), error);
        if (sp_lookup_state(found) != SP_LOOKUP_HIT)
                driver_die("%s is not in Redis: --mode fill", key);
        sp_value_data(sp_lookup_value(found), &len);
        if (len == 0)
                driver_die("%s is empty", key);
        sp_lookup_free(found);
}

static void body(struct driver_caller *caller, void *arg)
{
        lookup(arg, 1);
        driver_loop(caller, lookup, arg, 1);
}

int main(int argc, char **argv)
{
        struct driver_options options;
        sp_client *client;

        driver_parse(argc, argv, &options);
        client = driver_client(&options, "redis.url", (const char *const[]){"cache.memory=0", NULL});
        if (strcmp(options.mode, "fill") == 0)
                driver_fill(sp_client_cache(client), &options);
        else
                driver_run(&options, options.callers, body, sp_client_cache(client));
        sp_client_free(client);
        return 0;
}
