/* SPDX-License-Identifier: MIT */
#include "profile/advice.h"

#include "core/error.h"
#include "pg/stmt.h"
#include "profile/hypothesis.h"
#include "profile/plan.h"
#include "sql/reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A statement gains where its plan costs a fifth less. An index that yields an order, or is narrower, is taken before a
 * better one if it leaves no statement more than a quarter dearer. To write a row into an index costs two pages of the planner's: one to find the place,
 * one to write.
 */
#define GAIN      .8
#define PREFERRED 1.25
#define KEPT      1.05
#define WRITE     2.0
/** Plans below are not worth an index: a few look-ups by key. */
#define CHEAP 30.0
/** Pages of a table that is not read as a whole for nothing. */
#define LARGE 64

/* What is being worked with: the session, and which candidates are worth trying. */
struct search {
        struct sp__side *side;
        struct sp__hypopg hypopg;
        struct sp__advice *advice;
        bool *tried; /* by candidate: it is among those */
};

/* The statement's plan is not to be had: it is left out, with the server's reason. Other errors end the whole. */
static sp_status excuse(struct sp__load *load, sp_status status, sp_error **failed, sp_error **error)
{
        bool own = status == SP_SQL || status == SP_INVALID || status == SP_PROTOCOL;

        if (!own) {
                sp__error_give(error, *failed);
                return status;
        }
        snprintf(load->code, sizeof load->code, "%s", sp_error_code(*failed));
        load->explained = false;
        sp_error_free(*failed);
        return SP_OK;
}

/* A statement with a row or fewer a run was cut by no limit that matters. */
static int64_t limit_of(const struct sp__load *load)
{
        double mean = load->runs ? load->rows / load->runs : 0;

        return mean > 1 ? (int64_t)(mean + .5) : 1;
}

/* What is planned for it: a read itself, and the read that finds the rows of an UPDATE or DELETE; false: nothing is. */
static bool planned(const struct sp__load *load, struct sp__buf *out)
{
        bool reads = load->access.kind == SP__ACCESS_SELECT && load->stmt->sql.kind == SP__SQL_READ;

        if (reads)
                sp__buf_text(out, load->stmt->text);
        else if (!sp__sql_reading(load->stmt->text, out))
                return false;
        sp__buf_char(out, 0);
        return !out->failed;
}

static sp_status explain_first(struct search *search, struct sp__load *load, sp_error **error)
{
        struct sp__buf text = SP__BUF_INIT;
        struct sp__plan plan;
        sp_error *failed = NULL;
        sp_status status;

        if (!planned(load, &text)) {
                sp__buf_free(&text);
                return SP_OK;
        }
        status =
            sp__plan_prepare(search->side, load->number, load->stmt, text.data, limit_of(load), &load->params, &failed);
        sp__buf_free(&text);
        if (status == SP_OK)
                status = sp__plan_explain(search->side, load->number, load->stmt, load->params, &plan, &failed);
        if (status != SP_OK)
                return excuse(load, status, &failed, error);
        load->before = load->now = load->with = plan.cost;
        load->explained = true;
        load->shape = plan.shape.data;
        plan.shape = (struct sp__buf)SP__BUF_INIT;
        sp__plan_free(&plan);
        return SP_OK;
}

static sp_status cost_of(struct search *search, struct sp__load *load, double *cost, sp_error **error)
{
        struct sp__plan plan;
        sp_status status = sp__plan_explain(search->side, load->number, load->stmt, load->params, &plan, error);

        if (status != SP_OK)
                return status;
        *cost = plan.cost;
        sp__plan_free(&plan);
        return SP_OK;
}

/*
 * What is in its plan when all its candidates stand is worth trying; and what begins like that, or goes on, for others' sake.
 */
static void mark_used(struct search *search, const struct sp__plan *plan, const struct sp__advised *stood, size_t count)
{
        const struct sp__candidates *all = &search->advice->candidates;

        for (size_t i = 0; i < count; i++) {
                if (!sp__plan_uses(plan, stood[i].name))
                        continue;
                for (size_t j = 0; j < all->count; j++)
                        search->tried[j] |= sp__candidate_begins(&all->all[j], stood[i].candidate) ||
                                            sp__candidate_begins(stood[i].candidate, &all->all[j]);
        }
}

/* All candidates of a statement at once before the planner. */
static sp_status try_all(struct search *search, struct sp__load *load, sp_error **error)
{
        struct sp__candidates own = {0};
        struct sp__advised *stood;
        struct sp__plan plan;
        sp_status status = SP_OK;

        sp__candidates_add(&own, &load->access, &search->advice->catalog);
        stood = calloc(own.count + 1, sizeof *stood);
        if (!stood || own.failed)
                status = sp__fail(error, SP_NOMEM, "out of memory");
        for (size_t i = 0; i < own.count && status == SP_OK; i++)
                status = sp__hypothesize(&search->hypopg, &own.all[i], &stood[i], error);
        if (status == SP_OK && own.count)
                status = sp__plan_explain(search->side, load->number, load->stmt, load->params, &plan, error);
        if (status == SP_OK && own.count) {
                if (plan.cost < load->now * GAIN)
                        mark_used(search, &plan, stood, own.count);
                sp__plan_free(&plan);
                status = sp__hypopg_reset(&search->hypopg, &search->advice->catalog, error);
        }
        free(stood);
        sp__candidates_free(&own);
        return status;
}

static double writes_of(const struct sp__advice *advice, const struct sp__candidate *candidate)
{
        double writes = 0;

        for (size_t i = 0; i < advice->workload.count; i++)
                writes += sp__load_writes(&advice->workload.all[i], &advice->catalog, candidate->table, candidate->keys,
                                          candidate->count);
        return writes;
}

/* With what stands now: the costs of all statements of a table into `with`, and what they save over all runs. */
static sp_status weigh(struct search *search, const struct sp__table *table, double *saved, bool *helps,
                       sp_error **error)
{
        struct sp__workload *workload = &search->advice->workload;
        sp_status status = SP_OK;

        *saved = 0;
        *helps = false;
        for (size_t i = 0; i < workload->count && status == SP_OK; i++) {
                struct sp__load *load = &workload->all[i];

                load->with = load->now;
                if (!load->explained || !sp__load_names(load, &search->advice->catalog, table))
                        continue;
                status = cost_of(search, load, &load->with, error);
                *saved += (load->now - load->with) * load->runs;
                *helps |= load->now > CHEAP && load->with < load->now * GAIN;
        }
        return status;
}

/* What one more index would do. */
struct trial {
        struct sp__advised advised;
        size_t candidate;
        double net;
        double *costs; /* of each statement */
        bool helps;
};

static sp_status try_one(struct search *search, size_t candidate, struct trial *out, sp_error **error)
{
        const struct sp__candidate *wanted = &search->advice->candidates.all[candidate];
        sp_status status = sp__hypothesize(&search->hypopg, wanted, &out->advised, error);

        if (status != SP_OK)
                return status;
        status = weigh(search, wanted->table, &out->advised.saves, &out->helps, error);
        if (status == SP_OK)
                status = sp__hypothesis_end(&search->hypopg, &out->advised, error);
        out->candidate = candidate;
        out->advised.writes = writes_of(search->advice, wanted);
        out->net = out->advised.saves - out->advised.writes * WRITE;
        for (size_t i = 0; i < search->advice->workload.count; i++)
                out->costs[i] = search->advice->workload.all[i].with;
        return status;
}

/* That yields an order beside a LIMIT, or is of fewer columns: what does not show in the cost of an average. */
static bool preferred(const struct sp__candidate *a, const struct sp__candidate *b)
{
        if (a->table != b->table)
                return false;
        return a->ordered == b->ordered ? a->count < b->count : a->ordered;
}

/* It is preferred, and hardly any statement is the dearer for it. */
static bool as_good(const struct trial *a, const struct trial *b, size_t count)
{
        if (!preferred(a->advised.candidate, b->advised.candidate))
                return false;
        for (size_t i = 0; i < count; i++) {
                if (a->costs[i] > b->costs[i] * PREFERRED)
                        return false;
        }
        return true;
}

/* The more it saves the better, but of one table the preferred one that does as well. */
static bool better(const struct trial *a, const struct trial *b, size_t count)
{
        if (!b->helps || b->net <= 0)
                return true;
        return as_good(a, b, count) || (!as_good(b, a, count) && a->net > b->net);
}

/* `best` and `trial` keep their room for costs, and change it with each other. */
static sp_status best_of(struct search *search, struct trial *best, struct trial *trial, sp_error **error)
{
        size_t count = search->advice->workload.count;
        sp_status status = SP_OK;

        best->helps = false;
        for (size_t i = 0; i < search->advice->candidates.count && status == SP_OK; i++) {
                if (!search->tried[i])
                        continue;
                status = try_one(search, i, trial, error);
                if (status == SP_OK && trial->helps && trial->net > 0 && better(trial, best, count)) {
                        struct trial other = *best;

                        *best = *trial;
                        *trial = other;
                }
        }
        return status;
}

static void accept_costs(struct sp__workload *workload)
{
        for (size_t i = 0; i < workload->count; i++)
                workload->all[i].now = workload->all[i].with;
}

/* Takes the best one for good. */
static sp_status take(struct search *search, const struct trial *best, sp_error **error)
{
        struct sp__advised *advised = &search->advice->advised[search->advice->count];
        double saved;
        bool helps;
        sp_status status;

        *advised = best->advised;
        search->tried[best->candidate] = false;
        status = sp__hypothesize(&search->hypopg, advised->candidate, advised, error);
        if (status != SP_OK)
                return status;
        search->advice->count++;
        status = weigh(search, advised->candidate->table, &saved, &helps, error);
        accept_costs(&search->advice->workload);
        return status;
}

static sp_status choose(struct search *search, sp_error **error)
{
        size_t count = search->advice->workload.count + 1;
        struct trial best = {.costs = calloc(count, sizeof *best.costs)};
        struct trial trial = {.costs = calloc(count, sizeof *trial.costs)};
        sp_status status = best.costs && trial.costs ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");

        while (status == SP_OK && search->advice->count < SP__ADVISED) {
                status = best_of(search, &best, &trial, error);
                if (status != SP_OK || !best.helps)
                        break;
                status = take(search, &best, error);
        }
        free(best.costs);
        free(trial.costs);
        return status;
}

/* Whether the statements get dearer without it. */
static sp_status needed(struct search *search, struct sp__advised *advised, bool *out, sp_error **error)
{
        const struct sp__workload *workload = &search->advice->workload;
        double saved;
        bool helps;
        sp_status status = sp__hypothesis_end(&search->hypopg, advised, error);

        if (status == SP_OK)
                status = weigh(search, advised->candidate->table, &saved, &helps, error);
        *out = false;
        for (size_t i = 0; status == SP_OK && i < workload->count; i++)
                *out |= workload->all[i].explained && workload->all[i].with > workload->all[i].now * KEPT;
        return status;
}

/* What was taken first may have become needless by what came after. */
static sp_status put_back(struct search *search, sp_error **error)
{
        struct sp__advice *advice = search->advice;
        sp_status status = SP_OK;

        for (size_t i = 0; i < advice->count && status == SP_OK; i++) {
                struct sp__advised *advised = &advice->advised[i];
                bool keeps = true;

                status = needed(search, advised, &keeps, error);
                if (status != SP_OK)
                        break;
                if (keeps) {
                        status = sp__hypothesize(&search->hypopg, advised->candidate, advised, error);
                        continue;
                }
                accept_costs(&advice->workload);
                memmove(advised, advised + 1, (--advice->count - i) * sizeof *advised);
                i--;
        }
        return status;
}

static sp_status measure(struct search *search, sp_error **error)
{
        struct sp__advice *advice = search->advice;
        sp_status status = SP_OK;

        for (size_t i = 0; i < advice->count && status == SP_OK; i++) {
                struct sp__advised *advised = &advice->advised[i];

                status = sp__hypothesis_bytes(&search->hypopg, advised, &advised->bytes, error);
        }
        return status;
}

static int most_first(const void *a, const void *b)
{
        const struct sp__advised *x = a, *y = b;

        return x->saves < y->saves ? 1 : x->saves > y->saves ? -1 : 0;
}

/* What statements cost beside the twins. */
static sp_status cost_all(struct search *search, sp_error **error)
{
        struct sp__workload *workload = &search->advice->workload;
        sp_status status = sp__hypopg_reset(&search->hypopg, &search->advice->catalog, error);

        for (size_t i = 0; i < workload->count && status == SP_OK; i++) {
                if (workload->all[i].explained)
                        status = cost_of(search, &workload->all[i], &workload->all[i].now, error);
        }
        return status;
}

static sp_status cost(struct search *search, sp_error **error)
{
        struct sp__advice *advice = search->advice;
        sp_status status = cost_all(search, error);

        for (size_t i = 0; i < advice->workload.count && status == SP_OK; i++) {
                struct sp__load *load = &advice->workload.all[i];

                if (load->explained && load->before > CHEAP)
                        status = try_all(search, load, error);
        }
        if (status == SP_OK)
                status = choose(search, error);
        if (status == SP_OK)
                status = put_back(search, error);
        if (status == SP_OK)
                status = measure(search, error);
        if (status == SP_OK)
                status = sp__hypopg_end(&search->hypopg, error);
        advice->costed = true;
        if (advice->count)
                qsort(advice->advised, advice->count, sizeof *advice->advised, most_first);
        return status;
}

static bool advised_already(const struct sp__advice *advice, const struct sp__candidate *candidate)
{
        for (size_t i = 0; i < advice->count; i++) {
                if (sp__candidate_begins(candidate, advice->advised[i].candidate) ||
                    sp__candidate_begins(advice->advised[i].candidate, candidate))
                        return true;
        }
        return false;
}

static bool scans_whole(const struct sp__load *load, const struct sp__table *table)
{
        struct sp__buf scan = SP__BUF_INIT;
        bool whole;

        sp__buf_format(&scan, "Seq Scan on %s", table->name);
        sp__buf_char(&scan, 0);
        whole = !scan.failed && strstr(load->shape, scan.data) != NULL;
        sp__buf_free(&scan);
        return whole;
}

/* Nothing can be costed: the first candidate for each large table that a statement reads as a whole. */
static void guess(struct sp__advice *advice, const struct sp__load *load)
{
        const struct sp__candidates *all = &advice->candidates;

        for (size_t i = 0; i < all->count && advice->count < SP__ADVISED; i++) {
                const struct sp__candidate *candidate = &all->all[i];

                if (candidate->table->pages < LARGE || candidate->where != SP__USE_READ ||
                    !sp__load_names(load, &advice->catalog, candidate->table) || !scans_whole(load, candidate->table) ||
                    advised_already(advice, candidate))
                        continue;
                advice->advised[advice->count++] =
                    (struct sp__advised){.candidate = candidate, .writes = writes_of(advice, candidate)};
        }
}

/* What could serve each statement, known before any of it is costed. */
static sp_status gather(struct search *search, sp_error **error)
{
        struct sp__advice *advice = search->advice;
        sp_status status = SP_OK;

        for (size_t i = 0; i < advice->workload.count && status == SP_OK; i++) {
                struct sp__load *load = &advice->workload.all[i];

                status = explain_first(search, load, error);
                if (load->explained && load->before > CHEAP)
                        sp__candidates_add(&advice->candidates, &load->access, &advice->catalog);
        }
        search->tried = calloc(advice->candidates.count + 1, sizeof *search->tried);
        if (advice->candidates.failed || !search->tried)
                return sp__fail(error, SP_NOMEM, "out of memory");
        return status;
}

static sp_status advise(struct search *search, sp_error **error)
{
        sp_status status = sp__plan_begin(search->side, error);

        if (status == SP_OK)
                status = gather(search, error);
        search->hypopg = (struct sp__hypopg){search->side, search->advice->catalog.hypopg.schema};
        if (status == SP_OK && *search->advice->catalog.hypopg.schema)
                return cost(search, error);
        for (size_t i = 0; i < search->advice->workload.count && status == SP_OK; i++) {
                if (search->advice->workload.all[i].explained)
                        guess(search->advice, &search->advice->workload.all[i]);
        }
        return status;
}

sp_status sp__advice_read(struct sp__side *side, const struct sp__names *names, const char *pool,
                          struct sp__advice *out, sp_error **error)
{
        struct search search = {.side = side, .advice = out};
        struct sp__buf tables = SP__BUF_INIT;
        sp_status status;

        *out = (struct sp__advice){0};
        if (!sp__workload_read(names, pool, &out->workload))
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__workload_tables(&out->workload, &tables);
        status = tables.failed ? sp__fail(error, SP_NOMEM, "out of memory")
                               : sp__catalog_read(side, tables.data, &out->catalog, error);
        sp__buf_free(&tables);
        if (status == SP_OK)
                status = advise(&search, error);
        free(search.tried);
        if (status != SP_OK)
                sp__advice_free(out);
        return status;
}

void sp__advice_free(struct sp__advice *advice)
{
        sp__workload_free(&advice->workload);
        sp__candidates_free(&advice->candidates);
        sp__catalog_free(&advice->catalog);
        *advice = (struct sp__advice){0};
}
