/* SPDX-License-Identifier: MIT */
/* The policy's own life, and what it shows. */
#include "guard/policy.h"

#include "base/buf.h"
#include "core/config.h"
#include "core/error.h"
#include "guard/name.h"
#include "observe/exposition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void rules_read(struct sp__policy_rules *rules, const sp_config *config, const char *name)
{
        const struct {
                const char *name;
                int64_t *to;
        } rows[] = {
            {"timeout", &rules->timeout_ms},
            {"attempt_timeout", &rules->attempt_ms},
            {"attempts", &rules->attempts},
            {"backoff", &rules->backoff_ms},
            {"backoff_max", &rules->backoff_max_ms},
            {"rate_wait", &rules->rate_wait_ms},
            {"concurrency", &rules->concurrency},
            {"waiting", &rules->waiting},
            {"idle", &rules->idle_ms},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                *rows[i].to = sp__config_int(config, "policy", name, rows[i].name);
}

static void parts_init(sp_policy *policy, const sp_config *config, const char *name)
{
        atomic_init(&policy->refs, 1);
        atomic_init(&policy->holds, 1);
        sp__mutex_init(&policy->lock);
        sp__cond_init(&policy->quiet);
        sp__list_init(&policy->paused);
        sp__list_init(&policy->line);
        sp__list_init(&policy->queue);
        policy->random.state = sp__random_seed();
        policy->used = sp__now();
        rules_read(&policy->rules, config, name);
        sp__limiter_init(&policy->limiter, sp__config_int(config, "policy", name, "rate"),
                         sp__config_int(config, "policy", name, "burst"));
        sp__budget_init(&policy->budget, sp__config_int(config, "policy", name, "retry_ratio"),
                        sp__config_int(config, "policy", name, "retry_rate"),
                        sp__config_int(config, "policy", name, "retry_burst"), sp__now());
}

sp_policy *sp__policy_hold(sp_policy *policy)
{
        atomic_fetch_add_explicit(&policy->holds, 1, memory_order_relaxed);
        return policy;
}

void sp__policy_drop(sp_policy *policy)
{
        if (atomic_fetch_sub_explicit(&policy->holds, 1, memory_order_acq_rel) != 1)
                return;
        sp__fork_destroy(&policy->fork);
        sp_breaker_unref(policy->breaker);
        sp__cond_destroy(&policy->quiet);
        sp__mutex_destroy(&policy->lock);
        free(policy->name);
        free(policy);
}

sp_status sp__policy_new(const sp_config *config, const char *name, sp_breaker *breaker, struct sp__engine *engine,
                         sp_policy **out, sp_error **error)
{
        sp_policy *policy;
        sp_status status = SP_OK;

        SP__NEED(out, error);
        name = name ? name : SP__GUARD_NAME_DEFAULT;
        if (!sp__guard_name(name))
                return sp__fail(error, SP_INVALID, "the name of a policy is " SP__GUARD_NAME_RULE);
        policy = calloc(1, sizeof *policy);
        if (!policy)
                return sp__fail(error, SP_NOMEM, "out of memory");
        parts_init(policy, config, name);
        policy->name = strdup(name);
        if (!policy->name || !sp__fork_init(&policy->fork))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        else if (!engine)
                status = sp__engine_new(&policy->engine, error);
        if (status != SP_OK) {
                sp__policy_drop(policy);
                return status;
        }
        policy->owns_engine = !engine;
        if (engine)
                policy->engine = engine;
        policy->breaker = breaker ? sp_breaker_ref(breaker) : NULL;
        *out = policy;
        return SP_OK;
}

sp_status sp_policy_new(const sp_config *config, const char *name, sp_breaker *breaker, sp_policy **out,
                        sp_error **error)
{
        return sp__policy_new(config, name, breaker, NULL, out, error);
}

sp_policy *sp_policy_ref(sp_policy *policy)
{
        if (policy)
                atomic_fetch_add_explicit(&policy->refs, 1, memory_order_relaxed);
        return policy;
}

/* The oldest of those that wait, with a reference. */
static sp__op *next_waiting(sp_policy *policy)
{
        struct sp__list *const lists[] = {&policy->queue, &policy->line, &policy->paused};
        sp__op *op = NULL;

        sp__lock(&policy->lock);
        for (size_t i = 0; i < sizeof lists / sizeof *lists && !op; i++) {
                if (!sp__list_empty(lists[i]))
                        op = sp__op_ref(SP__OF(lists[i]->next, sp__op, link));
        }
        sp__unlock(&policy->lock);
        return op;
}

void sp__policy_shut(sp_policy *policy)
{
        sp__op *op;

        sp__lock(&policy->lock);
        policy->closed = true;
        sp__unlock(&policy->lock);
        while ((op = next_waiting(policy))) {
                op->kind->cancel(op, SP_CLOSED);
                sp__op_unref(op);
        }
        sp__lock(&policy->lock);
        while (policy->pending > 0)
                sp__cond_wait(&policy->quiet, &policy->lock, SP__FOREVER);
        sp__unlock(&policy->lock);
}

void sp_policy_unref(sp_policy *policy)
{
        if (!policy || atomic_fetch_sub_explicit(&policy->refs, 1, memory_order_acq_rel) != 1)
                return;
        if (sp__forked(&policy->fork)) {
                if (policy->owns_engine)
                        sp__engine_free(policy->engine);
                return;
        }
        if (policy->owns_engine) {
                sp__policy_shut(policy);
                sp__engine_free(policy->engine);
        }
        sp__policy_drop(policy);
}

const char *sp_policy_name(const sp_policy *policy)
{
        return policy ? policy->name : "";
}

struct view {
        int64_t running, queued, tokens;
        int64_t counts[SP__POLICY_COUNTS];
};

static void look(const sp_policy *shared, struct view *view)
{
        sp_policy *policy = (sp_policy *)(uintptr_t)shared;

        sp__lock(&policy->lock);
        sp__budget_advance(&policy->budget, sp__now());
        *view = (struct view){policy->running, policy->queued, policy->budget.tokens / SP__TOKEN, {0}};
        memcpy(view->counts, policy->counts, sizeof view->counts);
        sp__unlock(&policy->lock);
}

unsigned sp__policy_refs(const sp_policy *policy)
{
        return atomic_load(&policy->refs);
}

bool sp__policy_idle(sp_policy *policy)
{
        int64_t now = sp__now(), counts = 0;
        bool rests;

        sp__lock(&policy->lock);
        for (int i = 0; i < SP__POLICY_COUNTS; i++)
                counts += policy->counts[i];
        if (counts != policy->used_counts || policy->running > 0 || policy->pending > 0)
                policy->used = now;
        policy->used_counts = counts;
        rests = now >= sp__after_ms(policy->used, policy->rules.idle_ms);
        sp__unlock(&policy->lock);
        return rests;
}

sp_status sp_policy_stats(const sp_policy *policy, sp_value **out)
{
        static const char *const names[] = {"admitted", "retried",  "rateLimited", "full",
                                            "open",     "timedOut", "exhausted"};
        struct sp__buf json = SP__BUF_INIT;
        struct view view;
        sp_value *value;

        SP__NEED(policy, NULL);
        SP__NEED(out, NULL);
        if (sp__forked(&policy->fork))
                return SP_FORKED;
        look(policy, &view);
        sp__buf_format(&json, "{\"running\":%" PRId64 ",\"waiting\":%" PRId64 ",\"retryTokens\":%" PRId64, view.running,
                       view.queued, view.tokens);
        for (int i = 0; i < SP__POLICY_COUNTS; i++)
                sp__buf_format(&json, ",\"%s\":%" PRId64, names[i], view.counts[i]);
        sp__buf_char(&json, '}');
        value = json.failed ? NULL : sp_value_new(json.data, json.len, SP_CODEC_JSON);
        sp__buf_free(&json);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}

void sp__policy_collect(const sp_policy *policy, struct sp__expo *expo)
{
        static const char *const events[] = {"admitted", "retried", "rate_limited",   "full",
                                             "open",     "timeout", "retry_exhausted"};
        const char *const name[] = {"name", policy->name, NULL};
        struct view view;

        look(policy, &view);
        sp__expo_family(expo, "sugarperf_policy_events", "counter", "What became of attempts under a policy.");
        for (int i = 0; i < SP__POLICY_COUNTS; i++)
                sp__expo_sample(expo, "_total", (const char *const[]){"name", policy->name, "event", events[i], NULL},
                                (double)view.counts[i]);
        sp__expo_family(expo, "sugarperf_policy_running", "gauge", "Attempts that are being made.");
        sp__expo_sample(expo, NULL, name, (double)view.running);
        sp__expo_family(expo, "sugarperf_policy_waiting", "gauge", "Attempts that wait for a place.");
        sp__expo_sample(expo, NULL, name, (double)view.queued);
}
