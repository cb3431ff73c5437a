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

/* Of one trip: what Redis does at one go, and a message that every process takes. */
enum { TRIP_AIMS = SP_TARGETS_MAX };

struct invalidation {
        struct sp__call call;
        bool with_text;
        bool published;   /* others are told, with the first trip */
        unsigned bump_at; /* which of the trip's answers is the log's */
        struct sp__aims aims;
        size_t at, count; /* of the trip that is under way */
        uint64_t tags[TRIP_AIMS];
};

static struct invalidation *of_op(sp__op *op)
{
        return SP__OF(op, struct invalidation, call.op);
}

static void cancel(sp__op *op, sp_status why)
{
        sp__call_cancel(op, why, sp__error_new(why, NULL, "an invalidation: %s", sp_status_text(why)));
}

static void destroy(sp__op *op)
{
        struct invalidation *invalidation = of_op(op);

        sp__aims_free(&invalidation->aims);
        if (op->caller && op->caller != op)
                sp__op_unref(op->caller);
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

/* Takes the error. */
static void finish(struct invalidation *invalidation, sp_status status, sp_error *error)
{
        forget_keys(invalidation);
        if (!sp__aims_empty(&invalidation->aims))
                sp__event_tell(invalidation->call.cache, &invalidation->aims);
        sp__call_finish(&invalidation->call, status, error);
}

/* The next aims' tags become those of the trip. false: none is left. */
static bool take_trip(struct invalidation *invalidation)
{
        const struct sp__aims *aims = &invalidation->aims;
        size_t left = aims->count - invalidation->at;

        invalidation->count = aims->all ? 0 : left < TRIP_AIMS ? left : TRIP_AIMS;
        for (size_t i = 0; i < invalidation->count; i++)
                invalidation->tags[i] = aims->items[invalidation->at + i].tag;
        return invalidation->count > 0;
}

/* What this trip, and those that were to follow it, could not do. */
static void owe(struct invalidation *invalidation, sp_status status, sp_error *error)
{
        struct sp__log *log = &invalidation->call.cache->log;

        if (invalidation->aims.all)
                sp__log_owe_all(log);
        while (take_trip(invalidation)) {
                sp__log_owe(log, invalidation->tags, invalidation->count);
                invalidation->at += invalidation->count;
        }
        finish(invalidation, status, error);
}

static void send(struct invalidation *invalidation);

static void acknowledged(struct invalidation *invalidation, uint64_t e, int64_t n)
{
        struct sp__log *log = &invalidation->call.cache->log;

        if (invalidation->aims.all)
                sp__log_acknowledge_all(log);
        else
                sp__log_acknowledge(log, e, n, invalidation->tags, invalidation->count);
        invalidation->at += invalidation->count;
        if (take_trip(invalidation))
                send(invalidation);
        else
                finish(invalidation, SP_OK, NULL);
}

static void sent(sp__op *op)
{
        struct invalidation *invalidation = op->owner;
        struct sp__log *log = &invalidation->call.cache->log;
        struct sp__command *command = sp__command_of(op);
        const redisReply *refused = op->status == SP_OK ? sp__command_refused(command) : NULL;
        uint64_t e;
        int64_t n;

        sp__probe_step();
        if (op->status != SP_OK) {
                owe(invalidation, op->status, sp__error_copy(op->error));
        } else if (sp__command_noscript(command) && !invalidation->with_text) {
                invalidation->with_text = true;
                send(invalidation);
        } else if (refused) {
                sp_error *error = sp__redis_error(refused, log->address.where);

                owe(invalidation, error ? sp_error_status(error) : SP_NOMEM, error);
        } else if (!sp__log_read(command->replies[invalidation->bump_at], &e, &n)) {
                owe(invalidation, SP_PROTOCOL,
                    sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: an answer that makes no sense", log->address.where));
        } else {
                acknowledged(invalidation, e, n);
        }
}

static void add_unlink(struct invalidation *invalidation, struct sp__command *command)
{
        size_t from = invalidation->at, to = from + invalidation->count, keys = 0, len;
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

static void send(struct invalidation *invalidation)
{
        struct sp__log *log = &invalidation->call.cache->log;
        struct sp__command *command = sp__command_new();

        sp__probe_step();
        if (!command) {
                owe(invalidation, SP_NOMEM, sp__error_new(SP_NOMEM, NULL, "out of memory"));
                return;
        }
        add_unlink(invalidation, command);
        invalidation->bump_at = command->due;
        sp__log_add_bump(log, command, invalidation->with_text, invalidation->tags, invalidation->count,
                         invalidation->aims.all);
        if (!invalidation->published && invalidation->call.cache->events.subscriber)
                sp__event_publish(invalidation->call.cache, &invalidation->aims, command);
        invalidation->published = true;
        sp__link_run(log->link, command, invalidation->call.op.caller, sent, invalidation);
}

/* Without Redis. */
static void note(struct invalidation *invalidation)
{
        struct sp__log *log = &invalidation->call.cache->log;

        if (invalidation->aims.all)
                sp__mirror_bump_all(&log->mirror);
        while (take_trip(invalidation)) {
                sp__mirror_bump(&log->mirror, invalidation->tags, invalidation->count);
                invalidation->at += invalidation->count;
        }
        finish(invalidation, SP_OK, NULL);
}

static void start(struct sp__call *call)
{
        struct invalidation *invalidation = of_op(&call->op);

        if (!call->cache->log.link)
                note(invalidation);
        else if (take_trip(invalidation) || invalidation->aims.all)
                send(invalidation);
        else
                finish(invalidation, SP_OK, NULL);
}

/* Takes the aims; NULL: out of memory. */
static struct invalidation *invalidation_new(sp_cache *cache, sp_ctx *ctx, struct sp__aims *aims)
{
        struct invalidation *invalidation = aims->failed ? NULL : malloc(sizeof *invalidation);

        if (!invalidation) {
                sp__aims_free(aims);
                return NULL;
        }
        memset(invalidation, 0, offsetof(struct invalidation, tags));
        sp__call_init(&invalidation->call, &invalidation_kind, cache, ctx);
        invalidation->aims = *aims;
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
