/* SPDX-License-Identifier: MIT */
#include "pg/ear.h"

#include "base/buf.h"
#include "pg/pool_internal.h"

#include <string.h>

/* As between connections: 50 ms to 1.6 s. */
enum { BACKOFF_MS = 50, BACKOFF_STEPS = 5 };

static sp_listener *listener_at(struct sp__list *link)
{
        return SP__OF(link, sp_listener, link);
}

static struct sp__channel *channel_at(struct sp__list *link)
{
        return SP__OF(link, struct sp__channel, link);
}

/* JSON; NULL: out of memory. */
static sp_value *message(const PGnotify *note)
{
        struct sp__buf buf = SP__BUF_INIT;
        sp_value *value;

        sp__buf_text(&buf, "{\"channel\":");
        sp__buf_json(&buf, note->relname, strlen(note->relname));
        sp__buf_text(&buf, ",\"payload\":");
        sp__buf_json(&buf, note->extra, strlen(note->extra));
        sp__buf_format(&buf, ",\"pid\":%d}", note->be_pid);
        value = buf.failed ? NULL : sp_value_new(buf.data, buf.len, SP_CODEC_JSON);
        sp__buf_free(&buf);
        return value;
}

static void tend_at(sp_pool *pool, int64_t at)
{
        if (!pool->closed)
                sp__timer_set(pool->engine, &pool->ear.timer, at);
}

/* The session is to be released by the caller, without the lock, which is held. */
static sp_session *drop(struct sp__ear *ear)
{
        sp_session *session = ear->session;

        ear->session = NULL;
        ear->failed = false;
        SP__EACH(&ear->listeners, each, next)
        {
                SP__EACH(&listener_at(each)->channels, at, after)
                channel_at(at)->asked = false;
        }
        return session;
}

/* No lock held. */
static void release(sp_session *session)
{
        if (!session)
                return;
        sp__conn_listen(session->conn, false);
        sp_session_release(session);
}

/* It did not go well: again after a pause. `why` is told where only somebody else can mend it. The lock is held. */
static void stumble(sp_pool *pool, sp_status status, const sp_error *why, struct sp__batch *done)
{
        struct sp__ear *ear = &pool->ear;
        int64_t pause = (int64_t)BACKOFF_MS << (ear->faults < BACKOFF_STEPS ? ear->faults : BACKOFF_STEPS);
        int64_t at = sp__now() + (int64_t)((double)(pause * SP__MS) * (0.5 + 0.5 * sp__random_unit(&pool->random)));

        ear->faults++;
        tend_at(pool, at > pool->open_after ? at : pool->open_after);
        if (status != SP_SQL && status != SP_AUTH)
                return;
        SP__EACH(&ear->listeners, link, after)
        sp__listener_end(listener_at(link), status, why, done);
}

/* It is heard from here on; by nobody where it was left meanwhile. The lock is held. */
static void opened(struct sp__channel *channel, struct sp__batch *done)
{
        bool lost = channel->heard;

        channel->heard = true;
        if (channel->listener)
                sp__listener_tell(channel, sp__channel_notice(channel, lost), done);
}

/* What a step was for. */
static void subscribed(sp__op *op)
{
        struct sp__channel *channel = op->owner;
        sp_pool *pool = channel->pool;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&pool->lock);
        if (op->status != SP_OK) {
                pool->ear.failed = true;
                stumble(pool, op->status, op->error, &done);
        } else {
                pool->ear.faults = 0;
                opened(channel, &done);
        }
        sp__unlock(&pool->lock);
        sp__batch_deliver(&done);
        sp__channel_unref(channel);
        sp__pool_leave(pool);
}

static void unsubscribed(sp__op *op)
{
        sp__pool_leave(op->owner);
}

static void pinged(sp__op *op)
{
        sp_pool *pool = op->owner;

        sp__lock(&pool->lock);
        pool->ear.pinging = false;
        if (op->status != SP_OK) {
                pool->ear.failed = true;
                tend_at(pool, sp__now());
        }
        sp__unlock(&pool->lock);
        sp__pool_leave(pool);
}

static void found(sp__op *op)
{
        sp_pool *pool = op->owner;
        sp_session *session = op->status == SP_OK ? op->what : NULL;
        struct sp__batch done;

        if (session)
                op->what = NULL;
        sp__batch_init(&done);
        sp__lock(&pool->lock);
        pool->ear.seeking = false;
        if (session && !pool->closed) {
                pool->ear.session = session;
                /* It is meant to be held. */
                session->leaked = true;
                session = NULL;
                tend_at(pool, sp__now());
        } else if (!session) {
                stumble(pool, op->status, op->error, &done);
        }
        sp__unlock(&pool->lock);
        sp__batch_deliver(&done);
        sp_session_release(session);
        sp__pool_leave(pool);
}

/* On the session, and answered to `then`. A reference of the session's is held. */
static bool step(sp_pool *pool, sp_session *session, const sp_stmt *stmt, void (*then)(sp__op *op), void *owner)
{
        struct sp__query *query = session ? sp__session_statement(session, NULL, stmt, NULL)
                                          : sp__query_new(pool, NULL, NULL, NULL, pool->limits.acquire_ms);
        bool good;

        sp__pool_enter(pool);
        good = sp__query_step(query, SP__FOREVER, NULL, then, owner, NULL) == SP_OK;
        if (!good)
                sp__pool_leave(pool);
        return good;
}

static bool heard_by_somebody(const struct sp__ear *ear, const char *name)
{
        SP__EACH(&ear->listeners, at, after)
        {
                if (sp__listener_channel(listener_at(at), name))
                        return true;
        }
        return false;
}

/* One whose LISTEN is to be sent, with a reference; NULL: none. The lock is held. */
static struct sp__channel *next_unasked(struct sp__ear *ear)
{
        SP__EACH(&ear->listeners, each, next)
        {
                SP__EACH(&listener_at(each)->channels, at, after)
                {
                        if (channel_at(at)->asked)
                                continue;
                        channel_at(at)->asked = true;
                        return sp__channel_ref(channel_at(at));
                }
        }
        return NULL;
}

/* One that nobody hears any more; those that somebody still, or again, hears are let go. The lock is held. */
static struct sp__channel *next_gone(struct sp__ear *ear)
{
        struct sp__list *link;

        while ((link = sp__list_pop(&ear->gone))) {
                if (ear->session && !heard_by_somebody(ear, channel_at(link)->name))
                        return channel_at(link);
                sp__channel_unref(channel_at(link));
        }
        return NULL;
}

/* LISTEN and UNLISTEN, in the order of the ear's knowledge, as the engine's thread alone sends them. */
static void attend(sp_pool *pool, sp_session *session)
{
        struct sp__channel *gone, *new;

        do {
                sp__lock(&pool->lock);
                gone = next_gone(&pool->ear);
                new = gone ? NULL : next_unasked(&pool->ear);
                sp__unlock(&pool->lock);
                if (gone) {
                        step(pool, session, gone->unlisten, unsubscribed, pool);
                        sp__channel_unref(gone);
                }
                if (new && !step(pool, session, new->listen, subscribed, new))
                        sp__channel_unref(new);
        } while (gone || new);
}

/* Looks what is to be done. Engine's thread. */
static void tend(struct sp__timer *timer)
{
        sp_pool *pool = SP__OF(SP__OF(timer, struct sp__ear, timer), sp_pool, ear);
        struct sp__ear *ear = &pool->ear;
        sp_session *over = NULL, *session;
        int64_t keepalive = pool->limits.keepalive_ms;
        bool seek, ping;

        sp__lock(&pool->lock);
        session = ear->session;
        if (session && (ear->failed || session->broken || session->spoiled || sp__list_empty(&ear->listeners))) {
                over = drop(ear);
                session = NULL;
        }
        seek = !session && !ear->seeking && !pool->closed && !sp__list_empty(&ear->listeners);
        ear->seeking |= seek;
        ping = session && keepalive > 0 && !ear->pinging && sp__now() >= ear->ping_at;
        if (ping) {
                ear->pinging = true;
                ear->ping_at = sp__after_ms(sp__now(), keepalive);
        }
        if (session) {
                /* Held by us too: whoever closes the pool lets it go. */
                atomic_fetch_add(&session->refs, 1);
                if (keepalive > 0)
                        tend_at(pool, ear->ping_at);
        }
        sp__unlock(&pool->lock);
        release(over);
        if (seek && !step(pool, NULL, NULL, found, pool)) {
                sp__lock(&pool->lock);
                ear->seeking = false;
                sp__unlock(&pool->lock);
        }
        if (!session)
                return;
        sp__conn_listen(session->conn, true);
        attend(pool, session);
        if (ping && !step(pool, session, pool->probe, pinged, pool)) {
                sp__lock(&pool->lock);
                ear->pinging = false;
                sp__unlock(&pool->lock);
        }
        sp__session_unref(session);
}

void sp__ear_init(struct sp__ear *ear)
{
        sp__list_init(&ear->listeners);
        sp__list_init(&ear->gone);
        ear->timer.fire = tend;
}

void sp__ear_wake(sp_pool *pool)
{
        tend_at(pool, sp__now());
}

void sp__ear_add(sp_pool *pool, sp_listener *listener)
{
        sp__list_push(&pool->ear.listeners, &listener->link);
        sp__ear_wake(pool);
}

void sp__ear_leave(struct sp__channel *channel)
{
        sp_pool *pool = channel->pool;

        sp__list_remove(&channel->link);
        channel->listener->hears--;
        channel->listener = NULL;
        if (pool->closed) {
                sp__channel_unref(channel);
                return;
        }
        sp__list_push(&pool->ear.gone, &channel->link);
        sp__ear_wake(pool);
}

void sp__ear_remove(sp_pool *pool, sp_listener *listener)
{
        sp__list_remove(&listener->link);
        SP__EACH(&listener->channels, at, after)
        sp__ear_leave(channel_at(at));
        sp__ear_wake(pool);
}

/* To each listener that hears the channel: not before the notice of that. The lock is held. */
static void tell_all(struct sp__ear *ear, const PGnotify *note, struct sp__batch *done)
{
        sp_value *value = message(note);

        SP__EACH(&ear->listeners, at, after)
        {
                struct sp__channel *channel = sp__listener_channel(listener_at(at), note->relname);

                if (channel && channel->heard)
                        sp__listener_tell(channel, sp_value_ref(value), done);
        }
        sp_value_unref(value);
}

void sp__ear_heard(struct sp__conn *conn, PGnotify *notes)
{
        sp_pool *pool = conn->pool;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&pool->lock);
        while (notes) {
                PGnotify *note = notes;

                tell_all(&pool->ear, note, &done);
                notes = note->next;
                PQfreemem(note);
        }
        sp__unlock(&pool->lock);
        sp__batch_deliver(&done);
}

void sp__ear_close(sp_pool *pool)
{
        sp_session *session;
        struct sp__list *link;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&pool->lock);
        session = drop(&pool->ear);
        SP__EACH(&pool->ear.listeners, at, after)
        sp__listener_end(listener_at(at), SP_CLOSED, NULL, &done);
        while ((link = sp__list_pop(&pool->ear.gone)))
                sp__channel_unref(channel_at(link));
        sp__unlock(&pool->lock);
        sp__batch_deliver(&done);
        release(session);
}
