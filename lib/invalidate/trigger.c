/* SPDX-License-Identifier: MIT */
/* Rows that a caller says were changed: at once, or once his transaction took effect. */
#include "cache/cache.h"
#include "core/error.h"
#include "invalidate/invalidate.h"
#include "invalidate/rules.h"
#include "invalidate/targets.h"
#include "pg/sequel.h"

#include <stdlib.h>

static sp_status prepare(sp_rules *rules, sp_ctx *ctx, const sp_row *row, struct sp__aims *aims, sp_error **error)
{
        sp_status status = sp__cache_admit(rules->cache, ctx, "row", 3, error);

        if (status == SP_OK)
                status = sp__rules_aims(rules, row, aims, error);
        if (status != SP_OK)
                sp__aims_free(aims);
        return status;
}

sp_status sp_invalidate_row(sp_rules *rules, sp_ctx *ctx, const sp_row *row, sp_error **error)
{
        struct sp__aims aims = {0};
        sp_status status;

        SP__NEED(rules, error);
        SP__NEED(row, error);
        status = prepare(rules, ctx, row, &aims, error);
        return status == SP_OK ? sp__invalidate_run(rules->cache, ctx, &aims, error) : status;
}

sp_status sp_invalidate_row_async(sp_rules *rules, sp_ctx *ctx, const sp_row *row, sp_queue *queue, uint64_t tag)
{
        struct sp__aims aims = {0};
        sp_error *error = NULL;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, rules);
        SP__NEED_FOR(queue, tag, row);
        status = prepare(rules, ctx, row, &aims, &error);
        return status == SP_OK ? sp__invalidate_submit(rules->cache, ctx, &aims, queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}

/* What a transaction is to invalidate; the cache's memory is held, in case it is freed before. */
struct sequel {
        struct sp__sequel base;
        sp_cache *cache;
        struct sp__aims aims;
        void (*then)(void *owner);
        void *owner;
};

static void sequel_free(struct sequel *sequel)
{
        sp__aims_free(&sequel->aims);
        sp__cache_unref(sequel->cache);
        free(sequel);
}

static void drop(struct sp__sequel *base)
{
        sequel_free(SP__OF(base, struct sequel, base));
}

static bool merge(struct sp__sequel *base, struct sp__sequel *other)
{
        struct sequel *sequel = SP__OF(base, struct sequel, base), *more = SP__OF(other, struct sequel, base);

        if (sequel->cache != more->cache)
                return false;
        sp__aims_join(&sequel->aims, &more->aims);
        sequel_free(more);
        return true;
}

/* Whether it worked or is owed: the transaction took effect either way. */
static void ran(sp__op *op)
{
        struct sequel *sequel = op->owner;
        void (*then)(void *owner) = sequel->then;
        void *owner = sequel->owner;

        sequel_free(sequel);
        then(owner);
}

static void run(struct sp__sequel *base, sp__op *caller, void (*then)(void *owner), void *owner)
{
        struct sequel *sequel = SP__OF(base, struct sequel, base);
        sp_cache *cache = sequel->cache;

        sequel->then = then;
        sequel->owner = owner;
        if (sp__cache_enter(cache)) {
                bool good = sp__invalidate_step(cache, &sequel->aims, caller, ran, sequel) == SP_OK;

                /* Without memory for what it was, everything is. */
                if (!good)
                        sp__log_owe_all(&cache->log);
                sp__cache_rest(cache);
                if (good)
                        return;
        }
        sequel_free(sequel);
        then(owner);
}

static const struct sp__sequel_kind sequel_kind = {.run = run, .merge = merge, .drop = drop};

/* Takes the aims. */
static sp_status follow(sp_session *session, sp_cache *cache, struct sp__aims *aims, sp_error **error)
{
        struct sequel *sequel = aims->failed ? NULL : calloc(1, sizeof *sequel);
        sp_status status;

        if (!sequel) {
                sp__aims_free(aims);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        sequel->base.kind = &sequel_kind;
        sequel->cache = cache;
        sequel->aims = *aims;
        sequel->aims.why = "commit";
        atomic_fetch_add(&cache->refs, 1);
        status = sp__session_follow(session, &sequel->base, error);
        if (status != SP_OK)
                sequel_free(sequel);
        return status;
}

sp_status sp_session_invalidate_row(sp_session *session, sp_rules *rules, const sp_row *row, sp_error **error)
{
        struct sp__aims aims = {0};
        sp_status status;

        SP__NEED(session, error);
        SP__NEED(rules, error);
        SP__NEED(row, error);
        status = prepare(rules, NULL, row, &aims, error);
        if (status != SP_OK)
                return status;
        return follow(session, rules->cache, &aims, error);
}

sp_status sp_session_invalidate(sp_session *session, sp_cache *cache, const sp_targets *targets, sp_error **error)
{
        struct sp__aims aims = {0};
        sp_status status;

        SP__NEED(session, error);
        SP__NEED(targets, error);
        status = sp__targets_admit(targets, error);
        if (status == SP_OK)
                status = sp__cache_admit(cache, NULL, "targets", 7, error);
        if (status == SP_OK)
                status = sp__targets_aims(targets, cache->keys, &aims, error);
        if (status == SP_OK)
                return follow(session, cache, &aims, error);
        sp__aims_free(&aims);
        return status;
}
