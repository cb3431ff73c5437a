/* SPDX-License-Identifier: MIT */
/*
 * What everybody knows when something is stale: rows and who reads them, what each process of the play says of itself, what Redis and
 * PostgreSQL have. Bounded, and without the help of whoever hangs.
 */
#include "play.h"

#include "cache/cache.h"
#include "cache/entry.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WITNESS_MS = 3000 };

static const char *const steps[SP__STEPS] = {"leased",  "checked", "connected", "published",   "slot",     "reset",
                                             "started", "read",    "visible",   "invalidated", "confirmed"};

static int say_mirror(struct sp__mirror *mirror, char *out, size_t cap)
{
        int64_t horizon = atomic_load(&mirror->live_until);
        int len;

        sp__lock(&mirror->lock);
        len = snprintf(out, cap,
                       "mirror %s, %s, e %016" PRIx64 " n %" PRId64 " from %" PRId64 " seen %" PRId64
                       ", live for %" PRId64 " ms, owes %zu%s",
                       mirror->streaming ? "streams" : "is deaf", mirror->known ? "knows" : "knows nothing", mirror->e,
                       mirror->n, mirror->c0, mirror->seen, (int64_t)((horizon - sp__now()) / SP__MS),
                       mirror->owed.count, mirror->owes_all ? " and all" : "");
        sp__unlock(&mirror->lock);
        return len;
}

static int say_feed(const struct service *service, char *out, size_t cap)
{
        sp_value *report = NULL;
        size_t len;
        int said;

        if (!service->feed || sp_feed_report(service->feed, &report) != SP_OK)
                return snprintf(out, cap, "; no feed");
        said = snprintf(out, cap, "; token %s identity %s recorded %" PRIX64 " reached %" PRIX64 " %s",
                        service->feed->token, service->feed->identity, service->feed->recorded, service->feed->reached,
                        (const char *)sp_value_data(report, &len));
        sp_value_unref(report);
        return said;
}

/* In process, of the row that it waits for. */
static int say_near(const struct service *service, const struct gaze *gaze, char *out, size_t cap)
{
        char key[SP_KEY_MAX], id[16];
        struct sp__item item = {0};
        sp_value *value = NULL;
        enum sp__found found;
        size_t len;

        snprintf(id, sizeof id, "r%d", atomic_load(&gaze->row));
        len = item_key(service->world, id, key);
        if (!service->cache->store)
                return snprintf(out, cap, "; no level in process");
        found = sp__store_get(service->cache->store, key, len, atomic_load(&service->cache->declared), &value, &item);
        sp_value_unref(value);
        return snprintf(out, cap, "; %s in process",
                        found == SP__FOUND_NOTHING ? "nothing"
                        : found == SP__FOUND_FRESH ? "fresh"
                                                   : "stale");
}

void testify(struct service *service, struct play *play, int actor)
{
        struct witness *witness = &play->witnesses[actor];
        unsigned inquiry = atomic_load(&play->inquiry);
        int at;

        if (atomic_load(&witness->said) == inquiry)
                return;
        at = say_mirror(&service->cache->log.mirror, witness->text, sizeof witness->text);
        if (actor < FEEDS)
                say_feed(service, witness->text + at, sizeof witness->text - (size_t)at);
        else
                say_near(service, &play->gazes[actor - FEEDS], witness->text + at, sizeof witness->text - (size_t)at);
        atomic_store(&witness->said, inquiry);
}

static void hear_witnesses(struct play *play)
{
        int64_t until = sp__now() + WITNESS_MS * SP__MS;

        atomic_fetch_add(&play->inquiry, 1);
        for (int i = 0; i < WITNESSES; i++) {
                const struct witness *witness = &play->witnesses[i];

                while (atomic_load(&witness->said) != atomic_load(&play->inquiry) && sp__now() < until)
                        pause_us(1000);
                printf("#   %s %d, process %d: %s\n", i < FEEDS ? "feed" : "reader", i < FEEDS ? i : i - FEEDS,
                       atomic_load(&witness->pid),
                       atomic_load(&witness->said) == atomic_load(&play->inquiry) ? witness->text : "does not answer");
        }
}

static void tell_gazes(struct play *play)
{
        for (int i = 0; i < READERS; i++) {
                struct gaze *gaze = &play->gazes[i];
                int row = atomic_load(&gaze->row);

                if (atomic_load(&play->seen[i]) == atomic_load(&play->asked))
                        continue;
                printf("#   reader %d: row r%d is %" PRId64 ", it read %" PRId64 " (-1: it failed: %s), asked %" PRId64
                       " ms ago, %s\n",
                       i, row, atomic_load(&play->versions[row]), atomic_load(&gaze->got),
                       sp_status_text((sp_status)atomic_load(&gaze->status)),
                       (int64_t)((sp__now() - atomic_load(&gaze->since)) / SP__MS),
                       atomic_load(&gaze->asks) ? "no answer yet" : "answered");
        }
}

static void tell_steps(struct play *play)
{
        for (int i = 0; i < FEEDS; i++) {
                printf("#   feed %d, since then:", i);
                for (int step = 0; step < SP__STEPS; step++)
                        printf(" %s %u", steps[step], atomic_load(&play->stepped[i][step]));
                printf("\n");
        }
}

static void tell_reply(const char *what, const redisReply *reply)
{
        struct sp__entry entry;

        if (!reply) {
                printf("#   Redis, %s: no answer\n", what);
        } else if (reply->type == REDIS_REPLY_STRING &&
                   sp__entry_decode(reply->str, reply->len, &entry) == SP__ENTRY_GOOD) {
                printf("#   Redis, %s: \"%.*s\" e %016" PRIx64 " v0 %" PRId64 ", made %" PRId64 " ms ago\n", what,
                       (int)entry.len, entry.data, entry.e, entry.v0, sp__wall_ms() - entry.made);
        } else {
                printf("#   Redis, %s:", what);
                for (size_t i = 0; i < (reply->type == REDIS_REPLY_ARRAY ? reply->elements : 1); i++) {
                        const redisReply *one = reply->type == REDIS_REPLY_ARRAY ? reply->element[i] : reply;

                        if (one->type == REDIS_REPLY_INTEGER)
                                printf(" %lld", one->integer);
                        else
                                printf(" %.120s", one->type == REDIS_REPLY_NIL ? "(nothing)" : one->str);
                }
                printf("\n");
        }
}

#define ASK(redis, what, ...)                                                                                          \
        do {                                                                                                           \
                redisReply *reply_ = redisCommand(redis, __VA_ARGS__);                                                 \
                                                                                                                       \
                tell_reply(what, reply_);                                                                              \
                if (reply_)                                                                                            \
                        freeReplyObject(reply_);                                                                       \
        } while (0)

static void tell_row(redisContext *redis, const struct world *world, int row)
{
        char key[SP_KEY_MAX], pattern[SP_KEY_MAX], id[16], what[32];
        uint64_t tags[2];
        size_t len;

        snprintf(id, sizeof id, "r%d", row);
        len = item_key(world, id, key);
        tags[0] = sp__tag_of_key(key, len);
        tags[1] = sp__tag_of_pattern(pattern, (size_t)snprintf(pattern, sizeof pattern, "%s:item:*", world->name));
        snprintf(what, sizeof what, "r%d", row);
        ASK(redis, what, "GET %s:%s", world->name, key);
        ASK(redis, "its lease", "GET {%s:%s}:l", world->name, key);
        ASK(redis, "bumps of its key and pattern", "HMGET {%s}:v %b %b", world->name, &tags[0], sizeof *tags, &tags[1],
            sizeof *tags);
}

static void tell_redis(struct play *play)
{
        redisContext *redis = redisConnect("127.0.0.1", atoi(strstr(getenv("REDIS_URL"), "127.0.0.1:") + 10));
        const char *name = play->world.name;
        unsigned told = 0;

        for (int i = 0; redis && i < READERS; i++) {
                int row = atomic_load(&play->gazes[i].row);

                if (atomic_load(&play->seen[i]) != atomic_load(&play->asked) && !(told & 1u << row))
                        tell_row(redis, &play->world, row);
                told |= 1u << row;
        }
        if (redis) {
                ASK(redis, "log e n run", "HMGET {%s}:v @e @n @r", name);
                ASK(redis, "lease", "GET {%s}:f:sugarperf_%s", name, name);
                ASK(redis, "lease, ms left", "PTTL {%s}:f:sugarperf_%s", name, name);
                ASK(redis, "rules", "GET {%s}:fr:sugarperf_%s", name, name);
                ASK(redis, "identity, place", "HMGET {%s}:fp:sugarperf_%s id at", name, name);
                redisFree(redis);
        }
}

/* Lines of one column. */
static void tell_pg(PGconn *pg, const struct world *world, const char *what, const char *format)
{
        char text[WORLD_TEXT_MAX];
        PGresult *res;

        world_text(world, format, text);
        res = PQexec(pg, text);
        if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) == 0)
                printf("#   PostgreSQL, %s: none %s", what, *PQerrorMessage(pg) ? PQerrorMessage(pg) : "\n");
        for (int i = 0; i < PQntuples(res) && i < 8; i++)
                printf("#   PostgreSQL, %s: %s\n", what, PQgetvalue(res, i, 0));
        PQclear(res);
}

static void tell_server(struct play *play)
{
        PGconn *pg = PQconnectdb(getenv("DATABASE_URL"));

        tell_pg(pg, &play->world, "rows", "SELECT string_agg(id || ' ' || version, ', ' ORDER BY id) FROM %s");
        tell_pg(pg, &play->world, "slot",
                "SELECT concat_ws(' ', 'read by', coalesce(active_pid::text, 'nobody'), 'confirmed', "
                "confirmed_flush_lsn, 'restart', restart_lsn, 'of', pg_current_wal_lsn()) FROM pg_replication_slots "
                "WHERE slot_name = 'sugarperf_%n'");
        tell_pg(
            pg, &play->world, "processes",
            "SELECT concat_ws(' ', pid, backend_type, state, wait_event, 'for', now() - state_change, left(query, 60)) "
            "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND (backend_type = 'walsender' OR wait_event_type = "
            "'Lock' OR xact_start < now() - interval '5s') AND (backend_type <> 'walsender' OR pid IN (SELECT "
            "active_pid FROM pg_replication_slots WHERE slot_name = 'sugarperf_%n'))");
        PQfinish(pg);
}

void autopsy(struct play *play)
{
        tell_gazes(play);
        tell_steps(play);
        hear_witnesses(play);
        tell_redis(play);
        tell_server(play);
        fflush(stdout);
}
