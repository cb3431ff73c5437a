/* SPDX-License-Identifier: MIT */
/* The steps of a flight: what it asks Redis, and what follows from the answers. */
#include "cache/flight.h"
#include "cache/raw.h"

#include "core/error.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_FIRST (2 * SP__MS)
#define PAUSE_MOST  (50 * SP__MS)

enum { UNSURE = 32 };

void sp__flight_step(struct sp__flight *flight)
{
        sp__flight_ref(flight);
        sp__cache_work(flight->cache);
}

void sp__flight_end_step(struct sp__flight *flight)
{
        sp_cache *cache = flight->cache;

        sp__flight_unref(flight);
        sp__cache_rest(cache);
}

/* Whoever waits longest drives, where it is blocked. */
static void run(struct sp__flight *flight, struct sp__command *command, void (*then)(sp__op *op))
{
        sp__op *first = NULL;

        sp__probe_step();
        sp__lock(&flight->cache->lock);
        if (!sp__list_empty(&flight->waiters))
                first = sp__op_ref(SP__OF(flight->waiters.next, sp__op, link));
        sp__unlock(&flight->cache->lock);
        sp__link_run(flight->cache->log.link, command, first ? first->caller : NULL, then, flight);
        sp__op_unref(first);
}

/* All waiters get one answer, and the step ends. */
static void conclude(struct sp__flight *flight, int state, sp_status status, const sp_error *error)
{
        struct sp__list waiters;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__list_init(&waiters);
        sp__lock(&flight->cache->lock);
        sp__seekers_take(flight, &waiters);
        sp__flight_over(flight);
        sp__unlock(&flight->cache->lock);
        sp__seekers_answer(&waiters, state, flight->found.value, status, error, &done);
        sp__batch_deliver(&done);
        sp__flight_end_step(flight);
}

/* Those who load for themselves get leases of their own, those who only looked have seen it. false: nobody else wants it, and the
 * step ended. */
static bool leave_lone_ones(struct sp__flight *flight)
{
        struct sp__list lone, lookers;
        struct sp__batch done;
        bool some, left;

        sp__batch_init(&done);
        sp__list_init(&lone);
        sp__list_init(&lookers);
        sp__lock(&flight->cache->lock);
        sp__seekers_pick(flight, SP__WANT_LONE, &lone);
        sp__seekers_pick(flight, SP__WANT_LOOK, &lookers);
        some = !sp__list_empty(&lone) || !sp__list_empty(&lookers);
        left = !some || !sp__list_empty(&flight->waiters);
        if (!left)
                sp__flight_over(flight);
        sp__unlock(&flight->cache->lock);
        sp__seekers_leave_alone(&lone, flight->cache, &done);
        sp__seekers_answer(&lookers, SP_LOOKUP_BUSY, NULL, SP_OK, NULL, &done);
        sp__batch_deliver(&done);
        if (!left) {
                if (flight->acquired)
                        sp__flight_release(flight, flight->token);
                sp__flight_end_step(flight);
        }
        return left;
}

/* Those who do not wait for another's load. */
static void tell_busy(struct sp__flight *flight)
{
        struct sp__list busy;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__list_init(&busy);
        sp__lock(&flight->cache->lock);
        sp__seekers_pick(flight, SP__WANT_SOON, &busy);
        sp__unlock(&flight->cache->lock);
        sp__seekers_answer(&busy, SP_LOOKUP_BUSY, NULL, SP_OK, NULL, &done);
        sp__batch_deliver(&done);
}

/* Redis cannot help: this process loads by itself, one load a key, or fails. */
static void without_redis(struct sp__flight *flight, sp_status status, const sp_error *error)
{
        sp_cache *cache = flight->cache;
        bool misled = (status == SP_AUTH || status == SP_CONFIG) && !sp__link_stood(cache->log.link);

        if (flight->acquired)
                sp__flight_release(flight, flight->token);
        flight->acquired = false;
        if (cache->outage == SP__OUTAGE_FAIL || misled || status == SP_CLOSED || status == SP_NOMEM) {
                conclude(flight, 0, status, error);
                return;
        }
        if (sp__flight_recall(flight))
                return;
        flight->local = true;
        sp__flight_acquire(flight);
}

static void refused_by(struct sp__flight *flight, const redisReply *reply)
{
        sp_error *error = sp__redis_error(reply, flight->cache->log.address.where);

        without_redis(flight, error ? sp_error_status(error) : SP_NOMEM, error);
        sp_error_free(error);
}

static void nonsense(struct sp__flight *flight)
{
        sp_error *error = sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: an answer that makes no sense",
                                        flight->cache->log.address.where);

        without_redis(flight, SP_PROTOCOL, error);
        sp_error_free(error);
}

/* What is past its time, to those who wait: at once, or when they waited long enough. */
static bool give_stale(struct sp__flight *flight)
{
        if (!flight->found_stale || sp__flight_usable(flight) != SP__FRESH)
                return false;
        if (sp__flight_gives_at_once(flight) && !atomic_load(&flight->anew)) {
                conclude(flight, sp__flight_state_of_found(flight), SP_OK, NULL);
                return true;
        }
        sp__lock(&flight->cache->lock);
        sp__seekers_note_stale(flight);
        sp__unlock(&flight->cache->lock);
        return false;
}

/* Another process loads. */
static void wait_for_other(struct sp__flight *flight)
{
        sp_cache *cache = flight->cache;
        int64_t pause = PAUSE_FIRST << (flight->pauses < 5 ? flight->pauses : 5);

        if (give_stale(flight))
                return;
        tell_busy(flight);
        flight->pauses++;
        if (pause > PAUSE_MOST)
                pause = PAUSE_MOST;
        sp__lock(&cache->lock);
        pause = (int64_t)((double)pause * (0.5 + sp__random_unit(&cache->random)));
        if (sp__list_empty(&flight->waiters))
                sp__flight_over(flight);
        else
                sp__flight_pause(flight, pause);
        sp__unlock(&cache->lock);
        sp__flight_end_step(flight);
}

/* Redis has nothing that holds. */
static void go_without_value(struct sp__flight *flight)
{
        if (!flight->asked)
                sp__flight_acquire(flight);
        else if (flight->acquired)
                sp__flight_grant(flight);
        else
                wait_for_other(flight);
}

static void reject(struct sp__flight *flight)
{
        flight->bad_e = flight->found.e;
        flight->bad_v0 = flight->found.v0;
        sp__flight_forget(flight);
        go_without_value(flight);
}

static void verify(struct sp__flight *flight);

/* What slides is as fresh as ever once it is used. */
static bool renew(struct sp__flight *flight)
{
        int64_t now = sp__now();

        if (sp__times_attend(&flight->times, &flight->found, now) != SP__ATTENTION_RENEW)
                return false;
        sp__times_renew(&flight->times, &flight->found, now);
        sp__cache_extend(flight->cache, flight->key, flight->len, sp__times_slid(&flight->times));
        return true;
}

/* It holds, as far as was known just now. Under the cache's lock it is looked at once more: who joined since may have seen
 * an invalidation acknowledged before. */
static void give(struct sp__flight *flight)
{
        sp_cache *cache = flight->cache;
        struct sp__list waiters;
        struct sp__batch done;
        enum sp__fresh fresh;
        bool left = false;

        if (atomic_load(&flight->anew) || (flight->found.fresh_until <= sp__now() && !renew(flight))) {
                flight->found_stale = !atomic_load(&flight->anew);
                go_without_value(flight);
                return;
        }
        sp__probe_step();
        sp__batch_init(&done);
        sp__list_init(&waiters);
        sp__lock(&cache->lock);
        fresh = sp__flight_usable(flight);
        if (fresh == SP__FRESH) {
                if (cache->store && !flight->raw)
                        sp__store_put(cache->store, flight->key, flight->len, &flight->found);
                sp__seekers_take_for(flight, 0, &waiters);
                left = !sp__list_empty(&flight->waiters);
                if (!left)
                        sp__flight_over(flight);
        }
        sp__unlock(&cache->lock);
        if (fresh == SP__GONE) {
                reject(flight);
                return;
        }
        if (fresh == SP__UNKNOWN) {
                verify(flight);
                return;
        }
        if (flight->acquired && !left)
                sp__flight_release(flight, flight->token);
        if (flight->pauses > 0)
                sp__seekers_share(&waiters, flight->found.value, &done);
        else
                sp__seekers_answer(&waiters, SP_LOOKUP_HIT, flight->found.value, SP_OK, NULL, &done);
        sp__batch_deliver(&done);
        if (left)
                go_without_value(flight);
        else
                sp__flight_end_step(flight);
}

static void decide_by(struct sp__flight *flight, const redisReply *tags)
{
        struct sp__item *found = &flight->found;
        int64_t n;

        if (!sp__log_holds(tags, found->e, found->v0, found->tag_count, &n)) {
                reject(flight);
                return;
        }
        /* None of its tags was bumped up to there: it is as good as loaded then. */
        found->v0 = n;
        flight->found_verified = true;
        give(flight);
}

static void verified(sp__op *op)
{
        struct sp__flight *flight = op->owner;
        struct sp__command *command = sp__command_of(op);

        if (op->status != SP_OK)
                without_redis(flight, op->status, op->error);
        else if (sp__command_refused(command))
                refused_by(flight, sp__command_refused(command));
        else
                decide_by(flight, command->replies[0]);
}

static struct sp__command *new_command(struct sp__flight *flight)
{
        struct sp__command *command = sp__command_new();

        if (!command)
                without_redis(flight, SP_NOMEM, NULL);
        return command;
}

static void verify(struct sp__flight *flight)
{
        struct sp__command *command = new_command(flight);

        if (!command)
                return;
        sp__log_add_tags(&flight->cache->log, command, flight->found.tags, flight->found.tag_count);
        run(flight, command, verified);
}

static void describe(struct sp__flight *flight, const struct sp__entry *entry, struct sp__item *item)
{
        *item = (struct sp__item){.e = entry->e, .v0 = entry->v0, .declared = flight->declared, .ends = entry->ends};
        sp__times_find(&flight->times, entry, flight->times.refresh ? sp__cache_unit(flight->cache) : 0, item);
        sp__cache_keeps(flight->cache, entry);
        for (size_t i = 0; i < flight->tag_count; i++)
                item->tags[item->tag_count++] = flight->tags[i];
        for (unsigned i = 0; i < entry->tag_count; i++)
                item->tags[item->tag_count++] = entry->tags[i];
}

static void note_certainty(sp_cache *cache, enum sp__fresh fresh)
{
        if (fresh == SP__UNKNOWN)
                atomic_store(&cache->unsure, UNSURE);
        else if (atomic_load(&cache->unsure) > 0)
                atomic_fetch_sub(&cache->unsure, 1);
}

/* Whether it is of no use any more. */
static bool is_past(const struct sp__flight *flight, const struct sp__item *item)
{
        int64_t now = sp__now();

        return item->kept_until <= now ||
               (item->fresh_until <= now && sp__times_attend(&flight->times, item, now) == SP__ATTENTION_PAST);
}

/* An entry that Redis has; `tags`: the log's numbers of the key's own tags, asked behind it, NULL: not asked. */
static void consider(struct sp__flight *flight, const struct sp__entry *entry, const redisReply *tags)
{
        struct sp__item item;
        enum sp__fresh fresh;
        uint64_t version;

        describe(flight, entry, &item);
        fresh = sp__mirror_check(&flight->cache->log.mirror, item.e, item.v0, item.tags, item.tag_count, &version);
        note_certainty(flight->cache, fresh);
        if (fresh == SP__GONE || is_past(flight, &item) || !(item.value = sp__entry_value(entry))) {
                go_without_value(flight);
                return;
        }
        sp__flight_forget(flight);
        flight->found = item;
        if (fresh == SP__FRESH)
                give(flight);
        else if (tags && entry->tag_count == 0)
                decide_by(flight, tags);
        else
                verify(flight);
}

static void read_raw(struct sp__flight *flight, const char *bytes, size_t len)
{
        if (flight->acquired)
                sp__raw_see(flight, bytes, len);
        if (bytes && sp__raw_take(flight, bytes, len))
                give(flight);
        else
                go_without_value(flight);
}

/* What Redis has under the key. */
static void read_value(struct sp__flight *flight, const redisReply *reply, const redisReply *tags)
{
        struct sp__entry entry;
        size_t len = 0;
        const char *bytes = sp__reply_bytes(reply, &len);
        enum sp__entry_kind kind = bytes ? sp__entry_decode(bytes, len, &entry) : SP__ENTRY_FOREIGN;

        if (flight->raw) {
                read_raw(flight, bytes, len);
        } else if (kind == SP__ENTRY_NEWER) {
                /* Of a later library, which must not lose it to us: load, do not store. */
                flight->local = true;
                if (flight->acquired)
                        sp__flight_release(flight, flight->token);
                flight->acquired = false;
                sp__flight_acquire(flight);
        } else if (kind == SP__ENTRY_GOOD && (entry.e != flight->bad_e || entry.v0 != flight->bad_v0)) {
                consider(flight, &entry, tags);
        } else {
                go_without_value(flight);
        }
}

static bool is_wrong_type(const redisReply *reply)
{
        return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) == 0;
}

static void sought(sp__op *op)
{
        struct sp__flight *flight = op->owner;
        struct sp__command *command = sp__command_of(op);
        const redisReply *refused = op->status == SP_OK ? sp__command_refused(command) : NULL;

        sp__probe_step();
        if (op->status != SP_OK) {
                without_redis(flight, op->status, op->error);
        } else if (refused && is_wrong_type(command->replies[0])) {
                /* Somebody else's: let it be. */
                flight->local = true;
                sp__flight_acquire(flight);
        } else if (refused) {
                refused_by(flight, refused);
        } else {
                read_value(flight, command->replies[0], command->due > 1 ? command->replies[1] : NULL);
        }
}

static void seek_at_last(struct sp__log_waiter *waiter)
{
        sp__flight_seek(SP__OF(waiter, struct sp__flight, log_waiter));
}

static void add_entry_name(struct sp__flight *flight, struct sp__command *command)
{
        char name[SP_KEY_MAX + SP__NAME_EXTRA];

        sp__command_arg(command, name, sp__cache_entry_name(flight->cache, flight->key, flight->len, name));
}

static void add_lease_name(struct sp__flight *flight, struct sp__command *command)
{
        char name[SP_KEY_MAX + SP__NAME_EXTRA];

        sp__command_arg(command, name, sp__cache_lease_name(flight->cache, flight->key, flight->len, name));
}

void sp__flight_seek(struct sp__flight *flight)
{
        sp_cache *cache = flight->cache;
        struct sp__command *command;

        flight->log_waiter.go = seek_at_last;
        if (sp__log_await(&cache->log, &flight->log_waiter) || !(command = new_command(flight)))
                return;
        sp__flight_mark(flight);
        sp__command_begin(command, 2);
        sp__command_text(command, "GET");
        add_entry_name(flight, command);
        if (!flight->raw && (!flight->mark.known || atomic_load(&cache->unsure) > 0))
                sp__log_add_tags(&cache->log, command, flight->tags, flight->tag_count);
        run(flight, command, sought);
}

static void ask_for_lease(struct sp__flight *flight);

/* Whether the log's place is known, or needed by nobody. */
static bool placed(const struct sp__flight *flight)
{
        return flight->mark.known || flight->raw;
}

static void acquired(sp__op *op)
{
        struct sp__flight *flight = op->owner;
        struct sp__command *command = sp__command_of(op);
        const redisReply *reply = command->replies[command->due - 1];
        int64_t granted;

        sp__probe_step();
        if (op->status != SP_OK) {
                without_redis(flight, op->status, op->error);
                return;
        }
        if (sp__command_noscript(command) && !flight->with_text) {
                flight->with_text = true;
                ask_for_lease(flight);
                return;
        }
        if (sp__command_refused(command)) {
                refused_by(flight, sp__command_refused(command));
                return;
        }
        if (!placed(flight) && !sp__log_read(command->replies[0], &flight->mark.e, &flight->mark.v0)) {
                nonsense(flight);
                return;
        }
        flight->mark.known = true;
        if (!sp__reply_int(sp__reply_at(reply, 0), &granted)) {
                nonsense(flight);
                return;
        }
        flight->asked = true;
        flight->acquired = granted == 1;
        read_value(flight, sp__reply_at(reply, 1), NULL);
}

enum turn { TURN_NOW, TURN_LATER, TURN_NEVER };

/* A slot, where one is needed: now, or later by the slot's task, which may run before this returns. The lock is held. */
static enum turn take_turn(struct sp__flight *flight, bool patient)
{
        struct sp__slots *slots = &flight->cache->slots;

        if (flight->slotted || sp__seekers_have_slot(flight))
                return TURN_NOW;
        if (!patient && sp__slots_full(slots))
                return TURN_NEVER;
        flight->slotted = sp__slots_take(slots, &flight->slot);
        return flight->slotted ? TURN_NOW : TURN_LATER;
}

/* What is past its time is given without a refresh where there is no room for one. */
void sp__flight_acquire(struct sp__flight *flight)
{
        sp_cache *cache = flight->cache;
        struct sp__list busy;
        struct sp__batch done;
        enum turn turn;
        bool patient;

        if (!leave_lone_ones(flight))
                return;
        patient = !flight->found_stale || !sp__flight_gives_at_once(flight) || atomic_load(&flight->anew) ||
                  sp__flight_usable(flight) != SP__FRESH;
        sp__batch_init(&done);
        sp__list_init(&busy);
        sp__lock(&cache->lock);
        turn = take_turn(flight, patient);
        if (turn == TURN_LATER)
                sp__seekers_pick(flight, SP__WANT_SOON, &busy);
        sp__unlock(&cache->lock);
        sp__seekers_answer(&busy, SP_LOOKUP_BUSY, NULL, SP_OK, NULL, &done);
        sp__batch_deliver(&done);
        if (turn == TURN_NOW)
                ask_for_lease(flight);
        else if (turn == TURN_NEVER)
                conclude(flight, sp__flight_state_of_found(flight), SP_OK, NULL);
}

/* The place in the log is taken before the lease, and so before the load. */
static void ask_for_lease(struct sp__flight *flight)
{
        sp_cache *cache = flight->cache;
        struct sp__command *command;

        sp__flight_mark(flight);
        if (flight->local) {
                sp__flight_grant(flight);
                return;
        }
        if (!(command = new_command(flight)))
                return;
        if (!placed(flight))
                sp__log_add_place(&cache->log, command, flight->with_text);
        sp__script_begin(command, SP__SCRIPT_ACQUIRE, flight->with_text, 2, 3);
        add_entry_name(flight, command);
        add_lease_name(flight, command);
        sp__command_text(command, flight->token);
        sp__command_int(command, cache->lease_ms);
        sp__command_text(command, flight->former);
        flight->acquired = true;
        run(flight, command, acquired);
}

void sp__flight_release(struct sp__flight *flight, const char *token)
{
        sp_cache *cache = flight->cache;
        char name[SP_KEY_MAX + SP__NAME_EXTRA];

        sp__log_release(&cache->log, name, sp__cache_lease_name(cache, flight->key, flight->len, name), token,
                        cache->lease_ms * SP__MS);
}
