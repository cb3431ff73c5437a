/* SPDX-License-Identifier: MIT */
#include "cache/log.h"

#include "redis/wire.h"

#include <stdlib.h>

#define RETRY_FIRST (50 * SP__MS)
#define RETRY_MOST  SP__SECOND

enum { TRIP_TAGS = 1024 };

/* One trip. What is owed later than `upto` it does not pay: its bump may have come before that. */
struct payment {
        struct sp__log *log;
        struct sp__list payers;
        uint64_t upto;
        size_t count;
        bool all;
        bool with_text;
        uint64_t tags[TRIP_TAGS];
};

static void schedule(struct sp__log *log)
{
        struct sp__debts *debts = &log->debts;
        int64_t pause;

        sp__lock(&log->lock);
        pause = RETRY_FIRST << (debts->retries < 8 ? debts->retries : 8);
        if (!debts->timed && !atomic_load(&log->ending)) {
                debts->retries++;
                debts->timed =
                    sp__timer_set(log->engine, &debts->timer, sp__now() + (pause < RETRY_MOST ? pause : RETRY_MOST));
        }
        sp__unlock(&log->lock);
}

static void tell(struct sp__list *payers, sp_status status, const sp_error *error)
{
        struct sp__list *link;

        while ((link = sp__list_pop(payers))) {
                struct sp__payer *payer = SP__OF(link, struct sp__payer, link);

                payer->go(payer, status, error);
        }
}

static void refuse(struct sp__log *log, sp_status status)
{
        sp_error *error = sp__error_new(status, NULL, "%s", sp_status_text(status));
        struct sp__list payers;

        sp__list_init(&payers);
        sp__lock(&log->lock);
        sp__list_join(&payers, &log->debts.payers);
        sp__unlock(&log->lock);
        tell(&payers, status, error);
        sp_error_free(error);
}

/* The lock is held. Who waits goes first, as far as there is room. */
static void take_payers(struct payment *payment)
{
        struct sp__list *link;

        while (payment->count < TRIP_TAGS && (link = sp__list_pop(&payment->log->debts.payers))) {
                payment->tags[payment->count++] = SP__OF(link, struct sp__payer, link)->tag;
                sp__list_push(&payment->payers, link);
        }
}

/* What is owed is looked at behind those who wait, and before the trip: so it pays all that was owed when they came. */
static void take_debts(struct payment *payment)
{
        struct sp__mirror *mirror = &payment->log->mirror;

        sp__mirror_lapse(mirror, sp__now() - atomic_load(&payment->log->longest));
        payment->count += sp__mirror_owed(mirror, payment->tags + payment->count, TRIP_TAGS - payment->count,
                                          &payment->upto, &payment->all);
}

static void pay(struct sp__log *log);

static void end(struct payment *payment, sp_status status, const sp_error *error)
{
        struct sp__log *log = payment->log;
        bool more;

        sp__lock(&log->lock);
        log->debts.paying = false;
        more = !sp__list_empty(&log->debts.payers);
        sp__unlock(&log->lock);
        tell(&payment->payers, status, error);
        free(payment);
        if (more)
                pay(log);
        sp__log_end_trip(log);
}

static void sent(sp__op *op);

static void send(struct payment *payment)
{
        struct sp__command *command = sp__command_new();

        sp__probe_step();
        if (!command) {
                schedule(payment->log);
                end(payment, SP_NOMEM, NULL);
                return;
        }
        sp__log_add_bump(payment->log, command, payment->with_text, payment->tags, payment->count, payment->all);
        sp__link_run(payment->log->link, command, NULL, sent, payment);
}

/* Redis acknowledged it. */
static void settle(struct payment *payment, uint64_t e, int64_t n)
{
        struct sp__log *log = payment->log;

        sp__log_acknowledge(log, e, n, payment->tags, payment->count);
        sp__mirror_pay(&log->mirror, payment->tags, payment->count, payment->upto, payment->all);
        sp__lock(&log->lock);
        log->debts.retries = 0;
        sp__unlock(&log->lock);
}

static sp_error *refusal(struct payment *payment, const redisReply *refused)
{
        const char *where = payment->log->address.where;

        return refused ? sp__redis_error(refused, where)
                       : sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: an answer that makes no sense", where);
}

static void sent(sp__op *op)
{
        struct payment *payment = op->owner;
        struct sp__command *command = sp__command_of(op);
        sp_status status = op->status;
        sp_error *error = NULL;
        uint64_t e;
        int64_t n;

        sp__probe_step();
        if (status == SP_OK && sp__command_noscript(command) && !payment->with_text) {
                payment->with_text = true;
                send(payment);
                return;
        }
        if (status == SP_OK && sp__log_read(command->replies[0], &e, &n)) {
                settle(payment, e, n);
        } else if (status == SP_OK) {
                error = refusal(payment, sp__command_refused(command));
                status = error ? sp_error_status(error) : SP_NOMEM;
        }
        schedule(payment->log);
        end(payment, status, error ? error : op->error);
        sp_error_free(error);
}

/* A trip, unless one is under way: who waits then goes with the next one. Any thread. */
static void pay(struct sp__log *log)
{
        struct payment *payment = calloc(1, sizeof *payment);
        bool mine;

        if (!payment) {
                schedule(log);
                refuse(log, SP_NOMEM);
                return;
        }
        payment->log = log;
        sp__list_init(&payment->payers);
        sp__lock(&log->lock);
        mine = !log->debts.paying && !atomic_load(&log->ending);
        if (mine) {
                log->debts.paying = true;
                log->trips++;
                take_payers(payment);
        }
        sp__unlock(&log->lock);
        if (!mine) {
                free(payment);
                return;
        }
        take_debts(payment);
        if (payment->count || payment->all)
                send(payment);
        else
                end(payment, SP_OK, NULL);
}

static void pay_again(struct sp__timer *timer)
{
        struct sp__log *log = SP__OF(timer, struct sp__log, debts.timer);

        sp__lock(&log->lock);
        log->debts.timed = false;
        sp__unlock(&log->lock);
        pay(log);
}

bool sp__log_pay(struct sp__log *log, struct sp__payer *payer)
{
        bool waits;

        if (!log->link || !sp__mirror_owes(&log->mirror, &payer->tag, 1))
                return false;
        sp__lock(&log->lock);
        waits = !atomic_load(&log->ending);
        if (waits) {
                sp__list_push(&log->debts.payers, &payer->link);
                log->trips++;
        }
        sp__unlock(&log->lock);
        if (!waits)
                return false;
        pay(log);
        /* It may have been told already, and the log be closed behind it. */
        sp__log_end_trip(log);
        return true;
}

void sp__log_owe(struct sp__log *log, const uint64_t *tags, size_t count)
{
        if (!log->link)
                return;
        sp__mirror_owe(&log->mirror, tags, count);
        schedule(log);
}

void sp__log_owe_all(struct sp__log *log)
{
        if (!log->link)
                return;
        sp__mirror_owe_all(&log->mirror);
        schedule(log);
}

void sp__log_lasts(struct sp__log *log, int64_t ms)
{
        int64_t longest = sp__after_ms(0, ms), former = atomic_load(&log->longest);

        while (longest > former && !atomic_compare_exchange_weak(&log->longest, &former, longest)) {
                /* Another one raised it. */
        }
}

void sp__debts_init(struct sp__log *log)
{
        sp__list_init(&log->debts.payers);
        log->debts.timer.fire = pay_again;
}

void sp__debts_stop(struct sp__log *log)
{
        sp__lock(&log->lock);
        sp__timer_stop(log->engine, &log->debts.timer);
        sp__unlock(&log->lock);
        refuse(log, SP_CLOSED);
}
