/* SPDX-License-Identifier: MIT */
/*
 * A call's way into a policy: an operation of stages, pause, rate, place, permit. It is settled only under the policy's lock,
 * and the breaker is asked without it. A place that becomes free goes to the oldest who waits. Those who wait for the rate
 * stand in line, the first with a timer for the moment when a call may go: who leaves the line, for whatever reason, holds up
 * nobody behind.
 */
#include "core/error.h"
#include "core/queue.h"
#include "guard/breaker.h"
#include "guard/call.h"
#include "loop/port.h"

#include <stdlib.h>

enum stage { PAUSE, RATE, PLACE, PERMIT };

struct sp__entry {
        sp__op op;
        sp_call *call;          /* a reference */
        sp_policy *policy;      /* its memory is held */
        struct sp__timer timer; /* holds a reference while set */
        enum stage stage;
        bool lined; /* stands in line for the rate */
        bool placed;
};

static struct sp__entry *entry_of(sp__op *op)
{
        return SP__OF(op, struct sp__entry, op);
}

/* Out of the list that it stands in, whose reference goes to the caller. The policy's lock is held, as for all that follow. */
static bool take_off(struct sp__entry *entry)
{
        if (!sp__list_linked(&entry->op.link))
                return false;
        sp__list_remove(&entry->op.link);
        entry->policy->queued -= entry->stage == PERMIT;
        entry->policy->lined -= entry->lined;
        entry->lined = false;
        return true;
}

static sp_error *refusal(const struct sp__entry *entry, sp_status status, const char *why)
{
        return sp__error_new(status, NULL, "policy \"%s\": %s", entry->policy->name, why);
}

static void end(struct sp__entry *entry)
{
        if (entry->call->entry == entry)
                entry->call->entry = NULL;
}

static void fail(struct sp__entry *entry, sp_status status, enum sp__policy_count count, const char *why,
                 struct sp__batch *done)
{
        if (!sp__op_pending(&entry->op))
                return;
        if (count < SP__POLICY_COUNTS)
                entry->policy->counts[count]++;
        entry->call->over = true;
        sp__op_fail(&entry->op, status, refusal(entry, status, why), done);
        end(entry);
}

struct sp__entry *sp__entry_place_free(sp_policy *policy)
{
        struct sp__list *link = policy->queue.next;
        struct sp__entry *next;

        policy->running--;
        if (link == &policy->queue)
                return NULL;
        next = entry_of(SP__OF(link, sp__op, link));
        take_off(next);
        policy->running++;
        next->placed = true;
        return next;
}

static void entry_fire(struct sp__timer *timer);

/* Until then, or its deadline. A timer that is set holds a reference. */
static bool wait_until(struct sp__entry *entry, int64_t at)
{
        struct sp__engine *engine = entry->policy->engine;
        bool was_set;

        if (at > entry->op.deadline)
                at = entry->op.deadline;
        if (at == SP__FOREVER)
                return true;
        was_set = sp__timer_stop(engine, &entry->timer);
        if (!sp__timer_set(engine, &entry->timer, at)) {
                if (was_set)
                        sp__op_unref(&entry->op);
                return false;
        }
        if (!was_set)
                sp__op_ref(&entry->op);
        return true;
}

static bool is_first(const struct sp__entry *entry)
{
        return entry->policy->line.next == &entry->op.link;
}

/* The first of the line waits for the moment when a call may go. */
static void wake_line(sp_policy *policy, int64_t now, struct sp__batch *done)
{
        while (!sp__list_empty(&policy->line)) {
                struct sp__entry *first = entry_of(SP__OF(policy->line.next, sp__op, link));

                if (wait_until(first, now + sp__limiter_wait(&policy->limiter, now, 0)))
                        return;
                take_off(first);
                fail(first, SP_NOMEM, SP__POLICY_COUNTS, "out of memory", done);
                sp__op_unref(&first->op);
        }
}

static bool unlist(struct sp__entry *entry, struct sp__batch *done)
{
        bool first = is_first(entry), listed = take_off(entry);

        if (first)
                wake_line(entry->policy, sp__now(), done);
        return listed;
}

static bool wait_in(struct sp__entry *entry, struct sp__list *list, int64_t at)
{
        if (!wait_until(entry, at))
                return false;
        sp__op_ref(&entry->op);
        sp__list_push(list, &entry->op.link);
        return true;
}

/* true: go on at once. */
static bool pause_stage(struct sp__entry *entry, int64_t now, struct sp__batch *done)
{
        int64_t ns = entry->call->pause_ns;

        entry->stage = RATE;
        entry->call->pause_ns = 0;
        if (ns == 0)
                return true;
        if (!wait_in(entry, &entry->policy->paused, now + ns))
                fail(entry, SP_NOMEM, SP__POLICY_COUNTS, "out of memory", done);
        return false;
}

/* Who could not go within `rate_wait` and its deadline is refused at once. */
static bool may_line_up(const struct sp__entry *entry, int64_t now)
{
        const sp_policy *policy = entry->policy;
        int64_t wait = sp__limiter_wait(&policy->limiter, now, policy->lined);

        return wait <= policy->rules.rate_wait_ms * SP__MS && wait < entry->op.deadline - now;
}

static bool rate_stage(struct sp__entry *entry, int64_t now, struct sp__batch *done)
{
        sp_policy *policy = entry->policy;

        if (policy->lined == 0 && sp__limiter_take(&policy->limiter, now)) {
                entry->stage = PLACE;
                return true;
        }
        if (!may_line_up(entry, now)) {
                fail(entry, SP_FULL, SP__POLICY_RATE_LIMITED, "too many calls a second", done);
        } else if (wait_in(entry, &policy->line, SP__FOREVER)) {
                entry->lined = true;
                if (policy->lined++ == 0)
                        wake_line(policy, now, done);
        } else {
                fail(entry, SP_NOMEM, SP__POLICY_COUNTS, "out of memory", done);
        }
        return false;
}

static bool place_stage(struct sp__entry *entry, struct sp__batch *done)
{
        sp_policy *policy = entry->policy;
        bool bounded = policy->rules.concurrency > 0;

        if (!bounded || policy->running < policy->rules.concurrency) {
                entry->stage = PERMIT;
                policy->running++;
                entry->placed = true;
                return true;
        }
        if (policy->queued >= policy->rules.waiting) {
                fail(entry, SP_FULL, SP__POLICY_FULL, "as many calls as are allowed run and wait", done);
                return false;
        }
        entry->stage = PERMIT;
        policy->queued++;
        if (!wait_in(entry, &policy->queue, SP__FOREVER)) {
                policy->queued--;
                fail(entry, SP_NOMEM, SP__POLICY_COUNTS, "out of memory", done);
        }
        return false;
}

/* true: it has a place, and is to be granted when the lock is gone. */
static bool proceed(struct sp__entry *entry, struct sp__batch *done)
{
        int64_t now = sp__now();

        if (!sp__op_pending(&entry->op) || entry->lined)
                return false;
        if (now >= entry->op.deadline) {
                fail(entry, SP_TIMEOUT, SP__POLICY_TIMED_OUT, "the deadline passed before the call was made", done);
                return false;
        }
        if (entry->stage == PAUSE && !pause_stage(entry, now, done))
                return false;
        if (entry->stage == RATE && !rate_stage(entry, now, done))
                return false;
        return entry->stage == PLACE && place_stage(entry, done);
}

static void begin(struct sp__entry *entry, uint64_t permit, struct sp__batch *done)
{
        sp_call *call = entry->call;

        call->running = true;
        call->permit = permit;
        call->since = sp__now();
        if (call->attempts++ == 0)
                sp__budget_called(&entry->policy->budget);
        entry->policy->counts[SP__POLICY_ADMITTED]++;
        sp__op_yield(&entry->op, SP__YIELD_NONE, NULL, NULL, done);
        end(entry);
}

void sp__entry_grant(struct sp__entry *entry)
{
        while (entry) {
                sp_policy *policy = entry->policy;
                struct sp__entry *next = NULL;
                struct sp__batch done;
                uint64_t permit = 0;
                sp_status status = policy->breaker ? sp_breaker_acquire(policy->breaker, &permit) : SP_OK;
                bool begins;

                sp__batch_init(&done);
                sp__lock(&policy->lock);
                begins = status == SP_OK && sp__op_pending(&entry->op);
                if (begins)
                        begin(entry, permit, &done);
                else {
                        next = sp__entry_place_free(policy);
                        fail(entry, status, SP__POLICY_OPEN, sp_status_text(status), &done);
                }
                sp__unlock(&policy->lock);
                if (status == SP_OK && !begins && permit)
                        sp_breaker_release(policy->breaker, permit);
                sp__batch_deliver(&done);
                sp__op_unref(&entry->op);
                entry = next;
        }
}

/* Its time has come: out of the list where it waited for that. false: it was in none, or waits on. */
static bool step_out(struct sp__entry *entry, int64_t now, struct sp__batch *done)
{
        sp_policy *policy = entry->policy;

        if (entry->lined) {
                if (!is_first(entry) || !sp__limiter_take(&policy->limiter, now)) {
                        wait_until(entry,
                                   is_first(entry) ? now + sp__limiter_wait(&policy->limiter, now, 0) : SP__FOREVER);
                        return false;
                }
                entry->stage = PLACE;
        }
        return entry->stage != PERMIT && unlist(entry, done);
}

static void advance(struct sp__entry *entry)
{
        sp_policy *policy = entry->policy;
        struct sp__batch done;
        bool granted, listed;

        sp__batch_init(&done);
        sp__lock(&policy->lock);
        listed = step_out(entry, sp__now(), &done);
        granted = proceed(entry, &done);
        sp__unlock(&policy->lock);
        sp__batch_deliver(&done);
        if (granted) {
                sp__op_ref(&entry->op);
                sp__entry_grant(entry);
        }
        if (listed)
                sp__op_unref(&entry->op);
}

static void entry_cancel(sp__op *op, sp_status why)
{
        struct sp__entry *entry = entry_of(op);
        struct sp__batch done;
        bool listed;

        sp__batch_init(&done);
        sp__lock(&entry->policy->lock);
        listed = sp__op_pending(op) && unlist(entry, &done);
        fail(entry, why, why == SP_TIMEOUT ? SP__POLICY_TIMED_OUT : SP__POLICY_COUNTS, sp_status_text(why), &done);
        sp__unlock(&entry->policy->lock);
        sp__batch_deliver(&done);
        if (listed)
                sp__op_unref(op);
}

/* While a place is waited for, only the deadline can have come. */
static void entry_fire(struct sp__timer *timer)
{
        struct sp__entry *entry = SP__OF(timer, struct sp__entry, timer);

        if (entry->op.deadline <= sp__now())
                entry_cancel(&entry->op, SP_TIMEOUT);
        else
                advance(entry);
        sp__op_unref(&entry->op);
}

/* The engine is needed up to here: a policy that ends waits for it. */
static void entry_settled(sp__op *op)
{
        sp_policy *policy = entry_of(op)->policy;

        if (sp__timer_stop(policy->engine, &entry_of(op)->timer))
                sp__op_unref(op);
        sp__lock(&policy->lock);
        if (--policy->pending == 0)
                pthread_cond_broadcast(&policy->quiet);
        sp__unlock(&policy->lock);
}

static void entry_destroy(sp__op *op)
{
        struct sp__entry *entry = entry_of(op);

        sp__call_unref(entry->call);
        sp__policy_drop(entry->policy);
        free(entry);
}

static const struct sp__op_kind entry_kind = {
    .cancel = entry_cancel, .settled = entry_settled, .destroy = entry_destroy};

static struct sp__entry *entry_new(sp_call *call)
{
        struct sp__entry *entry = calloc(1, sizeof *entry);

        if (!entry)
                return NULL;
        sp__op_init(&entry->op, &entry_kind, call->ctx, SP__FOREVER);
        entry->timer.fire = entry_fire;
        entry->policy = sp__policy_hold(call->policy);
        entry->call = call;
        atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
        return entry;
}

/* NULL: it may be entered. */
static const char *misuse(const sp_call *call)
{
        if (call->over)
                return "the call is over";
        return call->entry || call->running ? "the call is entered already" : NULL;
}

/* The call's entry from now on, unless it must not be. No lock is taken to see whether the breaker surely refuses. */
static sp_status admit(struct sp__entry *entry, const char **why)
{
        sp_policy *policy = entry->policy;
        sp_call *call = entry->call;
        sp_status status = SP_OK;

        sp__lock(&policy->lock);
        *why = misuse(call);
        if (*why)
                status = SP_INVALID;
        else if (policy->closed)
                status = SP_CLOSED;
        else if (policy->breaker && sp__breaker_shut(policy->breaker))
                status = SP_OPEN;
        policy->counts[SP__POLICY_OPEN] += status == SP_OPEN;
        call->over |= status == SP_CLOSED || status == SP_OPEN;
        if (status == SP_OK) {
                policy->pending++;
                call->entry = entry;
        }
        sp__unlock(&policy->lock);
        return status;
}

bool sp_policy_refuses(sp_policy *policy)
{
        bool refuses;

        if (!policy || !policy->breaker || sp__forked(&policy->fork))
                return false;
        sp__lock(&policy->lock);
        refuses = !policy->closed && sp__breaker_shut(policy->breaker);
        policy->counts[SP__POLICY_OPEN] += refuses;
        sp__unlock(&policy->lock);
        return refuses;
}

/* From now on a cancelled context ends it. If that was just cancelled, it ends at once. */
static void start(struct sp__entry *entry)
{
        if (sp__op_enlist(&entry->op) != SP_OK)
                entry_cancel(&entry->op, SP_CANCELLED);
        else
                advance(entry);
}

sp_status sp_call_enter_async(sp_call *call, sp_queue *queue, uint64_t tag)
{
        struct sp__entry *entry;
        const char *why;
        sp_status status;

        SP__NEED(call, NULL);
        SP__NEED(queue, NULL);
        if (sp__forked(&call->policy->fork))
                return SP_FORKED;
        entry = entry_new(call);
        if (!entry)
                return SP_NOMEM;
        status = sp__op_to_queue(&entry->op, queue, tag);
        if (status == SP_OK)
                status = admit(entry, &why);
        if (status != SP_OK) {
                sp__op_abandon(&entry->op);
                return status;
        }
        start(entry);
        sp__op_unref(&entry->op);
        return SP_OK;
}

static sp_status refused(struct sp__entry *entry, sp_status status, const char *why, sp_error **error)
{
        sp__error_give(error, refusal(entry, status, why ? why : sp_status_text(status)));
        sp__op_abandon(&entry->op);
        return status;
}

sp_status sp_call_enter(sp_call *call, sp_error **error)
{
        struct sp__entry *entry;
        const char *why;
        sp_status status;

        SP__NEED(call, error);
        if (sp__forked(&call->policy->fork))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        entry = entry_new(call);
        if (!entry)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = admit(entry, &why);
        if (status != SP_OK)
                return refused(entry, status, why, error);
        sp__op_to_caller(&entry->op);
        start(entry);
        sp__op_wait(&entry->op);
        status = entry->op.status;
        if (status != SP_OK) {
                sp__error_give(error, entry->op.error);
                entry->op.error = NULL;
        }
        sp__op_unref(&entry->op);
        return status;
}
