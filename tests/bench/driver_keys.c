/* SPDX-License-Identifier: MIT */
#include "driver_keys.h"

#include "driver_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t driver_key(char *buf, size_t cap, uint32_t item)
{
        return (size_t)snprintf(buf, cap, "bench:item:%u", (unsigned)item);
}

static void fill_one(sp_cache *cache, const char *key, size_t len, const void *value, size_t size)
{
        sp_lookup *lookup = NULL;
        sp_error *error = NULL;

        driver_check(key, sp_cache_lookup(cache, NULL, key, len, &lookup, &error), error);
        if (sp_lookup_state(lookup) == SP_LOOKUP_LEASE) {
                sp_lease *lease = sp_lookup_take_lease(lookup);

                driver_check(key, sp_lease_fill(lease, NULL, value, size, SP_CODEC_TEXT, 0, &error), error);
        }
        sp_lookup_free(lookup);
}

void driver_fill(sp_cache *cache, const struct driver_options *options)
{
        char *value = malloc(options->size);
        char key[64];

        if (!value)
                driver_die("out of memory");
        memset(value, 'v', options->size);
        for (uint32_t item = 1; item <= options->items; item++)
                fill_one(cache, key, driver_key(key, sizeof key, item), value, options->size);
        free(value);
}
