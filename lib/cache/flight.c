/* SPDX-License-Identifier: MIT */
#include "cache/flight.h"

#include "base/hash.h"
#include "core/error.h"
#include "key/template.h"
#include "observe/histogram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sp_lookup *sp__lookup_new(int state, sp_value *value, sp_lease *lease)
{
        sp_lookup *lookup = calloc(1, sizeof *lookup);

        if (!lookup) {
                sp_value_unref(value);
                return NULL;
        }
        lookup->state = state;
        lookup->value = value;
        lookup->lease = lease;
        return lookup;
}

static void free_lookup(void *lookup)
{
        sp_lookup_free(lookup);
}

static struct sp__seeker *seeker_of(sp__op *op)
{
        return SP__OF(op, struct sp__seeker, op);
}

/* It leaves the list of waiters that it stands in, whose reference it was. */
static void leave(struct sp__seeker *seeker)
{
        bool listed;

        sp__lock(&seeker->cache->lock);
        listed = sp__list_linked(&seeker->op.link);
        sp__list_remove(&seeker->op.link);
        sp__unlock(&seeker->cache->lock);
        if (listed)
                sp__op_unref(&seeker->op);
}

static void cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        sp__batch_init(&done);
        if (sp__op_fail(op, why, sp__error_new(why, NULL, "waiting for a key: %s", sp_status_text(why)), &done))
                leave(seeker_of(op));
        sp__batch_deliver(&done);
}

static void settled(sp__op *op)
{
        struct sp__seeker *seeker = seeker_of(op);
        sp_cache *cache = seeker->cache;
        const sp_lookup *lookup = op->what;

        if (op->status != SP_OK)
                sp__count(&cache->errors);
        else if (!seeker->counted)
                sp__count(lookup->state == SP_LOOKUP_HIT     ? &cache->hits
                          : lookup->state == SP_LOOKUP_STALE ? &cache->stales
                                                             : &cache->misses);
        if (seeker->timed && sp__timer_stop(cache->engine, &seeker->timer))
                sp__op_unref(op);
        /* From here on it is only an answer, which may lie in a queue for long. */
        seeker->rests = true;
        sp__cache_rest(cache);
}

static void destroy(sp__op *op)
{
        struct sp__seeker *seeker = seeker_of(op);

        if (op->caller != op)
                sp__op_unref(op->caller);
        if (!seeker->rests)
                sp__cache_rest(seeker->cache);
        free(seeker);
}

static const struct sp__op_kind seeker_kind = {.cancel = cancel, .settled = settled, .destroy = destroy};

static void too_late(struct sp__timer *timer)
{
        struct sp__seeker *seeker = SP__OF(timer, struct sp__seeker, timer);

        cancel(&seeker->op, SP_TIMEOUT);
        sp__op_unref(&seeker->op);
}

struct sp__seeker *sp__seeker_new(sp_cache *cache, sp_ctx *ctx, int64_t deadline, sp__op *caller)
{
        struct sp__seeker *seeker = calloc(1, sizeof *seeker);

        if (!seeker)
                return NULL;
        sp__op_init(&seeker->op, &seeker_kind, ctx, deadline);
        seeker->op.caller = caller ? sp__op_ref(caller) : NULL;
        seeker->cache = cache;
        seeker->timer.fire = too_late;
        sp__cache_work(cache);
        return seeker;
}

/* A blocked caller minds the time itself. */
static void watch_time(struct sp__seeker *seeker)
{
        if (seeker->op.waits || seeker->op.deadline == SP__FOREVER)
                return;
        seeker->timed = true;
        sp__op_ref(&seeker->op);
        if (!sp__timer_set(seeker->cache->engine, &seeker->timer, seeker->op.deadline)) {
                seeker->timed = false;
                sp__op_unref(&seeker->op);
        }
}

static struct sp__list *bucket_of(sp_cache *cache, const void *key, size_t len)
{
        return &cache->flights[sp__hash(key, len, cache->seed) % SP__FLIGHT_BUCKETS];
}

struct sp__flight *sp__flight_find(sp_cache *cache, const void *key, size_t len)
{
        SP__EACH(bucket_of(cache, key, len), at, after)
        {
                struct sp__flight *flight = SP__OF(at, struct sp__flight, link);

                if (flight->len == len && memcmp(flight->key, key, len) == 0)
                        return flight;
        }
        return NULL;
}

static void new_token(struct sp__flight *flight)
{
        struct sp__random *random = &flight->cache->random;

        memcpy(flight->former, flight->token, sizeof flight->former);
        snprintf(flight->token, sizeof flight->token, "%016llx%016llx", (unsigned long long)sp__random_next(random),
                 (unsigned long long)sp__random_next(random));
}

static void go_on(struct sp__timer *timer);

/* The cache's lock is held. */
static struct sp__flight *begin(sp_cache *cache, const void *key, size_t len)
{
        struct sp__flight *flight = calloc(1, sizeof *flight + len);
        const sp_template *tmpl;

        if (!flight)
                return NULL;
        atomic_init(&flight->refs, 1);
        flight->cache = cache;
        atomic_fetch_add(&cache->refs, 1);
        sp__list_init(&flight->waiters);
        flight->timer.fire = go_on;
        flight->declared = atomic_load(&cache->declared);
        flight->tag_count = sp__cache_tags(cache, key, len, flight->tags, &tmpl);
        flight->ttl_ms = tmpl ? sp_template_ttl_ms(tmpl) : cache->ttl_ms;
        flight->negative_ms = tmpl ? sp__template_negative_ms(tmpl) : cache->negative_ms;
        flight->stale_ms = tmpl ? sp__template_stale_ms(tmpl) : 0;
        flight->local = cache->log.link == NULL;
        flight->len = len;
        memcpy(flight->key, key, len);
        new_token(flight);
        sp__list_push(bucket_of(cache, key, len), &flight->link);
        return flight;
}

struct sp__flight *sp__flight_ref(struct sp__flight *flight)
{
        atomic_fetch_add_explicit(&flight->refs, 1, memory_order_relaxed);
        return flight;
}

void sp__flight_unref(struct sp__flight *flight)
{
        if (atomic_fetch_sub_explicit(&flight->refs, 1, memory_order_acq_rel) != 1)
                return;
        sp_value_unref(flight->found.value);
        sp__cache_unref(flight->cache);
        free(flight);
}

void sp__flight_over(struct sp__flight *flight)
{
        if (flight->state == SP__FLIGHT_OVER)
                return;
        flight->state = SP__FLIGHT_OVER;
        flight->lease = NULL;
        sp__list_remove(&flight->link);
        /* Whoever calls holds another reference. */
        if (sp__timer_stop(flight->cache->engine, &flight->timer))
                sp__flight_unref(flight);
        sp__flight_unref(flight);
}

void sp__flight_drop(struct sp__flight *flight)
{
        sp__flight_ref(flight);
        sp__flight_over(flight);
        sp__flight_unref(flight);
}

/* Each time that it fires it has a reference of its own. The cache's lock is held. */
static void set_timer(struct sp__flight *flight, int64_t at)
{
        if (!sp__timer_stop(flight->cache->engine, &flight->timer))
                sp__flight_ref(flight);
        if (!sp__timer_set(flight->cache->engine, &flight->timer, at))
                sp__flight_unref(flight);
}

void sp__flight_pause(struct sp__flight *flight, int64_t pause)
{
        flight->state = SP__FLIGHT_PAUSED;
        set_timer(flight, sp__now() + pause);
}

bool sp__flight_pass(struct sp__flight *flight)
{
        flight->lease = NULL;
        if (sp__list_empty(&flight->waiters)) {
                sp__flight_over(flight);
                return false;
        }
        sp__flight_pause(flight, 0);
        return true;
}

/* Whether the lease is past its time, and somebody waits for it. The cache's lock is held. */
static bool take_over(struct sp__flight *flight)
{
        if (flight->state != SP__FLIGHT_LEASED || sp__list_empty(&flight->waiters))
                return false;
        if (sp__now() < flight->lease_until) {
                set_timer(flight, flight->lease_until);
                return false;
        }
        flight->lease = NULL;
        new_token(flight);
        return true;
}

static void go_on(struct sp__timer *timer)
{
        struct sp__flight *flight = SP__OF(timer, struct sp__flight, timer);
        bool go;

        sp__lock(&flight->cache->lock);
        go = flight->state == SP__FLIGHT_PAUSED || take_over(flight);
        if (go)
                flight->state = SP__FLIGHT_SEEKING;
        sp__unlock(&flight->cache->lock);
        if (go) {
                sp__flight_step(flight);
                sp__flight_acquire(flight);
        }
        sp__flight_unref(flight);
}

void sp__flight_kill(sp_cache *cache, const void *key, size_t len)
{
        struct sp__flight *flight;

        sp__lock(&cache->lock);
        flight = sp__flight_find(cache, key, len);
        if (flight && flight->state == SP__FLIGHT_LEASED) {
                sp__flight_ref(flight);
                new_token(flight);
                sp__flight_pass(flight);
                sp__flight_unref(flight);
        }
        sp__unlock(&cache->lock);
}

void sp__flight_detach(struct sp__flight *flight, struct sp__list *waiters)
{
        sp__list_init(waiters);
        sp__list_join(waiters, &flight->waiters);
}

static void refuse(sp__op *op, sp_status status, const sp_error *error, struct sp__batch *done)
{
        sp_error *made = error ? sp__error_copy(error) : sp__error_new(status, NULL, "%s", sp_status_text(status));

        sp__op_fail(op, status, made, done);
}

static void answer(sp__op *op, int state, sp_value *value, sp_status status, const sp_error *error,
                   struct sp__batch *done)
{
        sp_lookup *lookup = status == SP_OK ? sp__lookup_new(state, sp_value_ref(value), NULL) : NULL;

        if (lookup)
                sp__op_yield(op, SP__YIELD_LOOKUP, lookup, free_lookup, done);
        else
                refuse(op, status == SP_OK ? SP_NOMEM : status, error, done);
}

void sp__flight_answer(struct sp__list *waiters, int state, sp_value *value, sp_status status, const sp_error *error,
                       struct sp__batch *done)
{
        struct sp__list *link;

        while ((link = sp__list_pop(waiters))) {
                sp__op *op = SP__OF(link, sp__op, link);

                answer(op, state, value, status, error, done);
                sp__op_unref(op);
        }
}

/* The cache's lock is held. The oldest waiter, whose reference in the list is the caller's now; NULL: none. */
static sp__op *pop_waiter(struct sp__flight *flight)
{
        struct sp__list *link = sp__list_pop(&flight->waiters);

        return link ? SP__OF(link, sp__op, link) : NULL;
}

/* The cache's lock is held. */
static void lease_to(struct sp__flight *flight, sp_lease *lease)
{
        lease->flight = sp__flight_ref(flight);
        lease->granted_at = sp__now();
        flight->state = SP__FLIGHT_LEASED;
        flight->lease = lease;
        flight->lease_until = lease->granted_at + flight->cache->lease_ms * SP__MS;
        flight->pauses = 0;
        if (!sp__list_empty(&flight->waiters))
                set_timer(flight, flight->lease_until);
}

enum sp__fresh sp__flight_usable(struct sp__flight *flight)
{
        struct sp__mirror *mirror = &flight->cache->log.mirror;
        const struct sp__item *found = &flight->found;
        uint64_t version;
        enum sp__fresh fresh = sp__mirror_check(mirror, found->e, found->v0, found->tags, found->tag_count, &version);

        if (fresh != SP__UNKNOWN || !flight->found_verified)
                return fresh;
        return sp__mirror_holds(mirror, &flight->mark, found->tags, found->tag_count) ? SP__FRESH : SP__GONE;
}

void sp__flight_forget(struct sp__flight *flight)
{
        sp_value_unref(flight->found.value);
        flight->found = (struct sp__item){.value = NULL};
        flight->found_stale = flight->found_verified = false;
}

void sp__flight_mark(struct sp__flight *flight)
{
        struct sp__mirror *mirror = &flight->cache->log.mirror;
        const struct sp__item *found = &flight->found;
        struct sp__mark former = flight->mark;

        sp__mirror_mark(mirror, &flight->mark);
        if (flight->found_verified && !sp__mirror_holds(mirror, &former, found->tags, found->tag_count))
                sp__flight_forget(flight);
}

void sp__flight_grant(struct sp__flight *flight)
{
        sp_lease *lease = calloc(1, sizeof *lease);
        sp_lookup *lookup = lease ? sp__lookup_new(SP_LOOKUP_LEASE, NULL, lease) : NULL;
        struct sp__list others;
        struct sp__batch done;
        sp__op *op;
        bool stale;

        sp__batch_init(&done);
        sp__list_init(&others);
        sp__lock(&flight->cache->lock);
        stale = flight->found_stale && sp__flight_usable(flight) == SP__FRESH;
        op = lookup ? pop_waiter(flight) : NULL;
        if (op)
                lease_to(flight, lease);
        if (stale || !op)
                sp__flight_detach(flight, &others);
        if (!op)
                sp__flight_over(flight);
        sp__unlock(&flight->cache->lock);
        if (op && stale) {
                lookup->state = SP_LOOKUP_STALE;
                lookup->value = sp_value_ref(flight->found.value);
        }
        sp__flight_answer(&others, SP_LOOKUP_STALE, flight->found.value, lookup ? SP_OK : SP_NOMEM, NULL, &done);
        if (op) {
                /* Where it no longer wants it, the lookup goes and with it the lease. */
                sp__op_yield(op, SP__YIELD_LOOKUP, lookup, free_lookup, &done);
                sp__op_unref(op);
        } else {
                free(lease);
                free(lookup);
                if (flight->acquired)
                        sp__flight_release(flight, flight->token);
        }
        sp__batch_deliver(&done);
        sp__flight_end_step(flight);
}

/* What became of a seeker under the cache's lock. */
struct seat {
        struct sp__flight *flight;
        bool begun;
        sp_lookup *lookup; /* it has its answer */
        sp_status status;
};

/* It was filled while the seeker was on its way here. */
static bool find_again(sp_cache *cache, const void *key, size_t len, struct seat *seat)
{
        sp_value *value;
        enum sp__found found = SP__FOUND_NOTHING;

        if (cache->store)
                found = sp__store_get(cache->store, key, len, atomic_load(&cache->declared), &value, NULL);
        if (found == SP__FOUND_STALE)
                sp_value_unref(value);
        if (found != SP__FOUND_FRESH)
                return false;
        seat->lookup = sp__lookup_new(SP_LOOKUP_HIT, value, NULL);
        return seat->lookup != NULL;
}

/* The cache's lock is held. */
static void begin_for(sp_cache *cache, const void *key, size_t len, const struct sp__item *stale, struct seat *seat)
{
        if (find_again(cache, key, len, seat))
                return;
        seat->flight = begin(cache, key, len);
        if (!seat->flight) {
                seat->status = SP_NOMEM;
                return;
        }
        seat->begun = true;
        sp__flight_ref(seat->flight);
        if (!stale)
                return;
        seat->flight->found = *stale;
        seat->flight->found_stale = true;
        sp_value_ref(stale->value);
}

/* The cache's lock is held. */
static void take_seat(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale,
                      struct seat *seat)
{
        sp_cache *cache = seeker->cache;

        if (atomic_load(&cache->closed)) {
                seat->status = SP_CLOSED;
                return;
        }
        seat->flight = sp__flight_find(cache, key, len);
        if (seat->flight && stale)
                seat->lookup = sp__lookup_new(SP_LOOKUP_STALE, sp_value_ref(stale->value), NULL);
        else if (!seat->flight)
                begin_for(cache, key, len, stale, seat);
        if (!seat->flight || seat->lookup)
                return;
        if (seat->flight->state == SP__FLIGHT_LEASED && sp__list_empty(&seat->flight->waiters))
                set_timer(seat->flight, seat->flight->lease_until);
        sp__list_push(&seat->flight->waiters, &sp__op_ref(&seeker->op)->link);
}

void sp__seeker_join(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale)
{
        sp_cache *cache = seeker->cache;
        struct seat seat = {.status = SP_OK};
        struct sp__batch done;

        watch_time(seeker);
        sp__batch_init(&done);
        sp__lock(&cache->lock);
        take_seat(seeker, key, len, stale, &seat);
        sp__unlock(&cache->lock);
        if (seat.status != SP_OK)
                refuse(&seeker->op, seat.status, NULL, &done);
        else if (seat.lookup)
                sp__op_yield(&seeker->op, SP__YIELD_LOOKUP, seat.lookup, free_lookup, &done);
        sp__batch_deliver(&done);
        if (!seat.begun)
                return;
        sp__flight_step(seat.flight);
        if (seat.flight->local || stale)
                sp__flight_acquire(seat.flight);
        else
                sp__flight_seek(seat.flight);
        sp__flight_unref(seat.flight);
}

void sp__seeker_yield(struct sp__seeker *seeker, sp_lookup *lookup)
{
        struct sp__batch done;

        sp__batch_init(&done);
        seeker->counted = true;
        sp__op_yield(&seeker->op, SP__YIELD_LOOKUP, lookup, free_lookup, &done);
        sp__batch_deliver(&done);
}

bool sp__lookup_step(sp_cache *cache, sp_ctx *ctx, int64_t deadline, const void *key, size_t len, sp__op *caller,
                     const struct sp__item *stale, void (*then)(sp__op *op), void *owner)
{
        struct sp__seeker *seeker = sp__seeker_new(cache, ctx, deadline, caller);

        if (!seeker)
                return false;
        seeker->op.then = then;
        seeker->op.owner = owner;
        if (sp__op_enlist(&seeker->op) == SP_OK)
                sp__seeker_join(seeker, key, len, stale);
        else
                cancel(&seeker->op, SP_CANCELLED);
        sp__op_unref(&seeker->op);
        return true;
}
