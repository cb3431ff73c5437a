/* SPDX-License-Identifier: MIT */
#include "cache/slots.h"

void sp__slots_init(struct sp__slots *slots, int64_t max)
{
        *slots = (struct sp__slots){.max = max};
        sp__list_init(&slots->line);
}

bool sp__slots_take(struct sp__slots *slots, struct sp__slot *slot)
{
        if (!sp__slots_full(slots)) {
                slots->used++;
                return true;
        }
        sp__list_push(&slots->line, &slot->link);
        return false;
}

bool sp__slots_full(const struct sp__slots *slots)
{
        return slots->max > 0 && slots->used >= slots->max;
}

/* The slot is the next one's now. */
static bool pass_on(struct sp__slots *slots, struct sp__engine *engine)
{
        struct sp__list *link = sp__list_pop(&slots->line);

        if (link)
                sp__engine_post(engine, &SP__OF(link, struct sp__slot, link)->task);
        return link != NULL;
}

void sp__slots_give(struct sp__slots *slots, struct sp__engine *engine)
{
        if (!pass_on(slots, engine))
                slots->used--;
}

void sp__slots_open(struct sp__slots *slots, struct sp__engine *engine)
{
        slots->max = 0;
        while (pass_on(slots, engine))
                slots->used++;
}
