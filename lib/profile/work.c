/* SPDX-License-Identifier: MIT */
#include "profile/work.h"

#include "base/brief.h"
#include "base/fetch.h"
#include "core/ctx.h"
#include "pg/stmt.h"
#include "profile/repeat.h"

#include <stdlib.h>

/* Statements that most units have no more than; fingerprints that a unit is looked over for, those that most have no more than. */
enum { FIRST = 8, STATEMENTS = 32, FEW = 2 };

/*
 * The first statements are kept one by one, and compared at the unit's end, where there are enough of them: no search, no lock. A
 * unit of four lies in three cache lines. What follows is counted as it is asked for.
 */
struct work {
        struct sp__scope scope;
        _Atomic int64_t asked;         /* it rises past FIRST and what a finding takes, no further */
        struct sp__findings *findings; /* a reference, for all units write its count; NULL: too little was asked for */
        sp__brief lock;                /* of what follows `run`; a leaf */
        uint32_t count;
        struct sp__run run[FIRST]; /* each its caller's, until the unit ends; a reference to each statement */
        struct sp__repeat few[FEW];
        struct sp__repeat *more; /* of which most units have no need; written with the first one */
};

/* Of a unit that asks for a few statements. */
enum { LINE = 64, LINES = 3 };

/* What is returned for a repeat is odd: to look into a run would be to wait for it. */
enum { REPEAT = 1 };

/* It stays there as long as the unit. */
static struct sp__repeat *at(struct work *work, uint32_t i)
{
        return i < FEW ? &work->few[i] : &work->more[i - FEW];
}

static uint32_t runs(const struct work *work)
{
        int64_t asked = atomic_load_explicit(&work->asked, memory_order_relaxed);

        return asked < FIRST ? (uint32_t)asked : FIRST;
}

/* Those of the first runs that have a fingerprint, a bit for each; `left`: which are looked at. */
static uint32_t alike(const struct work *work, uint32_t left, uint64_t fingerprint)
{
        uint32_t found = 0;

        for (uint32_t i = 0; i < FIRST; i++) {
                if ((left >> i & 1) && work->run[i].stmt->sql.fingerprint == fingerprint)
                        found |= 1u << i;
        }
        return found;
}

static void take_in(const struct work *work, struct sp__repeat *repeat, uint32_t some)
{
        for (; some; some &= some - 1) {
                const struct sp__run *run = &work->run[__builtin_ctz(some)];

                sp__repeat_note(repeat, run);
                sp__repeat_over(repeat, run->ns);
        }
}

static void judge_first(const struct work *work, uint32_t some, const char *name)
{
        struct sp__repeat repeat;

        if (__builtin_popcount(some) < sp__findings_least(work->findings))
                return;
        sp__repeat_init(&repeat, &work->run[__builtin_ctz(some)]);
        take_in(work, &repeat, some);
        sp__repeat_judge(&repeat, work->findings, name);
        sp__repeat_clear(&repeat);
}

static void judge(struct work *work, const char *name)
{
        uint32_t left = (1u << runs(work)) - 1, some;

        for (uint32_t i = 0; i < work->count; i++, left &= ~some) {
                some = alike(work, left, at(work, i)->fingerprint);
                take_in(work, at(work, i), some);
                sp__repeat_judge(at(work, i), work->findings, name);
        }
        for (; left; left &= ~some) {
                some = alike(work, left, work->run[__builtin_ctz(left)].stmt->sql.fingerprint);
                judge_first(work, some, name);
        }
}

static void work_end(struct sp__scope *scope, const char *name)
{
        struct work *work = SP__OF(scope, struct work, scope);

        if (work->findings)
                judge(work, name);
        for (uint32_t i = 0; i < runs(work); i++)
                sp_stmt_unref((sp_stmt *)(uintptr_t)work->run[i].stmt);
        for (uint32_t i = 0; i < work->count; i++)
                sp__repeat_clear(at(work, i));
        sp__findings_unref(work->findings);
        if (work->count > FEW)
                free(work->more);
        free(work);
}

/* Not calloc(): most of it is never looked at. */
static struct sp__scope *work_new(void)
{
        struct work *work = malloc(sizeof *work);

        if (!work)
                return NULL;
        work->scope.end = work_end;
        atomic_init(&work->asked, 0);
        work->findings = NULL;
        sp__brief_init(&work->lock);
        work->count = 0;
        return &work->scope;
}

/* Under the lock. NULL: it has its fill. */
static struct sp__repeat *repeat_of(struct work *work, const struct sp__run *run)
{
        struct sp__repeat *repeat;

        for (uint32_t i = 0; i < work->count; i++) {
                if (at(work, i)->fingerprint == run->stmt->sql.fingerprint)
                        return at(work, i);
        }
        if (work->count == STATEMENTS)
                return NULL;
        if (work->count == FEW && !(work->more = malloc((STATEMENTS - FEW) * sizeof *work->more)))
                return NULL;
        repeat = at(work, work->count++);
        sp__repeat_init(repeat, run);
        return repeat;
}

static __attribute__((noinline)) void *count(struct work *work, const struct sp__run *run)
{
        struct sp__repeat *repeat;

        sp__brief_lock(&work->lock);
        repeat = repeat_of(work, run);
        if (repeat)
                sp__repeat_note(repeat, run);
        sp__brief_unlock(&work->lock);
        return repeat ? (char *)repeat + REPEAT : NULL;
}

/* Its lines may be another core's: they come while the parameters are looked at, and not one by one. */
static void fetch(const struct work *work)
{
        for (int i = 0; i < LINES; i++)
                sp__fetch((const char *)work + (size_t)i * LINE);
}

void *sp__work_asked(struct sp__findings *findings, int64_t least, const sp_ctx *ctx, const sp_stmt *stmt,
                     const sp_params *params)
{
        struct sp__run run = {.stmt = stmt};
        struct sp__scope *scope;
        struct work *work;
        int64_t before;

        if (!stmt->sql.fingerprint || (stmt->sql.kind != SP__SQL_READ && stmt->sql.kind != SP__SQL_WRITE))
                return NULL;
        scope = sp__ctx_scope(ctx, work_new);
        if (!scope)
                return NULL;
        work = SP__OF(scope, struct work, scope);
        fetch(work);
        run.values = sp__params_print(params, run.each, &run.count) ^ (uint32_t)stmt->sql.literals;
        if (run.count == SP__SETS)
                return NULL;
        before = atomic_load_explicit(&work->asked, memory_order_relaxed);
        if (before >= FIRST && before >= least)
                return count(work, &run);
        before = atomic_fetch_add_explicit(&work->asked, 1, memory_order_relaxed);
        if (before + 1 == least)
                work->findings = sp__findings_ref(findings);
        if (before >= FIRST)
                return count(work, &run);
        work->run[before] = run;
        return &work->run[before];
}

bool sp__work_over(void *asked, int64_t ns)
{
        if ((uintptr_t)asked & REPEAT) {
                sp__repeat_over((void *)((char *)asked - REPEAT), ns);
                return false;
        }
        ((struct sp__run *)asked)->ns = ns;
        return true;
}
