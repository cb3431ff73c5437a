/* SPDX-License-Identifier: MIT */
/* Warming: a list is read, and each of its rows loaded through the cache, a few at a time. */
#include "cache/query.h"
#include "key/template.h"

#include "core/error.h"
#include "core/params.h"
#include "loop/port.h"
#include "pg/pool.h"

#include <stdlib.h>
#include <string.h>

#include <sugarperf/schedule.h>

enum { CONCURRENCY_MAX = 1000 };

struct sp_warm {
        atomic_uint refs; /* the owner's, and that of a time through */
        sp_cache *cache;
        sp_pool *pool;
        sp_template *tmpl;
        sp_stmt *list;
        sp_params *list_params;
        sp_stmt *load;
        uint32_t mode;
        atomic_bool running;
        _Atomic int64_t rows;
        _Atomic int64_t loaded;
        _Atomic int64_t failed;
};

/* One time through the list. */
struct going {
        sp__op op;
        sp_warm *warm;
        sp_result *rows;
        uint32_t concurrency;

        sp__mutex lock;
        size_t next;
        uint32_t under_way;
        bool pumping; /* somebody begins loads, also those that end meanwhile make room for */
};

static void cancel(sp__op *op, sp_status why)
{
        sp__op_give_up(op, why, "warming");
}

static void destroy(sp__op *op)
{
        struct going *going = SP__OF(op, struct going, op);

        sp_result_free(going->rows);
        sp_warm_free(going->warm);
        sp__mutex_destroy(&going->lock);
        free(going);
}

static const struct sp__op_kind going_kind = {.cancel = cancel, .destroy = destroy};

/* Takes the machine's reference and its work for the cache. */
static void finish(struct going *going, sp_status status, const sp_error *error)
{
        sp_cache *cache = going->warm->cache;

        atomic_store(&going->warm->running, false);
        sp__op_conclude(&going->op, status, sp__error_copy(error));
        sp__op_unref(&going->op);
        sp__cache_rest(cache);
}

static void pump(struct going *going);

static void loaded(sp__op *op)
{
        struct going *going = op->owner;
        sp_warm *warm = going->warm;
        bool pumping;

        /* No row is an answer too: that there is nothing is stored. */
        sp__count(op->status == SP_OK || op->status == SP_NOT_FOUND ? &warm->loaded : &warm->failed);
        sp__lock(&going->lock);
        going->under_way--;
        pumping = going->pumping;
        going->pumping = true;
        sp__unlock(&going->lock);
        if (!pumping)
                pump(going);
}

static bool add_cells(sp_params *params, const sp_result *rows, size_t row, size_t columns)
{
        bool good = true;

        for (size_t i = 0; i < columns && good; i++) {
                size_t len = 0;
                const void *cell = sp_result_get(rows, row, i, &len);

                good = (cell ? sp_params_add_text(params, cell, len) : sp_params_add_null(params)) == SP_OK;
        }
        return good;
}

/* false: the row makes no key, or there is no memory. */
static bool load(struct going *going, size_t row)
{
        sp_warm *warm = going->warm;
        sp_params *of_key = sp_params_new(), *of_load = sp_params_new();
        size_t len = 0, columns = sp_result_columns(going->rows), parts = sp_template_params(warm->tmpl);
        char key[SP_KEY_MAX];
        struct sp__cache_query_of of = {.key = key, .stmt = warm->load, .params = of_load, .mode = warm->mode};
        bool good = of_key && of_load && columns >= parts && add_cells(of_key, going->rows, row, parts) &&
                    add_cells(of_load, going->rows, row, columns) &&
                    sp_key_format(warm->tmpl, of_key, key, sizeof key, &len) == SP_OK;

        of.len = len;
        good = good && sp__cache_query_step(warm->cache, warm->pool, going->op.ctx, &of, loaded, going);
        sp_params_free(of_key);
        sp_params_free(of_load);
        return good;
}

/* The row that is to be begun; SIZE_MAX: none just now. `*over`: and nothing is left. */
static size_t take_row(struct going *going, bool *over)
{
        size_t row = SIZE_MAX;
        bool ended = !sp__op_pending(&going->op) || atomic_load(&going->warm->cache->closed);

        sp__lock(&going->lock);
        if (ended)
                going->next = sp_result_rows(going->rows);
        if (going->under_way < going->concurrency && going->next < sp_result_rows(going->rows)) {
                row = going->next++;
                going->under_way++;
        } else {
                going->pumping = false;
        }
        *over = row == SIZE_MAX && going->under_way == 0;
        sp__unlock(&going->lock);
        return row;
}

static void pump(struct going *going)
{
        bool over = false;
        size_t row;

        while ((row = take_row(going, &over)) != SIZE_MAX) {
                if (load(going, row))
                        continue;
                sp__count(&going->warm->failed);
                sp__lock(&going->lock);
                going->under_way--;
                sp__unlock(&going->lock);
        }
        if (over)
                finish(going, SP_OK, NULL);
}

static void listed(sp__op *op)
{
        struct going *going = op->owner;

        if (op->status != SP_OK) {
                finish(going, op->status, op->error);
                return;
        }
        going->rows = op->what;
        op->what = NULL;
        atomic_store(&going->warm->rows, (int64_t)sp_result_rows(going->rows));
        going->pumping = true;
        pump(going);
}

/* Its loads run in none of the context's transactions. */
static bool may_store(const struct going *going)
{
        enum sp__cache_use use = sp__cache_use(going->warm->cache, going->op.ctx, true);

        return use == SP__CACHE_USE || use == SP__CACHE_REFRESH;
}

static void start(struct going *going)
{
        sp_warm *warm = going->warm;
        sp_error *error = NULL;
        sp_status status;

        sp__op_ref(&going->op);
        sp__cache_work(warm->cache);
        atomic_store(&warm->rows, 0);
        atomic_store(&warm->loaded, 0);
        atomic_store(&warm->failed, 0);
        if (!may_store(going)) {
                finish(going, SP_OK, NULL);
                return;
        }
        status = sp__pool_step(warm->pool, going->op.ctx, going->op.deadline, warm->list, warm->list_params,
                               going->op.caller, listed, going, &error);
        if (status != SP_OK)
                finish(going, status, error);
        sp_error_free(error);
}

sp_status sp_warm_new(sp_cache *cache, sp_pool *pool, const sp_stmt *list, const sp_params *list_params,
                      const sp_template *tmpl, const sp_stmt *load, uint32_t mode, sp_warm **out, sp_error **error)
{
        sp_status status;
        sp_warm *warm;

        SP__NEED(cache, error);
        SP__NEED(pool, error);
        SP__NEED(list, error);
        SP__NEED(tmpl, error);
        SP__NEED(load, error);
        SP__NEED(out, error);
        if (mode > SP_QUERY_CELL)
                return sp__fail(error, SP_INVALID, "there is no mode %u", mode);
        status = sp__cache_query_admit(load, error);
        if (status != SP_OK)
                return status;
        warm = calloc(1, sizeof *warm);
        if (!warm)
                return sp__fail(error, SP_NOMEM, "out of memory");
        atomic_init(&warm->refs, 1);
        warm->cache = cache;
        warm->pool = pool;
        warm->mode = mode;
        warm->tmpl = sp_template_ref((sp_template *)(uintptr_t)tmpl);
        warm->list = sp_stmt_ref((sp_stmt *)(uintptr_t)list);
        warm->load = sp_stmt_ref((sp_stmt *)(uintptr_t)load);
        if (list_params && !(warm->list_params = sp__params_copy(list_params))) {
                sp_warm_free(warm);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        *out = warm;
        return SP_OK;
}

void sp_warm_free(sp_warm *warm)
{
        if (!warm || atomic_fetch_sub(&warm->refs, 1) != 1)
                return;
        sp_template_unref(warm->tmpl);
        sp_stmt_unref(warm->list);
        sp_stmt_unref(warm->load);
        sp_params_free(warm->list_params);
        free(warm);
}

static sp_status prepare(sp_warm *warm, sp_ctx *ctx, uint32_t concurrency, struct going **out, sp_error **error)
{
        sp_status status;

        SP__NEED(warm, error);
        if (concurrency < 1 || concurrency > CONCURRENCY_MAX)
                return sp__fail(error, SP_INVALID, "concurrency is %u: 1–%d are allowed", concurrency, CONCURRENCY_MAX);
        status = sp__cache_admit(warm->cache, ctx, "warm", 4, error);
        if (status != SP_OK)
                return status;
        if (atomic_exchange(&warm->running, true))
                return sp__fail(error, SP_FULL, "it runs already");
        *out = calloc(1, sizeof **out);
        if (!*out) {
                atomic_store(&warm->running, false);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        sp__op_init(&(*out)->op, &going_kind, ctx, SP__FOREVER);
        atomic_fetch_add(&warm->refs, 1);
        (*out)->warm = warm;
        (*out)->concurrency = concurrency;
        sp__mutex_init(&(*out)->lock);
        return SP_OK;
}

sp_status sp_warm_run(sp_warm *warm, sp_ctx *ctx, uint32_t concurrency, sp_error **error)
{
        struct going *going = NULL;
        sp_status status = prepare(warm, ctx, concurrency, &going, error);

        if (status != SP_OK)
                return status;
        status = sp__op_for_caller(&going->op, error);
        if (status != SP_OK) {
                atomic_store(&warm->running, false);
                return status;
        }
        start(going);
        sp__op_wait(&going->op);
        return sp__op_take(&going->op, NULL, error);
}

sp_status sp_warm_run_async(sp_warm *warm, sp_ctx *ctx, uint32_t concurrency, sp_queue *queue, uint64_t tag)
{
        struct going *going = NULL;
        sp_error *error = NULL;
        sp_status status = prepare(warm, ctx, concurrency, &going, &error);

        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        status = sp__op_for_queue(&going->op, queue, tag);
        if (status != SP_OK) {
                atomic_store(&warm->running, false);
                return status;
        }
        start(going);
        sp__op_unref(&going->op);
        return SP_OK;
}

int64_t sp_warm_rows(const sp_warm *warm)
{
        return warm ? atomic_load(&((sp_warm *)(uintptr_t)warm)->rows) : 0;
}

int64_t sp_warm_loaded(const sp_warm *warm)
{
        return warm ? atomic_load(&((sp_warm *)(uintptr_t)warm)->loaded) : 0;
}

int64_t sp_warm_failed(const sp_warm *warm)
{
        return warm ? atomic_load(&((sp_warm *)(uintptr_t)warm)->failed) : 0;
}
