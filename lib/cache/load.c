/* SPDX-License-Identifier: MIT */
/* Look-up, the caller's loader on the caller's thread, fill. */
#include "cache/lease.h"

#include "core/ctx.h"
#include "core/error.h"

#include <string.h>

static sp_status absent(sp_error **error)
{
        return sp__fail(error, SP_NOT_FOUND, "there is nothing under that key");
}

static sp_status give(sp_value *value, sp_value **out, sp_error **error)
{
        if (sp_value_codec(value) == SP_CODEC_ABSENT) {
                sp_value_unref(value);
                return absent(error);
        }
        *out = value;
        return SP_OK;
}

/* The value is right for its caller also where it could not be stored; one that never can be is his mistake. Takes the value. */
static sp_status fill(sp_lease *lease, sp_ctx *ctx, sp_value *value, sp_value **out, sp_error **error)
{
        sp_status status = sp__lease_give(lease, ctx, value, error);

        if (status == SP_OK)
                return give(value, out, error);
        sp_value_unref(value);
        return status;
}

static sp_status load(sp_lease *lease, sp_ctx *ctx, sp_loader loader, void *arg, sp_value **out, sp_error **error)
{
        sp_value *value = NULL;
        sp_status status = loader(arg, lease, &value, error);

        if (status == SP_OK && value)
                return fill(lease, ctx, value, out, error);
        if (status == SP_NOT_FOUND) {
                sp_lease_fill(lease, ctx, NULL, 0, SP_CODEC_ABSENT, 0, NULL);
                return status;
        }
        sp_lease_release(lease);
        return status == SP_OK ? sp__fail(error, SP_INVALID, "the loader said SP_OK, but gave no value") : status;
}

/* What there is stands in where its refresh fails, or another one refreshes it. */
static sp_status refresh(sp_lookup *lookup, sp_ctx *ctx, sp_loader loader, void *arg, sp_value **out, sp_error **error)
{
        sp_lease *lease = sp_lookup_take_lease(lookup);
        sp_error *failed = NULL;
        sp_status status;

        if (!lease)
                return give(sp_value_ref(sp_lookup_value(lookup)), out, error);
        status = load(lease, ctx, loader, arg, out, &failed);
        if (status == SP_OK || status == SP_NOT_FOUND) {
                sp__error_give(error, failed);
                return status;
        }
        sp_error_free(failed);
        return give(sp_value_ref(sp_lookup_value(lookup)), out, error);
}

sp_status sp_cache_get_or_load(sp_cache *cache, sp_ctx *ctx, const void *data, size_t len, sp_loader loader, void *arg,
                               sp_value **out, sp_error **error)
{
        sp_lookup *lookup;
        sp_value *value;
        sp_status status;

        SP__NEED(out, error);
        if (!loader)
                return sp__fail(error, SP_INVALID, "a loader is needed");
        if ((!ctx || sp__ctx_cache(ctx) <= SP__CACHE_READ) && sp_cache_peek(cache, data, len, &value))
                return give(value, out, error);
        status = sp_cache_lookup(cache, ctx, data, len, &lookup, error);
        if (status != SP_OK)
                return status;
        if (sp_lookup_value(lookup))
                status = refresh(lookup, ctx, loader, arg, out, error);
        else
                status = load(sp_lookup_take_lease(lookup), ctx, loader, arg, out, error);
        sp_lookup_free(lookup);
        return status;
}
