/* SPDX-License-Identifier: MIT */
#include "cache/flight.h"

#include "base/hash.h"
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* For its next lease: what gives the former one back may come late, and is not about this one. */
static void new_token(struct sp__flight *flight)
{
        struct sp__random *random = &flight->cache->random;

        memcpy(flight->former, flight->token, sizeof flight->former);
        snprintf(flight->token, sizeof flight->token, "%016llx%016llx", (unsigned long long)sp__random_next(random),
                 (unsigned long long)sp__random_next(random));
}

static void go_on(struct sp__timer *timer);
static void next_in_line(struct sp__task *task);

static struct sp__flight *blank(sp_cache *cache, const void *key, size_t len)
{
        struct sp__flight *flight = calloc(1, sizeof *flight + len);

        if (!flight)
                return NULL;
        atomic_init(&flight->refs, 1);
        flight->cache = cache;
        atomic_fetch_add(&cache->refs, 1);
        sp__list_init(&flight->link);
        sp__list_init(&flight->waiters);
        sp__list_init(&flight->slot.link);
        sp__list_init(&flight->slot.task.link);
        flight->slot.task.run = next_in_line;
        flight->timer.fire = go_on;
        flight->len = len;
        memcpy(flight->key, key, len);
        return flight;
}

struct sp__flight *sp__flight_begin(sp_cache *cache, const void *key, size_t len)
{
        struct sp__flight *flight = blank(cache, key, len);

        if (!flight)
                return NULL;
        flight->declared = atomic_load(&cache->declared);
        flight->tag_count = sp__cache_tags(cache, key, len, flight->tags, &flight->tmpl);
        sp__cache_times(cache, flight->tmpl, &flight->times);
        flight->usage = sp__usages_of(&cache->usages, flight->tmpl);
        flight->local = cache->log.link == NULL;
        flight->form = flight->tmpl ? sp__template_raw(flight->tmpl) : 0;
        flight->raw = flight->form && !flight->local;
        new_token(flight);
        sp__list_push(bucket_of(cache, key, len), &flight->link);
        return flight;
}

sp_lease *sp__lease_alone(sp_cache *cache)
{
        sp_lease *lease = calloc(1, sizeof *lease);
        struct sp__flight *flight = lease ? blank(cache, "", 0) : NULL;

        if (!flight) {
                free(lease);
                return NULL;
        }
        flight->lone = flight->local = true;
        flight->state = SP__FLIGHT_LEASED;
        flight->lease = lease;
        flight->lease_until = SP__FOREVER;
        *lease = (sp_lease){.flight = flight, .granted_at = sp__now(), .ttl_ms = -1};
        return lease;
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

/* The cache's lock is held. */
static void give_slot(struct sp__flight *flight)
{
        if (!flight->slotted)
                return;
        flight->slotted = false;
        sp__slots_give(&flight->cache->slots, flight->cache->engine);
}

void sp__flight_over(struct sp__flight *flight)
{
        if (flight->state == SP__FLIGHT_OVER)
                return;
        flight->state = SP__FLIGHT_OVER;
        flight->lease = NULL;
        /* A lone one is its lease's alone. */
        if (flight->lone)
                return;
        give_slot(flight);
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

/* Each time that it fires it has a reference of its own. */
void sp__flight_set_timer(struct sp__flight *flight, int64_t at)
{
        if (!sp__timer_stop(flight->cache->engine, &flight->timer))
                sp__flight_ref(flight);
        if (!sp__timer_set(flight->cache->engine, &flight->timer, at))
                sp__flight_unref(flight);
}

void sp__flight_pause(struct sp__flight *flight, int64_t pause)
{
        flight->state = SP__FLIGHT_PAUSED;
        give_slot(flight);
        sp__flight_set_timer(flight, sp__now() + pause);
}

bool sp__flight_pass(struct sp__flight *flight)
{
        flight->lease = NULL;
        if (sp__list_empty(&flight->waiters)) {
                sp__flight_over(flight);
                return false;
        }
        new_token(flight);
        sp__flight_pause(flight, 0);
        return true;
}

bool sp__flight_fail(struct sp__flight *flight, struct sp__list *waiters)
{
        int64_t pause = flight->cache->retry_ms;

        if (!flight->found_stale || pause == 0 || sp__flight_usable(flight) != SP__FRESH ||
            sp__now() >= flight->found.kept_until)
                return sp__flight_pass(flight);
        flight->lease = NULL;
        new_token(flight);
        flight->state = SP__FLIGHT_RESTING;
        give_slot(flight);
        sp__seekers_take(flight, waiters);
        sp__flight_set_timer(flight, sp__now() + pause * SP__MS);
        return false;
}

void sp__flight_hold(struct sp__flight *flight, const struct sp__item *item, int64_t granted_at)
{
        int64_t until = granted_at + flight->cache->log.mirror.bound;

        if (until > item->kept_until)
                until = item->kept_until;
        sp__flight_forget(flight);
        flight->found = *item;
        sp_value_ref(item->value);
        flight->held_until = until;
        flight->held_state = SP_LOOKUP_HIT;
        flight->lease = NULL;
        flight->state = SP__FLIGHT_RESTING;
        give_slot(flight);
        sp__flight_set_timer(flight, until);
}

/* Whether the lease is past its time, and somebody waits for it. The cache's lock is held. */
static bool take_over(struct sp__flight *flight)
{
        if (flight->state != SP__FLIGHT_LEASED)
                return false;
        if (sp__now() < flight->lease_until) {
                sp__flight_set_timer(flight, flight->lease_until);
                return false;
        }
        /* It may never be given back: nobody shall wait behind it. */
        if (sp__list_empty(&flight->waiters)) {
                give_slot(flight);
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
        else if (flight->state == SP__FLIGHT_RESTING)
                sp__flight_over(flight);
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
                sp__flight_pass(flight);
                sp__flight_unref(flight);
        }
        sp__unlock(&cache->lock);
}

void sp__flight_end_rest(sp_cache *cache, const void *key, size_t len)
{
        struct sp__flight *flight;

        sp__lock(&cache->lock);
        flight = sp__flight_find(cache, key, len);
        if (flight && flight->state == SP__FLIGHT_RESTING && !flight->held_until)
                sp__flight_drop(flight);
        sp__unlock(&cache->lock);
}

enum sp__fresh sp__flight_usable(struct sp__flight *flight)
{
        struct sp__mirror *mirror = &flight->cache->log.mirror;
        const struct sp__item *found = &flight->found;
        uint64_t version;
        enum sp__fresh fresh = sp__mirror_check(mirror, found->e, found->v0, found->tags, found->tag_count, &version);

        /* It is as Redis had it after the mark, which is all that there is to know. */
        if (flight->raw && fresh != SP__GONE)
                return sp__mirror_holds(mirror, &flight->mark, found->tags, found->tag_count) ? SP__FRESH : SP__GONE;
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

int sp__flight_state_of_found(const struct sp__flight *flight)
{
        return sp__times_attend(&flight->times, &flight->found, sp__now()) == SP__ATTENTION_REFRESH ? SP_LOOKUP_HIT
                                                                                                    : SP_LOOKUP_STALE;
}

bool sp__flight_gives_at_once(const struct sp__flight *flight)
{
        return flight->times.soft == 0 || sp__flight_state_of_found(flight) == SP_LOOKUP_HIT;
}

/* The cache's lock is held. */
static void lease_to(struct sp__flight *flight, sp_lease *lease)
{
        *lease = (sp_lease){.flight = sp__flight_ref(flight), .granted_at = sp__now(), .ttl_ms = -1};
        flight->state = SP__FLIGHT_LEASED;
        flight->lease = lease;
        flight->lease_until = lease->granted_at + flight->cache->lease_ms * SP__MS;
        flight->pauses = 0;
        if (!sp__list_empty(&flight->waiters) || flight->cache->slots.max > 0)
                sp__flight_set_timer(flight, flight->lease_until);
}

/* Who is answered when a lease is granted: one gets it, those who would not wait and those who take what is stale leave. */
struct grant {
        sp_lookup *lookup;
        sp__op *op;
        struct sp__list takers;
        struct sp__list busy;
        int state;
};

/* The cache's lock is held. */
static void deal(struct sp__flight *flight, struct grant *grant)
{
        bool stale = flight->found_stale && sp__flight_usable(flight) == SP__FRESH;

        grant->op = grant->lookup ? sp__seekers_first(flight) : NULL;
        if (grant->op)
                lease_to(flight, grant->lookup->lease);
        sp__seekers_pick(flight, SP__WANT_SOON, &grant->busy);
        if (stale)
                grant->state = sp__flight_state_of_found(flight);
        if (!grant->lookup)
                sp__seekers_take(flight, &grant->takers);
        else if (stale && sp__flight_gives_at_once(flight))
                sp__seekers_take_for(flight, 0, &grant->takers);
        else if (stale)
                sp__seekers_note_stale(flight);
        if (!grant->op)
                sp__flight_over(flight);
        if (grant->op && stale) {
                grant->lookup->state = grant->state;
                grant->lookup->value = sp_value_ref(flight->found.value);
        }
}

void sp__flight_grant(struct sp__flight *flight)
{
        sp_lease *lease = calloc(1, sizeof *lease);
        struct grant grant = {.lookup = lease ? sp__lookup_new(SP_LOOKUP_LEASE, NULL, lease) : NULL};
        struct sp__batch done;

        sp__probe_step();
        sp__batch_init(&done);
        sp__list_init(&grant.takers);
        sp__list_init(&grant.busy);
        sp__lock(&flight->cache->lock);
        deal(flight, &grant);
        sp__unlock(&flight->cache->lock);
        sp__seekers_answer(&grant.takers, grant.state, flight->found.value, grant.lookup ? SP_OK : SP_NOMEM, NULL,
                           &done);
        sp__seekers_answer(&grant.busy, SP_LOOKUP_BUSY, NULL, SP_OK, NULL, &done);
        if (grant.op) {
                sp__seeker_grant(grant.op, grant.lookup, &done);
        } else {
                free(lease);
                free(grant.lookup);
                if (flight->acquired)
                        sp__flight_release(flight, flight->token);
        }
        sp__batch_deliver(&done);
        sp__flight_end_step(flight);
}

/* It has its slot. */
static void next_in_line(struct sp__task *task)
{
        struct sp__flight *flight = SP__OF(SP__OF(task, struct sp__slot, task), struct sp__flight, slot);
        bool wanted;

        sp__lock(&flight->cache->lock);
        flight->slotted = true;
        wanted = !sp__list_empty(&flight->waiters);
        if (!wanted)
                sp__flight_over(flight);
        sp__unlock(&flight->cache->lock);
        if (wanted)
                sp__flight_acquire(flight);
        else
                sp__flight_end_step(flight);
}
