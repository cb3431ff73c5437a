/* SPDX-License-Identifier: MIT */
/*
 * A call on its way through a policy. Entering is an operation of stages, pause, rate, place, permit; it is settled only
 * under the policy's lock, and the breaker is asked without it. A place that becomes free goes to the oldest who waits. Those
 * who wait for the rate stand in line, the first with a timer for the moment when a call may go: who leaves the line, for
 * whatever reason, holds up nobody behind.
 */
#include "core/ctx.h"
#include "core/error.h"
#include "core/queue.h"
#include "guard/breaker.h"
#include "guard/policy.h"
#include "loop/port.h"

#include <stdio.h>
#include <stdlib.h>

enum stage { PAUSE, RATE, PLACE, PERMIT };

struct entry;

struct sp_call {
        atomic_uint refs;  /* the caller's, and one for each entry */
        sp_policy *policy; /* a reference, until it is freed */
        sp_ctx *ctx;
        sp_ctx *attempt_ctx; /* the caller's thread */

        /* The policy's lock. */
        struct entry *entry; /* on its way, with a reference */
        bool running;        /* has a place, and a permit where there is a breaker */
        uint64_t permit;
        int64_t since, pause_ns, attempts;
};

struct entry {
        sp__op op;
        sp_call *call;          /* a reference */
        sp_policy *policy;      /* its memory is held */
        struct sp__timer timer; /* holds a reference while set */
        enum stage stage;
        bool lined; /* stands in line for the rate */
        bool placed;
};

static struct entry *entry_of(sp__op *op)
{
        return SP__OF(op, struct entry, op);
}

static void call_unref(sp_call *call)
{
        if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1) {
                sp_ctx_unref(call->ctx);
                free(call);
        }
}

/* Out of the list that it stands in, whose reference goes to the caller. The policy's lock is held, as for all that follow. */
static bool take_off(struct entry *entry)
{
        if (!sp__list_linked(&entry->op.link))
                return false;
        sp__list_remove(&entry->op.link);
        entry->policy->queued -= entry->stage == PERMIT;
        entry->policy->lined -= entry->lined;
        entry->lined = false;
        return true;
}

static sp_error *refusal(const struct entry *entry, sp_status status, const char *why)
{
        return sp__error_new(status, NULL, "policy \"%s\": %s", entry->policy->name, why);
}

static void end(struct entry *entry)
{
        if (entry->call->entry == entry)
                entry->call->entry = NULL;
}

static void fail(struct entry *entry, sp_status status, enum sp__policy_count count, const char *why,
                 struct sp__batch *done)
{
        if (!sp__op_pending(&entry->op))
                return;
        if (count < SP__POLICY_COUNTS)
                entry->policy->counts[count]++;
        sp__op_fail(&entry->op, status, refusal(entry, status, why), done);
        end(entry);
}

/* A place is free: the oldest has it, with the list's reference. NULL: nobody waits. */
static struct entry *place_free(sp_policy *policy)
{
        struct sp__list *link = policy->queue.next;
        struct entry *next;

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
static bool wait_until(struct entry *entry, int64_t at)
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

static bool is_first(const struct entry *entry)
{
        return entry->policy->line.next == &entry->op.link;
}

/* The first of the line waits for the moment when a call may go. */
static void wake_line(sp_policy *policy, int64_t now, struct sp__batch *done)
{
        while (!sp__list_empty(&policy->line)) {
                struct entry *first = entry_of(SP__OF(policy->line.next, sp__op, link));

                if (wait_until(first, now + sp__limiter_wait(&policy->limiter, now, 0)))
                        return;
                take_off(first);
                fail(first, SP_NOMEM, SP__POLICY_COUNTS, "out of memory", done);
                sp__op_unref(&first->op);
        }
}

static bool unlist(struct entry *entry, struct sp__batch *done)
{
        bool first = is_first(entry), listed = take_off(entry);

        if (first)
                wake_line(entry->policy, sp__now(), done);
        return listed;
}

static bool wait_in(struct entry *entry, struct sp__list *list, int64_t at)
{
        if (!wait_until(entry, at))
                return false;
        sp__op_ref(&entry->op);
        sp__list_push(list, &entry->op.link);
        return true;
}

/* true: go on at once. */
static bool pause_stage(struct entry *entry, int64_t now, struct sp__batch *done)
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
static bool may_line_up(const struct entry *entry, int64_t now)
{
        const sp_policy *policy = entry->policy;
        int64_t wait = sp__limiter_wait(&policy->limiter, now, policy->lined);

        return wait <= policy->rules.rate_wait_ms * SP__MS && wait < entry->op.deadline - now;
}

static bool rate_stage(struct entry *entry, int64_t now, struct sp__batch *done)
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

static bool place_stage(struct entry *entry, struct sp__batch *done)
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
static bool proceed(struct entry *entry, struct sp__batch *done)
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

static void begin(struct entry *entry, uint64_t permit, struct sp__batch *done)
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

/*
 * It has a place: the breaker is asked, and it begins; or the place goes to the next, who is asked likewise. Takes a
 * reference to the entry. No lock is held.
 */
static void grant(struct entry *entry)
{
        while (entry) {
                sp_policy *policy = entry->policy;
                struct entry *next = NULL;
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
                        next = place_free(policy);
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
static bool step_out(struct entry *entry, int64_t now, struct sp__batch *done)
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

static void advance(struct entry *entry)
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
                grant(entry);
        }
        if (listed)
                sp__op_unref(&entry->op);
}

static void entry_cancel(sp__op *op, sp_status why)
{
        struct entry *entry = entry_of(op);
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
        struct entry *entry = SP__OF(timer, struct entry, timer);

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
        struct entry *entry = entry_of(op);

        call_unref(entry->call);
        sp__policy_drop(entry->policy);
        free(entry);
}

static const struct sp__op_kind entry_kind = {
    .cancel = entry_cancel, .settled = entry_settled, .destroy = entry_destroy};

sp_status sp_call_new(sp_policy *policy, sp_ctx *ctx, sp_call **out, sp_error **error)
{
        sp_call *call;
        char timeout[32];

        SP__NEED(policy, error);
        SP__NEED(out, error);
        if (sp__forked(&policy->fork))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        call = calloc(1, sizeof *call);
        if (!call || !(call->ctx = sp_ctx_new(ctx))) {
                free(call);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        atomic_init(&call->refs, 1);
        if (policy->rules.timeout_ms) {
                snprintf(timeout, sizeof timeout, "%lldms", (long long)policy->rules.timeout_ms);
                sp_ctx_set(call->ctx, "timeout", timeout, NULL);
        }
        call->policy = sp_policy_ref(policy);
        *out = call;
        return SP_OK;
}

static struct entry *entry_new(sp_call *call)
{
        struct entry *entry = calloc(1, sizeof *entry);

        if (!entry)
                return NULL;
        sp__op_init(&entry->op, &entry_kind, call->ctx, SP__FOREVER);
        entry->timer.fire = entry_fire;
        entry->policy = sp__policy_hold(call->policy);
        entry->call = call;
        atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
        return entry;
}

/* The call's entry from now on, unless it must not be. */
static sp_status admit(struct entry *entry)
{
        sp_policy *policy = entry->policy;
        sp_status status = SP_OK;

        if (policy->breaker && sp__breaker_shut(policy->breaker))
                status = SP_OPEN;
        sp__lock(&policy->lock);
        if (entry->call->entry || entry->call->running)
                status = SP_INVALID;
        else if (policy->closed)
                status = SP_CLOSED;
        policy->counts[SP__POLICY_OPEN] += status == SP_OPEN;
        if (status == SP_OK) {
                policy->pending++;
                entry->call->entry = entry;
        }
        sp__unlock(&policy->lock);
        return status;
}

/* From now on a cancelled context ends it. If that was just cancelled, it ends at once. */
static void start(struct entry *entry)
{
        if (sp__op_enlist(&entry->op) != SP_OK)
                entry_cancel(&entry->op, SP_CANCELLED);
        else
                advance(entry);
}

sp_status sp_call_enter_async(sp_call *call, sp_queue *queue, uint64_t tag)
{
        struct entry *entry;
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
                status = admit(entry);
        if (status != SP_OK) {
                sp__op_abandon(&entry->op);
                return status;
        }
        start(entry);
        sp__op_unref(&entry->op);
        return SP_OK;
}

static sp_status refused(struct entry *entry, sp_status status, sp_error **error)
{
        sp__error_give(error, refusal(entry, status, sp_status_text(status)));
        sp__op_abandon(&entry->op);
        return status;
}

sp_status sp_call_enter(sp_call *call, sp_error **error)
{
        struct entry *entry;
        sp_status status;

        SP__NEED(call, error);
        if (sp__forked(&call->policy->fork))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        entry = entry_new(call);
        if (!entry)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = admit(entry);
        if (status != SP_OK)
                return refused(entry, status, error);
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

sp_ctx *sp_call_ctx(sp_call *call)
{
        char timeout[32];

        if (!call)
                return NULL;
        if (!call->policy->rules.attempt_ms || call->attempt_ctx)
                return call->attempt_ctx ? call->attempt_ctx : call->ctx;
        call->attempt_ctx = sp_ctx_new(call->ctx);
        if (!call->attempt_ctx)
                return call->ctx;
        snprintf(timeout, sizeof timeout, "%lldms", (long long)call->policy->rules.attempt_ms);
        sp_ctx_set(call->attempt_ctx, "timeout", timeout, NULL);
        return call->attempt_ctx;
}

/* Whether there is another attempt, and its pause. The policy's lock is held. */
static bool again(sp_call *call, int64_t now)
{
        sp_policy *policy = call->policy;
        const struct sp__policy_rules *rules = &policy->rules;
        int64_t pause;

        if (policy->closed || call->attempts >= rules->attempts || sp_ctx_cancelled(call->ctx))
                return false;
        pause =
            sp__backoff(&policy->random, rules->backoff_ms * SP__MS, rules->backoff_max_ms * SP__MS, call->attempts);
        if (pause >= sp__ctx_deadline(call->ctx) - now)
                return false;
        if (!sp__budget_take(&policy->budget, now)) {
                policy->counts[SP__POLICY_EXHAUSTED]++;
                return false;
        }
        policy->counts[SP__POLICY_RETRIED]++;
        call->pause_ns = pause;
        return true;
}

static bool leave(sp_call *call, int outcome, bool retryable)
{
        sp_policy *policy = call->policy;
        struct entry *next;
        int64_t now = sp__now();
        bool more;

        sp_ctx_unref(call->attempt_ctx);
        call->attempt_ctx = NULL;
        sp__lock(&policy->lock);
        if (!call->running) {
                sp__unlock(&policy->lock);
                return false;
        }
        call->running = false;
        next = place_free(policy);
        more = retryable && outcome != SP_OUTCOME_SUCCESS && again(call, now);
        sp__unlock(&policy->lock);
        if (call->permit)
                sp_breaker_record(policy->breaker, call->permit, outcome, now - call->since);
        call->permit = 0;
        grant(next);
        return more;
}

bool sp_call_leave(sp_call *call, int outcome, bool retryable)
{
        return call && !sp__forked(&call->policy->fork) && leave(call, outcome, retryable);
}

int64_t sp_call_attempts(const sp_call *call)
{
        sp_policy *policy = call ? call->policy : NULL;
        int64_t attempts;

        if (!policy || sp__forked(&policy->fork))
                return 0;
        sp__lock(&policy->lock);
        attempts = call->attempts;
        sp__unlock(&policy->lock);
        return attempts;
}

void sp_call_free(sp_call *call)
{
        sp_policy *policy;

        if (!call)
                return;
        policy = call->policy;
        if (!sp__forked(&policy->fork)) {
                sp_ctx_cancel(call->ctx);
                leave(call, SP_OUTCOME_IGNORED, false);
        }
        call_unref(call);
        sp_policy_unref(policy);
}
