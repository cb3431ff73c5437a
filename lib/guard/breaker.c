/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker of M. Nygard, Release It! (2007): CLOSED, OPEN, HALF_OPEN, with the rates and modes of Resilience4j.
 * There are no timers: whoever looks applies what the clock has brought about since. A state's permits are the serials
 * issued since it began; an older one is of a former state, and its result moves nothing.
 */
#include "core/config.h"
#include "core/error.h"
#include "guard/breaker_internal.h"
#include "guard/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far behind the coarse clock is at most: two ticks at 100 Hz. */
#define COARSE_NS (20 * SP__MS)

static void become(sp_breaker *breaker, int state);

/* {"change","state","previous","missed"}: how many changes came before it that this watch did not see. */
static sp_value *describe(const void *events, uint64_t seen)
{
        const struct sp__latest *change = events;
        char text[128];
        int len = snprintf(text, sizeof text,
                           "{\"change\":%" PRIu64 ",\"state\":\"%s\",\"previous\":\"%s\",\"missed\":%" PRIu64 "}",
                           change->number, sp_breaker_state_name(change->to), sp_breaker_state_name(change->from),
                           change->number - seen - 1);

        return sp_value_new(text, (size_t)len, SP_CODEC_JSON);
}

static const struct sp__watched changes = {
    .size = sizeof(struct sp__latest), .keep = sp__latest_keep, .describe = describe};

static sp_status parts_new(sp_breaker *breaker, const sp_config *config, const char *instance)
{
        struct sp__breaker_rules *rules = &breaker->rules;
        int64_t calls = sp__config_int(config, "breaker", instance, "window_calls");
        int64_t slice = sp__config_int(config, "breaker", instance, "window_time") * SP__MS / SP__SLICES;

        sp__breaker_rules(rules, config, instance);
        breaker->probes = calloc((size_t)rules->probes, sizeof *breaker->probes);
        breaker->watchers = sp__watchers_new(&changes);
        if (!breaker->name || !breaker->probes || !breaker->watchers)
                return SP_NOMEM;
        if (!sp__window_init(&breaker->window, (uint32_t)calls, rules->timed ? slice : 0))
                return SP_NOMEM;
        return sp__fork_init(&breaker->fork) ? SP_OK : SP_NOMEM;
}

static void parts_free(sp_breaker *breaker)
{
        sp__window_free(&breaker->window);
        if (breaker->watchers)
                sp__watchers_end(breaker->watchers);
        sp__watchers_unref(breaker->watchers);
        free(breaker->probes);
        free(breaker->name);
        free(breaker);
}

sp_status sp__breaker_new(const sp_config *config, const char *instance, const char *name, sp_clock *clock,
                          sp_breaker **out, sp_error **error)
{
        sp_breaker *breaker = aligned_alloc(_Alignof(sp_breaker), sizeof *breaker);

        if (!breaker)
                return sp__fail(error, SP_NOMEM, "out of memory");
        memset(breaker, 0, sizeof *breaker);
        breaker->name = strdup(name);
        if (parts_new(breaker, config, instance) != SP_OK) {
                parts_free(breaker);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        sp__brief_init(&breaker->lock);
        atomic_init(&breaker->refs, 1);
        breaker->clock = clock;
        breaker->random.state = sp__random_seed();
        sp__permits_init(&breaker->permits);
        breaker->used = sp__breaker_now(breaker);
        become(breaker, breaker->rules.initial);
        breaker->change = (struct sp__latest){0};
        *out = breaker;
        return SP_OK;
}

sp_status sp_breaker_new(const sp_config *config, const char *name, sp_clock *clock, sp_breaker **out, sp_error **error)
{
        SP__NEED(out, error);
        name = name ? name : SP__GUARD_NAME_DEFAULT;
        if (!sp__guard_name(name))
                return sp__fail(error, SP_INVALID, "the name of a breaker is " SP__GUARD_NAME_RULE);
        return sp__breaker_new(config, name, name, clock, out, error);
}

sp_breaker *sp_breaker_ref(sp_breaker *breaker)
{
        if (breaker)
                atomic_fetch_add_explicit(&breaker->refs, 1, memory_order_relaxed);
        return breaker;
}

unsigned sp__breaker_refs(const sp_breaker *breaker)
{
        return atomic_load(&breaker->refs);
}

void sp_breaker_unref(sp_breaker *breaker)
{
        if (!breaker || atomic_fetch_sub_explicit(&breaker->refs, 1, memory_order_acq_rel) != 1)
                return;
        if (sp__forked(&breaker->fork))
                return; /* watches may wait on locks that nobody holds here */
        sp__fork_destroy(&breaker->fork);
        parts_free(breaker);
}

/* With the lock held, as everything below. */
static int64_t grown(const struct sp__breaker_rules *rules, int64_t times)
{
        int64_t ms = rules->open_ms;

        for (int64_t i = 1; i < times && ms < rules->open_max_ms && rules->open_factor > 1; i++)
                ms *= rules->open_factor;
        return ms < rules->open_max_ms ? ms : rules->open_max_ms;
}

static void open_until(sp_breaker *breaker)
{
        int64_t ms = grown(&breaker->rules, ++breaker->opened);
        double late = (double)(ms * breaker->rules.jitter) / 100 * sp__random_unit(&breaker->random);

        breaker->until = sp__after_ms(sp__breaker_now(breaker), ms + (int64_t)late);
}

static void forget(sp_breaker *breaker)
{
        breaker->failures = 0;
        breaker->opened = 0;
        sp__window_clear(&breaker->window);
}

static void shut_until(sp_breaker *breaker, int64_t until)
{
        atomic_store_explicit(&breaker->shut, until, memory_order_relaxed);
}

/* Where nothing is counted before a call, calls pass without the lock. */
static bool passes(const sp_breaker *breaker)
{
        return breaker->state == SP_BREAKER_DISABLED || breaker->state == SP_BREAKER_METRICS_ONLY ||
               (breaker->state == SP_BREAKER_CLOSED && !breaker->rules.in_flight);
}

static void become(sp_breaker *breaker, int state)
{
        int64_t shut = 0;

        if (state != breaker->state)
                breaker->change = (struct sp__latest){breaker->change.number + 1, breaker->state, state};
        breaker->state = state;
        sp__guard_step();
        breaker->generation = sp__permits_door(&breaker->permits, passes(breaker));
        breaker->former = sp__breaker_recorded(breaker);
        breaker->good = breaker->bad = 0;
        memset(breaker->probes, 0, (size_t)breaker->rules.probes * sizeof *breaker->probes);
        breaker->out = 0;
        breaker->first = SP__FOREVER;
        sp__guard_step();
        if (state == SP_BREAKER_OPEN) {
                open_until(breaker);
                shut = breaker->until;
        } else if (state == SP_BREAKER_FORCED_OPEN) {
                shut = SP__FOREVER;
        } else if (state != SP_BREAKER_HALF_OPEN) {
                forget(breaker);
        }
        shut_until(breaker, shut);
}

/* An open time that has passed. */
static void tick(sp_breaker *breaker)
{
        if (breaker->state == SP_BREAKER_OPEN && sp__breaker_now(breaker) >= breaker->until)
                become(breaker, SP_BREAKER_HALF_OPEN);
}

static sp_status reject(sp_breaker *breaker)
{
        atomic_fetch_add_explicit(&breaker->rejected, 1, memory_order_relaxed);
        return SP_OPEN;
}

/* As many as decide are on their way, or came back. */
static bool all_out(const sp_breaker *breaker)
{
        return breaker->out + breaker->good + breaker->bad >= breaker->rules.probes;
}

/* Those that never came back give their places up, and `permit` its. */
static void count_probes(sp_breaker *breaker, int64_t now, uint64_t permit)
{
        breaker->out = 0;
        breaker->first = SP__FOREVER;
        for (int64_t i = 0; i < breaker->rules.probes; i++) {
                struct sp__probe *probe = &breaker->probes[i];

                if (now >= probe->until || probe->permit == permit)
                        probe->permit = 0;
                if (!probe->permit)
                        continue;
                breaker->out++;
                if (probe->until < breaker->first)
                        breaker->first = probe->until;
        }
}

/* It costs the same however many they are, but where one of them is given up: those who are refused may be many. */
int64_t sp__breaker_probe_wait(sp_breaker *breaker, int64_t now)
{
        if (now >= breaker->first)
                count_probes(breaker, now, 0);
        return all_out(breaker) ? breaker->first - now : 0;
}

/* NULL: none is free. */
static struct sp__probe *probe_place(sp_breaker *breaker, int64_t now)
{
        struct sp__probe *place = breaker->probes;

        if (sp__breaker_probe_wait(breaker, now) > 0)
                return NULL;
        while (place->permit)
                place++;
        return place;
}

static sp_status admit_probe(sp_breaker *breaker, uint64_t *permit)
{
        int64_t now = sp__breaker_now(breaker);
        struct sp__probe *place = probe_place(breaker, now);

        sp__guard_step();
        if (!place) {
                shut_until(breaker, breaker->first);
                return reject(breaker);
        }
        *permit = place->permit = sp__permit_issue(&breaker->permits);
        place->until = sp__after_ms(now, breaker->rules.probe_ms);
        breaker->out++;
        if (place->until < breaker->first)
                breaker->first = place->until;
        return SP_OK;
}

static sp_status admit(sp_breaker *breaker, uint64_t *permit)
{
        int64_t most = breaker->rules.in_flight;

        if (breaker->state == SP_BREAKER_HALF_OPEN)
                return admit_probe(breaker, permit);
        if (breaker->state == SP_BREAKER_OPEN || breaker->state == SP_BREAKER_FORCED_OPEN)
                return reject(breaker);
        if (most && breaker->state == SP_BREAKER_CLOSED && sp__breaker_flying(breaker) >= most) {
                become(breaker, SP_BREAKER_OPEN);
                return reject(breaker);
        }
        *permit = sp__permit_issue(&breaker->permits);
        return SP_OK;
}

/* Without the lock. Near the end of an open time the exact clock decides, under the lock. */
static bool shut(const sp_breaker *breaker)
{
        int64_t until = atomic_load_explicit(&breaker->shut, memory_order_relaxed);

        return until != 0 && sp__clock_coarse(breaker->clock) < until - COARSE_NS;
}

bool sp__breaker_shut(sp_breaker *breaker)
{
        bool refuses = shut(breaker);

        if (refuses)
                reject(breaker);
        return refuses;
}

/* A change is told when the lock is gone. One call makes one at most, so the state of before shows it. */
static void leave(sp_breaker *breaker, int before, enum sp__guard_bug bug)
{
        struct sp__latest change;

        if (__builtin_expect(breaker->state == before, 1)) {
                sp__breaker_unlock(breaker, bug);
                return;
        }
        change = breaker->change;
        sp__breaker_unlock(breaker, bug);
        sp__watchers_tell(breaker->watchers, &change);
}

sp_status sp_breaker_acquire(sp_breaker *breaker, uint64_t *permit)
{
        sp_status status;
        int before;

        SP__NEED(breaker, NULL);
        SP__NEED(permit, NULL);
        if (sp__forked(&breaker->fork))
                return SP_FORKED;
        if (sp__permit_pass(&breaker->permits, permit))
                return SP_OK;
        if (shut(breaker))
                return reject(breaker);
        sp__breaker_lock(breaker, SP__GUARD_NO_LOCK_ACQUIRE);
        before = breaker->state;
        tick(breaker);
        status = admit(breaker, permit);
        leave(breaker, before, SP__GUARD_NO_LOCK_ACQUIRE);
        return status;
}

static bool rate_trips(const sp_breaker *breaker)
{
        const struct sp__breaker_rules *rules = &breaker->rules;
        const struct sp__tally *sum = &breaker->window.sum;

        if (!sp__breaker_judges(breaker))
                return false;
        return (rules->failure_rate && sum->failed * 100 >= rules->failure_rate * sum->calls) ||
               (rules->slow_rate && sum->slow * 100 >= rules->slow_rate * sum->calls);
}

static bool slow(const sp_breaker *breaker, int64_t elapsed_ns)
{
        bool counts = breaker->rules.slow_rate || breaker->state == SP_BREAKER_METRICS_ONLY;

        return counts && breaker->rules.slow_ns && elapsed_ns >= breaker->rules.slow_ns;
}

static void failed_again(sp_breaker *breaker)
{
        uint32_t failures = breaker->failures;

        sp__guard_step();
        if (failures < UINT32_MAX)
                breaker->failures = failures + 1;
}

/* CLOSED, or METRICS_ONLY. */
static void judge(sp_breaker *breaker, int outcome, int64_t elapsed_ns)
{
        const struct sp__breaker_rules *rules = &breaker->rules;
        bool failed = outcome == SP_OUTCOME_FAILURE;
        bool rated = rules->failure_rate || rules->slow_rate || breaker->state == SP_BREAKER_METRICS_ONLY;

        if (outcome == SP_OUTCOME_IGNORED)
                return;
        if (failed)
                failed_again(breaker);
        else
                breaker->failures = 0;
        if (rated)
                sp__window_add(&breaker->window, rules->timed ? sp__clock_coarse(breaker->clock) : 0, failed,
                               slow(breaker, elapsed_ns));
        if (breaker->state != SP_BREAKER_CLOSED)
                return;
        if ((rules->failures && breaker->failures >= rules->failures) || (rated && rate_trips(breaker)))
                become(breaker, SP_BREAKER_OPEN);
}

/* However late: else a dependency whose answers take longer than `probe_timeout` would neither close nor open it. */
static void probe_result(sp_breaker *breaker, uint64_t permit, int outcome, int64_t elapsed_ns)
{
        const struct sp__breaker_rules *rules = &breaker->rules;

        count_probes(breaker, sp__breaker_now(breaker), permit);
        shut_until(breaker, 0);
        if (outcome == SP_OUTCOME_IGNORED)
                return;
        if (outcome == SP_OUTCOME_FAILURE)
                failed_again(breaker);
        if (outcome == SP_OUTCOME_SUCCESS && !slow(breaker, elapsed_ns))
                breaker->good++;
        else
                breaker->bad++;
        if (breaker->bad > rules->probe_failures)
                become(breaker, SP_BREAKER_OPEN);
        else if (breaker->good + rules->probe_failures >= rules->probes)
                become(breaker, SP_BREAKER_CLOSED);
}

static void result(sp_breaker *breaker, uint64_t permit, int outcome, int64_t elapsed_ns)
{
        tick(breaker);
        breaker->calls[outcome]++;
        breaker->spent_ns[outcome] += elapsed_ns > 0 ? elapsed_ns : 0;
        if (permit < breaker->generation) {
                breaker->former++;
                return;
        }
        if (breaker->state == SP_BREAKER_CLOSED || breaker->state == SP_BREAKER_METRICS_ONLY)
                judge(breaker, outcome, elapsed_ns);
        else if (breaker->state == SP_BREAKER_HALF_OPEN)
                probe_result(breaker, permit, outcome, elapsed_ns);
}

void sp_breaker_record(sp_breaker *breaker, uint64_t permit, int outcome, int64_t elapsed_ns)
{
        int before;

        if (!breaker || sp__forked(&breaker->fork))
                return;
        if (outcome != SP_OUTCOME_SUCCESS && outcome != SP_OUTCOME_FAILURE)
                outcome = SP_OUTCOME_IGNORED;
        sp__breaker_lock(breaker, SP__GUARD_NO_LOCK_RECORD);
        before = breaker->state;
        if (sp__permits_due(&breaker->permits, permit))
                sp__breaker_sweep(breaker);
        if (sp__permit_take(&breaker->permits, permit))
                result(breaker, permit, outcome, elapsed_ns);
        leave(breaker, before, SP__GUARD_NO_LOCK_RECORD);
}

void sp_breaker_release(sp_breaker *breaker, uint64_t permit)
{
        sp_breaker_record(breaker, permit, SP_OUTCOME_IGNORED, 0);
}

sp_status sp_breaker_force(sp_breaker *breaker, int state)
{
        int before;

        SP__NEED(breaker, NULL);
        if (state < SP_BREAKER_CLOSED || state > SP_BREAKER_METRICS_ONLY)
                return SP_INVALID;
        if (sp__forked(&breaker->fork))
                return SP_FORKED;
        sp__breaker_lock(breaker, SP__GUARD_NO_LOCK_FORCE);
        before = breaker->state;
        /* No probe failed: it is open for as long as it was the last time. */
        if (state == SP_BREAKER_OPEN && breaker->opened > 0)
                breaker->opened--;
        become(breaker, state);
        leave(breaker, before, SP__GUARD_NO_LOCK_FORCE);
        return SP_OK;
}

void sp_breaker_reset(sp_breaker *breaker)
{
        if (breaker)
                sp_breaker_force(breaker, breaker->rules.initial);
}

sp_status sp_breaker_watch(sp_breaker *breaker, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        SP__NEED(breaker, NULL);
        SP__NEED(queue, NULL);
        if (sp__forked(&breaker->fork))
                return SP_FORKED;
        return sp__watchers_add(breaker->watchers, ctx, seen, queue, tag);
}
