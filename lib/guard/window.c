/* SPDX-License-Identifier: MIT */
#include "guard/window.h"

#include <stdlib.h>
#include <string.h>

enum { FAILED = 1, SLOW = 2 };

bool sp__window_init(struct sp__window *window, uint32_t calls, int64_t slice_ns)
{
        *window = (struct sp__window){.size = calls, .slice_ns = slice_ns};
        if (slice_ns)
                window->slices = calloc(SP__SLICES, sizeof *window->slices);
        else
                window->marks = calloc(calls, sizeof *window->marks);
        return window->slices || window->marks;
}

void sp__window_free(struct sp__window *window)
{
        free(window->marks);
        free(window->slices);
}

static void count(struct sp__tally *tally, bool failed, bool slow)
{
        tally->calls++;
        tally->failed += failed;
        tally->slow += slow;
}

static void add_mark(struct sp__window *window, bool failed, bool slow)
{
        uint8_t *mark = &window->marks[window->next];

        if (window->sum.calls == window->size) {
                window->sum.calls--;
                window->sum.failed -= *mark & FAILED;
                window->sum.slow -= (*mark & SLOW) / SLOW;
        }
        *mark = (uint8_t)((failed ? FAILED : 0) | (slow ? SLOW : 0));
        window->next = window->next + 1 == window->size ? 0 : window->next + 1;
        count(&window->sum, failed, slow);
}

static void drop(struct sp__window *window, struct sp__tally *slice)
{
        window->sum.calls -= slice->calls;
        window->sum.failed -= slice->failed;
        window->sum.slow -= slice->slow;
        *slice = (struct sp__tally){0};
}

void sp__window_advance(struct sp__window *window, int64_t now)
{
        int64_t slice, passed;

        if (!window->slices)
                return;
        slice = now / window->slice_ns;
        passed = slice - window->slice;
        /* A coarse clock and a fine one may disagree by a tick. */
        if (passed <= 0)
                return;
        for (int64_t i = 1; i <= passed && i <= SP__SLICES; i++)
                drop(window, &window->slices[(window->slice + i) % SP__SLICES]);
        window->slice = slice;
}

void sp__window_add(struct sp__window *window, int64_t now, bool failed, bool slow)
{
        if (window->marks) {
                add_mark(window, failed, slow);
                return;
        }
        sp__window_advance(window, now);
        count(&window->slices[window->slice % SP__SLICES], failed, slow);
        count(&window->sum, failed, slow);
}

void sp__window_clear(struct sp__window *window)
{
        window->sum = (struct sp__tally){0};
        window->next = 0;
        if (window->slices)
                memset(window->slices, 0, SP__SLICES * sizeof *window->slices);
}
