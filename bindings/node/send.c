/* SPDX-License-Identifier: MIT */
/*
 * How submissions cross: those of one turn of the event loop lie one behind the other in a block of bytes, and go in one crossing.
 * Little endian, each on a multiple of 8:
 *
 *     u32 size of all, u32 kind, f64 tag, u32 pool or cache, u32 statement, u32 length, u32 0, the bytes
 *
 * The bytes are a key, or packed parameters (params.h); pools, caches and statements are numbers that sp_watch_learn_…() gave.
 */
#include "watch_internal.h"

#include <stdlib.h>
#include <string.h>

enum { QUERY = 1, LOOKUP = 2, HEAD = 32 };

struct record {
        uint32_t size;
        uint32_t kind;
        double tag;
        uint32_t target;
        uint32_t stmt;
        uint32_t len;
        uint32_t unused;
};

_Static_assert(sizeof(struct record) == HEAD, "as outbox.js writes it");

static sp_status learn(sp_watch *watch, void *handle, bool stmt, uint32_t *number)
{
        if (watch->known_count == watch->known_cap) {
                uint32_t cap = watch->known_cap == 0 ? 64 : watch->known_cap * 2;
                struct sp_known *known = realloc(watch->known, cap * sizeof *known);

                if (known == NULL)
                        return SP_NOMEM;
                watch->known = known;
                watch->known_cap = cap;
        }
        watch->known[watch->known_count] = (struct sp_known){.handle = handle, .stmt = stmt};
        *number = watch->known_count++;
        return SP_OK;
}

sp_status sp_watch_learn_pool(sp_watch *watch, sp_pool *pool, uint32_t *slot)
{
        return learn(watch, pool, false, slot);
}

sp_status sp_watch_learn_cache(sp_watch *watch, sp_cache *cache, uint32_t *slot)
{
        return learn(watch, cache, false, slot);
}

sp_status sp_watch_learn_stmt(sp_watch *watch, sp_stmt *stmt, uint32_t *slot)
{
        sp_status status = learn(watch, stmt, true, slot);

        if (status == SP_OK)
                sp_stmt_ref(stmt);
        return status;
}

void sp_watch_unlearn(sp_watch *watch)
{
        for (uint32_t i = 0; i < watch->known_count; i++) {
                if (watch->known[i].stmt)
                        sp_stmt_unref(watch->known[i].handle);
        }
        watch->known_count = 0;
}

static sp_status submit(sp_watch *watch, const struct record *record, const char *bytes)
{
        void *target = watch->known[record->target].handle;
        uint64_t tag = (uint64_t)record->tag;
        sp_status status;

        if (record->kind == LOOKUP)
                return sp_cache_lookup_async(target, watch->root, bytes, record->len, watch->queue, tag);
        status = record->len == 0 ? SP_OK : sp_params_load(watch->params, bytes, record->len);
        if (status != SP_OK)
                return status;
        return sp_pool_query_async(target, watch->root, watch->known[record->stmt].handle,
                                   record->len == 0 ? NULL : watch->params, watch->queue, tag);
}

uint32_t sp_watch_send(sp_watch *watch, const void *data, size_t len)
{
        enum { REFUSED_MAX = SP_WATCH_BATCH * SP_WATCH_CELLS / 2 };
        const char *bytes = data;
        uint32_t at = 0, refused = 0;

        while (at + HEAD <= len && refused < REFUSED_MAX) {
                struct record record;
                sp_status status;

                memcpy(&record, bytes + at, HEAD);
                status = submit(watch, &record, bytes + at + HEAD);
                at += record.size;
                if (status == SP_OK)
                        continue;
                watch->cells[1 + refused * 2] = record.tag;
                watch->cells[2 + refused * 2] = status;
                refused++;
        }
        watch->cells[0] = refused;
        return at;
}
