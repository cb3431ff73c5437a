/* SPDX-License-Identifier: MIT */
/* Explicit invalidation: one trip that unlinks keys and leases and appends to the log; then this process knows of it. */
#include "cache/cache.h"
#include "cache/flight.h"
#include "cache/probe.h"
#include "core/error.h"
#include "invalidate/targets.h"
#include "loop/port.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>

struct invalidation {
        sp__op op;
        sp_cache *cache;
        bool with_text;
        struct sp__buf keys; /* u16 length and bytes each */
        size_t key_count;
        size_t count;
        uint64_t tags[];
};

static struct invalidation *of_op(sp__op *op)
{
        return SP__OF(op, struct invalidation, op);
}

static void cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_fail(op, why, sp__error_new(why, NULL, "an invalidation: %s", sp_status_text(why)), &done);
        sp__batch_deliver(&done);
}

static void destroy(sp__op *op)
{
        struct invalidation *invalidation = of_op(op);

        sp__buf_free(&invalidation->keys);
        free(invalidation);
}

static const struct sp__op_kind invalidation_kind = {.cancel = cancel, .destroy = destroy};

/* The next key; NULL past the last one. */
static const char *next_key(const struct invalidation *invalidation, size_t *at, size_t *len)
{
        const char *head;

        if (*at >= invalidation->keys.len)
                return NULL;
        head = invalidation->keys.data + *at;
        *len = sp__get_u16(head);
        *at += 2 + *len;
        return head + 2;
}

/* The log knows; now what this process has and does under these keys. */
static void forget_keys(struct invalidation *invalidation)
{
        sp_cache *cache = invalidation->cache;
        const char *key;
        size_t at = 0, len;

        sp__probe_step();
        while ((key = next_key(invalidation, &at, &len))) {
                if (cache->store)
                        sp__store_drop(cache->store, key, len);
                sp__flight_kill(cache, key, len);
        }
}

/* Takes the error, the machine's reference and its work for the cache. */
static void finish(struct invalidation *invalidation, sp_status status, sp_error *error)
{
        sp_cache *cache = invalidation->cache;
        struct sp__batch done;

        forget_keys(invalidation);
        sp__batch_init(&done);
        if (status == SP_OK)
                sp__op_yield(&invalidation->op, SP__YIELD_NONE, NULL, NULL, &done);
        else
                sp__op_fail(&invalidation->op, status, error, &done);
        sp__batch_deliver(&done);
        sp__op_unref(&invalidation->op);
        sp__cache_rest(cache);
}

static void owe(struct invalidation *invalidation, sp_status status, sp_error *error)
{
        sp__log_owe(&invalidation->cache->log, invalidation->tags, invalidation->count);
        finish(invalidation, status, error);
}

static void send(struct invalidation *invalidation);

static void sent(sp__op *op)
{
        struct invalidation *invalidation = op->owner;
        struct sp__log *log = &invalidation->cache->log;
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
        } else if (!sp__log_read(command->replies[command->due - 1], &e, &n)) {
                owe(invalidation, SP_PROTOCOL,
                    sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: an answer that makes no sense", log->address.where));
        } else {
                sp__log_acknowledge(log, e, n, invalidation->tags, invalidation->count);
                finish(invalidation, SP_OK, NULL);
        }
}

static void add_unlink(struct invalidation *invalidation, struct sp__command *command)
{
        char name[SP_KEY_MAX + SP__NAME_EXTRA];
        const char *key;
        size_t at = 0, len;

        sp__command_begin(command, 1 + 2 * invalidation->key_count);
        sp__command_text(command, "UNLINK");
        while ((key = next_key(invalidation, &at, &len))) {
                sp__command_arg(command, name, sp__cache_entry_name(invalidation->cache, key, len, name));
                sp__command_arg(command, name, sp__cache_lease_name(invalidation->cache, key, len, name));
        }
}

static void send(struct invalidation *invalidation)
{
        struct sp__log *log = &invalidation->cache->log;
        struct sp__command *command = sp__command_new();

        sp__probe_step();
        if (!command) {
                owe(invalidation, SP_NOMEM, sp__error_new(SP_NOMEM, NULL, "out of memory"));
                return;
        }
        if (invalidation->key_count)
                add_unlink(invalidation, command);
        sp__log_add_bump(log, command, invalidation->with_text, invalidation->tags, invalidation->count, false);
        sp__link_run(log->link, command, invalidation->op.caller, sent, invalidation);
}

static void start(struct invalidation *invalidation)
{
        struct sp__log *log = &invalidation->cache->log;

        sp__op_ref(&invalidation->op);
        sp__cache_work(invalidation->cache);
        if (log->link) {
                send(invalidation);
                return;
        }
        sp__mirror_bump(&log->mirror, invalidation->tags, invalidation->count);
        finish(invalidation, SP_OK, NULL);
}

static void copy_keys(struct invalidation *invalidation, const sp_targets *targets)
{
        for (size_t i = 0; i < targets->count; i++) {
                const struct sp__target *target = &targets->all[i];

                if (target->kind != SP__TARGET_KEY)
                        continue;
                sp__buf_u16(&invalidation->keys, (uint16_t)target->len);
                sp__buf_add(&invalidation->keys, targets->bytes.data + target->at, target->len);
                invalidation->key_count++;
        }
}

static sp_status admit(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_error **error)
{
        if (!targets || (targets->count == 0 && targets->refused == SP_OK))
                return sp__fail(error, SP_INVALID, "there is no target to invalidate");
        return sp__cache_admit(cache, ctx, "targets", 7, error);
}

static sp_status prepare(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, struct invalidation **out,
                         sp_error **error)
{
        sp_status status = admit(cache, ctx, targets, error);
        struct invalidation *invalidation;

        if (status != SP_OK)
                return status;
        invalidation = calloc(1, sizeof *invalidation + targets->count * sizeof(uint64_t));
        if (!invalidation)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__op_init(&invalidation->op, &invalidation_kind, ctx, SP__FOREVER);
        invalidation->cache = cache;
        invalidation->count = targets->count;
        status = sp__targets_tags(targets, cache->keys, invalidation->tags, error);
        copy_keys(invalidation, targets);
        if (status == SP_OK && invalidation->keys.failed)
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK)
                *out = invalidation;
        else
                sp__op_unref(&invalidation->op);
        return status;
}

sp_status sp_cache_invalidate(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_error **error)
{
        struct invalidation *invalidation = NULL;
        sp_status status = prepare(cache, ctx, targets, &invalidation, error);
        sp__op *op;

        if (status != SP_OK)
                return status;
        op = &invalidation->op;
        sp__op_to_caller(op);
        if (sp__op_enlist(op) != SP_OK) {
                sp__op_abandon(op);
                return sp__fail(error, SP_CANCELLED, "%s", sp_status_text(SP_CANCELLED));
        }
        sp__cache_work(cache);
        start(invalidation);
        sp__op_wait(op);
        status = op->status;
        if (status != SP_OK) {
                sp__error_give(error, op->error);
                op->error = NULL;
        }
        sp__op_unref(op);
        sp__cache_rest(cache);
        return status;
}

sp_status sp_cache_invalidate_async(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_queue *queue,
                                    uint64_t tag)
{
        struct invalidation *invalidation = NULL;
        sp_error *error = NULL;
        sp_status status = prepare(cache, ctx, targets, &invalidation, &error);

        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        status = sp__op_to_queue(&invalidation->op, queue, tag);
        if (status == SP_OK)
                status = sp__op_enlist(&invalidation->op);
        if (status != SP_OK) {
                sp__op_abandon(&invalidation->op);
                return status;
        }
        start(invalidation);
        sp__op_unref(&invalidation->op);
        return SP_OK;
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

sp_status sp_cache_delete_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_queue *queue, uint64_t tag)
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
