/* SPDX-License-Identifier: MIT */
#include "observe/own.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/random.h"
#include "core/error.h"
#include "observe/own_name.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 64, FIRST_SIZE = 64 };

struct sp__series {
        struct sp__series *next;  /* in its bucket */
        struct sp__series *after; /* in its family, in order of making */
        const struct sp__own_family *family;
        uint64_t hash;
        const char **labels; /* name, value, …, NULL; in the same memory as their texts */
};

/* What threads write stands in a cache line of its own. */
struct sp_counter {
        struct sp__series series;
        _Alignas(LINE) _Atomic int64_t count;
};

struct sp_gauge {
        struct sp__series series;
        _Alignas(LINE) _Atomic double value;
};

struct sp_histogram {
        struct sp__series series;
        struct sp__histogram *times;
};

struct sp__own_family {
        struct sp__own_family *next;
        enum sp__own_kind kind;
        char *name;
        char *help;
        size_t label_count;
        char *label_names[SP_METRICS_LABELS];
        struct sp__series *first, *last, *other; /* the last one that is asked for when there are enough */
        size_t count;                            /* but "other" */
};

sp_counter *sp__series_counter(struct sp__series *series)
{
        return SP__OF(series, struct sp_counter, series);
}

sp_gauge *sp__series_gauge(struct sp__series *series)
{
        return SP__OF(series, struct sp_gauge, series);
}

sp_histogram *sp__series_histogram(struct sp__series *series)
{
        return SP__OF(series, struct sp_histogram, series);
}

void sp__own_init(struct sp__own *own, size_t most)
{
        *own = (struct sp__own){.most = most, .seed = sp__random_seed()};
        sp__mutex_init(&own->lock);
}

static void series_free(struct sp__series *series)
{
        if (series->family->kind == SP__OWN_HISTOGRAM)
                sp__histogram_free(sp__series_histogram(series)->times);
        free(series->labels);
        free(series);
}

static void family_free(struct sp__own_family *family)
{
        struct sp__series *series = family->first, *after;

        for (; series; series = after) {
                after = series->after;
                series_free(series);
        }
        for (size_t i = 0; i < family->label_count; i++)
                free(family->label_names[i]);
        free(family->name);
        free(family->help);
        free(family);
}

void sp__own_destroy(struct sp__own *own)
{
        struct sp__own_family *family = own->first, *next;

        for (; family; family = next) {
                next = family->next;
                family_free(family);
        }
        free(own->buckets);
        sp__mutex_destroy(&own->lock);
}

/* All of what follows is under the lock. */

static struct sp__own_family *family_find(const struct sp__own *own, const char *name, size_t len)
{
        struct sp__own_family *family = own->first;

        while (family && (strncmp(family->name, name, len) != 0 || family->name[len]))
                family = family->next;
        return family;
}

static struct sp__own_family *family_made(const struct sp__own_wanted *wanted, size_t len,
                                          const struct sp__own_labels *labels)
{
        struct sp__own_family *family = calloc(1, sizeof *family);
        bool whole;

        if (!family)
                return NULL;
        family->kind = wanted->kind;
        family->name = strndup(wanted->name, len);
        family->help = strdup(wanted->help);
        whole = family->name && family->help;
        for (; family->label_count < labels->count; family->label_count++) {
                family->label_names[family->label_count] = strdup(labels->names[family->label_count]);
                whole &= family->label_names[family->label_count] != NULL;
        }
        if (whole)
                return family;
        family_free(family);
        return NULL;
}

static sp_status family_add(struct sp__own *own, const struct sp__own_wanted *wanted, size_t len,
                            const struct sp__own_labels *labels, struct sp__own_family **out, sp_error **error)
{
        struct sp__own_family *family;

        if (own->count == SP__OWN_FAMILIES)
                return sp__fail(error, SP_LIMIT, "there are %d metrics already", SP__OWN_FAMILIES);
        family = family_made(wanted, len, labels);
        if (!family)
                return sp__fail(error, SP_NOMEM, "out of memory");
        if (own->last)
                own->last->next = family;
        else
                own->first = family;
        own->last = family;
        own->count++;
        *out = family;
        return SP_OK;
}

/* The labels in the family's order; false: they are not its. */
static bool arrange(const struct sp__own_family *family, struct sp__own_labels *labels)
{
        struct sp__own_labels given = *labels;

        if (given.count != family->label_count)
                return false;
        for (size_t i = 0; i < family->label_count; i++) {
                size_t at = 0;

                while (at < given.count && strcmp(given.names[at], family->label_names[i]) != 0)
                        at++;
                if (at == given.count)
                        return false;
                labels->names[i] = family->label_names[i];
                labels->values[i] = given.values[at];
                labels->lens[i] = given.lens[at];
        }
        return true;
}

static uint64_t hash_of(const struct sp__own *own, const struct sp__own_family *family,
                        const struct sp__own_labels *labels)
{
        uint64_t hash = sp__hash(family->name, strlen(family->name), own->seed);

        for (size_t i = 0; i < labels->count; i++)
                hash = sp__hash(labels->values[i], labels->lens[i], hash);
        return hash;
}

static bool is(const struct sp__series *series, const struct sp__own_family *family,
               const struct sp__own_labels *labels)
{
        if (series->family != family)
                return false;
        for (size_t i = 0; i < labels->count; i++) {
                const char *value = series->labels[2 * i + 1];

                if (strncmp(value, labels->values[i], labels->lens[i]) != 0 || value[labels->lens[i]])
                        return false;
        }
        return true;
}

static struct sp__series *series_find(const struct sp__own *own, const struct sp__own_family *family, uint64_t hash,
                                      const struct sp__own_labels *labels)
{
        struct sp__series *series = own->size ? own->buckets[hash & (own->size - 1)] : NULL;

        while (series && (series->hash != hash || !is(series, family, labels)))
                series = series->next;
        return series;
}

/* Pointers and texts in one piece. */
static const char **copied(const struct sp__own_labels *labels)
{
        size_t size = (2 * labels->count + 1) * sizeof(char *), used = size;
        const char **copy;
        char *text;

        for (size_t i = 0; i < labels->count; i++)
                size += labels->lens[i] + 1;
        copy = calloc(1, size);
        if (!copy)
                return NULL;
        text = (char *)copy + used;
        for (size_t i = 0; i < labels->count; i++) {
                copy[2 * i] = labels->names[i];
                copy[2 * i + 1] = memcpy(text, labels->values[i], labels->lens[i]);
                text += labels->lens[i] + 1;
        }
        return copy;
}

static struct sp__series *series_of_kind(enum sp__own_kind kind)
{
        static const size_t sizes[] = {[SP__OWN_COUNTER] = sizeof(struct sp_counter),
                                       [SP__OWN_GAUGE] = sizeof(struct sp_gauge),
                                       [SP__OWN_HISTOGRAM] = sizeof(struct sp_histogram)};
        size_t size = (sizes[kind] + LINE - 1) / LINE * LINE;
        struct sp__series *series = aligned_alloc(LINE, size);

        if (!series)
                return NULL;
        memset(series, 0, size);
        if (kind != SP__OWN_HISTOGRAM)
                return series;
        sp__series_histogram(series)->times = sp__histogram_new();
        if (sp__series_histogram(series)->times)
                return series;
        free(series);
        return NULL;
}

static bool grow(struct sp__own *own)
{
        size_t size = own->size ? own->size * 2 : FIRST_SIZE;
        struct sp__series **buckets;

        if (own->filled < own->size)
                return true;
        buckets = calloc(size, sizeof(struct sp__series *));
        if (!buckets)
                return false;
        for (size_t i = 0; i < own->size; i++) {
                struct sp__series *series = own->buckets[i], *next;

                for (; series; series = next) {
                        next = series->next;
                        series->next = buckets[series->hash & (size - 1)];
                        buckets[series->hash & (size - 1)] = series;
                }
        }
        free(own->buckets);
        own->buckets = buckets;
        own->size = size;
        return true;
}

/* NULL: out of memory. */
static struct sp__series *series_add(struct sp__own *own, struct sp__own_family *family, uint64_t hash,
                                     const struct sp__own_labels *labels)
{
        struct sp__series *series = grow(own) ? series_of_kind(family->kind) : NULL;

        if (!series)
                return NULL;
        series->family = family;
        series->hash = hash;
        series->labels = copied(labels);
        if (!series->labels) {
                series_free(series);
                return NULL;
        }
        series->next = own->buckets[hash & (own->size - 1)];
        own->buckets[hash & (own->size - 1)] = series;
        own->filled++;
        if (family->last)
                family->last->after = series;
        else
                family->first = series;
        family->last = series;
        return series;
}

/* What all share that came too late; also whoever has these very values. */
static struct sp__series *others(struct sp__own *own, struct sp__own_family *family)
{
        struct sp__own_labels labels = {.count = family->label_count};
        uint64_t hash;

        own->limited++;
        if (family->other)
                return family->other;
        for (size_t i = 0; i < labels.count; i++) {
                labels.names[i] = family->label_names[i];
                labels.values[i] = "other";
                labels.lens[i] = strlen("other");
        }
        hash = hash_of(own, family, &labels);
        family->other = series_find(own, family, hash, &labels);
        if (!family->other)
                family->other = series_add(own, family, hash, &labels);
        return family->other;
}

static sp_status series_take(struct sp__own *own, struct sp__own_family *family, struct sp__own_labels *labels,
                             struct sp__series **out, sp_error **error)
{
        struct sp__series *series;
        uint64_t hash;

        if (!arrange(family, labels))
                return sp__fail(error, SP_INVALID, "the metric \"%s\" has other labels", family->name);
        hash = hash_of(own, family, labels);
        series = series_find(own, family, hash, labels);
        if (!series && family->count < own->most) {
                series = series_add(own, family, hash, labels);
                family->count += series != NULL;
        } else if (!series) {
                series = others(own, family);
        }
        if (!series)
                return sp__fail(error, SP_NOMEM, "out of memory");
        *out = series;
        return SP_OK;
}

static sp_status take(struct sp__own *own, const struct sp__own_wanted *wanted, size_t len,
                      struct sp__own_labels *labels, struct sp__series **out, sp_error **error)
{
        struct sp__own_family *family = family_find(own, wanted->name, len);
        sp_status status = SP_OK;

        if (!family)
                status = family_add(own, wanted, len, labels, &family, error);
        else if (family->kind != wanted->kind)
                status = sp__fail(error, SP_INVALID, "the metric \"%s\" is of another kind", family->name);
        return status == SP_OK ? series_take(own, family, labels, out, error) : status;
}

sp_status sp__own_take(struct sp__own *own, const struct sp__own_wanted *wanted, struct sp__series **out,
                       sp_error **error)
{
        struct sp__own_labels labels;
        size_t len = 0;
        sp_status status = sp__own_check(wanted, &len, error);

        if (status == SP_OK)
                status = sp__own_labels(wanted->labels, &labels, error);
        if (status != SP_OK)
                return status;
        sp__lock(&own->lock);
        status = take(own, wanted, len, &labels, out, error);
        sp__unlock(&own->lock);
        return status;
}

static void write_series(struct sp__expo *expo, struct sp__series *series)
{
        const char *const *labels = series->labels;

        if (series->family->kind == SP__OWN_COUNTER)
                sp__expo_sample(expo, "_total", labels, (double)sp_counter_value(sp__series_counter(series)));
        else if (series->family->kind == SP__OWN_GAUGE)
                sp__expo_sample(expo, "", labels, sp_gauge_value(sp__series_gauge(series)));
        else
                sp__expo_histogram(expo, labels, sp__series_histogram(series)->times);
}

void sp__own_collect(struct sp__own *own, struct sp__expo *expo)
{
        static const char *const types[] = {
            [SP__OWN_COUNTER] = "counter", [SP__OWN_GAUGE] = "gauge", [SP__OWN_HISTOGRAM] = "histogram"};

        sp__lock(&own->lock);
        for (struct sp__own_family *family = own->first; family; family = family->next) {
                sp__expo_family(expo, family->name, types[family->kind], family->help);
                for (struct sp__series *series = family->first; series; series = series->after)
                        write_series(expo, series);
        }
        if (own->limited) {
                sp__expo_family(expo, "sugarperf_metrics_limited", "counter",
                                "Times that a series past metrics.series was asked for.");
                sp__expo_sample(expo, "_total", NULL, (double)own->limited);
        }
        sp__unlock(&own->lock);
}

void sp_counter_add(sp_counter *counter, int64_t count)
{
        if (counter && count > 0)
                atomic_fetch_add_explicit(&counter->count, count, memory_order_relaxed);
}

int64_t sp_counter_value(const sp_counter *counter)
{
        return counter ? atomic_load_explicit(&counter->count, memory_order_relaxed) : 0;
}

void sp_gauge_set(sp_gauge *gauge, double value)
{
        if (gauge)
                atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

void sp_gauge_add(sp_gauge *gauge, double change)
{
        double there;

        if (!gauge)
                return;
        there = atomic_load_explicit(&gauge->value, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&gauge->value, &there, there + change, memory_order_relaxed,
                                                      memory_order_relaxed))
                ;
}

double sp_gauge_value(const sp_gauge *gauge)
{
        return gauge ? atomic_load_explicit(&gauge->value, memory_order_relaxed) : 0;
}

void sp_histogram_record(sp_histogram *histogram, int64_t ns)
{
        if (histogram)
                sp__histogram_record(histogram->times, ns);
}

int64_t sp_histogram_count(const sp_histogram *histogram)
{
        return histogram ? sp__histogram_count(histogram->times) : 0;
}

int64_t sp_histogram_quantile_ns(const sp_histogram *histogram, double q)
{
        return histogram ? sp__histogram_quantile(histogram->times, q) : 0;
}
