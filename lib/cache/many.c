/* SPDX-License-Identifier: MIT */
/*
 * Look-ups and fills of many keys in one call. Each key has its flight, as ever; all of them begin in one turn of the
 * engine, which sends in one write what they ask.
 */
#include "cache/call.h"
#include "cache/lease.h"
#include "cache/lookups.h"

#include "core/error.h"

#include <stdlib.h>

/* One step: of which key. What a fill stores is its own, as its caller may go on without it. */
struct part {
        struct many *many;
        size_t index;
        bool found;
        struct sp__item stale;
        sp_lease *lease; /* to be filled, until that began */
        sp_value *value; /* with this: a reference */
};

struct many {
        struct sp__call call;
        sp_lookups *lookups;
        bool owned; /* a reference to them goes with this */
        bool fills;
        bool looks; /* all slots are taken: for now only at what is there */
        enum sp__cache_use use;
        struct sp__slot slot;
        atomic_size_t left; /* steps under way, and the one who begins them */
        atomic_int status;  /* the first that failed */
        sp_error *why;
        size_t part_count;
        struct part parts[];
};

static struct many *many_of(sp__op *op)
{
        return SP__OF(op, struct many, call.op);
}

static void cancel(sp__op *op, sp_status why)
{
        sp__op_give_up(op, why, "waiting for many keys");
}

static void destroy(sp__op *op)
{
        struct many *many = many_of(op);

        for (size_t i = 0; i < many->part_count; i++) {
                sp_value_unref(many->parts[i].stale.value);
                sp_value_unref(many->parts[i].value);
                sp_lease_release(many->parts[i].lease);
        }
        sp__call_end(&many->call);
        if (many->owned)
                sp_lookups_free(many->lookups);
        sp_error_free(many->why);
        free(many);
}

static const struct sp__op_kind many_kind = {.cancel = cancel, .settled = sp__call_settled, .destroy = destroy};

/* Takes the machine's reference and its work for the cache. */
static void finish(struct many *many)
{
        sp_cache *cache = many->call.cache;
        sp_status status = atomic_load(&many->status);
        struct sp__batch done;

        sp__batch_init(&done);
        if (many->fills || !sp__lookups_owe(many->lookups) || status != SP_OK)
                sp__lookups_give_slot(many->lookups);
        if (status != SP_OK) {
                sp__op_fail(&many->call.op, status, many->why, &done);
                many->why = NULL;
        } else if (many->fills) {
                sp__op_yield(&many->call.op, SP__YIELD_NONE, NULL, NULL, &done);
        } else {
                many->owned = false;
                sp__op_yield(&many->call.op, SP__YIELD_LOOKUPS, many->lookups, sp__lookups_drop, &done);
        }
        sp__batch_deliver(&done);
        sp__op_unref(&many->call.op);
        sp__cache_rest(cache);
}

static void line_up(struct many *many);

/* What is missing needs a slot. */
static bool seeks_on(struct many *many)
{
        bool all = true;

        for (size_t i = 0; i < many->part_count && many->looks; i++)
                all = all && many->parts[i].found;
        return !all && atomic_load(&many->status) == SP_OK && sp__op_pending(&many->call.op);
}

static void step_done(struct many *many)
{
        if (atomic_fetch_sub(&many->left, 1) != 1)
                return;
        if (seeks_on(many))
                line_up(many);
        else
                finish(many);
}

static void note(struct many *many, sp_status status, const sp_error *error)
{
        int none = SP_OK;

        if (atomic_compare_exchange_strong(&many->status, &none, status))
                many->why = sp__error_copy(error);
}

static void found(sp__op *op)
{
        struct part *part = op->owner;
        struct many *many = part->many;
        const sp_lookup *lookup = op->what;

        if (op->status == SP_OK && many->looks && (lookup->state == SP_LOOKUP_BUSY || lookup->lease)) {
                /* Later; a lease that fell to it is given back. */
        } else if (op->status == SP_OK) {
                part->found = true;
                sp__lookups_settle(many->lookups, part->index, op->what);
                op->what = NULL;
        } else {
                note(many, op->status, op->error);
        }
        step_done(many);
}

static void seek(struct many *many, struct part *part)
{
        const struct sp__lookups_item *item = &many->lookups->items[part->index];
        struct sp__seeker *seeker =
            sp__seeker_new(many->call.cache, many->call.op.ctx, many->call.op.deadline, many->call.op.caller);

        if (!seeker) {
                note(many, SP_NOMEM, NULL);
                step_done(many);
                return;
        }
        seeker->want = many->looks ? SP__WANT_LOOK : many->use == SP__CACHE_READ ? SP__WANT_LONE : SP__WANT_SOON;
        seeker->anew = many->use == SP__CACHE_REFRESH;
        sp__seeker_step(seeker, many->lookups->keys.data + item->at, item->len, part->stale.value ? &part->stale : NULL,
                        found, part);
}

/* Right for its caller also where it was not stored. */
static void filled(sp__op *op)
{
        struct part *part = op->owner;

        if (op->status != SP_OK && op->status != SP_LEASE_LOST)
                note(part->many, op->status, op->error);
        step_done(part->many);
}

static void fill(struct many *many, struct part *part)
{
        sp_lease *lease = part->lease;

        part->lease = NULL;
        if (sp__lease_fill_step(lease, part->value, many->call.op.ctx, many->call.op.caller, filled, part))
                return;
        note(many, SP_NOMEM, NULL);
        step_done(many);
}

/* On the engine's thread. Who has given up while it stood in line seeks nothing. */
static void begin(struct sp__task *task)
{
        struct many *many = SP__OF(SP__OF(task, struct sp__slot, task), struct many, slot);
        bool wanted = sp__op_pending(&many->call.op);

        for (size_t i = 0; i < many->part_count; i++) {
                if (many->fills)
                        fill(many, &many->parts[i]);
                else if (!many->parts[i].found && wanted)
                        seek(many, &many->parts[i]);
                else if (!many->parts[i].found)
                        step_done(many);
        }
        step_done(many);
}

/* Where there is no slot it looks first, unless what there is does not do. false: it stands in line. */
static bool take_slot(struct many *many)
{
        sp_cache *cache = many->call.cache;
        bool now = true;

        sp__lock(&cache->lock);
        many->looks = !many->looks && many->use != SP__CACHE_REFRESH && sp__slots_full(&cache->slots);
        if (!many->looks) {
                atomic_store(&many->lookups->slotted, true);
                now = sp__slots_take(&cache->slots, &many->slot);
        }
        sp__unlock(&cache->lock);
        return now;
}

/* As the engine's next task, or, for a look-up, when there is a slot. */
static void line_up(struct many *many)
{
        size_t left = 1;

        for (size_t i = 0; i < many->part_count; i++)
                left += !many->parts[i].found;
        atomic_store(&many->left, left);
        if (many->fills || take_slot(many))
                sp__engine_post(many->call.cache->engine, &many->slot.task);
}

static void start(struct sp__call *call)
{
        struct many *many = many_of(&call->op);

        atomic_init(&many->left, 1);
        if (many->part_count == 0)
                step_done(many);
        else
                line_up(many);
}

static struct many *many_new(sp_lookups *lookups, sp_ctx *ctx, size_t parts)
{
        struct many *many = calloc(1, sizeof *many + parts * sizeof *many->parts);

        if (!many)
                return NULL;
        sp__call_init(&many->call, &many_kind, lookups->cache, ctx);
        many->lookups = lookups;
        many->slot.task.run = begin;
        sp__list_init(&many->slot.link);
        sp__list_init(&many->slot.task.link);
        return many;
}

/* A part for each key that the in-process level has not. */
static sp_status look_here(struct many *many)
{
        sp_lookups *lookups = many->lookups;

        for (size_t i = 0; i < lookups->count; i++) {
                struct sp__lookups_item *item = &lookups->items[i];
                struct part *part = &many->parts[many->part_count];
                const char *key = lookups->keys.data + item->at;
                sp_value *value = NULL;

                if (many->use == SP__CACHE_BYPASS) {
                        sp_lookup *lookup = sp__lookup_alone(many->call.cache);

                        if (!lookup)
                                return SP_NOMEM;
                        sp__lookups_settle(lookups, i, lookup);
                        continue;
                }
                if (many->use != SP__CACHE_REFRESH &&
                    sp__cache_find(many->call.cache, key, item->len, &value, &part->stale) == SP__FOUND_FRESH) {
                        item->state = SP_LOOKUP_HIT;
                        item->value = value;
                        continue;
                }
                part->stale.value = value;
                part->many = many;
                part->index = i;
                many->part_count++;
        }
        return SP_OK;
}

static sp_status prepare(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, struct many **out, sp_error **error)
{
        sp_lookups *lookups = NULL;
        sp_status status = sp__lookups_new(cache, ctx, keys, &lookups, error);
        struct many *many;

        if (status != SP_OK)
                return status;
        many = many_new(lookups, ctx, lookups->count);
        if (!many) {
                sp_lookups_free(lookups);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        many->owned = true;
        many->use = sp__cache_use(cache, ctx, false);
        status = look_here(many);
        if (status == SP_OK) {
                *out = many;
                return SP_OK;
        }
        sp__op_unref(&many->call.op);
        return sp__fail(error, status, "%s", sp_status_text(status));
}

/* Takes the lease from the lookups, so that nobody else ends it: what was put is what there is, else there is nothing. */
static bool take(struct many *many, size_t index)
{
        struct sp__lookups_item *item = &many->lookups->items[index];
        struct part *part = &many->parts[many->part_count++];
        sp_value *value = item->put ? item->put : sp_value_new(NULL, 0, SP_CODEC_ABSENT);

        *part = (struct part){.many = many, .index = index, .lease = item->lease};
        item->lease = NULL;
        item->put = NULL;
        if (!value)
                return false;
        sp_value_unref(item->value);
        item->value = value;
        item->state = SP_LOOKUP_HIT;
        part->value = sp_value_ref(value);
        return true;
}

/* Also where the answer is no: the caller has its values then, and others may load. */
static sp_status prepare_fill(sp_lookups *lookups, sp_ctx *ctx, struct many **out, sp_error **error)
{
        struct many *many = many_new(lookups, ctx, lookups->count);
        sp_status status;

        if (!many)
                return sp__fail(error, SP_NOMEM, "out of memory");
        /* A caller who no longer waits for it may free them meanwhile. */
        sp__lookups_ref(lookups);
        many->owned = true;
        many->fills = true;
        for (size_t i = sp_lookups_next(lookups, 0); i < lookups->count; i = sp_lookups_next(lookups, i + 1)) {
                if (!take(many, i)) {
                        sp__op_unref(&many->call.op);
                        return sp__fail(error, SP_NOMEM, "out of memory");
                }
        }
        status = atomic_load(&lookups->cache->gone) ? sp__fail(error, SP_CLOSED, "the cache is closed")
                                                    : sp__cache_admit(lookups->cache, ctx, "keys", 4, error);
        if (status == SP_OK)
                *out = many;
        else
                sp__op_unref(&many->call.op);
        return status;
}

sp_status sp_cache_lookup_many(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_lookups **out, sp_error **error)
{
        struct many *many = NULL;
        void *lookups = NULL;
        sp_status status;

        SP__NEED(out, error);
        status = prepare(cache, ctx, keys, &many, error);
        if (status == SP_OK)
                status = sp__call_run_for(&many->call, start, &lookups, error);
        if (status == SP_OK)
                *out = lookups;
        return status;
}

sp_status sp_cache_lookup_many_async(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_queue *queue, uint64_t tag)
{
        struct many *many = NULL;
        sp_error *error = NULL;
        sp_status status = prepare(cache, ctx, keys, &many, &error);

        return status == SP_OK ? sp__call_submit(&many->call, start, queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}

sp_status sp_lookups_fill(sp_lookups *lookups, sp_ctx *ctx, sp_error **error)
{
        struct many *many = NULL;
        sp_status status;

        SP__NEED(lookups, error);
        status = prepare_fill(lookups, ctx, &many, error);
        return status == SP_OK ? sp__call_run(&many->call, start, error) : status;
}

sp_status sp_lookups_fill_async(sp_lookups *lookups, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        struct many *many = NULL;
        sp_error *error = NULL;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, lookups);
        status = prepare_fill(lookups, ctx, &many, &error);
        return status == SP_OK ? sp__call_submit(&many->call, start, queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}
