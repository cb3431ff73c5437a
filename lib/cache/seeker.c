/* SPDX-License-Identifier: MIT */
/*
 * Seekers: operations that want a key, and what they are given. One that stands in a flight's list is pending, and whoever
 * settles it takes it off and claims it in one go, under the cache's lock.
 */
#include "cache/flight.h"

#include "core/error.h"
#include "observe/histogram.h"

#include <stdlib.h>

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

sp_lookup *sp__lookup_alone(sp_cache *cache)
{
        sp_lease *lease = sp__lease_alone(cache);
        sp_lookup *lookup = lease ? sp__lookup_new(SP_LOOKUP_LEASE, NULL, lease) : NULL;

        if (lookup)
                sp__count(&cache->misses);
        else
                sp_lease_release(lease);
        return lookup;
}

void sp__lookup_drop(void *lookup)
{
        sp_lookup_free(lookup);
}

static struct sp__seeker *seeker_of(sp__op *op)
{
        return SP__OF(op, struct sp__seeker, op);
}

/* Off the list, if it stands in one: then that one's reference is the caller's. The cache's lock is held. */
static bool take(struct sp__seeker *seeker, bool *listed)
{
        bool mine = sp__op_claim(&seeker->op);

        *listed = mine && sp__list_linked(&seeker->op.link);
        if (*listed)
                sp__list_remove(&seeker->op.link);
        return mine;
}

static void cancel(sp__op *op, sp_status why)
{
        struct sp__seeker *seeker = seeker_of(op);
        struct sp__batch done;
        bool mine, listed;

        sp__lock(&seeker->cache->lock);
        mine = take(seeker, &listed);
        sp__unlock(&seeker->cache->lock);
        if (!mine)
                return;
        sp__batch_init(&done);
        sp__op_end(op, why, sp__error_new(why, NULL, "waiting for a key: %s", sp_status_text(why)), &done);
        sp__batch_deliver(&done);
        if (listed)
                sp__op_unref(op);
}

static void count(struct sp__seeker *seeker, int state)
{
        sp_cache *cache = seeker->cache;

        if (state == SP_LOOKUP_HIT) {
                sp__count(&cache->hits);
                sp__usage_count(seeker->usage, seeker->shared ? SP__USED_SHARED : SP__USED_HIT);
        } else if (state == SP_LOOKUP_STALE) {
                sp__count(&cache->stales);
                sp__usage_count(seeker->usage, SP__USED_STALE);
        } else if (state == SP_LOOKUP_LEASE) {
                sp__count(&cache->misses);
                sp__usage_count(seeker->usage, SP__USED_MISS);
        }
}

static void record_time(struct sp__seeker *seeker, int64_t took)
{
        sp__histogram_record(seeker->cache->seeks, took);
        if (seeker->shared)
                sp__histogram_record(seeker->cache->waits, took);
}

/* Of its timer's references: that may fire when the seeker was answered and the cache is being freed. */
static void let_go(struct sp__seeker *seeker)
{
        sp_cache *cache = seeker->cache;

        sp__op_unref(&seeker->op);
        sp__cache_unref(cache);
}

static void settled(sp__op *op)
{
        struct sp__seeker *seeker = seeker_of(op);
        sp_cache *cache = seeker->cache;
        const sp_lookup *lookup = op->what;
        bool stopped;

        if (op->status != SP_OK)
                sp__count(&cache->errors);
        else if (!seeker->counted)
                count(seeker, lookup->state);
        if (seeker->since)
                record_time(seeker, sp__now() - seeker->since);
        sp__cache_see(cache);
        stopped = seeker->timed && sp__timer_stop(cache->engine, &seeker->timer);
        /* From here on it is only an answer, which may lie in a queue for long. */
        seeker->rests = true;
        sp__cache_rest(cache);
        if (stopped)
                let_go(seeker);
}

static void destroy(sp__op *op)
{
        struct sp__seeker *seeker = seeker_of(op);

        if (op->caller != op)
                sp__op_unref(op->caller);
        if (!seeker->rests)
                sp__cache_rest(seeker->cache);
        sp_value_unref(seeker->stale);
        free(seeker);
}

static const struct sp__op_kind seeker_kind = {.cancel = cancel, .settled = settled, .destroy = destroy};

static void on_time(struct sp__timer *timer);

struct sp__seeker *sp__seeker_new(sp_cache *cache, sp_ctx *ctx, int64_t deadline, sp__op *caller)
{
        struct sp__seeker *seeker = calloc(1, sizeof *seeker);

        if (!seeker)
                return NULL;
        sp__op_init(&seeker->op, &seeker_kind, ctx, deadline);
        seeker->op.caller = caller ? sp__op_ref(caller) : NULL;
        seeker->cache = cache;
        seeker->timer.fire = on_time;
        seeker->soft_at = seeker->hard_at = SP__FOREVER;
        sp__cache_work(cache);
        return seeker;
}

static int64_t least(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* Until the next of its times; of its deadline a blocked caller minds itself. The cache's lock is held. */
static void watch_time(struct sp__seeker *seeker)
{
        int64_t at =
            least(least(seeker->soft_at, seeker->hard_at), seeker->op.waits ? SP__FOREVER : seeker->op.deadline);

        seeker->timed = at != SP__FOREVER;
        if (!seeker->timed)
                return;
        sp__op_ref(&seeker->op);
        atomic_fetch_add(&seeker->cache->refs, 1);
        if (!sp__timer_set(seeker->cache->engine, &seeker->timer, at)) {
                seeker->timed = false;
                let_go(seeker);
        }
}

/* Ends one that was claimed. */
static void give(sp__op *op, sp_lookup *lookup, sp_status status, const sp_error *error, struct sp__batch *done)
{
        if (lookup)
                sp__op_end_with(op, SP__YIELD_LOOKUP, lookup, sp__lookup_drop, done);
        else
                sp__op_end(op, status,
                           error ? sp__error_copy(error) : sp__error_new(status, NULL, "%s", sp_status_text(status)),
                           done);
}

/* What is stale stands in for what did not come in time; before the hard limit there may be none, and it waits on. */
static void on_time(struct sp__timer *timer)
{
        struct sp__seeker *seeker = SP__OF(timer, struct sp__seeker, timer);
        int64_t now = sp__now(), last = least(seeker->hard_at, seeker->op.deadline);
        bool mine = false, listed = false;
        struct sp__batch done;

        sp__lock(&seeker->cache->lock);
        seeker->soft_at = SP__FOREVER;
        if (seeker->stale)
                mine = take(seeker, &listed);
        else if (now < last && sp__op_pending(&seeker->op))
                watch_time(seeker);
        sp__unlock(&seeker->cache->lock);
        sp__batch_init(&done);
        if (mine)
                give(&seeker->op, sp__lookup_new(SP_LOOKUP_STALE, sp_value_ref(seeker->stale), NULL), SP_NOMEM, NULL,
                     &done);
        sp__batch_deliver(&done);
        if (!mine && now >= last)
                cancel(&seeker->op, SP_TIMEOUT);
        if (listed)
                sp__op_unref(&seeker->op);
        let_go(seeker);
}

void sp__seekers_answer(struct sp__list *waiters, int state, sp_value *value, sp_status status, const sp_error *error,
                        struct sp__batch *done)
{
        struct sp__list *link;

        sp__probe_step();
        while ((link = sp__list_pop(waiters))) {
                sp__op *op = SP__OF(link, sp__op, link);

                give(op, status == SP_OK ? sp__lookup_new(state, sp_value_ref(value), NULL) : NULL,
                     status == SP_OK ? SP_NOMEM : status, error, done);
                sp__op_unref(op);
        }
}

void sp__seekers_share(struct sp__list *waiters, sp_value *value, struct sp__batch *done)
{
        SP__EACH(waiters, at, after)
        seeker_of(SP__OF(at, sp__op, link))->shared = true;
        sp__seekers_answer(waiters, SP_LOOKUP_HIT, value, SP_OK, NULL, done);
}

void sp__seekers_leave_alone(struct sp__list *waiters, sp_cache *cache, struct sp__batch *done)
{
        struct sp__list *link;

        while ((link = sp__list_pop(waiters))) {
                sp__op *op = SP__OF(link, sp__op, link);
                sp_value *stale = seeker_of(op)->stale;
                sp_lease *lease = sp__lease_alone(cache);
                sp_lookup *lookup =
                    lease ? sp__lookup_new(stale ? SP_LOOKUP_STALE : SP_LOOKUP_LEASE, sp_value_ref(stale), lease)
                          : NULL;

                give(op, lookup, SP_NOMEM, NULL, done);
                if (!lookup)
                        sp_lease_release(lease);
                sp__op_unref(op);
        }
}

/* The cache's lock is held. */
static void move(sp__op *op, struct sp__list *to)
{
        sp__op_claim(op);
        sp__list_remove(&op->link);
        sp__list_push(to, &op->link);
}

void sp__seekers_pick(struct sp__flight *flight, enum sp__want want, struct sp__list *picked)
{
        SP__EACH(&flight->waiters, at, after)
        {
                enum sp__want its = seeker_of(SP__OF(at, sp__op, link))->want;

                if (its == want || (its == SP__WANT_LOOK && want == SP__WANT_SOON))
                        move(SP__OF(at, sp__op, link), picked);
        }
}

void sp__seekers_take(struct sp__flight *flight, struct sp__list *taken)
{
        SP__EACH(&flight->waiters, at, after)
        move(SP__OF(at, sp__op, link), taken);
}

void sp__seekers_take_for(struct sp__flight *flight, int64_t begun, struct sp__list *taken)
{
        SP__EACH(&flight->waiters, at, after)
        {
                const struct sp__seeker *seeker = seeker_of(SP__OF(at, sp__op, link));

                if (!seeker->anew || seeker->since <= begun)
                        move(SP__OF(at, sp__op, link), taken);
        }
}

bool sp__seekers_have_slot(const struct sp__flight *flight)
{
        return !sp__list_empty(&flight->waiters) &&
               seeker_of(SP__OF(flight->waiters.next, sp__op, link))->want == SP__WANT_SOON;
}

sp__op *sp__seekers_first(struct sp__flight *flight)
{
        struct sp__list first;

        sp__list_init(&first);
        if (!sp__list_empty(&flight->waiters))
                move(SP__OF(flight->waiters.next, sp__op, link), &first);
        return sp__list_empty(&first) ? NULL : SP__OF(sp__list_pop(&first), sp__op, link);
}

void sp__seekers_note_stale(struct sp__flight *flight)
{
        SP__EACH(&flight->waiters, at, after)
        {
                struct sp__seeker *seeker = seeker_of(SP__OF(at, sp__op, link));

                if (!seeker->stale)
                        seeker->stale = sp_value_ref(flight->found.value);
        }
}

void sp__seeker_grant(sp__op *op, sp_lookup *lookup, struct sp__batch *done)
{
        give(op, lookup, SP_NOMEM, NULL, done);
        sp__op_unref(op);
}

/* What became of a seeker under the cache's lock. */
struct seat {
        struct sp__flight *flight;
        bool begun;
        bool woken;        /* it rested, and goes on */
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

/* The cache's lock is held, as for all that follow. */
static void begin_for(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale,
                      struct seat *seat)
{
        sp_cache *cache = seeker->cache;

        if (!seeker->anew && find_again(cache, key, len, seat))
                return;
        seat->flight = sp__flight_begin(cache, key, len);
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

/* A flight that rests with what was loaded just now: true, if that does. */
static bool gives_held(struct sp__seeker *seeker, struct seat *seat)
{
        struct sp__flight *flight = seat->flight;
        const struct sp__item *held = &flight->found;

        if (seeker->anew || sp__now() >= flight->held_until ||
            !sp__mirror_holds(&flight->cache->log.mirror, &flight->mark, held->tags, held->tag_count))
                return false;
        seat->lookup = sp__lookup_new(flight->held_state, sp_value_ref(held->value), NULL);
        return seat->lookup != NULL;
}

/* A flight that rests gives what it has, unless that does not hold any more or does not do. */
static void rouse(struct sp__seeker *seeker, struct seat *seat)
{
        struct sp__flight *flight = seat->flight;

        if (!seeker->anew && sp__flight_usable(flight) == SP__FRESH && sp__now() < flight->found.kept_until) {
                seat->lookup = sp__lookup_new(SP_LOOKUP_STALE, sp_value_ref(flight->found.value), NULL);
                return;
        }
        flight->state = SP__FLIGHT_SEEKING;
        seat->begun = seat->woken = true;
        sp__flight_ref(flight);
}

static bool others_load(const struct sp__flight *flight)
{
        return flight->state == SP__FLIGHT_LEASED || flight->state == SP__FLIGHT_FILLING ||
               (flight->state == SP__FLIGHT_PAUSED && flight->pauses > 0) || sp__list_linked(&flight->slot.link);
}

/* There is a flight: what can be answered at once is. */
static void answer_at_once(struct sp__seeker *seeker, const struct sp__item *stale, struct seat *seat)
{
        struct sp__flight *flight = seat->flight;

        if (stale && !seeker->anew &&
            (flight->times.soft == 0 || sp__times_attend(&flight->times, stale, sp__now()) == SP__ATTENTION_REFRESH)) {
                bool early = sp__times_attend(&flight->times, stale, sp__now()) == SP__ATTENTION_REFRESH;

                seat->lookup =
                    sp__lookup_new(early ? SP_LOOKUP_HIT : SP_LOOKUP_STALE, sp_value_ref(stale->value), NULL);
        } else if (flight->state == SP__FLIGHT_RESTING) {
                rouse(seeker, seat);
        } else if ((seeker->want == SP__WANT_SOON || seeker->want == SP__WANT_LOOK) && others_load(flight)) {
                seat->lookup = sp__lookup_new(SP_LOOKUP_BUSY, NULL, NULL);
        }
}

static void sit_down(struct sp__seeker *seeker, const struct sp__item *stale, struct sp__flight *flight)
{
        const struct sp__times *times = &flight->times;
        int64_t now = sp__now();

        seeker->since = now;
        seeker->usage = flight->usage;
        if (times->soft > 0)
                seeker->soft_at = sp__after_ms(now, times->soft);
        if (times->hard > 0)
                seeker->hard_at = sp__after_ms(now, times->hard);
        if (stale)
                seeker->stale = sp_value_ref(stale->value);
        watch_time(seeker);
        if (seeker->anew)
                atomic_store(&flight->anew, true);
        if (flight->state == SP__FLIGHT_LEASED && sp__list_empty(&flight->waiters))
                sp__flight_set_timer(flight, flight->lease_until);
        sp__list_push(&flight->waiters, &sp__op_ref(&seeker->op)->link);
}

static void take_seat(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale,
                      struct seat *seat)
{
        sp_cache *cache = seeker->cache;

        if (!sp__op_pending(&seeker->op))
                return;
        if (atomic_load(&cache->closed)) {
                seat->status = SP_CLOSED;
                return;
        }
        seat->flight = sp__flight_find(cache, key, len);
        if (seat->flight && seat->flight->held_until && !gives_held(seeker, seat)) {
                sp__flight_drop(seat->flight);
                seat->flight = NULL;
        }
        if (seat->lookup)
                return;
        if (seat->flight)
                answer_at_once(seeker, stale, seat);
        else
                begin_for(seeker, key, len, stale, seat);
        if (seat->flight && !seat->lookup && seat->status == SP_OK)
                sit_down(seeker, stale, seat->flight);
}

void sp__seeker_join(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale)
{
        sp_cache *cache = seeker->cache;
        struct seat seat = {.status = SP_OK};
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&cache->lock);
        take_seat(seeker, key, len, stale, &seat);
        sp__unlock(&cache->lock);
        if (seat.status != SP_OK)
                sp__op_fail(&seeker->op, seat.status,
                            sp__error_new(seat.status, NULL, "%s", sp_status_text(seat.status)), &done);
        else if (seat.lookup)
                sp__op_yield(&seeker->op, SP__YIELD_LOOKUP, seat.lookup, sp__lookup_drop, &done);
        sp__batch_deliver(&done);
        if (!seat.begun)
                return;
        sp__flight_step(seat.flight);
        if (seat.woken || seat.flight->local || stale || seeker->anew)
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
        sp__op_yield(&seeker->op, SP__YIELD_LOOKUP, lookup, sp__lookup_drop, &done);
        sp__batch_deliver(&done);
}

void sp__seeker_step(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale,
                     void (*then)(sp__op *op), void *owner)
{
        seeker->op.then = then;
        seeker->op.owner = owner;
        if (sp__op_enlist(&seeker->op) == SP_OK)
                sp__seeker_join(seeker, key, len, stale);
        else
                cancel(&seeker->op, SP_CANCELLED);
        sp__op_unref(&seeker->op);
}
