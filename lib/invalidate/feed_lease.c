/* SPDX-License-Identifier: MIT */
/*
 * Who reads: a lease in Redis. It decides who tries; that there are never two is the slot's doing. With the lease stands a number
 * of the rules that its last holder had: one with others has not invalidated for ours what he read. And, as a slot may be read for
 * several Redis by mistake, who this one is, and how far the server's log was invalidated in it. All of it is the slot's.
 */
#include "cache/cache.h"
#include "cache/scripts.h"
#include "core/error.h"
#include "invalidate/feed.h"
#include "loop/port.h"
#include "redis/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = SP__NAMESPACE_MAX + SP__FEED_NAME_MAX + 8, RULES_LEN = 17, PLACE_LEN = SP__FEED_SYSTEM_LEN + 17 };

/* In the place of the rules. */
#define NOBODY "none"

/* A trip to Redis that this thread waits for. */
struct trip {
        sp__op op;
        sp__op *step; /* the command's, with a reference: its replies */
};

static void cancel(sp__op *op, sp_status why)
{
}

static void destroy(sp__op *op)
{
        struct trip *trip = SP__OF(op, struct trip, op);

        sp__op_unref(trip->step);
        free(trip);
}

static const struct sp__op_kind trip_kind = {.cancel = cancel, .destroy = destroy};

static void arrived(sp__op *step)
{
        struct trip *trip = step->owner;
        struct sp__batch done;

        trip->step = sp__op_ref(step);
        sp__batch_init(&done);
        sp__op_yield(&trip->op, SP__YIELD_NONE, NULL, NULL, &done);
        sp__batch_deliver(&done);
        sp__op_unref(&trip->op);
}

/* Takes the command. NULL: out of memory. The trip is to be let go of. */
static struct trip *make_trip(const struct sp_feed *feed, struct sp__command *command)
{
        struct trip *trip = command ? calloc(1, sizeof *trip) : NULL;

        if (!trip) {
                sp__command_free(command);
                return NULL;
        }
        sp__op_init(&trip->op, &trip_kind, feed->ctx, SP__FOREVER);
        sp__op_to_caller(&trip->op);
        sp__op_ref(&trip->op);
        sp__link_run(feed->cache->log.link, command, trip->op.caller, arrived, trip);
        sp__op_wait(&trip->op);
        return trip;
}

/* What came of it. An error is an answer, but none that we can go on with. */
static sp_status outcome(const struct sp_feed *feed, const struct trip *trip, sp_error **error)
{
        const redisReply *refused;
        sp_error *why;

        if (trip->step->status != SP_OK) {
                sp__error_give(error, sp__error_copy(trip->step->error));
                return trip->step->status;
        }
        refused = sp__command_refused(sp__command_of(trip->step));
        if (!refused)
                return SP_OK;
        why = sp__redis_error(refused, feed->cache->log.address.where);
        sp__error_give(error, why);
        return why ? sp_error_status(why) : SP_NOMEM;
}

/* "f": the lease, "fr": the rules, "fp": the rest, a hash. */
static const char *name_of(const struct sp_feed *feed, const char *what, char out[NAME_MAX_LEN])
{
        const sp_cache *cache = feed->cache;

        snprintf(out, NAME_MAX_LEN, "{%.*s}:%s:%s", (int)cache->prefix_len - 1, cache->prefix, what, feed->slot);
        return out;
}

static void rules_text(const struct sp_feed *feed, char out[RULES_LEN])
{
        snprintf(out, RULES_LEN, "%016" PRIx64, sp__rules_hash(feed->rules));
}

static struct sp__command *ask_for(const struct sp_feed *feed)
{
        struct sp__command *command = sp__command_new();
        char name[NAME_MAX_LEN];

        if (!command)
                return NULL;
        sp__script_begin(command, SP__SCRIPT_LEAD, true, 3, 3);
        sp__command_text(command, name_of(feed, "fr", name));
        sp__command_text(command, name_of(feed, "f", name));
        sp__command_text(command, name_of(feed, "fp", name));
        sp__command_text(command, feed->token);
        sp__command_int(command, feed->lease_ms);
        sp__command_text(command, feed->identity);
        return command;
}

/* Whoever has been here before us said so; a Redis that was emptied is told by whoever comes first, as it was. */
static bool take_identity(struct sp_feed *feed, const redisReply *reply)
{
        size_t len;
        const char *identity = sp__reply_bytes(reply, &len);

        if (!identity || len != sizeof feed->identity - 1 || strspn(identity, "0123456789abcdef") != len)
                return false;
        memcpy(feed->identity, identity, len);
        return true;
}

static sp_status read_answer(struct sp_feed *feed, const redisReply *reply, sp_error **error)
{
        bool changed;
        char ours[RULES_LEN];
        const char *theirs;
        int64_t granted;
        size_t len;

        if (!sp__reply_int(sp__reply_at(reply, 0), &granted) || !take_identity(feed, sp__reply_at(reply, 2)))
                return sp__fail(error, SP_PROTOCOL, "Redis at %s: an answer that makes no sense",
                                feed->cache->log.address.where);
        rules_text(feed, ours);
        theirs = sp__reply_bytes(sp__reply_at(reply, 1), &len);
        feed->marked = theirs && len == strlen(NOBODY) && memcmp(theirs, NOBODY, len) == 0;
        changed = !theirs || len != strlen(ours) || memcmp(theirs, ours, len) != 0;
        feed->changed = feed->changed || changed;
        if (granted)
                return SP_OK;
        return sp__fail(error, SP_FULL, "%s",
                        changed && theirs ? "another process with other rules reads for this namespace: "
                                            "give them the same rules, or this one another cache.namespace"
                                          : "another process reads");
}

sp_status sp__feed_acquire(struct sp_feed *feed, sp_error **error)
{
        int64_t asked = sp__now();
        struct trip *trip;
        sp_status status;

        feed->renew_at = asked + feed->lease_ms * SP__MS / 3;
        if (feed->alone)
                return SP_OK;
        trip = make_trip(feed, ask_for(feed));
        if (!trip)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = outcome(feed, trip, error);
        if (status == SP_OK)
                status = read_answer(feed, sp__command_of(trip->step)->replies[0], error);
        sp__op_unref(&trip->op);
        return status;
}

sp_status sp__feed_hold(struct sp_feed *feed, sp_error **error)
{
        return sp__now() >= feed->renew_at ? sp__feed_acquire(feed, error) : SP_OK;
}

sp_status sp__feed_renew(struct sp_feed *feed, sp_error **error)
{
        sp_status status = sp__feed_hold(feed, error);

        if (status == SP_OK && strcmp(feed->identity, feed->carried) != 0)
                status = sp__fail(error, SP_LOST, "Redis at %s was emptied, and is taken for another one since",
                                  feed->cache->log.address.where);
        return status;
}

void sp__feed_release(struct sp_feed *feed)
{
        struct sp__command *command = feed->alone ? NULL : sp__command_new();
        char name[NAME_MAX_LEN];
        struct trip *trip;

        if (!command)
                return;
        sp__script_begin(command, SP__SCRIPT_RELEASE, true, 1, 1);
        sp__command_text(command, name_of(feed, "f", name));
        sp__command_text(command, feed->token);
        trip = make_trip(feed, command);
        if (trip)
                sp__op_unref(&trip->op);
}

/* Takes the command, as make_trip(). */
static sp_status tell(const struct sp_feed *feed, struct sp__command *command, sp_error **error)
{
        struct trip *trip = make_trip(feed, command);
        sp_status status;

        if (!trip)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = outcome(feed, trip, error);
        sp__op_unref(&trip->op);
        return status;
}

sp_status sp__feed_keep_rules(struct sp_feed *feed, bool ours, sp_error **error)
{
        struct sp__command *command = feed->alone ? NULL : sp__command_new();
        char name[NAME_MAX_LEN], text[RULES_LEN];

        if (feed->alone)
                return SP_OK;
        if (command) {
                rules_text(feed, text);
                sp__command_begin(command, 3);
                sp__command_text(command, "SET");
                sp__command_text(command, name_of(feed, "fr", name));
                sp__command_text(command, ours ? text : NOBODY);
        }
        return tell(feed, command, error);
}

sp_status sp__feed_record(struct sp_feed *feed, uint64_t lsn, bool anew, sp_error **error)
{
        bool known = feed->alone || (lsn <= feed->recorded && !anew);
        struct sp__command *command = known ? NULL : sp__command_new();
        char name[NAME_MAX_LEN], place[PLACE_LEN];
        sp_status status;

        if (known)
                return SP_OK;
        if (command) {
                snprintf(place, sizeof place, "%s %" PRIx64, feed->system, lsn);
                sp__command_begin(command, anew ? 6 : 4);
                sp__command_text(command, "HSET");
                sp__command_text(command, name_of(feed, "fp", name));
                sp__command_text(command, "at");
                sp__command_text(command, place);
                if (anew) {
                        sp__command_text(command, "unseen");
                        sp__command_text(command, feed->unseen);
                }
        }
        status = tell(feed, command, error);
        if (status == SP_OK)
                feed->recorded = lsn;
        return status;
}

sp_status sp__feed_keep_unseen(struct sp_feed *feed, sp_error **error)
{
        struct sp__command *command = feed->alone ? NULL : sp__command_new();
        char name[NAME_MAX_LEN];

        if (feed->alone)
                return SP_OK;
        if (command) {
                sp__command_begin(command, 4);
                sp__command_text(command, "HSET");
                sp__command_text(command, name_of(feed, "fp", name));
                sp__command_text(command, "unseen");
                sp__command_text(command, feed->unseen);
        }
        return tell(feed, command, error);
}

/* Of who led before us. */
static sp_status read_unseen(struct sp_feed *feed, const redisReply *reply, sp_error **error)
{
        size_t len = 0;
        const char *list = reply ? sp__reply_bytes(reply, &len) : NULL;

        return sp__feed_await_seen(feed, list && strspn(list, "0123456789,") == len ? list : "", error);
}

/* "SYSTEM LSN" of this server; 0: it is not. */
static uint64_t read_place(const struct sp_feed *feed, const redisReply *reply)
{
        size_t len, head = strlen(feed->system);
        const char *text = sp__reply_bytes(reply, &len);
        char place[PLACE_LEN];

        if (!text || len >= sizeof place || len <= head || memcmp(text, feed->system, head) != 0 || text[head] != ' ')
                return 0;
        memcpy(place, text, len);
        place[len] = 0;
        return strtoull(place + head + 1, NULL, 16);
}

/* What is recorded beyond the log's end is of a log that the server lost: it came back from an old copy. */
sp_status sp__feed_recall(struct sp_feed *feed, uint64_t end, bool *ours, sp_error **error)
{
        struct sp__command *command = feed->alone ? NULL : sp__command_new();
        char name[NAME_MAX_LEN];
        struct trip *trip;
        sp_status status;

        *ours = true;
        if (feed->alone)
                return SP_OK;
        if (command) {
                sp__command_begin(command, 4);
                sp__command_text(command, "HMGET");
                sp__command_text(command, name_of(feed, "fp", name));
                sp__command_text(command, "at");
                sp__command_text(command, "unseen");
        }
        trip = make_trip(feed, command);
        if (!trip)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = outcome(feed, trip, error);
        if (status == SP_OK) {
                const redisReply *reply = sp__command_of(trip->step)->replies[0];

                feed->recorded = read_place(feed, sp__reply_at(reply, 0));
                *ours = feed->recorded > 0 && feed->recorded >= feed->place && feed->recorded <= end;
                status = read_unseen(feed, sp__reply_at(reply, 1), error);
        }
        sp__op_unref(&trip->op);
        return status;
}

/* Words of a command: the field of a table, and the digest that is to be in it. */
static void put_digest(struct sp__command *command, const struct sp__ruled *table, const uint64_t *digest)
{
        struct sp__buf text = SP__BUF_INIT;
        char value[RULES_LEN];

        sp__buf_identifier(&text, table->schema);
        sp__buf_identifier(&text, table->name);
        sp__command_arg(command, text.data ? text.data : "", text.len);
        command->request.failed |= text.failed;
        sp__buf_free(&text);
        if (!digest)
                return;
        snprintf(value, sizeof value, "%016" PRIx64, *digest);
        sp__command_text(command, value);
}

/* `shape` NULL: asks for it. */
static sp_status run_digests(struct sp_feed *feed, const struct sp__feed_shape *shape, struct trip **out,
                             sp_error **error)
{
        const sp_rules *rules = feed->rules;
        struct sp__command *command = sp__command_new();
        char name[NAME_MAX_LEN];

        if (command) {
                sp__command_begin(command, 2 + rules->table_count * (shape ? 2 : 1));
                sp__command_text(command, shape ? "HSET" : "HMGET");
                sp__command_text(command, name_of(feed, "fp", name));
        }
        for (size_t i = 0; command && i < rules->table_count; i++) {
                uint64_t digest = shape ? sp__feed_shape_digest(shape, i) : 0;

                put_digest(command, rules->tables[i], shape ? &digest : NULL);
        }
        *out = make_trip(feed, command);
        return *out ? outcome(feed, *out, error) : sp__fail(error, SP_NOMEM, "out of memory");
}

sp_status sp__feed_keep_shape(struct sp_feed *feed, const struct sp__feed_shape *shape, sp_error **error)
{
        struct trip *trip = NULL;
        sp_status status;

        if (feed->alone || feed->rules->table_count == 0)
                return SP_OK;
        status = run_digests(feed, shape, &trip, error);
        if (trip)
                sp__op_unref(&trip->op);
        return status;
}

sp_status sp__feed_kept_shape(struct sp_feed *feed, uint64_t *digests, bool *known, sp_error **error)
{
        struct trip *trip = NULL;
        sp_status status;

        if (feed->alone || feed->rules->table_count == 0)
                return SP_OK;
        status = run_digests(feed, NULL, &trip, error);
        for (size_t i = 0; status == SP_OK && i < feed->rules->table_count; i++) {
                const redisReply *reply = sp__reply_at(sp__command_of(trip->step)->replies[0], i);
                size_t len = 0;
                const char *text = reply ? sp__reply_bytes(reply, &len) : NULL;

                known[i] = text && len == RULES_LEN - 1;
                digests[i] = known[i] ? strtoull(text, NULL, 16) : 0;
        }
        if (trip)
                sp__op_unref(&trip->op);
        return status;
}
