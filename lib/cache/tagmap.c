/* SPDX-License-Identifier: MIT */
#include "cache/tagmap.h"

#include "base/random.h"

#include <stdlib.h>

enum { FIRST = 64 };

/* The tag's slot, or the free one where it would go. There is always a free one. */
static struct sp__tagmap_slot *find(const struct sp__tagmap *map, uint64_t tag)
{
        size_t at = (size_t)((tag * map->factor) >> 32) & (map->cap - 1);

        while (map->slots[at].tag && map->slots[at].tag != tag)
                at = (at + 1) & (map->cap - 1);
        return &map->slots[at];
}

static bool grow(struct sp__tagmap *map)
{
        struct sp__tagmap wider = {.cap = map->cap ? map->cap * 2 : FIRST, .count = map->count, .factor = map->factor};

        if (!wider.factor)
                wider.factor = sp__random_seed() | 1;
        wider.slots = calloc(wider.cap, sizeof *wider.slots);
        if (!wider.slots)
                return false;
        for (size_t i = 0; i < map->cap; i++) {
                if (map->slots[i].tag)
                        *find(&wider, map->slots[i].tag) = map->slots[i];
        }
        free(map->slots);
        *map = wider;
        return true;
}

uint64_t sp__tagmap_get(const struct sp__tagmap *map, uint64_t tag)
{
        return map->count ? find(map, tag)->number : 0;
}

bool sp__tagmap_raise(struct sp__tagmap *map, uint64_t tag, uint64_t number)
{
        struct sp__tagmap_slot *slot;

        if (map->count * 4 >= map->cap * 3 && !grow(map))
                return false;
        slot = find(map, tag);
        if (!slot->tag) {
                slot->tag = tag;
                map->count++;
        }
        if (slot->number < number)
                slot->number = number;
        return true;
}

void sp__tagmap_clear(struct sp__tagmap *map)
{
        free(map->slots);
        *map = (struct sp__tagmap){.slots = NULL};
}
