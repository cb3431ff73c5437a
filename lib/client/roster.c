/* SPDX-License-Identifier: MIT */
#include "client/roster.h"

#include "base/hash.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 16, FEW = 16 };

void sp__roster_init(struct sp__roster *roster)
{
        *roster = (struct sp__roster){.seed = sp__random_seed()};
        sp__list_init(&roster->all);
}

void sp__roster_free(struct sp__roster *roster)
{
        free(roster->buckets);
}

static struct sp__named **bucket_of(const struct sp__roster *roster, uint64_t hash)
{
        return &roster->buckets[hash & (roster->size - 1)];
}

struct sp__named *sp__roster_find(const struct sp__roster *roster, const char *name)
{
        uint64_t hash = sp__hash(name, strlen(name), roster->seed);
        struct sp__named *at = roster->size ? *bucket_of(roster, hash) : NULL;

        while (at && (at->hash != hash || strcmp(at->name, name) != 0))
                at = at->next;
        return at;
}

static void place(struct sp__roster *roster, struct sp__named *named)
{
        struct sp__named **bucket = bucket_of(roster, named->hash);

        named->next = *bucket;
        *bucket = named;
}

static bool grow(struct sp__roster *roster)
{
        size_t size = roster->size ? roster->size * 2 : FIRST_SIZE;
        struct sp__named **buckets = calloc(size, sizeof(struct sp__named *));

        if (!buckets)
                return false;
        free(roster->buckets);
        roster->buckets = buckets;
        roster->size = size;
        SP__EACH(&roster->all, at, after)
        {
                place(roster, sp__named_at(at));
        }
        return true;
}

bool sp__roster_add(struct sp__roster *roster, struct sp__named *named)
{
        if (roster->count == roster->size && !grow(roster))
                return false;
        named->hash = sp__hash(named->name, strlen(named->name), roster->seed);
        place(roster, named);
        sp__list_push(&roster->all, &named->link);
        roster->count++;
        return true;
}

void sp__roster_move(struct sp__roster *roster, struct sp__named *named, struct sp__list *to)
{
        struct sp__named **at = bucket_of(roster, named->hash);

        while (*at != named)
                at = &(*at)->next;
        *at = named->next;
        roster->count--;
        sp__list_remove(&named->link);
        sp__list_push(to, &named->link);
}

bool sp__roster_crowded(const struct sp__roster *roster)
{
        return roster->count >= 2 * roster->left + FEW;
}
