/* SPDX-License-Identifier: MIT */
/* A call under a policy: its deadline, its attempts and their ends. How an attempt is entered: enter.c. */
#include "guard/call.h"

#include "core/ctx.h"
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>

void sp__call_unref(sp_call *call)
{
        if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1) {
                sp_ctx_unref(call->ctx);
                free(call);
        }
}

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

static bool runs(const sp_call *call)
{
        sp_policy *policy = call->policy;
        bool running;

        if (sp__forked(&policy->fork))
                return false;
        sp__lock(&policy->lock);
        running = call->running;
        sp__unlock(&policy->lock);
        return running;
}

sp_ctx *sp_call_ctx(sp_call *call)
{
        char timeout[32];

        if (!call)
                return NULL;
        if (call->attempt_ctx)
                return call->attempt_ctx;
        if (!call->policy->rules.attempt_ms || !runs(call))
                return call->ctx;
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
        struct sp__entry *next;
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
        next = sp__entry_place_free(policy);
        more = retryable && outcome != SP_OUTCOME_SUCCESS && again(call, now);
        call->over = !more;
        sp__unlock(&policy->lock);
        if (call->permit)
                sp_breaker_record(policy->breaker, call->permit, outcome, now - call->since);
        call->permit = 0;
        sp__entry_grant(next);
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
        sp__call_unref(call);
        sp_policy_unref(policy);
}
