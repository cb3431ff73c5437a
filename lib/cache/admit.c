/* SPDX-License-Identifier: MIT */
/* What a call may do, and what may be stored. */
#include "cache/flight.h"

#include "core/error.h"

enum { CODEC_MAX = 255 };

sp_status sp__cache_admit(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_error **error)
{
        if (!cache)
                return sp__fail(error, SP_INVALID, "a cache is needed");
        if (!key || len == 0)
                return sp__fail(error, SP_INVALID, key ? "the key is empty" : "a key is needed");
        if (len > SP_KEY_MAX)
                return sp__fail(error, SP_LIMIT, "the key has %zu bytes, at most %d are allowed", len, SP_KEY_MAX);
        if (sp__engine_forked(cache->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (atomic_load(&cache->closed))
                return sp__fail(error, SP_CLOSED, "the cache is closed");
        if (ctx && sp_ctx_cancelled(ctx))
                return sp__fail(error, SP_CANCELLED, "%s", sp_status_text(SP_CANCELLED));
        sp__log_start(&cache->log);
        return SP_OK;
}

enum sp__cache_use sp__cache_use(const sp_cache *cache, const sp_ctx *ctx, bool apart)
{
        enum sp__cache_use use = ctx ? sp__ctx_cache(ctx) : SP__CACHE_USE;
        bool stores = use != SP__CACHE_BYPASS && cache->use != SP__CACHE_BYPASS;

        if (!stores)
                return SP__CACHE_BYPASS;
        if (cache->use == SP__CACHE_READ || (!apart && sp__ctx_in_transaction(ctx) && !sp__bugged(SP__BUG_TRANSACTION)))
                return SP__CACHE_READ;
        return use;
}

bool sp__cache_fits(const sp_cache *cache, const sp_template *tmpl, size_t len)
{
        int64_t max = tmpl ? sp__template_value_max(tmpl) : 0;

        return (int64_t)len <= (max ? max : cache->value_max);
}

static sp_status too_large(const sp_cache *cache, const sp_template *tmpl, size_t len, sp_error **error)
{
        if (tmpl && sp__template_value_max(tmpl))
                return sp__fail(error, SP_LIMIT, "the value has %zu bytes, \"max\" of template \"%.128s\" is %lld", len,
                                sp_template_text(tmpl), (long long)sp__template_value_max(tmpl));
        return sp__fail(error, SP_LIMIT, "the value has %zu bytes, cache.value_max is %lld", len,
                        (long long)cache->value_max);
}

sp_status sp__cache_admit_value(const sp_cache *cache, const sp_template *tmpl, const void *data, size_t len,
                                uint32_t codec, sp_error **error)
{
        uint32_t raw = tmpl ? sp__template_raw(tmpl) : 0;

        if ((!data && len) || codec > CODEC_MAX)
                return sp__fail(error, SP_INVALID, "a value has bytes, and a codec up to %d", CODEC_MAX);
        if (raw && codec != raw && codec != SP_CODEC_ABSENT)
                return sp__fail(error, SP_INVALID,
                                "a value of codec %u cannot stand raw: template \"%.128s\" is for codec %u alone",
                                codec, sp_template_text(tmpl), raw);
        return sp__cache_fits(cache, tmpl, len) ? SP_OK : too_large(cache, tmpl, len, error);
}
