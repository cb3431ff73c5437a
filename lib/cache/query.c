/* SPDX-License-Identifier: MIT */
/* Query through the cache: look-up, statement and fill as steps of one operation, none of which needs the caller's code. */
#include "cache/lease.h"
#include "cache/query.h"

#include "core/error.h"
#include "core/params.h"
#include "loop/port.h"
#include "pg/pool.h"
#include "pg/stmt.h"

#include <stdlib.h>
#include <string.h>

enum { OID_JSON = 114, OID_JSONB = 3802 };

struct query {
        sp__op op;
        sp_cache *cache;
        sp_pool *pool;
        sp_stmt *stmt; /* a reference */
        sp_params *params;
        uint32_t mode;
        enum sp__cache_use use;
        bool refreshing;        /* it was answered with a value that is loaded anew; nobody waits for the rest */
        sp_value *stale;        /* that stands in for what fails, or does not come in time */
        struct sp__timer timer; /* until then; holds a reference */
        sp_lease *lease;
        sp_value *value;
        size_t len;
        char key[];
};

static struct query *query_of(sp__op *op)
{
        return SP__OF(op, struct query, op);
}

static void cancel(sp__op *op, sp_status why)
{
        sp__op_give_up(op, why, "a query through the cache");
}

static void destroy(sp__op *op)
{
        struct query *query = query_of(op);

        sp_value_unref(query->value);
        sp_value_unref(query->stale);
        sp_params_free(query->params);
        sp_stmt_unref(query->stmt);
        free(query);
}

static const struct sp__op_kind query_kind = {.cancel = cancel, .destroy = destroy};

static void unref_value(void *value)
{
        sp_value_unref(value);
}

void sp__cache_watch(sp_cache *cache, const struct sp__cache_watcher *watcher)
{
        cache->watcher = *watcher;
}

static void tell(const sp_cache *cache, const sp_pool *pool, const sp_stmt *stmt, enum sp__cache_outcome outcome)
{
        if (cache->watcher.asked)
                cache->watcher.asked(cache->watcher.arg, pool, stmt, outcome);
}

/* What a schedule refreshes nobody asked for. */
static void tell_answer(const struct query *query, enum sp__cache_outcome outcome)
{
        if (!query->op.then)
                tell(query->cache, query->pool, query->stmt, outcome);
}

/* The answer; an absent value is none. */
static void answer(struct query *query, sp_value *value)
{
        struct sp__batch done;

        sp__batch_init(&done);
        if (sp_value_codec(value) == SP_CODEC_ABSENT)
                sp__op_fail(&query->op, SP_NOT_FOUND, sp__error_new(SP_NOT_FOUND, NULL, "the query had no row"), &done);
        else
                sp__op_yield(&query->op, SP__YIELD_VALUE, sp_value_ref(value), unref_value, &done);
        sp__batch_deliver(&done);
}

static void fail(struct query *query, sp_status status, const sp_error *error)
{
        if (query->stale)
                answer(query, query->stale);
        else
                sp__op_conclude(&query->op, status, sp__error_copy(error));
}

static sp__op *caller_of(struct query *query)
{
        return query->refreshing ? NULL : query->op.caller;
}

/* `form`: what it has to be where it is to be stored, 0: as its type says. */
static sp_value *value_of_cell(sp_result *result, uint32_t form)
{
        uint32_t type = sp_result_columns(result) ? sp_result_type(result, 0) : 0;
        size_t len = 0;
        const void *cell = sp_result_rows(result) ? sp_result_get(result, 0, 0, &len) : NULL;

        if (!cell)
                return sp_value_new(NULL, 0, SP_CODEC_ABSENT);
        if (form == 0)
                form = type == OID_JSON || type == OID_JSONB ? SP_CODEC_JSON : SP_CODEC_TEXT;
        return sp_value_new(cell, len, form);
}

static sp_value *value_of(struct query *query, sp_result *result)
{
        const void *packed;
        size_t len;

        if (query->mode == SP_QUERY_CELL)
                return value_of_cell(result, query->lease->flight->form);
        packed = sp_result_pack(result, &len);
        return packed ? sp_value_new(packed, len, SP_CODEC_RESULT) : NULL;
}

/* The machine's reference, and its work for the cache. */
static void end(struct query *query)
{
        sp_cache *cache = query->cache;

        sp_lease_release(query->lease);
        query->lease = NULL;
        if (sp__timer_stop(cache->engine, &query->timer))
                sp__op_unref(&query->op);
        sp__op_unref(&query->op);
        sp__cache_rest(cache);
}

static void filled(sp__op *op)
{
        struct query *query = op->owner;

        answer(query, query->value);
        end(query);
}

/* The value is right, whether or not it could be stored. */
static void fill(struct query *query)
{
        sp_lease *lease = query->lease;
        size_t len;

        query->lease = NULL;
        sp_value_data(query->value, &len);
        if (!sp__cache_fits(query->cache, lease->flight->tmpl, len))
                sp__lease_set_unfit(lease);
        if (sp__lease_fill_step(lease, query->value, NULL, caller_of(query), filled, query))
                return;
        answer(query, query->value);
        end(query);
}

static void loaded(sp__op *op)
{
        struct query *query = op->owner;
        sp_result *result = NULL;

        if (op->status == SP_OK) {
                result = op->what;
                op->what = NULL;
                query->value = value_of(query, result);
                sp_result_free(result);
        }
        if (query->value) {
                fill(query);
                return;
        }
        fail(query, op->status == SP_OK ? SP_NOMEM : op->status, op->error);
        end(query);
}

static void load(struct query *query)
{
        /* A refresh is not its caller's, who takes what there is in time: else it might never come to its end. */
        bool lasts = query->refreshing || query->stale;
        sp_ctx *ctx = lasts ? NULL : query->op.ctx;
        int64_t deadline = lasts ? SP__FOREVER : query->op.deadline;
        int64_t hard = query->lease->flight->times.hard, last = hard ? sp__after_ms(sp__now(), hard) : SP__FOREVER;
        sp_error *error = NULL;
        sp_status status;

        /* Before it is answered: then the query may be gone. */
        tell(query->cache, query->pool, query->stmt, SP__OUTCOME_LOAD);
        if (query->lease->flight->form && query->mode == SP_QUERY_RESULT)
                status =
                    sp__fail(&error, SP_INVALID, "a packed result cannot stand under a raw key: SP_QUERY_CELL can");
        else
                status = sp__pool_step(query->pool, ctx, last < deadline ? last : deadline, query->stmt, query->params,
                                       caller_of(query), loaded, query, &error);
        if (status == SP_OK)
                return;
        fail(query, status, error);
        sp_error_free(error);
        end(query);
}

static void wait_no_longer(struct sp__timer *timer)
{
        struct query *query = SP__OF(timer, struct query, timer);

        answer(query, query->stale);
        sp__op_unref(&query->op);
}

/* What there is is the answer: at once, or when its load took too long. */
static void stand_in(struct query *query, const sp_lookup *lookup)
{
        int64_t soft = query->lease ? query->lease->flight->times.soft : 0;

        query->refreshing = soft == 0 || lookup->state == SP_LOOKUP_HIT;
        if (query->refreshing) {
                answer(query, lookup->value);
                return;
        }
        query->stale = sp_value_ref(lookup->value);
        sp__op_ref(&query->op);
        if (!sp__timer_set(query->cache->engine, &query->timer, sp__after_ms(sp__now(), soft)))
                sp__op_unref(&query->op);
}

static void found(sp__op *op)
{
        struct query *query = op->owner;
        sp_lookup *lookup = op->what;

        if (op->status != SP_OK) {
                fail(query, op->status, op->error);
                end(query);
                return;
        }
        query->lease = sp_lookup_take_lease(lookup);
        tell_answer(query, !lookup->value                     ? SP__OUTCOME_MISS
                           : lookup->state == SP_LOOKUP_STALE ? SP__OUTCOME_STALE
                                                              : SP__OUTCOME_HIT);
        if (lookup->value)
                stand_in(query, lookup);
        if (query->lease && (query->refreshing || sp__op_pending(&query->op)))
                load(query);
        else
                end(query);
}

static struct query *query_new(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const void *data, size_t len,
                               const sp_stmt *stmt, const sp_params *params, uint32_t mode)
{
        struct query *query = calloc(1, sizeof *query + len);

        if (!query)
                return NULL;
        sp__op_init(&query->op, &query_kind, ctx, SP__FOREVER);
        query->cache = cache;
        query->use = sp__cache_use(cache, ctx, true);
        query->timer.fire = wait_no_longer;
        query->pool = pool;
        query->stmt = sp_stmt_ref((sp_stmt *)(uintptr_t)stmt);
        query->mode = mode;
        query->len = len;
        memcpy(query->key, data, len);
        if (params && !(query->params = sp__params_copy(params))) {
                sp__op_unref(&query->op);
                return NULL;
        }
        return query;
}

/* Begins; the machine holds a reference of its own until it ended. */
static void start(struct query *query, struct sp__item *stale)
{
        sp__op *op = &query->op;
        struct sp__seeker *seeker;

        sp__op_ref(op);
        sp__cache_work(query->cache);
        if (query->use == SP__CACHE_BYPASS) {
                query->lease = sp__lease_alone(query->cache);
                sp__count(&query->cache->misses);
                tell_answer(query, SP__OUTCOME_MISS);
        }
        if (query->lease) {
                load(query);
                return;
        }
        seeker = sp__seeker_new(query->cache, op->ctx, op->deadline, op->caller);
        if (!seeker) {
                fail(query, SP_NOMEM, NULL);
                end(query);
                return;
        }
        seeker->want = sp__want_of(query->use);
        seeker->anew = query->use == SP__CACHE_REFRESH;
        sp__seeker_step(seeker, query->key, query->len, stale->value ? stale : NULL, found, query);
}

/* What the in-process level has, if it may be taken. */
static bool find(sp_cache *cache, enum sp__cache_use use, const void *data, size_t len, sp_value **value,
                 struct sp__item *stale)
{
        bool fresh;

        *value = NULL;
        if (use == SP__CACHE_BYPASS || use == SP__CACHE_REFRESH)
                return false;
        fresh = sp__cache_find(cache, data, len, value, stale) == SP__FOUND_FRESH;
        stale->value = fresh ? NULL : *value;
        return fresh;
}

bool sp__cache_query_step(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const struct sp__cache_query_of *of,
                          void (*then)(sp__op *op), void *owner)
{
        struct query *query = query_new(cache, pool, ctx, of->key, of->len, of->stmt, of->params, of->mode);
        struct sp__item none = {.value = NULL};

        if (!query)
                return false;
        query->use = SP__CACHE_REFRESH;
        query->op.then = then;
        query->op.owner = owner;
        if (sp__op_enlist(&query->op) == SP_OK)
                start(query, &none);
        else
                cancel(&query->op, SP_CANCELLED);
        sp__op_unref(&query->op);
        return true;
}

/* Where its key is a hit it would not run. */
sp_status sp__cache_query_admit(const sp_stmt *stmt, sp_error **error)
{
        if (!sp__stmt_says_write(stmt))
                return SP_OK;
        return sp__fail(error, SP_INVALID,
                        "statement \"%s\" writes or locks, which a hit would leave out: run it with sp_pool_query()",
                        sp_stmt_name(stmt));
}

static sp_status admit(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const void *data, size_t len, const sp_stmt *stmt,
                       uint32_t mode, sp_error **error)
{
        sp_status status;

        if (!pool || !stmt || mode > SP_QUERY_CELL)
                return sp__fail(error, SP_INVALID, "a query needs a pool, a statement and a mode");
        status = sp__cache_query_admit(stmt, error);
        return status == SP_OK ? sp__cache_admit(cache, ctx, data, len, error) : status;
}

static sp_status take_hit(sp_value *value, sp_value **out, sp_error **error)
{
        if (sp_value_codec(value) == SP_CODEC_ABSENT) {
                sp_value_unref(value);
                return sp__fail(error, SP_NOT_FOUND, "the query had no row");
        }
        *out = value;
        return SP_OK;
}

static sp_status wait_for(struct query *query, struct sp__item *stale, sp_value **out, sp_error **error)
{
        sp_status status = sp__op_for_caller(&query->op, error);
        void *what = NULL;

        if (status != SP_OK)
                return status;
        start(query, stale);
        sp__op_wait(&query->op);
        status = sp__op_take(&query->op, &what, error);
        if (status == SP_OK)
                *out = what;
        return status;
}

sp_status sp_cache_query(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const void *data, size_t len, const sp_stmt *stmt,
                         const sp_params *params, uint32_t mode, sp_value **out, sp_error **error)
{
        struct sp__item stale = {.value = NULL};
        struct query *query;
        sp_value *value = NULL;
        sp_status status;

        SP__NEED(out, error);
        status = admit(cache, pool, ctx, data, len, stmt, mode, error);
        if (status != SP_OK)
                return status;
        if (find(cache, sp__cache_use(cache, ctx, true), data, len, &value, &stale)) {
                tell(cache, pool, stmt, SP__OUTCOME_HIT);
                return take_hit(value, out, error);
        }
        sp__cache_work(cache);
        query = query_new(cache, pool, ctx, data, len, stmt, params, mode);
        status = query ? wait_for(query, &stale, out, error) : sp__fail(error, SP_NOMEM, "out of memory");
        sp_value_unref(value);
        sp__cache_rest(cache);
        return status;
}

sp_status sp_cache_query_async(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const void *data, size_t len,
                               const sp_stmt *stmt, const sp_params *params, uint32_t mode, sp_queue *queue,
                               uint64_t tag)
{
        sp_error *error = NULL;
        sp_status status = admit(cache, pool, ctx, data, len, stmt, mode, &error);
        struct sp__item stale = {.value = NULL};
        struct query *query;
        sp_value *value = NULL;
        bool fresh;

        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        query = query_new(cache, pool, ctx, data, len, stmt, params, mode);
        if (!query)
                return SP_NOMEM;
        status = sp__op_for_queue(&query->op, queue, tag);
        if (status != SP_OK)
                return status;
        fresh = find(cache, query->use, data, len, &value, &stale);
        if (fresh)
                tell(cache, pool, stmt, SP__OUTCOME_HIT);
        if (fresh)
                answer(query, value);
        else
                start(query, &stale);
        sp_value_unref(value);
        sp__op_unref(&query->op);
        return SP_OK;
}
