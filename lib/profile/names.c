/* SPDX-License-Identifier: MIT */
#include "profile/names.h"

#include "base/hash.h"
#include "base/random.h"
#include "observe/utf8.h"

#include <stdlib.h>

/* A name as it is looked up: cut and hashed. */
struct wanted {
        const char *text;
        size_t len;
        uint64_t hash;
};

static struct wanted wanted_of(const struct sp__names *names, const char *text)
{
        size_t len = text ? sp__utf8_cut(text, SP__NAME_MAX) : 0;

        return (struct wanted){text, len, sp__hash(text, len, names->seed)};
}

static void name_free(struct sp__name *name)
{
        sp__histogram_free(name->times);
        free(name);
}

static struct sp__name *name_new(const struct wanted *wanted, enum sp__name_kind kind)
{
        size_t size = (sizeof(struct sp__name) + wanted->len + 1 + SP__LINE - 1) / SP__LINE * SP__LINE;
        struct sp__name *name = aligned_alloc(SP__LINE, size);

        if (!name)
                return NULL;
        memset(name, 0, size);
        name->times = sp__histogram_new();
        if (!name->times) {
                free(name);
                return NULL;
        }
        name->hash = wanted->hash;
        name->kind = kind;
        name->len = wanted->len;
        memcpy(name->text, wanted->text, wanted->len);
        return name;
}

/* Linear probing. The table is never more than half full, so that an empty slot ends every search. */
static struct sp__name *probe(const struct sp__names *names, const struct wanted *wanted, size_t *empty)
{
        for (size_t i = wanted->hash & names->mask;; i = (i + 1) & names->mask) {
                struct sp__name *name = atomic_load_explicit(&names->slots[i], memory_order_acquire);

                if (!name) {
                        *empty = i;
                        return NULL;
                }
                if (name->hash == wanted->hash && name->len == wanted->len &&
                    memcmp(name->text, wanted->text, wanted->len) == 0)
                        return name;
        }
}

/* Under the mutex. NULL when out of memory or when the table has all that it may have. */
static struct sp__name *add(struct sp__names *names, const struct wanted *wanted, enum sp__name_kind kind)
{
        size_t slot = 0, count = atomic_load_explicit(&names->count, memory_order_relaxed);
        struct sp__name *name = probe(names, wanted, &slot);

        if (name || count > names->max)
                return name;
        name = name_new(wanted, kind);
        if (!name)
                return NULL;
        names->all[count] = name;
        atomic_store_explicit(&names->slots[slot], name, memory_order_release);
        atomic_store_explicit(&names->count, count + 1, memory_order_release);
        return name;
}

static bool valid(const struct wanted *wanted)
{
        for (size_t at = 0, len; at < wanted->len; at += len) {
                len = sp__utf8_len(wanted->text + at);
                if (len == 0 || len > wanted->len - at)
                        return false;
        }
        return wanted->len > 0;
}

bool sp__names_init(struct sp__names *names, size_t max)
{
        struct wanted other;
        size_t size = 4;

        while (size < 2 * (max + 1))
                size *= 2;
        names->seed = sp__random_seed();
        names->mask = size - 1;
        names->max = max;
        sp__mutex_init(&names->adding);
        names->slots = calloc(size, sizeof *names->slots);
        names->all = calloc(max + 1, sizeof(struct sp__name *));
        other = wanted_of(names, "other");
        if (names->slots && names->all && add(names, &other, SP__NAME_STATEMENT))
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
        struct wanted wanted = wanted_of(names, text);
        size_t empty;

        return probe(names, &wanted, &empty);
}

struct sp__name *sp__names_take(struct sp__names *names, const char *text, enum sp__name_kind kind)
{
        struct wanted wanted = wanted_of(names, text);
        size_t empty;
        struct sp__name *name = probe(names, &wanted, &empty);

        if (name)
                return name;
        /* The count never falls, so that past the limit nobody takes the mutex. */
        if (atomic_load_explicit(&names->count, memory_order_relaxed) <= names->max && valid(&wanted)) {
                sp__lock(&names->adding);
                name = add(names, &wanted, kind);
                sp__unlock(&names->adding);
        }
        return name ? name : sp__names_other(names);
}
