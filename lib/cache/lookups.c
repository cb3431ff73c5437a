/* SPDX-License-Identifier: MIT */
#include "cache/lookups.h"

#include "cache/lease.h"
#include "core/error.h"
#include "core/params.h"

#include <stdlib.h>

static sp_status add(sp_lookups *lookups, size_t index, sp_ctx *ctx, const char *key, size_t len, sp_error **error)
{
        struct sp__lookups_item *item = &lookups->items[index];
        sp_status status = sp__cache_admit(lookups->cache, ctx, key, len, error);

        if (status != SP_OK)
                return status;
        item->at = lookups->keys.len;
        item->len = (uint32_t)len;
        sp__buf_add(&lookups->keys, key, len);
        return lookups->keys.failed ? sp__fail(error, SP_NOMEM, "out of memory") : SP_OK;
}

sp_status sp__lookups_new(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_lookups **out, sp_error **error)
{
        size_t count = keys ? sp_params_count(keys) : 0;
        sp_status status = SP_OK;
        sp_lookups *lookups;

        if (!cache || count == 0)
                return sp__fail(error, SP_INVALID, cache ? "there are no keys" : "a cache is needed");
        if (count > SP_KEYS_MAX)
                return sp__fail(error, SP_LIMIT, "%zu keys, at most %d are allowed", count, SP_KEYS_MAX);
        lookups = calloc(1, sizeof *lookups + count * sizeof *lookups->items);
        if (!lookups)
                return sp__fail(error, SP_NOMEM, "out of memory");
        atomic_init(&lookups->refs, 1);
        lookups->cache = cache;
        atomic_fetch_add(&cache->refs, 1);
        lookups->count = count;
        for (size_t i = 0; i < count && status == SP_OK; i++) {
                size_t len = 0;
                const char *key = sp__params_get(keys, i, &len);

                status = add(lookups, i, ctx, key, len, error);
        }
        if (status == SP_OK)
                *out = lookups;
        else
                sp_lookups_free(lookups);
        return status;
}

void sp__lookups_settle(sp_lookups *lookups, size_t index, sp_lookup *lookup)
{
        struct sp__lookups_item *item = &lookups->items[index];

        sp_value_unref(item->value);
        item->state = lookup->state;
        item->value = lookup->value;
        item->lease = lookup->lease;
        free(lookup);
}

void sp__lookups_give_slot(sp_lookups *lookups)
{
        sp_cache *cache = lookups->cache;

        if (!atomic_exchange(&lookups->slotted, false) || atomic_load(&cache->gone))
                return;
        sp__lock(&cache->lock);
        sp__slots_give(&cache->slots, cache->engine);
        sp__unlock(&cache->lock);
}

void sp__lookups_ref(sp_lookups *lookups)
{
        atomic_fetch_add(&lookups->refs, 1);
}

void sp_lookups_free(sp_lookups *lookups)
{
        if (!lookups || atomic_fetch_sub(&lookups->refs, 1) != 1)
                return;
        for (size_t i = 0; i < lookups->count; i++) {
                sp_lease_release(lookups->items[i].lease);
                sp_value_unref(lookups->items[i].value);
                sp_value_unref(lookups->items[i].put);
        }
        sp__lookups_give_slot(lookups);
        sp__buf_free(&lookups->keys);
        sp__cache_unref(lookups->cache);
        free(lookups);
}

void sp__lookups_drop(void *lookups)
{
        sp_lookups_free(lookups);
}

size_t sp_lookups_count(const sp_lookups *lookups)
{
        return lookups ? lookups->count : 0;
}

int sp_lookups_state(const sp_lookups *lookups, size_t index)
{
        return lookups && index < lookups->count ? lookups->items[index].state : 0;
}

sp_value *sp_lookups_value(const sp_lookups *lookups, size_t index)
{
        return lookups && index < lookups->count ? lookups->items[index].value : NULL;
}

const void *sp_lookups_key(const sp_lookups *lookups, size_t index, size_t *len)
{
        if (!lookups || !len || index >= lookups->count)
                return NULL;
        *len = lookups->items[index].len;
        return lookups->keys.data + lookups->items[index].at;
}

size_t sp_lookups_next(const sp_lookups *lookups, size_t from)
{
        if (!lookups)
                return 0;
        while (from < lookups->count && !lookups->items[from].lease)
                from++;
        return from < lookups->count ? from : lookups->count;
}

static sp_lease *lease_of(sp_lookups *lookups, size_t index)
{
        return lookups && index < lookups->count ? lookups->items[index].lease : NULL;
}

sp_status sp_lookups_tag(sp_lookups *lookups, size_t index, const void *data, size_t len)
{
        return sp_lease_tag(lease_of(lookups, index), data, len);
}

sp_status sp_lookups_put(sp_lookups *lookups, size_t index, const void *data, size_t len, uint32_t codec,
                         int64_t ttl_ms, sp_error **error)
{
        sp_lease *lease = lease_of(lookups, index);
        sp_error *why = NULL;
        sp_status status;
        sp_value *value;

        if (!lease)
                return sp__fail(error, SP_INVALID, "key %zu is not yours to load", index);
        status = sp__cache_admit_value(lookups->cache, lease->flight->tmpl, data, len, codec, &why);
        if (status != SP_OK && status != SP_LIMIT) {
                sp__error_give(error, why);
                return status;
        }
        sp_error_free(why);
        value = sp_value_new(data, len, codec);
        if (!value)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp_value_unref(lookups->items[index].put);
        lookups->items[index].put = value;
        /* What was said of one that was put before does not hold. */
        lease->ttl_ms = ttl_ms > 0 ? ttl_ms : -1;
        if (status == SP_LIMIT)
                sp__lease_set_unfit(lease);
        return SP_OK;
}
