/* SPDX-License-Identifier: MIT */
/* bench:item:1 …: the keys that all sides of the cache read. */
#ifndef BENCH_DRIVER_KEYS_H
#define BENCH_DRIVER_KEYS_H

#include "driver.h"

#include <sugarperf/cache.h>

/* Fills them through leases; keys that are there stay. */
void driver_fill(sp_cache *cache, const struct driver_options *options);
/* Writes the key of an item, returns its length. */
size_t driver_key(char *buf, size_t cap, uint32_t item);

#endif
