/* SPDX-License-Identifier: MIT */
/**
 * The results that the rates are taken over: the last so many calls, or those of the last so many milliseconds in slices of
 * a twentieth, so that the oldest slice leaves as a whole. Adding and reading take constant time whatever the size.
 *
 * The owner's lock guards it.
 */
#ifndef SP_GUARD_WINDOW_H
#define SP_GUARD_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum { SP__SLICES = 20 };

struct sp__tally {
        int64_t calls, failed, slow;
};

struct sp__window {
        struct sp__tally sum;

        /* By count: a ring of marks. */
        uint8_t *marks;
        uint32_t size, next;

        /* By time. */
        int64_t slice_ns;
        int64_t slice; /* number of the newest slice since the clock's beginning */
        struct sp__tally *slices;
};

/** By count where `slice_ns` is 0. false: out of memory. */
bool sp__window_init(struct sp__window *window, uint32_t calls, int64_t slice_ns);
void sp__window_free(struct sp__window *window);
/** `now` is read by windows of time alone. */
void sp__window_add(struct sp__window *window, int64_t now, bool failed, bool slow);
/** Drops what is too old by now. */
void sp__window_advance(struct sp__window *window, int64_t now);
void sp__window_clear(struct sp__window *window);

#endif
