/* SPDX-License-Identifier: MIT */
#include "cache/usage.h"

#include <string.h>

#define SIGHT_EVERY (10 * SP__SECOND)

void sp__usages_init(struct sp__usages *usages)
{
        memset(usages, 0, sizeof *usages);
        sp__mutex_init(&usages->lock);
        atomic_init(&usages->used, 1);
        usages->sights[0].at = sp__now();
        usages->next = 1;
        atomic_init(&usages->seen_at, usages->sights[0].at);
}

void sp__usages_destroy(struct sp__usages *usages)
{
        sp__mutex_destroy(&usages->lock);
}

static struct sp__usage *find(struct sp__usages *usages, const sp_template *tmpl)
{
        size_t used = atomic_load(&usages->used);

        for (size_t i = 1; i < used; i++) {
                if (atomic_load(&usages->all[i].tmpl) == tmpl)
                        return &usages->all[i];
        }
        return NULL;
}

/* The lock is held. */
static struct sp__usage *add(struct sp__usages *usages, const sp_template *tmpl)
{
        size_t used = atomic_load(&usages->used);

        if (used == SP__USAGES)
                return &usages->all[0];
        atomic_store(&usages->all[used].tmpl, tmpl);
        atomic_store(&usages->used, used + 1);
        return &usages->all[used];
}

struct sp__usage *sp__usages_of(struct sp__usages *usages, const sp_template *tmpl)
{
        struct sp__usage *usage = tmpl ? find(usages, tmpl) : &usages->all[0];

        if (usage)
                return usage;
        sp__lock(&usages->lock);
        usage = find(usages, tmpl);
        if (!usage)
                usage = add(usages, tmpl);
        sp__unlock(&usages->lock);
        return usage;
}

bool sp__usages_due(const struct sp__usages *usages, int64_t now)
{
        return now - atomic_load_explicit(&((struct sp__usages *)(uintptr_t)usages)->seen_at, memory_order_relaxed) >=
               SIGHT_EVERY;
}

void sp__usages_see(struct sp__usages *usages, int64_t now, int64_t hits, int64_t misses)
{
        sp__lock(&usages->lock);
        if (sp__usages_due(usages, now)) {
                usages->sights[usages->next % SP__SIGHTS] = (struct sp__sight){now, hits, misses};
                usages->next++;
                atomic_store(&usages->seen_at, now);
        }
        sp__unlock(&usages->lock);
}

double sp__usages_rate(struct sp__usages *usages, int64_t now, int64_t window, int64_t hits, int64_t misses)
{
        struct sp__sight since;
        size_t count, at;

        sp__lock(&usages->lock);
        count = usages->next < SP__SIGHTS ? usages->next : SP__SIGHTS;
        at = usages->next;
        do
                since = usages->sights[--at % SP__SIGHTS];
        while (--count > 0 && now - since.at < window);
        sp__unlock(&usages->lock);
        hits -= since.hits;
        misses -= since.misses;
        return hits + misses > 0 ? (double)hits / (double)(hits + misses) : 0;
}
