/* SPDX-License-Identifier: MIT */
#include "pg/prepared.h"

#include <stdlib.h>
#include <string.h>

struct sp__prepared_item {
        struct sp__list recent;
        struct sp__prepared_item *next; /* in its bucket, or among the free ones */
        uint64_t hash;
        unsigned plan;
        unsigned epoch;
        int64_t until_ns; /* when it is too old */
        bool doubted;
        char id[SP__STMT_ID];
};

bool sp__prepared_init(struct sp__prepared *set, size_t cap)
{
        size_t buckets = 16;

        *set = (struct sp__prepared){.cap = cap};
        sp__list_init(&set->recent);
        if (cap == 0)
                return true;
        while (buckets < cap)
                buckets *= 2;
        set->mask = buckets - 1;
        set->items = calloc(cap, sizeof *set->items);
        set->buckets = calloc(buckets, sizeof *set->buckets);
        return set->items && set->buckets;
}

void sp__prepared_free(struct sp__prepared *set)
{
        free(set->items);
        free(set->buckets);
        *set = (struct sp__prepared){0};
}

void sp__prepared_clear(struct sp__prepared *set)
{
        if (set->cap == 0)
                return;
        memset(set->buckets, 0, (set->mask + 1) * sizeof *set->buckets);
        sp__list_init(&set->recent);
        set->count = 0;
}

static struct sp__prepared_item **find(struct sp__prepared *set, uint64_t hash, const char *id)
{
        struct sp__prepared_item **at = &set->buckets[hash & set->mask];

        while (*at && ((*at)->hash != hash || strcmp((*at)->id, id) != 0))
                at = &(*at)->next;
        return at;
}

static void touch(struct sp__prepared *set, struct sp__prepared_item *item)
{
        sp__list_remove(&item->recent);
        sp__list_push(&set->recent, &item->recent);
}

/* What another connection changed is known from now on. */
static void notice(struct sp__prepared *set)
{
        unsigned changes = set->changes ? atomic_load_explicit(set->changes, memory_order_relaxed) : 0;

        set->epoch += changes != set->seen;
        set->seen = changes;
}

enum sp__prepared_state sp__prepared_look(struct sp__prepared *set, const sp_stmt *stmt, int64_t now)
{
        struct sp__prepared_item *item = set->cap ? *find(set, stmt->hash, stmt->id) : NULL;

        /* Another one of the same text may have found out first. */
        if (!item || item->plan < atomic_load_explicit(&stmt->plan, memory_order_relaxed))
                return SP__PREPARED_NOT;
        touch(set, item);
        if (item->doubted)
                return SP__PREPARED_DOUBTED;
        notice(set);
        /* BEGIN, SHOW and the like mean the same whatever happens. */
        return stmt->sql.resolves && (item->epoch != set->epoch || item->until_ns <= now) ? SP__PREPARED_OLD
                                                                                          : SP__PREPARED_READY;
}

void sp__prepared_outdate(struct sp__prepared *set)
{
        set->epoch++;
}

void sp__prepared_outdate_one(struct sp__prepared *set, const sp_stmt *stmt)
{
        struct sp__prepared_item *item = set->cap ? *find(set, stmt->hash, stmt->id) : NULL;

        if (item)
                item->until_ns = 0;
}

static void set_doubt(struct sp__prepared *set, const sp_stmt *stmt, bool doubted)
{
        struct sp__prepared_item *item = set->cap ? *find(set, stmt->hash, stmt->id) : NULL;

        if (item)
                item->doubted = doubted;
}

void sp__prepared_doubt(struct sp__prepared *set, const sp_stmt *stmt)
{
        set_doubt(set, stmt, true);
}

void sp__prepared_trust(struct sp__prepared *set, const sp_stmt *stmt)
{
        set_doubt(set, stmt, false);
}

/* Up to a quarter less for each, so that not all are prepared anew at once. */
static int64_t end_of(const struct sp__prepared *set, uint64_t hash, int64_t now)
{
        uint64_t spread = hash ^ ((uint64_t)(uintptr_t)set >> 4) ^ (uint64_t)now;

        return set->age_ns == 0 ? INT64_MAX : now + set->age_ns - (int64_t)(spread % (uint64_t)(set->age_ns / 4 + 1));
}

static void renew(const struct sp__prepared *set, struct sp__prepared_item *item, const sp_stmt *stmt, int64_t now)
{
        item->plan = atomic_load_explicit(&stmt->plan, memory_order_relaxed);
        item->epoch = set->epoch;
        item->until_ns = end_of(set, stmt->hash, now);
        item->doubted = false;
}

/* A place for a new item: the first that was never used, else that of the oldest. */
static struct sp__prepared_item *place(struct sp__prepared *set, char evicted[SP__STMT_ID])
{
        struct sp__prepared_item *oldest;

        evicted[0] = 0;
        if (set->count < set->cap)
                return &set->items[set->count++];
        oldest = SP__OF(sp__list_pop(&set->recent), struct sp__prepared_item, recent);
        if (*oldest->id) {
                memcpy(evicted, oldest->id, SP__STMT_ID);
                *find(set, oldest->hash, oldest->id) = oldest->next;
        }
        return oldest;
}

void sp__prepared_add(struct sp__prepared *set, const sp_stmt *stmt, int64_t now, char evicted[SP__STMT_ID])
{
        struct sp__prepared_item **bucket = &set->buckets[stmt->hash & set->mask];
        struct sp__prepared_item *item = *find(set, stmt->hash, stmt->id);

        notice(set);
        if (item) {
                memcpy(evicted, item->id, SP__STMT_ID);
                renew(set, item, stmt, now);
                touch(set, item);
                return;
        }
        item = place(set, evicted);
        item->hash = stmt->hash;
        renew(set, item, stmt, now);
        memcpy(item->id, stmt->id, SP__STMT_ID);
        item->next = *bucket;
        *bucket = item;
        sp__list_push(&set->recent, &item->recent);
}

bool sp__prepared_remove(struct sp__prepared *set, const sp_stmt *stmt)
{
        struct sp__prepared_item **at = set->cap ? find(set, stmt->hash, stmt->id) : NULL;
        struct sp__prepared_item *item = at ? *at : NULL;

        if (!item)
                return false;
        *at = item->next;
        /* Its place is the next to be used again. */
        item->id[0] = 0;
        sp__list_remove(&item->recent);
        sp__list_push_front(&set->recent, &item->recent);
        return true;
}
