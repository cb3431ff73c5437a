/* SPDX-License-Identifier: MIT */
#include "invalidate/aims.h"

#include "cache/cache.h"

#include <stdlib.h>

enum { FIRST_CAP = 8 };

static uint64_t tag_of(enum sp__aim_kind kind, const void *data, size_t len)
{
        switch (kind) {
        case SP__AIM_KEY:
                return sp__tag_of_key(data, len);
        case SP__AIM_PATTERN:
                return sp__tag_of_pattern(data, len);
        default:
                return sp__tag_of_name(data, len);
        }
}

static bool make_room(struct sp__aims *aims)
{
        size_t cap = aims->cap ? aims->cap * 2 : FIRST_CAP;
        struct sp__aim *items;

        if (aims->count < aims->cap)
                return true;
        items = realloc(aims->items, cap * sizeof *items);
        if (!items)
                return false;
        aims->items = items;
        aims->cap = cap;
        return true;
}

void sp__aims_add(struct sp__aims *aims, enum sp__aim_kind kind, const void *data, size_t len)
{
        size_t at = aims->names.len;
        uint64_t tag;

        if (kind == SP__AIM_ALL) {
                aims->all = true;
                return;
        }
        tag = tag_of(kind, data, len);
        if (sp__tagmap_get(&aims->seen, tag))
                return;
        sp__buf_add(&aims->names, data, len);
        if (!make_room(aims) || aims->names.failed || !sp__tagmap_raise(&aims->seen, tag, 1)) {
                aims->failed = true;
                return;
        }
        aims->items[aims->count++] = (struct sp__aim){tag, (uint32_t)at, (uint16_t)len, (uint16_t)kind};
}

void sp__aims_join(struct sp__aims *aims, const struct sp__aims *other)
{
        aims->all |= other->all;
        aims->failed |= other->failed;
        for (size_t i = 0; i < other->count; i++) {
                const struct sp__aim *item = &other->items[i];

                sp__aims_add(aims, item->kind, other->names.data + item->at, item->len);
        }
}

void sp__aims_clear(struct sp__aims *aims)
{
        sp__buf_clear(&aims->names);
        sp__tagmap_clear(&aims->seen);
        aims->count = 0;
        aims->all = aims->failed = false;
}

void sp__aims_free(struct sp__aims *aims)
{
        sp__buf_free(&aims->names);
        sp__tagmap_clear(&aims->seen);
        free(aims->items);
        *aims = (struct sp__aims){0};
}
