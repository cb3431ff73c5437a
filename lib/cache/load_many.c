/* SPDX-License-Identifier: MIT */
/* Many look-ups, one call of the caller's loader for what nobody has, fill. */
#include "cache/lookups.h"

#include "core/error.h"

static sp_status load(sp_lookups *lookups, sp_ctx *ctx, sp_many_loader loader, void *arg, sp_error **error)
{
        sp_status status = loader(arg, lookups, error);

        if (status != SP_OK)
                return status;
        /* Right for its caller also where it could not be stored. */
        sp_lookups_fill(lookups, ctx, NULL);
        return SP_OK;
}

static bool has_all(const sp_lookups *lookups)
{
        for (size_t i = 0; i < lookups->count; i++) {
                if (!lookups->items[i].value && lookups->items[i].state != SP_LOOKUP_BUSY)
                        return false;
        }
        return true;
}

int sp_lookups_give_up(sp_lookups *lookups)
{
        if (!lookups)
                return 0;
        for (size_t i = sp_lookups_next(lookups, 0); i < lookups->count; i = sp_lookups_next(lookups, i + 1)) {
                sp_lease_release(lookups->items[i].lease);
                lookups->items[i].lease = NULL;
        }
        sp__lookups_give_slot(lookups);
        return has_all(lookups);
}

/* What there is stands in where its refresh fails. */
static sp_status load_missing(sp_lookups *lookups, sp_ctx *ctx, sp_many_loader loader, void *arg, sp_error **error)
{
        sp_error *why = NULL;
        sp_status status;

        if (!sp__lookups_owe(lookups))
                return SP_OK;
        status = load(lookups, ctx, loader, arg, &why);
        if (status != SP_OK && sp_lookups_give_up(lookups)) {
                sp_error_free(why);
                return SP_OK;
        }
        if (status != SP_OK && !why)
                return sp__fail(error, status, "the loader failed: %s", sp_status_text(status));
        sp__error_give(error, why);
        return status;
}

/* Another one loads it: it is waited for while nothing else is held. */
static sp_status await(sp_lookups *lookups, size_t index, sp_ctx *ctx, sp_many_loader loader, void *arg,
                       sp_error **error)
{
        sp_lookup *lookup;
        size_t len = 0;
        const void *key = sp_lookups_key(lookups, index, &len);
        sp_status status = sp_cache_lookup(lookups->cache, ctx, key, len, &lookup, error);

        if (status != SP_OK)
                return status;
        sp__lookups_settle(lookups, index, lookup);
        return load_missing(lookups, ctx, loader, arg, error);
}

sp_status sp_cache_get_many(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_many_loader loader, void *arg,
                            sp_lookups **out, sp_error **error)
{
        sp_lookups *lookups;
        sp_status status;

        SP__NEED(loader, error);
        SP__NEED(out, error);
        status = sp_cache_lookup_many(cache, ctx, keys, &lookups, error);
        if (status != SP_OK)
                return status;
        status = load_missing(lookups, ctx, loader, arg, error);
        for (size_t i = 0; i < lookups->count && status == SP_OK; i++) {
                if (lookups->items[i].state == SP_LOOKUP_BUSY)
                        status = await(lookups, i, ctx, loader, arg, error);
        }
        if (status == SP_OK)
                *out = lookups;
        else
                sp_lookups_free(lookups);
        return status;
}
