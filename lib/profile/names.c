/* SPDX-License-Identifier: MIT */
#include "profile/names.h"

#include "base/hash.h"
#include "base/random.h"
#include "observe/utf8.h"

#include <stdlib.h>

/* A name as it is looked up: cut and hashed. A variant is found by its fingerprint, too. */
struct lookup {
        const char *text;
        size_t len;
        enum sp__name_kind kind;
        uint64_t hash;
        uint64_t variant; /* 0: the name's first entry */
};

static const char other_name[] = "other";

/* There is one "other" for both kinds. */
static struct lookup lookup_of(const struct sp__names *names, const char *text, enum sp__name_kind kind)
{
        size_t len = text ? sp__utf8_cut(text, SP__NAME_MAX) : 0;

        if (len == sizeof other_name - 1 && memcmp(text, other_name, len) == 0)
                kind = SP__NAME_STATEMENT;
        return (struct lookup){text, len, kind, sp__hash(text, len, names->seed + (uint64_t)kind), 0};
}

void sp__seen_plan_free(struct sp__seen_plan *seen)
{
        if (seen)
                free(seen->shape);
        free(seen);
}

static void name_free(struct sp__name *name)
{
        sp__histogram_free(name->times);
        sp_stmt_unref((sp_stmt *)(uintptr_t)name->stmt);
        sp__seen_plan_free(name->plan);
        free(name->norm);
        free(name->pool);
        free(name);
}

static bool name_describe(struct sp__name *name, const struct sp__stmt_record *record)
{
        name->norm = strdup(record && record->text ? record->text : "");
        name->pool = strdup(record && record->pool ? record->pool : "");
        if (record && record->stmt)
                name->stmt = sp_stmt_ref((sp_stmt *)(uintptr_t)record->stmt);
        return name->norm && name->pool;
}

static struct sp__name *name_new(const struct lookup *lookup, const struct sp__wanted *wanted)
{
        size_t size = (sizeof(struct sp__name) + lookup->len + 1 + SP__LINE - 1) / SP__LINE * SP__LINE;
        struct sp__name *name = aligned_alloc(SP__LINE, size);

        if (!name)
                return NULL;
        memset(name, 0, size);
        name->times = sp__histogram_new();
        if (!name->times || !name_describe(name, wanted->record)) {
                name_free(name);
                return NULL;
        }
        name->hash = lookup->hash;
        name->kind = lookup->kind;
        name->fingerprint = wanted->record ? wanted->record->fingerprint : 0;
        name->first = name;
        name->len = lookup->len;
        memcpy(name->text, lookup->text, lookup->len);
        return name;
}

static bool is(const struct sp__name *name, const struct lookup *lookup)
{
        return name->hash == lookup->hash && name->kind == lookup->kind && name->len == lookup->len &&
               memcmp(name->text, lookup->text, lookup->len) == 0 &&
               (lookup->variant ? name->first != name && name->fingerprint == lookup->variant : name->first == name);
}

/* Linear probing. The table is never more than half full, so that an empty slot ends every search. */
static struct sp__name *probe(const struct sp__names *names, const struct lookup *lookup, size_t *empty)
{
        for (size_t i = lookup->hash & names->mask;; i = (i + 1) & names->mask) {
                struct sp__name *name = atomic_load_explicit(&names->slots[i], memory_order_acquire);

                if (!name) {
                        *empty = i;
                        return NULL;
                }
                if (is(name, lookup))
                        return name;
        }
}

/* Under the mutex: variants come last, so that whoever walks sees a whole chain. */
static void chain(struct sp__name *first, struct sp__name *variant)
{
        variant->first = first;
        atomic_store_explicit(&variant->more, atomic_load_explicit(&first->more, memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(&first->more, variant, memory_order_release);
}

/* Under the mutex. `first`: it is to be a variant of this. NULL when out of memory or when the table has all that it may. */
static struct sp__name *add(struct sp__names *names, const struct lookup *lookup, const struct sp__wanted *wanted,
                            struct sp__name *first)
{
        size_t slot = 0, count = atomic_load_explicit(&names->count, memory_order_relaxed);
        struct sp__name *name = probe(names, lookup, &slot);

        if (name || count > names->max)
                return name;
        name = name_new(lookup, wanted);
        if (!name)
                return NULL;
        if (names->begin)
                names->begin(names->arg, name);
        if (first)
                chain(first, name);
        names->all[count] = name;
        atomic_store_explicit(&names->slots[slot], name, memory_order_release);
        atomic_store_explicit(&names->count, count + 1, memory_order_release);
        return name;
}

static bool valid(const struct lookup *lookup)
{
        for (size_t at = 0, len; at < lookup->len; at += len) {
                len = sp__utf8_len(lookup->text + at);
                if (len == 0 || len > lookup->len - at)
                        return false;
        }
        return lookup->len > 0;
}

bool sp__names_init(struct sp__names *names, size_t max)
{
        const struct sp__wanted other = {other_name, SP__NAME_STATEMENT, NULL};
        struct lookup lookup;
        size_t size = 4;

        while (size < 2 * (max + 1))
                size *= 2;
        names->seed = sp__random_seed() | 1;
        names->mask = size - 1;
        names->max = max;
        sp__mutex_init(&names->adding);
        names->slots = calloc(size, sizeof *names->slots);
        names->all = calloc(max + 1, sizeof(struct sp__name *));
        lookup = lookup_of(names, other.name, other.kind);
        if (names->slots && names->all && add(names, &lookup, &other, NULL))
                return true;
        sp__names_destroy(names);
        return false;
}

void sp__names_destroy(struct sp__names *names)
{
        for (size_t i = 0; i < atomic_load(&names->count); i++)
                name_free(names->all[i]);
        free(names->all);
        free(names->slots);
        sp__mutex_destroy(&names->adding);
}

struct sp__name *sp__names_find(const struct sp__names *names, const char *text)
{
        struct lookup lookup = lookup_of(names, text, SP__NAME_STATEMENT);
        size_t empty;
        struct sp__name *name = probe(names, &lookup, &empty);

        if (name)
                return name;
        lookup = lookup_of(names, text, SP__NAME_WORK);
        return probe(names, &lookup, &empty);
}

/* Found, or added where there still is room. */
static struct sp__name *take(struct sp__names *names, const struct lookup *lookup, const struct sp__wanted *wanted,
                             struct sp__name *first)
{
        size_t empty;
        struct sp__name *name = probe(names, lookup, &empty);

        /* The count never falls, so that past the limit nobody takes the mutex. */
        if (name || atomic_load_explicit(&names->count, memory_order_relaxed) > names->max || !valid(lookup))
                return name;
        sp__lock(&names->adding);
        name = add(names, lookup, wanted, first);
        sp__unlock(&names->adding);
        return name;
}

/* "other" is left out: it may be for want of memory. */
static void remember(const struct sp__names *names, sp_stmt *stmt, struct sp__name *name)
{
        void *none = NULL;

        if (stmt && name != sp__names_other(names) && atomic_compare_exchange_strong(&stmt->recorded_as, &none, name))
                atomic_store_explicit(&stmt->recorded_by, names->seed, memory_order_release);
}

struct sp__minute sp__name_all(const struct sp__name *name)
{
        return (struct sp__minute){sp__histogram_count(name->times), sp__name_total(name),
                                   atomic_load_explicit(&name->errors, memory_order_relaxed)};
}

static struct sp__name *look_up(struct sp__names *names, const struct sp__wanted *wanted)
{
        struct lookup lookup = lookup_of(names, wanted->name, wanted->kind);
        struct sp__name *first = take(names, &lookup, wanted, NULL), *variant;
        uint64_t fingerprint = wanted->record ? wanted->record->fingerprint : 0;

        if (!first)
                return sp__names_other(names);
        if (fingerprint == first->fingerprint || !fingerprint || !first->fingerprint)
                return first;
        lookup.hash ^= fingerprint;
        lookup.variant = fingerprint;
        variant = take(names, &lookup, wanted, first);
        return variant ? variant : first;
}

struct sp__name *sp__names_take(struct sp__names *names, const struct sp__wanted *wanted)
{
        struct sp__name *name = look_up(names, wanted);

        remember(names, sp__wanted_stmt(wanted), name);
        return name;
}
