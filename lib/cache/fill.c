/* SPDX-License-Identifier: MIT */
/* A lease is filled: what was loaded is stored in Redis and here where it still holds, and given to who waits for it. */
#include "cache/lease.h"

#include "core/ctx.h"
#include "core/error.h"
#include "loop/port.h"
#include "observe/histogram.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>

struct fill {
        sp__op op;
        sp_cache *cache;
        struct sp__flight *flight; /* a reference */
        bool with_text;
        bool mine; /* it took the lease off its flight */
        bool kept; /* it has time to live */
        bool held; /* Redis has it not, and this process keeps it for as long as the bound allows */
        int64_t granted_at;
        bool unstored;          /* it was read inside an open transaction: others load for themselves */
        struct sp__entry entry; /* for Redis */
        struct sp__item item;   /* for this process; its value is a reference */
};

static struct fill *fill_of(sp__op *op)
{
        return SP__OF(op, struct fill, op);
}

static void cancel(sp__op *op, sp_status why)
{
        sp__op_give_up(op, why, "filling a lease");
}

static void destroy(sp__op *op)
{
        struct fill *fill = fill_of(op);

        sp_value_unref(fill->item.value);
        sp__flight_unref(fill->flight);
        if (op->caller != op)
                sp__op_unref(op->caller);
        free(fill);
}

static const struct sp__op_kind fill_kind = {.cancel = cancel, .destroy = destroy};

/* Entries that were made together shall not expire together. */
static int64_t jittered(sp_cache *cache, int64_t ms)
{
        ms -= (int64_t)((double)ms * (double)cache->jitter / 100 * sp__cache_unit(cache));
        return ms > 0 ? ms : 1;
}

/* What the loader or the call said, else the template; no longer than until the value itself expires. 0: it is not kept. */
static int64_t life(struct fill *fill, const sp_lease *lease, int64_t ttl_ms)
{
        const struct sp__times *times = &fill->flight->times;
        bool absent = fill->entry.codec == SP_CODEC_ABSENT;
        int64_t left;

        if (ttl_ms <= 0)
                ttl_ms = lease->ttl_ms;
        if (ttl_ms < 0 && (absent || lease->expires_ms == 0))
                ttl_ms = absent ? times->negative : times->ttl;
        if (ttl_ms != 0 && lease->expires_ms == 0)
                return jittered(fill->cache, ttl_ms);
        left = lease->expires_ms ? lease->expires_ms - sp__wall_ms() : 0;
        if (ttl_ms > 0 && ttl_ms < left)
                left = ttl_ms;
        return left > 0 && ttl_ms != 0 ? left : 0;
}

static void set_times(struct fill *fill, const sp_lease *lease, int64_t ttl_ms)
{
        int64_t load_ms = (sp__now() - lease->granted_at) / SP__MS;

        ttl_ms = life(fill, lease, ttl_ms);
        /* Nothing that others could read says that there is nothing. */
        fill->kept = ttl_ms > 0 && !(fill->flight->raw && fill->entry.codec == SP_CODEC_ABSENT);
        sp__times_make(&fill->flight->times, ttl_ms, lease->expires_ms == 0, load_ms, sp__cache_unit(fill->cache),
                       &fill->entry, &fill->item);
        fill->entry.ends = fill->item.ends = lease->expires_ms != 0;
        if (fill->entry.load_ms == 0)
                fill->entry.load_ms = 1;
        sp__cache_keeps(fill->cache, &fill->entry);
}

static void set_tags(struct fill *fill, const sp_lease *lease)
{
        struct sp__flight *flight = fill->flight;
        struct sp__item *item = &fill->item;
        unsigned own = sp__bugged(SP__BUG_NO_TAGS) ? 0 : lease->tag_count;

        item->declared = flight->declared;
        item->tag_count = (unsigned)(flight->tag_count + own);
        memcpy(item->tags, flight->tags, flight->tag_count * sizeof(uint64_t));
        memcpy(item->tags + flight->tag_count, lease->tags, own * sizeof(uint64_t));
        fill->entry.tag_count = own;
        memcpy(fill->entry.tags, lease->tags, own * sizeof(uint64_t));
}

static struct fill *fill_new(sp_lease *lease, sp_ctx *ctx, sp_value *value, int64_t ttl_ms)
{
        struct fill *fill = calloc(1, sizeof *fill);

        if (!fill)
                return NULL;
        sp__op_init(&fill->op, &fill_kind, ctx, SP__FOREVER);
        fill->cache = lease->flight->cache;
        fill->flight = sp__flight_ref(lease->flight);
        fill->item.value = sp_value_ref(value);
        fill->entry.data = sp_value_data(value, &fill->entry.len);
        fill->entry.codec = sp_value_codec(value);
        fill->unstored = sp__ctx_in_transaction(ctx) && !sp__bugged(SP__BUG_TRANSACTION);
        fill->granted_at = lease->granted_at;
        sp__cache_work(fill->cache);
        set_tags(fill, lease);
        set_times(fill, lease, ttl_ms);
        return fill;
}

/* Whether what was loaded since the mark still holds, as far as this process knows. */
static enum sp__fresh judge(struct fill *fill)
{
        struct sp__mirror *mirror = &fill->cache->log.mirror;
        const struct sp__mark *mark = &fill->flight->mark;
        const struct sp__item *item = &fill->item;

        if (!sp__mirror_holds(mirror, mark, item->tags, item->tag_count))
                return SP__GONE;
        if (fill->flight->raw)
                return SP__FRESH;
        return mark->known ? sp__mirror_judge(mirror, item->e, item->v0, item->tags, item->tag_count) : SP__UNKNOWN;
}

/* The flight's waiters get the value, or the next one of them loads. `keep`: it goes into the in-process level, before
 * the flight is over, so that nobody finds neither. */
static bool hand_out(struct fill *fill, bool holds, bool keep, struct sp__list *waiters)
{
        struct sp__flight *flight = fill->flight;

        sp__probe_step();
        sp__list_init(waiters);
        sp__lock(&fill->cache->lock);
        holds = holds && judge(fill) != SP__GONE;
        if (holds && keep && fill->cache->store && !flight->raw)
                sp__store_put(fill->cache->store, flight->key, flight->len, &fill->item);
        if (!fill->mine) {
                /* Another one has the lease, or had it: it is theirs. */
        } else if (flight->state == SP__FLIGHT_FILLING && holds) {
                sp__seekers_take_for(flight, fill->granted_at, waiters);
                if (!sp__list_empty(&flight->waiters))
                        sp__flight_pass(flight);
                else if (fill->held)
                        sp__flight_hold(flight, &fill->item, fill->granted_at);
                else
                        sp__flight_over(flight);
        } else if (flight->state == SP__FLIGHT_FILLING) {
                sp__flight_pass(flight);
        }
        sp__unlock(&fill->cache->lock);
        return holds;
}

static void settle(struct fill *fill, sp_status status, sp_error *error, struct sp__batch *done)
{
        if (status == SP_OK)
                sp__op_yield(&fill->op, SP__YIELD_NONE, NULL, NULL, done);
        else
                sp__op_fail(&fill->op, status, error, done);
}

/* The machine's reference, and its work for the cache. */
static void end(struct fill *fill)
{
        sp_cache *cache = fill->cache;

        sp__op_unref(&fill->op);
        sp__cache_rest(cache);
}

static sp_error *lost(void)
{
        return sp__error_new(SP_LEASE_LOST, NULL, "%s", sp_status_text(SP_LEASE_LOST));
}

/* Ends it: `status` of storing, `holds`: whether waiters may have the value, `keep`: whether this process may. */
static void finish(struct fill *fill, sp_status status, sp_error *error, bool holds, bool keep)
{
        struct sp__list waiters;
        struct sp__batch done;
        bool held = holds;

        sp__batch_init(&done);
        holds = hand_out(fill, holds, keep, &waiters);
        if (held && !holds && status == SP_OK) {
                status = SP_LEASE_LOST;
                error = lost();
        }
        settle(fill, status, error, &done);
        sp__seekers_share(&waiters, fill->item.value, &done);
        sp__batch_deliver(&done);
        end(fill);
}

/* It is not to be stored: it was loaded for its caller alone, or ends at once. Who waits may have what just ended. */
static void finish_unkept(struct fill *fill)
{
        bool shared = !fill->unstored && !fill->flight->lone;

        if (fill->flight->acquired)
                sp__flight_release(fill->flight, fill->flight->token);
        finish(fill, SP_OK, NULL, shared, false);
}

static void finish_lost(struct fill *fill)
{
        finish(fill, SP_LEASE_LOST, lost(), false, false);
}

/* The in-process level cannot have it. */
static bool must_be_held(const struct fill *fill)
{
        return fill->flight->raw || !fill->flight->mark.known;
}

/* Redis did not take it, nor, perhaps, the lease. The value is right all the same, and who waits in this process may have it. */
static void finish_unstored(struct fill *fill, sp_status status, sp_error *error)
{
        sp__flight_release(fill->flight, fill->flight->token);
        if (fill->cache->outage != SP__OUTAGE_FAIL && status != SP_CLOSED) {
                sp_error_free(error);
                status = SP_OK;
                error = NULL;
        }
        fill->held = status == SP_OK && must_be_held(fill);
        finish(fill, status, error, judge(fill) != SP__GONE, fill->flight->mark.known);
}

/* Stored; did a tag's bump come before? */
static void finish_stored(struct fill *fill, const redisReply *tags)
{
        struct sp__item *item = &fill->item;
        enum sp__fresh fresh = judge(fill);
        int64_t n;

        if (fresh == SP__UNKNOWN && tags && sp__log_holds(tags, item->e, item->v0, item->tag_count, &n)) {
                item->v0 = n;
                fresh = SP__FRESH;
        }
        if (fresh == SP__GONE || (fresh == SP__UNKNOWN && tags))
                finish_lost(fill);
        else
                finish(fill, SP_OK, NULL, fresh == SP__FRESH, fresh == SP__FRESH);
}

static void send(struct fill *fill);

static void filled(sp__op *op)
{
        struct fill *fill = op->owner;
        struct sp__command *command = sp__command_of(op);
        const redisReply *refused = op->status == SP_OK ? sp__command_refused(command) : NULL;
        int64_t stored;

        sp__probe_step();
        if (op->status != SP_OK) {
                finish_unstored(fill, op->status, sp__error_copy(op->error));
        } else if (sp__command_noscript(command) && !fill->with_text) {
                fill->with_text = true;
                send(fill);
        } else if (refused) {
                sp_error *error = sp__redis_error(refused, fill->cache->log.address.where);

                finish_unstored(fill, error ? sp_error_status(error) : SP_NOMEM, error);
        } else if (!sp__reply_int(command->replies[0], &stored) || stored != 1) {
                finish_lost(fill);
        } else {
                finish_stored(fill, command->due > 1 ? command->replies[1] : NULL);
        }
}

static void add_names(struct fill *fill, struct sp__command *command)
{
        const struct sp__flight *flight = fill->flight;
        char name[SP_KEY_MAX + SP__NAME_EXTRA];

        sp__command_arg(command, name, sp__cache_entry_name(fill->cache, flight->key, flight->len, name));
        sp__command_arg(command, name, sp__cache_lease_name(fill->cache, flight->key, flight->len, name));
}

/* How long Redis keeps it: one that slides, until it would end. */
static int64_t kept_ms(const struct fill *fill)
{
        return (fill->flight->times.sliding > 0 ? fill->entry.fresh_until : fill->entry.kept_until) - fill->entry.made;
}

/* The entry, or the value as it is. */
static void add_packed(struct fill *fill, struct sp__command *command)
{
        struct sp__buf packed = SP__BUF_INIT;

        if (fill->flight->raw) {
                sp__command_arg(command, fill->entry.data, fill->entry.len);
                return;
        }
        sp__entry_encode(&fill->entry, (size_t)fill->cache->pack_from, &packed);
        sp__command_arg(command, packed.data ? packed.data : "", packed.len);
        command->request.failed = command->request.failed || packed.failed;
        sp__buf_free(&packed);
}

/* With the log's numbers of all its tags, where the mirror is not live and cannot tell. */
static void send(struct fill *fill)
{
        struct sp__log *log = &fill->cache->log;
        struct sp__command *command = sp__command_new();
        bool raw = fill->flight->raw;

        sp__probe_step();
        if (!command) {
                finish_unstored(fill, SP_NOMEM, sp__error_new(SP_NOMEM, NULL, "out of memory"));
                return;
        }
        sp__script_begin(command, raw ? SP__SCRIPT_FILL_RAW : SP__SCRIPT_FILL, fill->with_text, 2, raw ? 4 : 3);
        add_names(fill, command);
        sp__command_text(command, fill->flight->token);
        add_packed(fill, command);
        sp__command_int(command, kept_ms(fill));
        if (raw)
                sp__command_text(command, fill->flight->seen);
        if (judge(fill) == SP__UNKNOWN)
                sp__log_add_tags(log, command, fill->item.tags, fill->item.tag_count);
        sp__link_run(log->link, command, fill->op.caller, filled, fill);
}

/* Takes the lease off its flight. false: it has it no longer. */
static bool claim(struct fill *fill, sp_lease *lease)
{
        struct sp__flight *flight = fill->flight;
        bool mine, late;
        int64_t took;

        sp__probe_step();
        sp__lock(&fill->cache->lock);
        mine = flight->state == SP__FLIGHT_LEASED && flight->lease == lease;
        late = mine && sp__now() > flight->lease_until;
        if (late) {
                sp__flight_pass(flight);
        } else if (mine) {
                flight->state = SP__FLIGHT_FILLING;
                flight->lease = NULL;
        }
        sp__unlock(&fill->cache->lock);
        took = sp__now() - lease->granted_at;
        sp__histogram_record(fill->cache->loads, took);
        sp__usage_count(flight->usage, SP__USED_LOAD);
        if (flight->usage)
                atomic_fetch_add_explicit(&flight->usage->load_ns, took, memory_order_relaxed);
        return mine && !late;
}

/* Ends the lease. The operation's reference is taken. */
static void start(struct fill *fill, sp_lease *lease)
{
        struct sp__flight *flight = fill->flight;

        fill->mine = claim(fill, lease);
        sp__flight_unref(lease->flight);
        free(lease);
        if (fill->mine) {
                /* Its own step now: nobody else writes the mark. */
                if (sp__bugged(SP__BUG_LATE_PLACE))
                        sp__mirror_mark(&fill->cache->log.mirror, &flight->mark);
                fill->item.e = fill->entry.e = flight->mark.e;
                fill->item.v0 = fill->entry.v0 = flight->mark.v0;
        }
        if (!fill->mine) {
                finish_lost(fill);
        } else if (flight->lone || !fill->kept || fill->unstored) {
                finish_unkept(fill);
        } else if (judge(fill) == SP__GONE) {
                if (flight->acquired)
                        sp__flight_release(flight, flight->token);
                finish_lost(fill);
        } else if (flight->local) {
                fill->held = must_be_held(fill) && fill->cache->log.link;
                finish(fill, SP_OK, NULL, true, flight->mark.known);
        } else {
                send(fill);
        }
}

static sp_status admit(const sp_lease *lease, const void *data, size_t len, uint32_t codec, sp_error **error)
{
        sp_status status;

        if (!lease)
                return sp__fail(error, SP_INVALID, "a lease is needed");
        if (atomic_load(&lease->flight->cache->gone))
                return sp__fail(error, SP_CLOSED, "the cache is closed");
        if (sp__engine_forked(lease->flight->cache->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        status = sp__cache_admit_value(lease->flight->cache, lease->flight->tmpl, data, len, codec, error);
        if (status == SP_LIMIT)
                sp__usage_count(lease->flight->usage, SP__USED_TOO_LARGE);
        return status;
}

/* An operation ready to be told whom to answer; on failure the lease was given back. */
static sp_status prepare(sp_lease *lease, sp_ctx *ctx, const void *data, size_t len, uint32_t codec, int64_t ttl_ms,
                         struct fill **out, sp_error **error)
{
        sp_status status = admit(lease, data, len, codec, error);
        sp_value *value = status == SP_OK ? sp_value_new(data, len, codec) : NULL;

        if (value) {
                *out = fill_new(lease, ctx, value, ttl_ms);
                sp_value_unref(value);
        }
        if (status == SP_OK && (!value || !*out))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status != SP_OK)
                sp_lease_release(lease);
        return status;
}

static sp_status refuse(struct fill *fill, sp_lease *lease, sp_status status)
{
        sp_cache *cache = fill->cache;

        sp_lease_release(lease);
        sp__op_abandon(&fill->op);
        sp__cache_rest(cache);
        return status;
}

sp_status sp_lease_fill(sp_lease *lease, sp_ctx *ctx, const void *data, size_t len, uint32_t codec, int64_t ttl_ms,
                        sp_error **error)
{
        struct fill *fill = NULL;
        sp_status status = prepare(lease, ctx, data, len, codec, ttl_ms, &fill, error);
        sp_cache *cache;

        if (status != SP_OK)
                return status;
        sp__op_to_caller(&fill->op);
        if (sp__op_enlist(&fill->op) != SP_OK)
                return sp__fail(error, refuse(fill, lease, SP_CANCELLED), "%s", sp_status_text(SP_CANCELLED));
        cache = fill->cache;
        sp__cache_work(cache);
        sp__op_ref(&fill->op);
        start(fill, lease);
        sp__op_wait(&fill->op);
        status = sp__op_take(&fill->op, NULL, error);
        sp__cache_rest(cache);
        return status;
}

sp_status sp_lease_fill_async(sp_lease *lease, sp_ctx *ctx, const void *data, size_t len, uint32_t codec,
                              int64_t ttl_ms, sp_queue *queue, uint64_t tag)
{
        struct fill *fill = NULL;
        sp_error *error = NULL;
        sp_status status = prepare(lease, ctx, data, len, codec, ttl_ms, &fill, &error);

        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        status = sp__op_to_queue(&fill->op, queue, tag);
        if (status == SP_OK)
                status = sp__op_enlist(&fill->op);
        if (status != SP_OK)
                return refuse(fill, lease, status);
        start(fill, lease);
        return SP_OK;
}

bool sp__lease_fill_step(sp_lease *lease, sp_value *value, sp_ctx *ctx, sp__op *caller, void (*then)(sp__op *op),
                         void *owner)
{
        struct fill *fill = fill_new(lease, NULL, value, 0);

        if (!fill) {
                sp_lease_release(lease);
                return false;
        }
        fill->unstored = fill->unstored || (sp__ctx_in_transaction(ctx) && !sp__bugged(SP__BUG_TRANSACTION));
        fill->op.caller = caller ? sp__op_ref(caller) : NULL;
        fill->op.then = then;
        fill->op.owner = owner;
        start(fill, lease);
        return true;
}

sp_status sp__lease_give(sp_lease *lease, sp_ctx *ctx, sp_value *value, sp_error **error)
{
        size_t len;
        const void *data = sp_value_data(value, &len);
        sp_error *why = NULL;
        sp_status status = admit(lease, data, len, sp_value_codec(value), &why);

        if (status == SP_INVALID) {
                sp_lease_release(lease);
                sp__error_give(error, why);
                return status;
        }
        sp_error_free(why);
        if (status == SP_LIMIT) {
                lease->ttl_ms = 0;
                sp__lease_fill_step(lease, value, ctx, NULL, NULL, NULL);
        } else {
                sp_lease_fill(lease, ctx, data, len, sp_value_codec(value), 0, NULL);
        }
        return SP_OK;
}
