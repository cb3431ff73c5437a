/* SPDX-License-Identifier: MIT */
/* The public look-up: the in-process level at once, else a seat in the key's flight. */
#include "cache/flight.h"

#include "core/error.h"
#include "loop/port.h"

#include <stdlib.h>

int sp_lookup_state(const sp_lookup *lookup)
{
        return lookup ? lookup->state : 0;
}

sp_value *sp_lookup_value(const sp_lookup *lookup)
{
        return lookup ? lookup->value : NULL;
}

sp_lease *sp_lookup_take_lease(sp_lookup *lookup)
{
        sp_lease *lease = lookup ? lookup->lease : NULL;

        if (lookup)
                lookup->lease = NULL;
        return lease;
}

void sp_lookup_free(sp_lookup *lookup)
{
        if (!lookup)
                return;
        sp_lease_release(lookup->lease);
        sp_value_unref(lookup->value);
        free(lookup);
}

int sp_cache_peek(sp_cache *cache, const void *data, size_t len, sp_value **out)
{
        sp_value *value;
        enum sp__found found;

        if (!cache || !out || sp__cache_admit(cache, NULL, data, len, NULL) != SP_OK)
                return 0;
        if (cache->use == SP__CACHE_BYPASS)
                return 0;
        found = sp__cache_find(cache, data, len, &value, NULL);
        if (found == SP__FOUND_FRESH) {
                *out = value;
                return 1;
        }
        if (found == SP__FOUND_STALE)
                sp_value_unref(value);
        return 0;
}

static sp_status out_of_memory(sp_error **error)
{
        return sp__fail(error, SP_NOMEM, "out of memory");
}

/* What can be said at once. SP_NOT_FOUND: ask on; `stale` has a value then, perhaps. */
static sp_status find_at_once(sp_cache *cache, enum sp__cache_use use, const void *data, size_t len, sp_lookup **out,
                              struct sp__item *stale)
{
        sp_value *value = NULL;

        if (use == SP__CACHE_BYPASS) {
                *out = sp__lookup_alone(cache);
                return *out ? SP_OK : SP_NOMEM;
        }
        if (use == SP__CACHE_REFRESH)
                return SP_NOT_FOUND;
        if (sp__cache_find(cache, data, len, &value, stale) == SP__FOUND_FRESH) {
                *out = sp__lookup_new(SP_LOOKUP_HIT, value, NULL);
                return *out ? SP_OK : SP_NOMEM;
        }
        stale->value = value;
        return SP_NOT_FOUND;
}

static sp_status wait_for(struct sp__seeker *seeker, const void *data, size_t len, struct sp__item *stale,
                          sp_lookup **out, sp_error **error)
{
        sp_status status = sp__op_for_caller(&seeker->op, error);
        void *what = NULL;

        if (status != SP_OK)
                return status;
        sp__seeker_join(seeker, data, len, stale->value ? stale : NULL);
        sp__op_wait(&seeker->op);
        status = sp__op_take(&seeker->op, &what, error);
        if (status == SP_OK)
                *out = what;
        return status;
}

sp_status sp_cache_lookup(sp_cache *cache, sp_ctx *ctx, const void *data, size_t len, sp_lookup **out, sp_error **error)
{
        struct sp__item stale = {.value = NULL};
        struct sp__seeker *seeker;
        enum sp__cache_use use;
        sp_status status;

        SP__NEED(out, error);
        status = sp__cache_admit(cache, ctx, data, len, error);
        if (status != SP_OK)
                return status;
        use = sp__cache_use(cache, ctx, false);
        status = find_at_once(cache, use, data, len, out, &stale);
        if (status == SP_OK)
                return SP_OK;
        if (status == SP_NOMEM)
                return out_of_memory(error);
        sp__cache_work(cache);
        seeker = sp__seeker_new(cache, ctx, SP__FOREVER, NULL);
        if (seeker) {
                seeker->want = sp__want_of(use);
                seeker->anew = use == SP__CACHE_REFRESH;
        }
        status = seeker ? wait_for(seeker, data, len, &stale, out, error) : out_of_memory(error);
        sp_value_unref(stale.value);
        sp__cache_rest(cache);
        return status;
}

static sp_status submit(struct sp__seeker *seeker, const void *data, size_t len, struct sp__item *stale,
                        sp_lookup *found, sp_queue *queue, uint64_t tag)
{
        sp_status status = sp__op_for_queue(&seeker->op, queue, tag);

        if (status != SP_OK) {
                sp_lookup_free(found);
                return status;
        }
        if (found)
                sp__seeker_yield(seeker, found);
        else
                sp__seeker_join(seeker, data, len, stale->value ? stale : NULL);
        sp__op_unref(&seeker->op);
        return SP_OK;
}

sp_status sp_cache_lookup_async(sp_cache *cache, sp_ctx *ctx, const void *data, size_t len, sp_queue *queue,
                                uint64_t tag)
{
        sp_error *error = NULL;
        sp_status status = sp__cache_admit(cache, ctx, data, len, &error);
        enum sp__cache_use use;
        struct sp__item stale = {.value = NULL};
        struct sp__seeker *seeker;
        sp_lookup *found = NULL;

        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        use = sp__cache_use(cache, ctx, false);
        if (find_at_once(cache, use, data, len, &found, &stale) == SP_NOMEM)
                return SP_NOMEM;
        seeker = sp__seeker_new(cache, ctx, SP__FOREVER, NULL);
        if (seeker) {
                seeker->want = sp__want_of(use);
                seeker->anew = use == SP__CACHE_REFRESH;
                status = submit(seeker, data, len, &stale, found, queue, tag);
        } else {
                sp_lookup_free(found);
        }
        sp_value_unref(stale.value);
        return seeker ? status : SP_NOMEM;
}
