/* SPDX-License-Identifier: MIT */
#include "key/registry.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/thread.h"
#include "core/error.h"
#include "key/parts.h"

#include <stdlib.h>
#include <string.h>

/* Templates are found by the hash of their first segments, as many as are fixed text, at most this many. */
enum { PREFIX_MAX = 2 };

struct entry {
        uint64_t hash;
        sp_template *tmpl;
};

/* Immutable once it is published. Sorted by hash, within a hash the most specific first. */
struct table {
        struct table *older;
        size_t count;
        struct entry entries[];
};

struct sp__keys {
        sp__mutex lock; /* declarations */
        _Atomic(struct table *) table;
};

struct sp__keys *sp__keys_new(void)
{
        struct sp__keys *keys = calloc(1, sizeof *keys);
        struct table *table = calloc(1, sizeof *table);

        if (!keys || !table) {
                free(keys);
                free(table);
                return NULL;
        }
        sp__mutex_init(&keys->lock);
        atomic_init(&keys->table, table);
        return keys;
}

void sp__keys_free(struct sp__keys *keys)
{
        struct table *table;

        if (!keys)
                return;
        table = atomic_load(&keys->table);
        for (size_t i = 0; i < table->count; i++)
                sp_template_unref(table->entries[i].tmpl);
        while (table) {
                struct table *older = table->older;

                free(table);
                table = older;
        }
        sp__mutex_destroy(&keys->lock);
        free(keys);
}

static const struct table *table_of(const struct sp__keys *keys)
{
        return atomic_load_explicit(&((struct sp__keys *)(uintptr_t)keys)->table, memory_order_acquire);
}

static uint64_t template_hash(const sp_template *tmpl)
{
        size_t len = 0;

        for (size_t i = 0; i < PREFIX_MAX && tmpl->shape.segments[i].kind == SP__SEGMENT_TEXT; i++)
                len = (size_t)tmpl->shape.segments[i].at + tmpl->shape.segments[i].len;
        return sp__hash(tmpl->shape.text, len, 0);
}

/* Negative where `a` is the more specific of two templates: text before a parameter, a long text before a parameter first. */
static int compare(const sp_template *a, const sp_template *b)
{
        for (size_t i = 0; i < a->shape.count && i < b->shape.count; i++) {
                const struct sp__segment *left = &a->shape.segments[i], *right = &b->shape.segments[i];

                if (left->kind != right->kind)
                        return left->kind == SP__SEGMENT_TEXT ? -1 : 1;
                if (left->len != right->len)
                        return left->len > right->len ? -1 : 1;
        }
        return 0;
}

/* Whether a segment of the one template can be a segment of the other. */
static bool segments_meet(const sp_template *a, const sp_template *b, size_t index)
{
        const struct sp__segment *left = &a->shape.segments[index], *right = &b->shape.segments[index];
        size_t len = left->len < right->len ? left->len : right->len;

        /* Braces stand nowhere else. */
        if (left->slot != right->slot)
                return false;
        if (memcmp(a->shape.text + left->at, b->shape.text + right->at, len) != 0)
                return false;
        return (left->kind == SP__SEGMENT_PARAM || left->len >= right->len) &&
               (right->kind == SP__SEGMENT_PARAM || right->len >= left->len);
}

/* Whether a key can be of both. */
static bool templates_meet(const sp_template *a, const sp_template *b)
{
        if (a->shape.count != b->shape.count)
                return false;
        for (size_t i = 0; i < a->shape.count; i++) {
                if (!segments_meet(a, b, i))
                        return false;
        }
        return true;
}

static bool same_patterns(const sp_template *a, const sp_template *b)
{
        if (a->pattern_count != b->pattern_count)
                return false;
        for (size_t i = 0; i < a->pattern_count; i++) {
                if (!sp__template_declares(b, a->patterns[i]->text))
                        return false;
        }
        return true;
}

static bool same(const sp_template *a, const sp_template *b)
{
        return strcmp(a->shape.text, b->shape.text) == 0 && a->ttl_ms == b->ttl_ms && a->size == b->size &&
               a->negative_ms == b->negative_ms && a->stale_ms == b->stale_ms && a->soft_ms == b->soft_ms &&
               a->hard_ms == b->hard_ms && a->refresh == b->refresh && a->sliding_ms == b->sliding_ms &&
               a->value_max == b->value_max && a->raw == b->raw && same_patterns(a, b);
}

/* A pattern that both declare must give one text, hence hash the same parameters. */
static const char *pattern_conflict(const sp_template *a, const sp_template *b)
{
        for (size_t i = 0; i < a->pattern_count * b->pattern_count; i++) {
                const struct sp__shape *left = a->patterns[i / b->pattern_count],
                                       *right = b->patterns[i % b->pattern_count];

                if (strcmp(left->text, right->text) != 0)
                        continue;
                for (size_t j = 0; j < left->count; j++) {
                        if (left->segments[j].kind == SP__SEGMENT_PARAM &&
                            (left->segments[j].secret != right->segments[j].secret ||
                             left->segments[j].slot != right->segments[j].slot))
                                return left->text;
                }
        }
        return NULL;
}

static sp_status check_pair(const sp_template *known, const sp_template *tmpl, size_t *patterns, sp_error **error)
{
        const char *pattern = pattern_conflict(known, tmpl);

        if (strcmp(known->shape.text, tmpl->shape.text) == 0)
                return sp__fail(error, SP_INVALID,
                                "template \"%.128s\" is declared already, with other options or patterns",
                                tmpl->shape.text);
        if (templates_meet(known, tmpl)) {
                if (compare(known, tmpl) == 0)
                        return sp__fail(error, SP_INVALID, "template \"%.128s\" has the same keys as \"%.128s\"",
                                        tmpl->shape.text, known->shape.text);
                if ((known->raw != 0) != (tmpl->raw != 0))
                        return sp__fail(error, SP_INVALID,
                                        "a key can be of template \"%.128s\" and of \"%.128s\": both are raw, or none",
                                        tmpl->shape.text, known->shape.text);
                *patterns += known->pattern_count;
        }
        if (pattern)
                return sp__fail(error, SP_INVALID,
                                "pattern \"%.128s\": a parameter is secret, or decides the slot, in one of \"%.128s\" "
                                "and \"%.128s\"",
                                pattern, known->shape.text, tmpl->shape.text);
        return SP_OK;
}

/* Also sets `*known` where the same declaration stands already. */
static sp_status check(const struct table *table, const sp_template *tmpl, bool *known, sp_error **error)
{
        size_t patterns = tmpl->pattern_count;
        sp_status status = SP_OK;

        for (size_t i = 0; i < table->count && !*known; i++)
                *known = same(table->entries[i].tmpl, tmpl);
        for (size_t i = 0; i < table->count && !*known && status == SP_OK; i++)
                status = check_pair(table->entries[i].tmpl, tmpl, &patterns, error);
        if (status == SP_OK && patterns > SP__TAGS_MAX)
                return sp__fail(error, SP_LIMIT,
                                "template \"%.128s\": its keys are of other templates too, with %zu patterns in all, "
                                "more than %d",
                                tmpl->shape.text, patterns, SP__TAGS_MAX);
        return status;
}

/* Called with the lock held. */
static sp_status publish(struct sp__keys *keys, struct table *old, sp_template *tmpl, sp_error **error)
{
        struct entry added = {template_hash(tmpl), tmpl};
        struct table *table = malloc(sizeof *table + (old->count + 1) * sizeof *table->entries);
        size_t at = 0;

        if (!table)
                return sp__fail(error, SP_NOMEM, "out of memory");
        while (at < old->count && (old->entries[at].hash < added.hash ||
                                   (old->entries[at].hash == added.hash && compare(old->entries[at].tmpl, tmpl) <= 0)))
                at++;
        memcpy(table->entries, old->entries, at * sizeof added);
        table->entries[at] = added;
        memcpy(table->entries + at + 1, old->entries + at, (old->count - at) * sizeof added);
        table->count = old->count + 1;
        table->older = old;
        atomic_store(&tmpl->frozen, true);
        sp_template_ref(tmpl);
        atomic_store_explicit(&keys->table, table, memory_order_release);
        return SP_OK;
}

sp_status sp__keys_declare(struct sp__keys *keys, sp_template *tmpl, sp_error **error)
{
        struct table *table;
        bool known = false;
        sp_status status;

        sp__lock(&keys->lock);
        table = atomic_load(&keys->table);
        status = check(table, tmpl, &known, error);
        if (status == SP_OK && !known)
                status = publish(keys, table, tmpl, error);
        sp__unlock(&keys->lock);
        return status;
}

/* The first entry of a hash; `count` where there is none. */
static size_t lower_bound(const struct table *table, uint64_t hash)
{
        size_t low = 0, high = table->count;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (table->entries[middle].hash < hash)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Where the first segments of the key end: nowhere, behind the first, behind the second. */
static size_t prefixes(const char *key, size_t len, size_t ends[PREFIX_MAX + 1])
{
        size_t count = 0;

        ends[count++] = 0;
        for (const char *at = key; count <= PREFIX_MAX && at <= key + len; count++) {
                const char *colon = at < key + len ? memchr(at, ':', (size_t)(key + len - at)) : NULL;

                ends[count] = colon ? (size_t)(colon - key) : len;
                at = key + ends[count] + 1;
        }
        return count;
}

/* The longest prefix first: text at an earlier place is what compare() prefers, too. */
const sp_template *sp__keys_tags(const struct sp__keys *keys, const char *key, size_t len, struct sp__tags *tags)
{
        const struct table *table = table_of(keys);
        const sp_template *first = NULL;
        size_t ends[PREFIX_MAX + 1];

        if (tags)
                tags->count = tags->used = 0;
        if (table->count == 0 || len > SP_KEY_MAX)
                return NULL;
        for (size_t n = prefixes(key, len, ends); n-- > 0;) {
                uint64_t hash = sp__hash(key, ends[n], 0);

                for (size_t i = lower_bound(table, hash); i < table->count && table->entries[i].hash == hash; i++) {
                        const sp_template *tmpl = table->entries[i].tmpl;

                        if (!sp__template_matches(tmpl, key, len))
                                continue;
                        first = first ? first : tmpl;
                        if (!tags)
                                return first;
                        sp__template_tags(tmpl, key, len, tags);
                }
        }
        return first;
}

const sp_template *sp__keys_find(const struct sp__keys *keys, const char *key, size_t len)
{
        return sp__keys_tags(keys, key, len, NULL);
}

const sp_template *sp__keys_pattern(const struct sp__keys *keys, const char *pattern)
{
        const struct table *table = table_of(keys);

        for (size_t i = 0; i < table->count; i++) {
                if (sp__template_declares(table->entries[i].tmpl, pattern))
                        return table->entries[i].tmpl;
        }
        return NULL;
}

const sp_template *sp__keys_at(const struct sp__keys *keys, size_t index)
{
        const struct table *table = table_of(keys);

        return index < table->count ? table->entries[index].tmpl : NULL;
}

static void list_one(const sp_template *tmpl, struct sp__buf *out)
{
        sp__buf_text(out, "{\"template\":");
        sp__buf_json(out, tmpl->shape.text, strlen(tmpl->shape.text));
        sp__buf_format(out, ",\"ttl_ms\":%lld,\"size\":%lld,\"max\":%lld,\"raw\":%s,\"negative_ms\":%lld",
                       (long long)tmpl->ttl_ms, (long long)tmpl->size, (long long)tmpl->value_max,
                       tmpl->raw ? "true" : "false", (long long)tmpl->negative_ms);
        sp__buf_format(out, ",\"stale_ms\":%lld,\"patterns\":[", (long long)tmpl->stale_ms);
        for (size_t i = 0; i < tmpl->pattern_count; i++) {
                if (i > 0)
                        sp__buf_char(out, ',');
                sp__buf_json(out, tmpl->patterns[i]->text, strlen(tmpl->patterns[i]->text));
        }
        sp__buf_text(out, "]}");
}

static int by_text(const void *a, const void *b)
{
        const sp_template *const *left = a, *const *right = b;

        return strcmp((*left)->shape.text, (*right)->shape.text);
}

void sp__keys_list(const struct sp__keys *keys, struct sp__buf *out)
{
        const struct table *table = table_of(keys);
        const sp_template **all = malloc((table->count + 1) * sizeof *all);

        if (!all) {
                out->failed = true;
                return;
        }
        for (size_t i = 0; i < table->count; i++)
                all[i] = table->entries[i].tmpl;
        qsort(all, table->count, sizeof *all, by_text);
        sp__buf_char(out, '[');
        for (size_t i = 0; i < table->count; i++) {
                if (i > 0)
                        sp__buf_char(out, ',');
                list_one(all[i], out);
        }
        sp__buf_char(out, ']');
        free(all);
}
