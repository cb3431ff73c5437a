/* SPDX-License-Identifier: MIT */
#include "invalidate/invalidate.h"

#include "cache/call.h"
#include "cache/flight.h"
#include "cache/probe.h"
#include "core/error.h"
#include "invalidate/event.h"
#include "invalidate/targets.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>

/* Of one trip: what Redis does at one go, and a message that every process takes. Of those that are under way at a time: more than
 * one, so that Redis need not wait for us, and few, as what else goes to Redis stands behind them. */
enum { TRIP_AIMS = SP_TARGETS_MAX, LANES = 4 };

/* A trip after the other, beside those of other lanes. */
struct lane {
        struct invalidation *invalidation;
        bool with_text;
        unsigned bump_at; /* which of the trip's answers is the log's */
        size_t at, count; /* of the trip that is under way */
        uint64_t tags[TRIP_AIMS];
};

struct invalidation {
        struct sp__call call;
        struct sp__aims aims;
        size_t total;       /* of what trips are about */
        atomic_size_t next; /* where the next trip begins */
        atomic_uint left;   /* lanes that are not through */
        atomic_int status;  /* the first failure */
        _Atomic(sp_error *) why;
        sp__mutex lock; /* of what is owed */
        bool owed;      /* all of it is */
        unsigned lane_count;
        struct lane lanes[];
};

static struct invalidation *of_op(sp__op *op)
{
        return SP__OF(op, struct invalidation, call.op);
}

/* The tags of aims from there on, as many as a trip has. */
static size_t copy_tags(const struct sp__aims *aims, size_t at, uint64_t tags[TRIP_AIMS])
{
        size_t left = aims->all ? 0 : aims->count - at, count = left < TRIP_AIMS ? left : TRIP_AIMS;

        for (size_t i = 0; i < count; i++)
                tags[i] = aims->items[at + i].tag;
        return count;
}

static void owe_all(struct invalidation *invalidation)
{
        struct sp__log *log = &invalidation->call.cache->log;
        uint64_t tags[TRIP_AIMS];

        sp__lock(&invalidation->lock);
        invalidation->owed = true;
        if (invalidation->aims.all)
                sp__log_owe_all(log);
        for (size_t at = 0, count; (count = copy_tags(&invalidation->aims, at, tags)); at += count)
                sp__log_owe(log, tags, count);
        sp__unlock(&invalidation->lock);
}

/* Its trips go on, but its caller was not told that they came through: so it is as if they had not. */
static void cancel(sp__op *op, sp_status why)
{
        if (!sp__op_claim(op))
                return;
        owe_all(of_op(op));
        sp__op_end_alone(op, why, sp__error_new(why, NULL, "an invalidation: %s", sp_status_text(why)));
}

static void destroy(sp__op *op)
{
        struct invalidation *invalidation = of_op(op);

        sp__call_end(&invalidation->call);
        sp__aims_free(&invalidation->aims);
        if (op->caller && op->caller != op)
                sp__op_unref(op->caller);
        sp__mutex_destroy(&invalidation->lock);
        free(invalidation);
}

static const struct sp__op_kind invalidation_kind = {.cancel = cancel, .settled = sp__call_settled, .destroy = destroy};

static const char *key_of(const struct invalidation *invalidation, size_t index, size_t *len)
{
        const struct sp__aim *aim = &invalidation->aims.items[index];

        *len = aim->len;
        return aim->kind == SP__AIM_KEY ? invalidation->aims.names.data + aim->at : NULL;
}

/* The log knows; now what this process has and does under these keys. */
static void forget_keys(struct invalidation *invalidation)
{
        sp_cache *cache = invalidation->call.cache;

        sp__probe_step();
        for (size_t i = 0; i < invalidation->aims.count; i++) {
                size_t len;
                const char *key = key_of(invalidation, i, &len);

                if (!key)
                        continue;
                if (cache->store)
                        sp__store_drop(cache->store, key, len);
                sp__flight_kill(cache, key, len);
        }
}

static void finish(struct invalidation *invalidation)
{
        forget_keys(invalidation);
        if (!sp__aims_empty(&invalidation->aims))
                sp__event_tell(invalidation->call.cache, &invalidation->aims);
        sp__call_finish(&invalidation->call, atomic_load(&invalidation->status),
                        atomic_exchange(&invalidation->why, NULL));
}

/* The next aims' tags become those of the lane's trip. false: none is left. */
static bool take_trip(struct lane *lane)
{
        struct invalidation *invalidation = lane->invalidation;

        lane->at = atomic_fetch_add(&invalidation->next, TRIP_AIMS);
        if (lane->at >= invalidation->total)
                return false;
        lane->count = copy_tags(&invalidation->aims, lane->at, lane->tags);
        return true;
}

/* Never again where its caller was told already, who may have set a key since. */
static void owe(struct lane *lane)
{
        struct invalidation *invalidation = lane->invalidation;
        struct sp__log *log = &invalidation->call.cache->log;

        sp__lock(&invalidation->lock);
        if (!invalidation->owed && invalidation->aims.all)
                sp__log_owe_all(log);
        else if (!invalidation->owed)
                sp__log_owe(log, lane->tags, lane->count);
        sp__unlock(&invalidation->lock);
}

static void send(struct lane *lane);

/* After a failure what is left is owed, untried. */
static void go_on(struct lane *lane)
{
        struct invalidation *invalidation = lane->invalidation;

        while (take_trip(lane)) {
                if (atomic_load(&invalidation->status) == SP_OK) {
                        send(lane);
                        return;
                }
                owe(lane);
        }
        if (atomic_fetch_sub(&invalidation->left, 1) == 1)
                finish(invalidation);
}

/* Takes the error. What this trip could not do is owed, and what was to follow it. */
static void fail(struct lane *lane, sp_status status, sp_error *error)
{
        struct invalidation *invalidation = lane->invalidation;
        int none = SP_OK;

        owe(lane);
        if (atomic_compare_exchange_strong(&invalidation->status, &none, status))
                atomic_store(&invalidation->why, error);
        else
                sp_error_free(error);
        go_on(lane);
}

static void acknowledged(struct lane *lane, uint64_t e, int64_t n)
{
        struct sp__log *log = &lane->invalidation->call.cache->log;

        if (lane->invalidation->aims.all)
                sp__log_acknowledge_all(log);
        else
                sp__log_acknowledge(log, e, n, lane->tags, lane->count);
        go_on(lane);
}

static void sent(sp__op *op)
{
        struct lane *lane = op->owner;
        struct sp__log *log = &lane->invalidation->call.cache->log;
        struct sp__command *command = sp__command_of(op);
        const redisReply *refused = op->status == SP_OK ? sp__command_refused(command) : NULL;
        uint64_t e;
        int64_t n;

        sp__probe_step();
        if (op->status != SP_OK) {
                fail(lane, op->status, sp__error_copy(op->error));
        } else if (sp__command_noscript(command) && !lane->with_text) {
                lane->with_text = true;
                send(lane);
        } else if (refused) {
                sp_error *error = sp__redis_error(refused, log->address.where);

                fail(lane, error ? sp_error_status(error) : SP_NOMEM, error);
        } else if (!sp__log_read(command->replies[lane->bump_at], &e, &n)) {
                fail(
                    lane, SP_PROTOCOL,
                    sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: an answer that makes no sense", log->address.where));
        } else {
                acknowledged(lane, e, n);
        }
}

static void add_unlink(struct lane *lane, struct sp__command *command)
{
        struct invalidation *invalidation = lane->invalidation;
        size_t from = lane->at, to = from + lane->count, keys = 0, len;
        char name[SP_KEY_MAX + SP__NAME_EXTRA];

        for (size_t i = from; i < to; i++)
                keys += key_of(invalidation, i, &len) != NULL;
        if (keys == 0)
                return;
        sp__command_begin(command, 1 + 2 * keys);
        sp__command_text(command, "UNLINK");
        for (size_t i = from; i < to; i++) {
                const char *key = key_of(invalidation, i, &len);

                if (!key)
                        continue;
                /* A cluster takes them one by one: what is filled between them is gone after the second. */
                sp__command_arg(command, name, sp__cache_lease_name(invalidation->call.cache, key, len, name));
                sp__command_arg(command, name, sp__cache_entry_name(invalidation->call.cache, key, len, name));
        }
}

/* With the first trip others are told, once. */
static void send(struct lane *lane)
{
        struct invalidation *invalidation = lane->invalidation;
        sp_cache *cache = invalidation->call.cache;
        struct sp__command *command = sp__command_new();

        sp__probe_step();
        if (!command) {
                fail(lane, SP_NOMEM, sp__error_new(SP_NOMEM, NULL, "out of memory"));
                return;
        }
        add_unlink(lane, command);
        lane->bump_at = command->due;
        sp__log_add_bump(&cache->log, command, lane->with_text, lane->tags, lane->count, invalidation->aims.all);
        if (lane->at == 0 && !lane->with_text && cache->events.subscriber)
                sp__event_publish(cache, &invalidation->aims, command);
        sp__link_run(cache->log.link, command, invalidation->call.op.caller, sent, lane);
}

/* Without Redis. */
static void note(struct invalidation *invalidation)
{
        struct sp__log *log = &invalidation->call.cache->log;
        struct lane *lane = &invalidation->lanes[0];

        if (invalidation->aims.all)
                sp__mirror_bump_all(&log->mirror);
        while (!invalidation->aims.all && take_trip(lane))
                sp__mirror_bump(&log->mirror, lane->tags, lane->count);
        finish(invalidation);
}

static void start(struct sp__call *call)
{
        struct invalidation *invalidation = of_op(&call->op);
        unsigned lanes = invalidation->lane_count;

        if (!call->cache->log.link) {
                note(invalidation);
                return;
        }
        /* The last one to end it may be any of them, from when it begins. */
        for (unsigned i = 0; i < lanes; i++)
                go_on(&invalidation->lanes[i]);
}

static unsigned lanes_for(size_t total)
{
        return total > (LANES - 1) * TRIP_AIMS ? LANES
               : total > TRIP_AIMS             ? (unsigned)((total - 1) / TRIP_AIMS) + 1
                                               : 1;
}

/* Takes the aims; NULL: out of memory. */
static struct invalidation *invalidation_new(sp_cache *cache, sp_ctx *ctx, struct sp__aims *aims)
{
        size_t total = aims->all ? 1 : aims->count;
        unsigned lanes = lanes_for(total);
        struct invalidation *invalidation =
            aims->failed ? NULL : malloc(sizeof *invalidation + lanes * sizeof(struct lane));

        if (!invalidation) {
                sp__aims_free(aims);
                return NULL;
        }
        memset(invalidation, 0, sizeof *invalidation);
        sp__call_init(&invalidation->call, &invalidation_kind, cache, ctx);
        sp__mutex_init(&invalidation->lock);
        invalidation->aims = *aims;
        invalidation->total = total;
        invalidation->lane_count = lanes;
        atomic_init(&invalidation->left, lanes);
        for (unsigned i = 0; i < lanes; i++) {
                invalidation->lanes[i].invalidation = invalidation;
                invalidation->lanes[i].with_text = false;
        }
        *aims = (struct sp__aims){0};
        return invalidation;
}

sp_status sp__invalidate_step(sp_cache *cache, struct sp__aims *aims, sp__op *caller, void (*then)(sp__op *op),
                              void *owner)
{
        struct invalidation *invalidation = invalidation_new(cache, NULL, aims);

        if (!invalidation)
                return SP_NOMEM;
        invalidation->call.op.then = then;
        invalidation->call.op.owner = owner;
        invalidation->call.op.caller = caller ? sp__op_ref(caller) : NULL;
        sp__call_step(&invalidation->call, start);
        return SP_OK;
}

sp_status sp__invalidate_run(sp_cache *cache, sp_ctx *ctx, struct sp__aims *aims, sp_error **error)
{
        struct invalidation *invalidation = invalidation_new(cache, ctx, aims);

        return invalidation ? sp__call_run(&invalidation->call, start, error)
                            : sp__fail(error, SP_NOMEM, "out of memory");
}

sp_status sp__invalidate_submit(sp_cache *cache, sp_ctx *ctx, struct sp__aims *aims, sp_queue *queue, uint64_t tag)
{
        struct invalidation *invalidation = invalidation_new(cache, ctx, aims);

        return invalidation ? sp__call_submit(&invalidation->call, start, queue, tag) : SP_NOMEM;
}

static sp_status prepare(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, struct sp__aims *aims,
                         sp_error **error)
{
        sp_status status = sp__targets_admit(targets, error);

        if (status == SP_OK)
                status = sp__cache_admit(cache, ctx, "targets", 7, error);
        if (status == SP_OK)
                status = sp__targets_aims(targets, cache->keys, aims, error);
        if (status != SP_OK)
                sp__aims_free(aims);
        return status;
}

sp_status sp_cache_invalidate(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_error **error)
{
        struct sp__aims aims = {0};
        sp_status status = prepare(cache, ctx, targets, &aims, error);

        return status == SP_OK ? sp__invalidate_run(cache, ctx, &aims, error) : status;
}

sp_status sp_cache_invalidate_async(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_queue *queue,
                                    uint64_t tag)
{
        struct sp__aims aims = {0};
        sp_error *error = NULL;
        sp_status status = prepare(cache, ctx, targets, &aims, &error);

        return status == SP_OK ? sp__invalidate_submit(cache, ctx, &aims, queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}

/* NULL: it is refused, or there is no memory. */
static sp_targets *target_of(const void *key, size_t len, sp_status *status)
{
        sp_targets *targets = sp_targets_new();

        *status = targets ? sp_targets_key(targets, key, len) : SP_NOMEM;
        if (*status == SP_OK)
                return targets;
        sp_targets_free(targets);
        return NULL;
}

sp_status sp_cache_delete(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_error **error)
{
        sp_status status;
        sp_targets *targets = target_of(key, len, &status);

        if (!targets)
                return sp__fail(error, status, "the key of %zu bytes: %s", len, sp_status_text(status));
        status = sp_cache_invalidate(cache, ctx, targets, error);
        sp_targets_free(targets);
        return status;
}

sp_status sp_cache_delete_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_queue *queue,
                                uint64_t tag)
{
        sp_error *error = NULL;
        sp_status status;
        sp_targets *targets = target_of(key, len, &status);

        if (!targets) {
                sp__fail(&error, status, "the key of %zu bytes: %s", len, sp_status_text(status));
                return sp__op_refuse(queue, tag, status, error);
        }
        status = sp_cache_invalidate_async(cache, ctx, targets, queue, tag);
        sp_targets_free(targets);
        return status;
}
