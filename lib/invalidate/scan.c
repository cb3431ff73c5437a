/* SPDX-License-Identifier: MIT */
/* Foreign keys by a glob: SCAN and UNLINK in turn, a bounded piece a trip, so that Redis serves others in between. */
#include "cache/call.h"
#include "core/error.h"
#include "redis/wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/invalidate.h>

enum { PIECE = 512, CURSOR_MAX = 24 };

struct sp_scan {
        atomic_uint refs;
        char *pattern;
        _Atomic int64_t visited, removed;
};

struct scanning {
        struct sp__call call;
        sp_scan *scan;
        char cursor[CURSOR_MAX];
        bool begun;
};

sp_status sp_scan_new(const char *pattern, sp_scan **out, sp_error **error)
{
        sp_scan *scan;

        SP__NEED(pattern, error);
        SP__NEED(out, error);
        if (!*pattern)
                return sp__fail(error, SP_INVALID,
                                "the pattern of a scan is empty: write * for every key of the server's");
        if (strlen(pattern) > SP_KEY_MAX)
                return sp__fail(error, SP_LIMIT, "the pattern of a scan has %zu bytes, at most %d are allowed",
                                strlen(pattern), SP_KEY_MAX);
        scan = calloc(1, sizeof *scan);
        if (!scan || !(scan->pattern = strdup(pattern))) {
                free(scan);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        atomic_init(&scan->refs, 1);
        *out = scan;
        return SP_OK;
}

void sp_scan_unref(sp_scan *scan)
{
        if (!scan || atomic_fetch_sub(&scan->refs, 1) != 1)
                return;
        free(scan->pattern);
        free(scan);
}

int64_t sp_scan_visited(const sp_scan *scan)
{
        return atomic_load(&((sp_scan *)(uintptr_t)scan)->visited);
}

int64_t sp_scan_removed(const sp_scan *scan)
{
        return atomic_load(&((sp_scan *)(uintptr_t)scan)->removed);
}

static struct scanning *of_op(sp__op *op)
{
        return SP__OF(op, struct scanning, call.op);
}

static sp_error *stopped_error(const struct scanning *scanning, sp_status why)
{
        return sp__error_new(why, NULL,
                             "a scan of \"%.64s\" ended after %" PRId64 " keys, %" PRId64 " of them removed: %s",
                             scanning->scan->pattern, sp_scan_visited(scanning->scan), sp_scan_removed(scanning->scan),
                             sp_status_text(why));
}

/* What was removed stays so; the trip that is under way is the last one. */
static void cancel(sp__op *op, sp_status why)
{
        sp__op_conclude(op, why, stopped_error(of_op(op), why));
}

static void destroy(sp__op *op)
{
        struct scanning *scanning = of_op(op);

        sp__call_end(&scanning->call);
        sp_scan_unref(scanning->scan);
        free(scanning);
}

static const struct sp__op_kind scanning_kind = {.cancel = cancel, .settled = sp__call_settled, .destroy = destroy};

/* Takes the error. */
static void finish(struct scanning *scanning, sp_status status, sp_error *error)
{
        sp__call_finish(&scanning->call, status, error);
}

/* Of our namespace: entries ("ns:…"), leases, the log, turns, what the feed notes ("{ns}…", "{ns:…", "}ns:…"). */
static bool is_own(const sp_cache *cache, const redisReply *name)
{
        size_t len, ns = cache->prefix_len - 1;
        const char *key = sp__reply_bytes(name, &len);
        bool marked = key && len > 0 && (*key == '{' || *key == '}');

        if (!key || len < marked + ns + 1 || memcmp(key + marked, cache->prefix, ns) != 0)
                return !key;
        return key[marked + ns] == ':' || (*key == '{' && key[marked + ns] == '}');
}

/* Words of the UNLINK that the last SCAN's answer asks for; none: there is nothing to remove. */
static void add_unlink(const sp_cache *cache, struct sp__command *command, const redisReply *keys)
{
        size_t count = 0, len;

        for (size_t i = 0; keys && keys->type == REDIS_REPLY_ARRAY && i < keys->elements; i++)
                count += !is_own(cache, keys->element[i]);
        if (count == 0)
                return;
        sp__command_begin(command, 1 + count);
        sp__command_text(command, "UNLINK");
        for (size_t i = 0; i < keys->elements; i++) {
                const char *key = sp__reply_bytes(keys->element[i], &len);

                if (!is_own(cache, keys->element[i]))
                        sp__command_arg(command, key, len);
        }
}

static void arrived(sp__op *step);

/* `keys`: of the last answer. */
static void go_on(struct scanning *scanning, const redisReply *keys)
{
        struct sp__command *command = sp__command_new();

        if (!command) {
                finish(scanning, SP_NOMEM, stopped_error(scanning, SP_NOMEM));
                return;
        }
        add_unlink(scanning->call.cache, command, keys);
        if (!scanning->begun || strcmp(scanning->cursor, "0") != 0) {
                scanning->begun = true;
                sp__command_begin(command, 6);
                sp__command_text(command, "SCAN");
                sp__command_text(command, scanning->cursor);
                sp__command_text(command, "MATCH");
                sp__command_text(command, scanning->scan->pattern);
                sp__command_text(command, "COUNT");
                sp__command_int(command, PIECE);
        }
        if (command->due > 0) {
                sp__link_run(scanning->call.cache->log.link, command, scanning->call.op.caller, arrived, scanning);
                return;
        }
        sp__command_free(command);
        finish(scanning, SP_OK, NULL);
}

static bool take_cursor(struct scanning *scanning, const redisReply *reply)
{
        size_t len;
        const char *cursor = sp__reply_bytes(sp__reply_at(reply, 0), &len);
        const redisReply *keys = sp__reply_at(reply, 1);

        if (!cursor || len >= CURSOR_MAX || !keys || keys->type != REDIS_REPLY_ARRAY)
                return false;
        memcpy(scanning->cursor, cursor, len);
        scanning->cursor[len] = 0;
        atomic_fetch_add(&scanning->scan->visited, (int64_t)keys->elements);
        return true;
}

/* Counts what an UNLINK before it removed; the rest is a SCAN's answer, NULL: that was the last one. */
static const redisReply *count_removed(struct scanning *scanning, const struct sp__command *command)
{
        const redisReply *last = command->replies[command->due - 1], *first = command->replies[0];
        int64_t removed;

        if (first->type == REDIS_REPLY_INTEGER && sp__reply_int(first, &removed))
                atomic_fetch_add(&scanning->scan->removed, removed);
        return last->type == REDIS_REPLY_ARRAY ? last : NULL;
}

static void arrived(sp__op *step)
{
        struct scanning *scanning = step->owner;
        struct sp__command *command = sp__command_of(step);
        const char *where = scanning->call.cache->log.address.where;
        const redisReply *refused = step->status == SP_OK ? sp__command_refused(command) : NULL, *found;

        if (step->status != SP_OK) {
                finish(scanning, step->status, sp__error_copy(step->error));
        } else if (refused) {
                sp_error *error = sp__redis_error(refused, where);

                finish(scanning, error ? sp_error_status(error) : SP_NOMEM, error);
        } else if (!(found = count_removed(scanning, command))) {
                finish(scanning, SP_OK, NULL);
        } else if (!take_cursor(scanning, found)) {
                finish(scanning, SP_PROTOCOL,
                       sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: an answer that makes no sense", where));
        } else if (sp__now_for(scanning->call.op.deadline) >= scanning->call.op.deadline) {
                finish(scanning, SP_TIMEOUT, stopped_error(scanning, SP_TIMEOUT));
        } else if (!sp__op_pending(&scanning->call.op)) {
                finish(scanning, SP_CANCELLED, NULL);
        } else {
                go_on(scanning, sp__reply_at(found, 1));
        }
}

static sp_status admit(sp_cache *cache, sp_ctx *ctx, const sp_scan *scan, sp_error **error)
{
        sp_status status = sp__cache_admit(cache, ctx, "scan", 4, error);

        if (status != SP_OK)
                return status;
        if (!cache->log.link)
                return sp__fail(error, SP_UNSUPPORTED, "the cache has no Redis (redis.url): it holds no foreign keys");
        if (strncmp(scan->pattern, cache->prefix, cache->prefix_len) == 0)
                return sp__fail(
                    error, SP_INVALID,
                    "\"%.64s\" are keys of this cache, which processes hold, too: invalidate a declared pattern",
                    scan->pattern);
        return SP_OK;
}

static sp_status prepare(sp_cache *cache, sp_ctx *ctx, sp_scan *scan, struct scanning **out, sp_error **error)
{
        struct scanning *scanning;
        sp_status status;

        SP__NEED(scan, error);
        status = admit(cache, ctx, scan, error);
        if (status != SP_OK)
                return status;
        scanning = calloc(1, sizeof *scanning);
        if (!scanning)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__call_init(&scanning->call, &scanning_kind, cache, ctx);
        atomic_fetch_add(&scan->refs, 1);
        scanning->scan = scan;
        strcpy(scanning->cursor, "0");
        *out = scanning;
        return SP_OK;
}

static void start(struct sp__call *call)
{
        go_on(of_op(&call->op), NULL);
}

sp_status sp_cache_scan(sp_cache *cache, sp_ctx *ctx, sp_scan *scan, sp_error **error)
{
        struct scanning *scanning = NULL;
        sp_status status = prepare(cache, ctx, scan, &scanning, error);

        return status == SP_OK ? sp__call_run(&scanning->call, start, error) : status;
}

sp_status sp_cache_scan_async(sp_cache *cache, sp_ctx *ctx, sp_scan *scan, sp_queue *queue, uint64_t tag)
{
        struct scanning *scanning = NULL;
        sp_error *error = NULL;
        sp_status status = prepare(cache, ctx, scan, &scanning, &error);

        return status == SP_OK ? sp__call_submit(&scanning->call, start, queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}
