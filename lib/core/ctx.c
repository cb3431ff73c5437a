/* SPDX-License-Identifier: MIT */
#include "core/ctx.h"

#include "core/config.h"
#include "core/error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 128, TRACE_LEN = 55 };

enum reads { READS_INHERITED, READS_ANYWHERE, READS_PRIMARY };

struct sp_ctx {
        atomic_uint refs;
        atomic_bool cancelled;
        int64_t deadline; /* set before it is shared */
        char *trace;
        char *tag;
        char *scope_name;
        _Atomic(struct sp__scope *) scope; /* set once; only where there is a name */
        enum reads reads;
        bool unit; /* it begins a unit of work of its own */
        bool stands_back;
        enum sp__cache_use cache;
        _Atomic int64_t wrote;    /* of a root: when a write of the unit of work was last answered */
        atomic_int transactions;  /* of a root: open ones of the unit of work */
        sp_ctx *parent;           /* a reference */
        struct sp__list siblings; /* in the parent's children; the parent's lock */

        sp__mutex lock;           /* a leaf */
        struct sp__list children; /* no references: a child leaves before it is freed */
        struct sp__list ops;      /* no references: an operation leaves when it is delivered */
};

sp_ctx *sp_ctx_new(sp_ctx *parent)
{
        /* Not calloc(), which passes glibc's per-thread cache by. */
        sp_ctx *ctx = malloc(sizeof *ctx);

        if (!ctx)
                return NULL;
        *ctx = (sp_ctx){0};
        atomic_init(&ctx->refs, 1);
        ctx->deadline = parent ? parent->deadline : SP__FOREVER;
        ctx->stands_back = parent && parent->stands_back;
        ctx->parent = sp_ctx_ref(parent);
        sp__mutex_init(&ctx->lock);
        sp__list_init(&ctx->children);
        sp__list_init(&ctx->ops);
        sp__list_init(&ctx->siblings);
        if (!parent)
                return ctx;
        sp__lock(&parent->lock);
        sp__list_push(&parent->children, &ctx->siblings);
        atomic_init(&ctx->cancelled, atomic_load(&parent->cancelled));
        sp__unlock(&parent->lock);
        return ctx;
}

sp_ctx *sp_ctx_ref(sp_ctx *ctx)
{
        if (ctx)
                atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
        return ctx;
}

/* Takes a reference unless the last one is already gone: a parent's list may name a child that is being freed. */
static bool ref_live(sp_ctx *ctx)
{
        unsigned refs = atomic_load(&ctx->refs);

        while (refs > 0) {
                if (atomic_compare_exchange_weak(&ctx->refs, &refs, refs + 1))
                        return true;
        }
        return false;
}

void sp_ctx_unref(sp_ctx *ctx)
{
        struct sp__scope *scope;

        if (!ctx || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
                return;
        if (ctx->parent) {
                sp__lock(&ctx->parent->lock);
                sp__list_remove(&ctx->siblings);
                sp__unlock(&ctx->parent->lock);
                sp_ctx_unref(ctx->parent);
        }
        scope = atomic_load_explicit(&ctx->scope, memory_order_relaxed);
        if (scope)
                scope->end(scope, ctx->scope_name);
        sp__mutex_destroy(&ctx->lock);
        free(ctx->trace);
        free(ctx->tag);
        free(ctx->scope_name);
        free(ctx);
}

static sp_status set_timeout(sp_ctx *ctx, const char *value, sp_error **error)
{
        int64_t ms, deadline;

        if (!sp__parse_duration(value, &ms))
                return sp__fail(error, SP_INVALID, "timeout is \"%.64s\", must be a duration such as 250ms", value);
        deadline = sp__after_ms(sp__now(), ms);
        if (deadline < ctx->deadline)
                ctx->deadline = deadline;
        return SP_OK;
}

/* W3C Trace Context: version, trace id, parent id, flags, in hex with dashes. */
static bool trace_valid(const char *text)
{
        if (strlen(text) != TRACE_LEN)
                return false;
        for (size_t i = 0; i < TRACE_LEN; i++) {
                bool dash = i == 2 || i == 35 || i == 52;

                if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
                        return false;
        }
        return true;
}

static sp_status set_text(char **to, const char *name, const char *value, sp_error **error)
{
        char *copy;

        if (strlen(value) > TEXT_MAX)
                return sp__fail(error, SP_LIMIT, "%s is longer than %d bytes", name, TEXT_MAX);
        copy = strdup(value);
        if (!copy)
                return sp__fail(error, SP_NOMEM, "out of memory");
        free(*to);
        *to = copy;
        return SP_OK;
}

static sp_status set_unit(sp_ctx *ctx, const char *value, sp_error **error)
{
        if (strcmp(value, "own") != 0)
                return sp__fail(error, SP_INVALID, "unit is \"%.64s\", must be own", value);
        ctx->unit = true;
        return SP_OK;
}

static sp_status set_reads(sp_ctx *ctx, const char *value, sp_error **error)
{
        bool primary = strcmp(value, "primary") == 0;

        if (!primary && strcmp(value, "replica") != 0)
                return sp__fail(error, SP_INVALID, "reads is \"%.64s\", must be primary or replica", value);
        ctx->reads = primary ? READS_PRIMARY : READS_ANYWHERE;
        return SP_OK;
}

enum sp__cache_use sp__cache_use_of(const char *word)
{
        static const char *const words[] = {[SP__CACHE_USE] = "use",
                                            [SP__CACHE_READ] = "read",
                                            [SP__CACHE_REFRESH] = "refresh",
                                            [SP__CACHE_BYPASS] = "bypass"};

        for (int i = SP__CACHE_USE; i <= SP__CACHE_BYPASS; i++) {
                if (strcmp(word, words[i]) == 0)
                        return (enum sp__cache_use)i;
        }
        return SP__CACHE_INHERITED;
}

static sp_status set_cache(sp_ctx *ctx, const char *value, sp_error **error)
{
        enum sp__cache_use use = sp__cache_use_of(value);

        if (use == SP__CACHE_INHERITED)
                return sp__fail(error, SP_INVALID, "cache is \"%.64s\", must be use, read, refresh or bypass", value);
        ctx->cache = use;
        return SP_OK;
}

sp_status sp_ctx_set(sp_ctx *ctx, const char *name, const char *value, sp_error **error)
{
        SP__NEED(ctx, error);
        SP__NEED(name, error);
        SP__NEED(value, error);
        if (strcmp(name, "timeout") == 0)
                return set_timeout(ctx, value, error);
        if (strcmp(name, "trace") == 0) {
                if (!trace_valid(value))
                        return sp__fail(error, SP_INVALID, "trace is not a W3C traceparent");
                return set_text(&ctx->trace, name, value, error);
        }
        if (strcmp(name, "tag") == 0)
                return set_text(&ctx->tag, name, value, error);
        if (strcmp(name, "scope") == 0)
                return set_text(&ctx->scope_name, name, value, error);
        if (strcmp(name, "unit") == 0)
                return set_unit(ctx, value, error);
        if (strcmp(name, "reads") == 0)
                return set_reads(ctx, value, error);
        if (strcmp(name, "cache") == 0)
                return set_cache(ctx, value, error);
        return sp__fail(error, SP_INVALID,
                        "a context has no \"%.64s\": timeout, trace, tag, scope, unit, reads or cache", name);
}

int64_t sp__ctx_deadline(const sp_ctx *ctx)
{
        return ctx->deadline;
}

bool sp__ctx_add(sp_ctx *ctx, sp__op *op)
{
        bool alive;

        sp__lock(&ctx->lock);
        alive = !atomic_load(&ctx->cancelled);
        if (alive)
                sp__list_push(&ctx->ops, &op->ctx_link);
        sp__unlock(&ctx->lock);
        return alive;
}

void sp__ctx_remove(sp_ctx *ctx, sp__op *op)
{
        sp__lock(&ctx->lock);
        sp__list_remove(&op->ctx_link);
        sp__unlock(&ctx->lock);
}

/* The next operation, with a reference, taken off the list. */
static sp__op *pop_op(sp_ctx *ctx)
{
        struct sp__list *link;
        sp__op *op = NULL;

        sp__lock(&ctx->lock);
        link = sp__list_pop(&ctx->ops);
        if (link)
                op = sp__op_ref(SP__OF(link, sp__op, ctx_link));
        sp__unlock(&ctx->lock);
        return op;
}

/* A child that is not cancelled yet, with a reference. */
static sp_ctx *next_child(sp_ctx *ctx)
{
        sp_ctx *found = NULL;

        sp__lock(&ctx->lock);
        SP__EACH(&ctx->children, at, after)
        {
                sp_ctx *child = SP__OF(at, sp_ctx, siblings);

                if (!atomic_load(&child->cancelled) && ref_live(child)) {
                        found = child;
                        break;
                }
        }
        sp__unlock(&ctx->lock);
        return found;
}

void sp_ctx_cancel(sp_ctx *ctx)
{
        sp_ctx *child;
        sp__op *op;

        if (!ctx)
                return;
        sp__lock(&ctx->lock);
        atomic_store(&ctx->cancelled, true);
        sp__unlock(&ctx->lock);
        while ((op = pop_op(ctx))) {
                op->kind->cancel(op, SP_CANCELLED);
                sp__op_unref(op);
        }
        while ((child = next_child(ctx))) {
                sp_ctx_cancel(child);
                sp_ctx_unref(child);
        }
}

bool sp_ctx_cancelled(const sp_ctx *ctx)
{
        return ctx && atomic_load(&ctx->cancelled);
}

int64_t sp_ctx_remaining(const sp_ctx *ctx)
{
        int64_t now = sp__now();

        if (!ctx || ctx->deadline == SP__FOREVER)
                return -1;
        return ctx->deadline > now ? (ctx->deadline - now) / SP__MS : 0;
}

const char *sp__ctx_tag(const sp_ctx *ctx)
{
        while (ctx && !ctx->tag)
                ctx = ctx->parent;
        return ctx ? ctx->tag : NULL;
}

const char *sp__ctx_trace(const sp_ctx *ctx)
{
        while (ctx && !ctx->trace)
                ctx = ctx->parent;
        return ctx ? ctx->trace : NULL;
}

static sp_ctx *scoped(const sp_ctx *ctx)
{
        while (ctx && !ctx->scope_name)
                ctx = ctx->parent;
        return (sp_ctx *)(uintptr_t)ctx;
}

const char *sp__ctx_scope_name(const sp_ctx *ctx)
{
        const sp_ctx *own = scoped(ctx);

        return own ? own->scope_name : NULL;
}

struct sp__scope *sp__ctx_scope(const sp_ctx *ctx, struct sp__scope *(*make)(void))
{
        sp_ctx *own = scoped(ctx);
        struct sp__scope *scope = own ? atomic_load_explicit(&own->scope, memory_order_acquire) : NULL, *made;

        if (!own || scope)
                return scope;
        made = make();
        if (!made || atomic_compare_exchange_strong(&own->scope, &scope, made))
                return made;
        made->end(made, own->scope_name);
        return scope;
}

int64_t sp__ctx_limit(const sp_ctx *ctx, int64_t now, int64_t ms)
{
        int64_t limit = ctx ? sp__ctx_deadline(ctx) : SP__FOREVER;

        return limit != SP__FOREVER ? limit : sp__after_ms(now, ms);
}

static enum reads reads_of(const sp_ctx *ctx)
{
        while (ctx->reads == READS_INHERITED && ctx->parent)
                ctx = ctx->parent;
        return ctx->reads;
}

bool sp__ctx_primary(const sp_ctx *ctx)
{
        return reads_of(ctx) == READS_PRIMARY;
}

bool sp__ctx_replica(const sp_ctx *ctx)
{
        return reads_of(ctx) == READS_ANYWHERE;
}

/* The context with which the unit of work begins. */
static sp_ctx *root_of(const sp_ctx *ctx)
{
        while (ctx->parent && !ctx->unit)
                ctx = ctx->parent;
        return (sp_ctx *)(uintptr_t)ctx;
}

sp_ctx *sp__ctx_root(const sp_ctx *ctx)
{
        return root_of(ctx);
}

/* What an inner unit writes the outer ones have written. */
void sp__ctx_note_write(const sp_ctx *ctx)
{
        int64_t now = sp__now();

        for (sp_ctx *root = root_of(ctx); root; root = root->parent ? root_of(root->parent) : NULL)
                atomic_store_explicit(&root->wrote, now, memory_order_release);
}

int64_t sp__ctx_wrote(const sp_ctx *ctx)
{
        return atomic_load_explicit(&root_of(ctx)->wrote, memory_order_acquire);
}

void sp__ctx_transaction(const sp_ctx *ctx, int change)
{
        atomic_fetch_add(&root_of(ctx)->transactions, change);
}

bool sp__ctx_in_transaction(const sp_ctx *ctx)
{
        return ctx && atomic_load(&root_of(ctx)->transactions) > 0;
}

void sp__ctx_stand_back(sp_ctx *ctx)
{
        ctx->stands_back = true;
}

bool sp__ctx_stands_back(const sp_ctx *ctx)
{
        return ctx && ctx->stands_back;
}

enum sp__cache_use sp__ctx_cache(const sp_ctx *ctx)
{
        while (ctx && ctx->cache == SP__CACHE_INHERITED)
                ctx = ctx->parent;
        return ctx ? ctx->cache : SP__CACHE_USE;
}
