/* SPDX-License-Identifier: MIT */
/* What of a pool somebody should hear of: callers that wait, and sessions that do not come back. */
#include "core/ctx.h"
#include "core/error.h"
#include "pg/pool_internal.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <string.h>

sp_status sp_pool_watch_async(sp_pool *pool, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        if (sp__engine_forked(pool->engine))
                return SP_FORKED;
        return sp__watchers_add(pool->news, ctx, seen, queue, tag);
}

void sp__pool_crowd(sp_pool *pool)
{
        if (pool->waiters == 0)
                pool->crowd = SP__CROWD_NONE;
        if (pool->crowd != SP__CROWD_NONE || pool->limits.warn_waiting == 0 ||
            pool->waiters <= pool->limits.warn_waiting)
                return;
        pool->crowd = SP__CROWD_NEW;
        atomic_fetch_add(&pool->counts.crowds, 1);
        if (pool->crowd_posted)
                return;
        pool->crowd_posted = true;
        sp__engine_post(pool->engine, &pool->crowd_task);
}

static void begin(const sp_pool *pool, struct sp__buf *body, const char *kind)
{
        sp__buf_format(body, "\"kind\":\"%s\",\"pool\":", kind);
        sp__buf_json(body, pool->name, strlen(pool->name));
}

void sp__pool_crowd_task(struct sp__task *task)
{
        sp_pool *pool = SP__OF(task, sp_pool, crowd_task);
        struct sp__buf body = SP__BUF_INIT;

        begin(pool, &body, "waiting");
        sp__lock(&pool->lock);
        pool->crowd_posted = false;
        if (pool->crowd == SP__CROWD_NEW)
                pool->crowd = SP__CROWD_TOLD;
        sp__buf_format(&body,
                       ",\"waiting\":%" PRId64 ",\"connections\":%" PRId64 ",\"sessions\":%" PRId64 ",\"max\":%" PRId64,
                       pool->waiters, pool->total - pool->opening, pool->sessions, pool->limits.max);
        sp__unlock(&pool->lock);
        sp__watchers_tell(pool->news, &body);
}

/* A session that is held for too long. */
struct leak {
        int64_t held_ms;
        void *place; /* an address behind the call that took it */
        sp_ctx *ctx; /* a reference, or NULL */
};

static bool next_leak(sp_pool *pool, int64_t now, struct leak *leak)
{
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                sp_session *session = pool->slots[i]->place == SP__CONN_SESSION ? pool->slots[i]->session : NULL;

                if (!session || session->leaked || now - session->since_ns < pool->limits.leak_ms * SP__MS)
                        continue;
                session->leaked = true;
                *leak = (struct leak){(now - session->since_ns) / SP__MS, session->place,
                                      session->ctx ? sp_ctx_ref(session->ctx) : NULL};
                return true;
        }
        return false;
}

/* "service(handle_order+0x2c)", or "service(+0x4f2c)" where the linker kept no name: addr2line(1) knows it then. */
static void format_place(struct sp__buf *body, const void *place)
{
        struct sp__buf text = SP__BUF_INIT;
        Dl_info info;
        const char *file;
        const char *base;

        if (!place || dladdr(place, &info) == 0 || !info.dli_fname)
                return;
        file = strrchr(info.dli_fname, '/');
        base = info.dli_sname ? info.dli_saddr : info.dli_fbase;
        sp__buf_format(&text, "%s(%s+0x%tx)", file ? file + 1 : info.dli_fname, info.dli_sname ? info.dli_sname : "",
                       (const char *)place - base);
        sp__buf_text(body, ",\"place\":");
        sp__buf_json(body, text.data, text.len);
        body->failed |= text.failed;
        sp__buf_free(&text);
}

static void tell_leak(sp_pool *pool, const struct leak *leak)
{
        const char *tag = leak->ctx ? sp__ctx_tag(leak->ctx) : NULL;
        struct sp__buf body = SP__BUF_INIT;

        begin(pool, &body, "leak");
        sp__buf_format(&body, ",\"heldMs\":%" PRId64, leak->held_ms);
        if (tag) {
                sp__buf_text(&body, ",\"tag\":");
                sp__buf_json(&body, tag, strlen(tag));
        }
        format_place(&body, leak->place);
        sp__watchers_tell(pool->news, &body);
}

void sp__pool_find_leaks(sp_pool *pool)
{
        int64_t now = sp__now();
        struct leak leak;
        bool found;

        if (pool->limits.leak_ms == 0)
                return;
        do {
                sp__lock(&pool->lock);
                found = !pool->closed && next_leak(pool, now, &leak);
                sp__unlock(&pool->lock);
                if (!found)
                        return;
                atomic_fetch_add(&pool->counts.leaks, 1);
                tell_leak(pool, &leak);
                sp_ctx_unref(leak.ctx);
        } while (found);
}
