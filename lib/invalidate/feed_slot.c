/* SPDX-License-Identifier: MIT */
/* The slot: found, made, taken from whom it does not belong to any more. On the feed's thread. */
#include "cache/cache.h"
#include "cache/probe.h"
#include "core/error.h"
#include "invalidate/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 20, WAITS = 250, PID_LEN = 16 };

struct slot {
        bool there;
        bool lost;      /* the server threw away what it was to be sent */
        bool foreign;   /* another plugin's, or of another database */
        bool elsewhere; /* who reads from it does so for another Redis */
        long pid;       /* of who reads from it, 0: nobody */
        uint64_t place; /* up to there it was confirmed */
};

/* "16/B374D848" */
static uint64_t lsn_of(const char *text)
{
        char *at;
        uint64_t high = strtoull(text, &at, 16);

        return *at == '/' ? high << 32 | strtoull(at + 1, NULL, 16) : 0;
}

static struct slot read_slot(const PGresult *res)
{
        if (PQntuples(res) == 0)
                return (struct slot){0};
        return (struct slot){.there = true,
                             .foreign = *PQgetvalue(res, 0, 0) != 't',
                             .lost = strcmp(PQgetvalue(res, 0, 1), "lost") == 0,
                             .pid = strtol(PQgetvalue(res, 0, 2), NULL, 10),
                             .elsewhere = *PQgetvalue(res, 0, 3) == 't',
                             .place = lsn_of(PQgetvalue(res, 0, 4))};
}

/* Whoever reads says in its name (application_name) for which Redis. */
static sp_status find_slot(struct sp_feed *feed, struct sp__buf *text, struct slot *slot, sp_error **error)
{
        bool tells = sp__replication_version(feed->replication) >= 130000;
        PGresult *res = NULL;
        sp_status status;

        *slot = (struct slot){0};
        sp__buf_format(
            text,
            "SELECT s.plugin = 'pgoutput' AND s.database = current_database(), %s, coalesce(s.active_pid, "
            "0), right(a.application_name, 16) <> '%s', s.confirmed_flush_lsn FROM pg_replication_slots s LEFT "
            "JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = ",
            tells ? "s.wal_status" : "''", feed->identity);
        sp__replication_literal(feed->replication, text, feed->slot);
        status = sp__feed_ask(feed, text, SP__FEED_ASK_MS, &res, error);
        if (status != SP_OK)
                return status;
        *slot = read_slot(res);
        PQclear(res);
        if (slot->foreign)
                return sp__fail(
                    error, SP_CONFIG,
                    "replication slot \"%s\" is of another database or another plugin: set feed.slot to another name",
                    feed->slot);
        if (slot->pid && slot->elsewhere)
                return sp__fail(error, SP_CONFIG,
                                "replication slot \"%s\" is read by server process %ld, which is not for the Redis at "
                                "%s: set cache.namespace or feed.slot to another name, or use the same Redis",
                                feed->slot, slot->pid, feed->cache->log.address.where);
        return SP_OK;
}

sp_status sp__feed_slot_ours(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        struct slot slot;

        return find_slot(feed, text, &slot, error);
}

/* We have the lease, so whoever reads has it no longer: a process that hangs, or is cut off, and whose connection still stands. */
static sp_status evict(struct sp_feed *feed, struct sp__buf *text, struct slot *slot, sp_error **error)
{
        sp_status status = SP_OK;

        for (int i = 0; i < WAITS && status == SP_OK && slot->there && slot->pid; i++) {
                status = sp__feed_renew(feed, error);
                if (status != SP_OK)
                        break;
                sp__buf_format(text, "SELECT pg_terminate_backend(%ld)", slot->pid);
                status = sp__feed_ask(feed, text, SP__FEED_ASK_MS, NULL, error);
                if (status == SP_OK && !sp__feed_sleep(feed, WAIT_MS * SP__MS))
                        status = sp__fail(error, SP_CLOSED, "%s", sp_status_text(SP_CLOSED));
                if (status == SP_OK)
                        status = find_slot(feed, text, slot, error);
        }
        if (status == SP_OK && slot->pid)
                return sp__fail(error, SP_UNAVAILABLE,
                                "slot \"%s\" is in use by server process %ld, which does not end", feed->slot,
                                slot->pid);
        return status;
}

static sp_status drop_slot(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        sp__buf_text(text, "DROP_REPLICATION_SLOT ");
        sp__buf_identifier(text, feed->slot);
        return sp__feed_ask(feed, text, SP__FEED_ASK_MS, NULL, error);
}

/* Server processes, "12, 34", and prepared transactions, which no process holds; of the one that makes the slot. */
static const char holders_text[] =
    "SELECT array_to_string(array_remove(pg_blocking_pids($1::int), 0), ', '), "
    "(SELECT string_agg(format('%L of database %s', p.gid, p.database), ', ') FROM pg_locks l "
    "JOIN pg_prepared_xacts p ON p.transaction = l.transactionid WHERE l.pid = $1::int AND NOT l.granted)";

static void note_waiting(struct sp_feed *feed, const char *pids, const char *prepared)
{
        char fault[SP__FEED_FAULT_MAX];

        snprintf(fault, sizeof fault, "slot \"%.63s\" waits for transactions that began before%s%.100s%s%.190s%s",
                 feed->slot, *pids ? ": those of server process " : "", pids,
                 *prepared ? ": prepared transaction " : "", prepared,
                 *prepared ? ": COMMIT PREPARED or ROLLBACK PREPARED there" : "");
        sp__feed_note(feed, fault);
}

/* About the server's process that makes the slot. */
static void ask_about(struct sp_feed *feed, sp_ctx *ctx, const char *name, const char *text, sp_result **out)
{
        char pid[PID_LEN];

        snprintf(pid, sizeof pid, "%d", sp__replication_pid(feed->replication));
        sp__feed_query_text(feed, ctx, 0, name, text, pid, out);
}

static void look_who_holds_up(struct sp_feed *feed)
{
        sp_result *result = NULL;
        bool there;

        ask_about(feed, feed->ctx, "sugarperf.feed.waits", holders_text, &result);
        there = result && sp_result_rows(result) > 0;
        note_waiting(feed, there ? sp__feed_cell(result, 0, 0) : "", there ? sp__feed_cell(result, 0, 1) : "");
        sp_result_free(result);
}

/* As long as it waits the server does not notice that nobody wants the slot any more. */
static void give_up(struct sp_feed *feed)
{
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_result *result = NULL;

        if (ctx && sp_ctx_set(ctx, "timeout", "1s", NULL) == SP_OK &&
            sp_ctx_set(ctx, "reads", "primary", NULL) == SP_OK)
                ask_about(feed, ctx, "sugarperf.feed.ends", "SELECT pg_terminate_backend($1::int)", &result);
        sp_result_free(result);
        sp_ctx_unref(ctx);
}

/* The lease is kept meanwhile, or whoever else took it would only begin to wait anew. */
static sp_status await_slot(struct sp_feed *feed, PGresult **out, sp_error **error)
{
        sp_status status = sp__replication_answer(feed->replication, feed->renew_at, out, error);

        while (status == SP_OK && !*out) {
                status = sp__feed_renew(feed, error);
                if (status != SP_OK) {
                        give_up(feed);
                        return status;
                }
                look_who_holds_up(feed);
                status = sp__replication_answer(feed->replication, feed->renew_at, out, error);
        }
        if (status == SP_CLOSED)
                give_up(feed);
        return status;
}

/* It waits for every transaction that writes, however long: from then on nothing is missed. */
static sp_status create_slot(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        PGresult *res = NULL;
        sp_status status;

        sp__buf_text(text, "SET lock_timeout = 0");
        status = sp__feed_ask(feed, text, SP__FEED_ASK_MS, NULL, error);
        if (status != SP_OK)
                return status;
        sp__buf_text(text, "CREATE_REPLICATION_SLOT ");
        sp__buf_identifier(text, feed->slot);
        sp__buf_text(text, feed->alone ? " TEMPORARY" : "");
        sp__buf_text(text, " LOGICAL pgoutput NOEXPORT_SNAPSHOT");
        sp__buf_char(text, 0);
        status = text->failed ? sp__fail(error, SP_NOMEM, "out of memory")
                              : sp__replication_send(feed->replication, text->data, error);
        sp__buf_clear(text);
        if (status == SP_OK)
                status = await_slot(feed, &res, error);
        if (status == SP_OK)
                feed->place = PQntuples(res) > 0 ? lsn_of(PQgetvalue(res, 0, 1)) : 0;
        PQclear(res);
        return status;
}

static sp_status make_slot(struct sp_feed *feed, struct sp__buf *text, const struct slot *former, sp_error **error)
{
        /* Who ends between here and the reset leaves a slot that looks as if it had been read all along. */
        sp_status status = sp__feed_keep_rules(feed, false, error);

        if (status == SP_OK && former->there)
                status = drop_slot(feed, text, error);
        if (status == SP_OK)
                status = create_slot(feed, text, error);
        return status;
}

/* Which server this is, and how far its log is. Nobody who read before us has seen more of it. */
static sp_status identify(struct sp_feed *feed, struct sp__buf *text, uint64_t *end, sp_error **error)
{
        PGresult *res = NULL;
        sp_status status;

        sp__buf_text(text, "IDENTIFY_SYSTEM");
        status = sp__feed_ask(feed, text, SP__FEED_ASK_MS, &res, error);
        if (status == SP_OK && PQntuples(res) > 0) {
                snprintf(feed->system, sizeof feed->system, "%s", PQgetvalue(res, 0, 0));
                *end = lsn_of(PQgetvalue(res, 0, 2));
        }
        PQclear(res);
        return status;
}

/* One that was read by somebody who had the lease meanwhile is as far as Redis knows. */
static sp_status recall_anew(struct sp_feed *feed, uint64_t place, sp_error **error)
{
        uint64_t former = feed->place;
        bool ours = true;
        sp_status status;

        feed->place = place;
        status = sp__feed_recall(feed, UINT64_MAX, &ours, error);
        if (status == SP_OK && !ours)
                status =
                    sp__fail(error, SP_UNAVAILABLE,
                             "slot \"%s\" was moved from %" PRIX64 " to %" PRIX64 " while it was taken: begins anew",
                             feed->slot, former, place);
        return status;
}

sp_status sp__feed_slot_stands(struct sp_feed *feed, sp_error **error)
{
        static const char text[] =
            "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE active_pid = $1::int";
        sp_result *result = NULL;
        const char *place = "";
        sp_status status;

        if (feed->alone)
                return SP_OK;
        ask_about(feed, feed->ctx, "sugarperf.feed.stands", text, &result);
        if (result && sp_result_rows(result) > 0)
                place = sp__feed_cell(result, 0, 0);
        if (!*place)
                status = sp__fail(error, SP_LOST, "slot \"%s\" was lost while it was taken, or could not be looked at",
                                  feed->slot);
        else
                status = lsn_of(place) == feed->place ? SP_OK : recall_anew(feed, lsn_of(place), error);
        sp_result_free(result);
        return status;
}

sp_status sp__feed_slot_take(struct sp_feed *feed, struct sp__buf *text, bool anew, bool *reset, sp_error **error)
{
        bool ours = true;
        uint64_t end = 0;
        struct slot slot;
        sp_status status = find_slot(feed, text, &slot, error);

        if (status == SP_OK)
                status = evict(feed, text, &slot, error);
        if (status == SP_OK)
                status = identify(feed, text, &end, error);
        if (status != SP_OK)
                return status;
        *reset = !slot.there || slot.lost || anew;
        feed->place = slot.place;
        status = *reset ? make_slot(feed, text, &slot, error) : sp__feed_recall(feed, end, &ours, error);
        *reset = *reset || (!ours && !sp__bugged(SP__BUG_OLD_RUN) && !sp__bugged(SP__BUG_MOVED_SLOT));
        if (status == SP_OK)
                sp__feed_begin_lag(feed, feed->place, end);
        return status;
}
