/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[LOAD_KINDS] = {
    "GET /recommendations/{userId}",
    "GET /content/{id}",
    "POST /content",
    "POST /interactions",
    "first list",
    "first content",
};
static const char *const sources[] = {"hit", "stale", "miss", "fallback"};
enum { SOURCES = sizeof sources / sizeof *sources };

struct samples {
        double *ms;
        size_t count, capacity, errors, checked;
        size_t from[SOURCES];
        double sum;
};

struct load_tally {
        struct samples kinds[LOAD_KINDS_ALL];
};

struct load_tally *load_tally_new(void)
{
        return calloc(1, sizeof(struct load_tally));
}

void load_tally_free(struct load_tally *tally)
{
        for (size_t i = 0; tally && i < LOAD_KINDS_ALL; i++)
                free(tally->kinds[i].ms);
        free(tally);
}

static void keep(struct samples *samples, double ms)
{
        if (samples->count == samples->capacity) {
                size_t capacity = samples->capacity ? samples->capacity * 2 : 1024;
                double *grown = realloc(samples->ms, capacity * sizeof *grown);

                if (!grown)
                        abort();
                samples->ms = grown;
                samples->capacity = capacity;
        }
        samples->ms[samples->count++] = ms;
        samples->sum += ms;
}

static bool is_list(enum load_kind kind)
{
        return kind == LOAD_RECOMMENDATIONS || kind == LOAD_COLD_LIST;
}

static bool failed(const struct load_request *request, const struct load_answer *answer)
{
        if (answer->status == 404)
                return !request->may_be_absent;
        return answer->status < 200 || answer->status > 299;
}

void load_tally_add(struct load_tally *tally, const struct load_request *request, const struct load_answer *answer,
                    int64_t ns)
{
        struct samples *samples = &tally->kinds[request->kind];
        double ms = (double)ns / 1e6;

        keep(samples, ms);
        if (failed(request, answer))
                samples->errors++;
        if (answer->status == 200 && ms < (is_list(request->kind) ? 500 : 200))
                samples->checked++;
        for (size_t i = 0; i < SOURCES; i++)
                samples->from[i] += strcmp(answer->source, sources[i]) == 0;
}

static int compare(const void *a, const void *b)
{
        double left = *(const double *)a, right = *(const double *)b;

        return (left > right) - (left < right);
}

static double quantile(const struct samples *samples, double q)
{
        size_t at = (size_t)(q * (double)samples->count);

        return samples->ms[at < samples->count ? at : samples->count - 1];
}

static json_t *samples_json(struct samples *samples)
{
        json_t *json;

        qsort(samples->ms, samples->count, sizeof *samples->ms, compare);
        json = json_pack("{s:I,s:I,s:f,s:f,s:f,s:f,s:f}", "count", (json_int_t)samples->count, "errors",
                         (json_int_t)samples->errors, "mean", samples->sum / (double)samples->count, "p50",
                         quantile(samples, 0.5), "p95", quantile(samples, 0.95), "p99", quantile(samples, 0.99), "max",
                         samples->ms[samples->count - 1]);
        for (size_t i = 0; i < SOURCES; i++)
                json_object_set_new(json, sources[i], json_integer((json_int_t)samples->from[i]));
        return json;
}

json_t *load_tally_json(struct load_tally *tally, const struct load_plan *plan)
{
        json_t *json = json_object();

        for (size_t i = 0; i < LOAD_KINDS_ALL; i++) {
                if (tally->kinds[i].count)
                        json_object_set_new(json, i < LOAD_KINDS ? names[i] : load_plan_kind(plan, i),
                                            samples_json(&tally->kinds[i]));
        }
        return json;
}

double load_tally_checks(const struct load_tally *tally)
{
        size_t passed = 0, all = 0;

        for (size_t i = 0; i < LOAD_KINDS; i++) {
                if (i == LOAD_CREATE || i == LOAD_INTERACTION)
                        continue;
                passed += tally->kinds[i].checked;
                all += tally->kinds[i].count;
        }
        return all ? (double)passed / (double)all : 0;
}
