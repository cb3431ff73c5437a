/* SPDX-License-Identifier: MIT */
/*
 * Turns: when something is due, who waits for it asks Redis for the turn, which is a lease that its holder keeps alive.
 * The time is looked at again twice a minute, as the wall clock may be set.
 */
#include "cache/cron.h"
#include "cache/entry.h"
#include "cache/flight.h"

#include "core/error.h"
#include "loop/port.h"
#include "redis/wire.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sugarperf/schedule.h>

#define LOOK_AGAIN (30 * SP__SECOND)
#define ASK_AGAIN  SP__SECOND

enum {
        START_WINDOW_MS = 60000,
        REMEMBER_MS = 7 * 24 * 3600 * 1000,
        NAME_MAX_BYTES = SP__NAMESPACE_MAX + SP_SCHEDULE_NAME_MAX + 16
};

struct sp_schedule {
        atomic_uint refs; /* the owner's, a trip's, the timer's, turns' */
        sp_cache *cache;
        struct sp__cron cron;
        char done_name[NAME_MAX_BYTES];
        char lease_name[NAME_MAX_BYTES];

        sp__mutex lock; /* a leaf, but for the engine's timers */
        bool closed;
        struct sp__list waiters; /* each with a reference */
        struct sp__timer timer;
        bool asking;
        int64_t last; /* up to then nothing is due any more */
        int64_t due;  /* what is waited for; -1: nothing */
        char token[SP__TOKEN_LEN + 1];
};

struct sp_turn {
        sp_schedule *schedule; /* a reference */
        int64_t due;
        char token[SP__TOKEN_LEN + 1];
        struct sp__timer timer;
        sp__mutex lock;
        atomic_uint refs; /* its holder's, the timer's */
        bool keeping;     /* Redis is being asked to keep it: who does that also tells it of the end */
        bool over;
        bool done;
};

/* Who waits. */
struct waiting {
        sp__op op;
        sp_schedule *schedule; /* a reference */
        struct sp__timer timer;
        bool timed;
};

static void schedule_unref(sp_schedule *schedule)
{
        if (atomic_fetch_sub(&schedule->refs, 1) != 1)
                return;
        sp__mutex_destroy(&schedule->lock);
        free(schedule);
}

static sp_schedule *schedule_ref(sp_schedule *schedule)
{
        atomic_fetch_add(&schedule->refs, 1);
        return schedule;
}

static struct waiting *waiting_of(sp__op *op)
{
        return SP__OF(op, struct waiting, op);
}

/* The schedule's lock is held. true: it is the caller's to settle; `*listed`: and so is the list's reference. */
static bool take(struct waiting *waiting, bool *listed)
{
        bool mine = sp__op_claim(&waiting->op);

        *listed = mine && sp__list_linked(&waiting->op.link);
        if (*listed)
                sp__list_remove(&waiting->op.link);
        return mine;
}

static void cancel(sp__op *op, sp_status why)
{
        struct waiting *waiting = waiting_of(op);
        struct sp__batch done;
        bool mine, listed;

        sp__lock(&waiting->schedule->lock);
        mine = take(waiting, &listed);
        sp__unlock(&waiting->schedule->lock);
        if (!mine)
                return;
        sp__batch_init(&done);
        sp__op_end(op, why, sp__error_new(why, NULL, "waiting for a turn: %s", sp_status_text(why)), &done);
        sp__batch_deliver(&done);
        if (listed)
                sp__op_unref(op);
}

static void settled(sp__op *op)
{
        struct waiting *waiting = waiting_of(op);

        if (waiting->timed && sp__timer_stop(waiting->schedule->cache->engine, &waiting->timer))
                sp__op_unref(op);
}

static void destroy(sp__op *op)
{
        struct waiting *waiting = waiting_of(op);

        schedule_unref(waiting->schedule);
        free(waiting);
}

static const struct sp__op_kind waiting_kind = {.cancel = cancel, .settled = settled, .destroy = destroy};

static void too_late(struct sp__timer *timer)
{
        struct waiting *waiting = SP__OF(timer, struct waiting, timer);

        cancel(&waiting->op, SP_TIMEOUT);
        sp__op_unref(&waiting->op);
}

/* The schedule's lock is held, as for what follows. The timer has a reference while it is set. */
static void set_timer(sp_schedule *schedule, int64_t pause)
{
        if (schedule->closed)
                return;
        if (!sp__timer_stop(schedule->cache->engine, &schedule->timer))
                schedule_ref(schedule);
        if (!sp__timer_set(schedule->cache->engine, &schedule->timer, sp__now() + pause))
                schedule_unref(schedule);
}

/* What is due first of what nobody has done; of what was missed the last. */
static void choose(sp_schedule *schedule)
{
        int64_t now = sp__wall_ms(), next;

        if (schedule->cron.start) {
                schedule->due = schedule->last < 0 ? now : -1;
                return;
        }
        schedule->due = sp__cron_next(&schedule->cron, schedule->last);
        while ((next = sp__cron_next(&schedule->cron, schedule->due)) >= 0 && next <= now)
                schedule->due = next;
}

static void await_due(sp_schedule *schedule)
{
        int64_t pause;

        if (schedule->due < 0 || schedule->asking || sp__list_empty(&schedule->waiters))
                return;
        pause = (schedule->due - sp__wall_ms()) * SP__MS;
        set_timer(schedule, pause < 0 ? 0 : pause < LOOK_AGAIN ? pause : LOOK_AGAIN);
}

static void turn_keep(struct sp__timer *timer);

static sp_turn *turn_new(sp_schedule *schedule)
{
        sp_turn *turn = calloc(1, sizeof *turn);

        if (!turn)
                return NULL;
        atomic_init(&turn->refs, 1);
        turn->schedule = schedule_ref(schedule);
        turn->due = schedule->due;
        turn->timer.fire = turn_keep;
        memcpy(turn->token, schedule->token, sizeof turn->token);
        sp__mutex_init(&turn->lock);
        return turn;
}

static void turn_unref(sp_turn *turn)
{
        if (atomic_fetch_sub(&turn->refs, 1) != 1)
                return;
        schedule_unref(turn->schedule);
        sp__mutex_destroy(&turn->lock);
        free(turn);
}

/* The turn's lock is held. */
static void keep_later(sp_turn *turn)
{
        sp_cache *cache = turn->schedule->cache;

        if (!cache->log.link || turn->over)
                return;
        atomic_fetch_add(&turn->refs, 1);
        if (!sp__timer_set(cache->engine, &turn->timer, sp__now() + cache->lease_ms * SP__MS / 3))
                atomic_fetch_sub(&turn->refs, 1);
}

static void tell_end(const sp_turn *turn);

/* Where Redis has forgotten it, it is set again; never behind the end, where it would keep others away. */
static void turn_keep(struct sp__timer *timer)
{
        sp_turn *turn = SP__OF(timer, sp_turn, timer);
        sp_cache *cache = turn->schedule->cache;
        struct sp__command *command;
        bool ended;

        sp__lock(&turn->lock);
        command = turn->over ? NULL : sp__command_new();
        turn->keeping = command;
        if (command)
                sp__cache_work(cache);
        keep_later(turn);
        sp__unlock(&turn->lock);
        if (command) {
                sp__script_begin(command, SP__SCRIPT_TURN_KEEP, true, 2, 3);
                sp__command_text(command, turn->schedule->done_name);
                sp__command_text(command, turn->schedule->lease_name);
                sp__command_text(command, turn->token);
                sp__command_int(command, cache->lease_ms);
                sp__command_int(command, turn->due);
                sp__link_run(cache->log.link, command, NULL, NULL, NULL);
                sp__lock(&turn->lock);
                turn->keeping = false;
                ended = turn->over;
                sp__unlock(&turn->lock);
                if (ended)
                        tell_end(turn);
                sp__cache_rest(cache);
        }
        turn_unref(turn);
}

static void drop_turn(void *turn)
{
        sp_turn_end(turn, false);
}

/* The turn is this process's: the oldest waiter gets it. Where nobody waits any more it goes back. */
static void grant(sp_schedule *schedule)
{
        struct sp__batch done;
        struct sp__list *link;
        sp__op *op = NULL;
        sp_turn *turn;

        sp__batch_init(&done);
        sp__lock(&schedule->lock);
        schedule->asking = false;
        turn = turn_new(schedule);
        link = turn ? sp__list_pop(&schedule->waiters) : NULL;
        if (link) {
                op = SP__OF(link, sp__op, link);
                sp__op_claim(op);
                schedule->last = schedule->due;
                choose(schedule);
        }
        await_due(schedule);
        sp__unlock(&schedule->lock);
        if (op) {
                sp__lock(&turn->lock);
                keep_later(turn);
                sp__unlock(&turn->lock);
                sp__op_end_with(op, SP__YIELD_TURN, turn, drop_turn, &done);
                sp__op_unref(op);
        } else {
                sp_turn_end(turn, false);
        }
        sp__batch_deliver(&done);
}

/* Another one has done it, or has it; or Redis does not say. */
static void not_yet(sp_schedule *schedule, bool done)
{
        sp__lock(&schedule->lock);
        schedule->asking = false;
        if (done) {
                schedule->last = schedule->due;
                choose(schedule);
                await_due(schedule);
        } else if (!sp__list_empty(&schedule->waiters)) {
                choose(schedule);
                set_timer(schedule, ASK_AGAIN);
        }
        sp__unlock(&schedule->lock);
}

static void asked(sp__op *op)
{
        sp_schedule *schedule = op->owner;
        sp_cache *cache = schedule->cache;
        struct sp__command *command = sp__command_of(op);
        int64_t answer = 0;

        if (op->status == SP_OK && !sp__command_refused(command))
                sp__reply_int(command->replies[0], &answer);
        if (answer == 1)
                grant(schedule);
        else
                not_yet(schedule, answer == 2);
        schedule_unref(schedule);
        sp__cache_rest(cache);
}

static void ask(sp_schedule *schedule)
{
        sp_cache *cache = schedule->cache;
        struct sp__command *command = sp__command_new();

        if (!command) {
                not_yet(schedule, false);
                return;
        }
        sp__script_begin(command, SP__SCRIPT_TURN, true, 2, 4);
        sp__command_text(command, schedule->done_name);
        sp__command_text(command, schedule->lease_name);
        sp__command_int(command, schedule->due);
        sp__command_text(command, schedule->token);
        sp__command_int(command, cache->lease_ms);
        sp__command_int(command, schedule->cron.start ? START_WINDOW_MS : 0);
        schedule_ref(schedule);
        sp__cache_work(cache);
        sp__link_run(cache->log.link, command, NULL, asked, schedule);
}

static void new_token(sp_schedule *schedule)
{
        struct sp__random random = {sp__random_seed()};

        snprintf(schedule->token, sizeof schedule->token, "%016llx%016llx",
                 (unsigned long long)sp__random_next(&random), (unsigned long long)sp__random_next(&random));
}

static void look(struct sp__timer *timer)
{
        sp_schedule *schedule = SP__OF(timer, sp_schedule, timer);
        bool due;

        sp__lock(&schedule->lock);
        due = !schedule->closed && !schedule->asking && schedule->due >= 0 && schedule->due <= sp__wall_ms() &&
              !sp__list_empty(&schedule->waiters);
        if (due) {
                schedule->asking = true;
                new_token(schedule);
        } else if (!schedule->closed) {
                await_due(schedule);
        }
        sp__unlock(&schedule->lock);
        if (due && schedule->cache->log.link)
                ask(schedule);
        else if (due)
                grant(schedule);
        schedule_unref(schedule);
}

static sp_status check_name(const char *name, sp_error **error)
{
        size_t len = name ? strlen(name) : 0;
        bool good = len > 0 && len <= SP_SCHEDULE_NAME_MAX;

        for (size_t i = 0; good && i < len; i++)
                good = isalnum((unsigned char)name[i]) || strchr("-_.", name[i]);
        return good ? SP_OK
                    : sp__fail(error, SP_INVALID, "a schedule's name has 1 to %d letters, digits, -, _ and .",
                               SP_SCHEDULE_NAME_MAX);
}

sp_status sp_schedule_new(sp_cache *cache, const char *name, const char *when, sp_schedule **out, sp_error **error)
{
        sp_schedule *schedule;
        struct sp__cron cron;
        sp_status status;

        SP__NEED(cache, error);
        SP__NEED(out, error);
        status = check_name(name, error);
        if (status == SP_OK)
                status = sp__cron_parse(when, &cron, error);
        if (status != SP_OK)
                return status;
        schedule = calloc(1, sizeof *schedule);
        if (!schedule)
                return sp__fail(error, SP_NOMEM, "out of memory");
        atomic_init(&schedule->refs, 1);
        schedule->cache = cache;
        schedule->cron = cron;
        schedule->timer.fire = look;
        schedule->last = cron.start ? -1 : sp__wall_ms();
        schedule->due = -1;
        sp__mutex_init(&schedule->lock);
        sp__list_init(&schedule->waiters);
        snprintf(schedule->done_name, sizeof schedule->done_name, "{%.*s:turn:%s}", (int)cache->prefix_len - 1,
                 cache->prefix, name);
        snprintf(schedule->lease_name, sizeof schedule->lease_name, "{%.*s:turn:%s}:t", (int)cache->prefix_len - 1,
                 cache->prefix, name);
        *out = schedule;
        return SP_OK;
}

void sp_schedule_free(sp_schedule *schedule)
{
        struct sp__list ended;
        struct sp__list *link;
        struct sp__batch done;

        if (!schedule)
                return;
        if (sp__engine_forked(schedule->cache->engine))
                return;
        sp__list_init(&ended);
        sp__batch_init(&done);
        sp__lock(&schedule->lock);
        schedule->closed = true;
        if (sp__timer_stop(schedule->cache->engine, &schedule->timer))
                atomic_fetch_sub(&schedule->refs, 1);
        SP__EACH(&schedule->waiters, at, after)
        {
                sp__op_claim(SP__OF(at, sp__op, link));
                sp__list_remove(at);
                sp__list_push(&ended, at);
        }
        sp__unlock(&schedule->lock);
        while ((link = sp__list_pop(&ended))) {
                sp__op *op = SP__OF(link, sp__op, link);

                sp__op_end(op, SP_CLOSED, sp__error_new(SP_CLOSED, NULL, "the schedule is closed"), &done);
                sp__op_unref(op);
        }
        sp__batch_deliver(&done);
        schedule_unref(schedule);
}

int64_t sp_schedule_next(const sp_schedule *schedule, int64_t unix_ms)
{
        return schedule ? sp__cron_next(&schedule->cron, unix_ms) : -1;
}

static sp_status waiting_new(sp_schedule *schedule, sp_ctx *ctx, struct waiting **out, sp_error **error)
{
        sp_status status;

        SP__NEED(schedule, error);
        status = sp__cache_admit(schedule->cache, ctx, "turn", 4, error);
        if (status != SP_OK)
                return status;
        *out = calloc(1, sizeof **out);
        if (!*out)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__op_init(&(*out)->op, &waiting_kind, ctx, SP__FOREVER);
        (*out)->schedule = schedule_ref(schedule);
        (*out)->timer.fire = too_late;
        return SP_OK;
}

static void watch_time(struct waiting *waiting)
{
        if (waiting->op.waits || waiting->op.deadline == SP__FOREVER)
                return;
        waiting->timed = true;
        sp__op_ref(&waiting->op);
        if (!sp__timer_set(waiting->schedule->cache->engine, &waiting->timer, waiting->op.deadline)) {
                waiting->timed = false;
                sp__op_unref(&waiting->op);
        }
}

static void start(struct waiting *waiting)
{
        sp_schedule *schedule = waiting->schedule;
        bool closed;

        sp__lock(&schedule->lock);
        closed = schedule->closed;
        if (!closed && sp__op_pending(&waiting->op)) {
                watch_time(waiting);
                sp__list_push(&schedule->waiters, &sp__op_ref(&waiting->op)->link);
                if (!schedule->asking) {
                        choose(schedule);
                        await_due(schedule);
                }
        }
        sp__unlock(&schedule->lock);
        if (closed)
                cancel(&waiting->op, SP_CLOSED);
}

sp_status sp_schedule_wait(sp_schedule *schedule, sp_ctx *ctx, sp_turn **out, sp_error **error)
{
        struct waiting *waiting = NULL;
        sp_status status;
        void *what = NULL;

        SP__NEED(out, error);
        status = waiting_new(schedule, ctx, &waiting, error);
        if (status == SP_OK)
                status = sp__op_for_caller(&waiting->op, error);
        if (status != SP_OK)
                return status;
        start(waiting);
        sp__op_wait(&waiting->op);
        status = sp__op_take(&waiting->op, &what, error);
        if (status == SP_OK)
                *out = what;
        return status;
}

sp_status sp_schedule_wait_async(sp_schedule *schedule, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        struct waiting *waiting = NULL;
        sp_error *error = NULL;
        sp_status status = waiting_new(schedule, ctx, &waiting, &error);

        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        status = sp__op_for_queue(&waiting->op, queue, tag);
        if (status != SP_OK)
                return status;
        start(waiting);
        sp__op_unref(&waiting->op);
        return SP_OK;
}

int64_t sp_turn_due(const sp_turn *turn)
{
        return turn ? turn->due : -1;
}

/* Of a start its end is noted down: who waited, or began, while it took its time does not make it again. */
static void tell_end(const sp_turn *turn)
{
        sp_cache *cache = turn->schedule->cache;
        struct sp__command *command = cache->log.link ? sp__command_new() : NULL;

        if (!command)
                return;
        sp__script_begin(command, SP__SCRIPT_TURN_END, true, 2, 3);
        sp__command_text(command, turn->schedule->done_name);
        sp__command_text(command, turn->schedule->lease_name);
        sp__command_text(command, turn->token);
        sp__command_int(command, turn->schedule->cron.start ? sp__wall_ms() : turn->due);
        sp__command_int(command, turn->done ? REMEMBER_MS : 0);
        sp__link_run(cache->log.link, command, NULL, NULL, NULL);
}

/* Not done: this process may have it again as well. */
static void take_back(sp_schedule *schedule, int64_t due)
{
        sp__lock(&schedule->lock);
        if (schedule->last == due)
                schedule->last = schedule->cron.start ? -1 : due - 1;
        if (!schedule->asking) {
                choose(schedule);
                if (schedule->due >= 0 && !sp__list_empty(&schedule->waiters))
                        set_timer(schedule, ASK_AGAIN);
        }
        sp__unlock(&schedule->lock);
}

void sp_turn_end(sp_turn *turn, bool done)
{
        bool keeping;

        if (!turn || sp__engine_forked(turn->schedule->cache->engine))
                return;
        sp__lock(&turn->lock);
        turn->over = true;
        turn->done = done;
        keeping = turn->keeping;
        if (sp__timer_stop(turn->schedule->cache->engine, &turn->timer))
                atomic_fetch_sub(&turn->refs, 1);
        sp__unlock(&turn->lock);
        if (!keeping)
                tell_end(turn);
        if (!done)
                take_back(turn->schedule, turn->due);
        turn_unref(turn);
}
