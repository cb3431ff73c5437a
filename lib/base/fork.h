/* SPDX-License-Identifier: MIT */
/**
 * Tells a process whether it is the child of the one that made an object, before any lock is taken: a page that the kernel
 * wipes in the child (MADV_WIPEONFORK). Reading it costs a load; getpid() costs a system call.
 */
#ifndef SP_BASE_FORK_H
#define SP_BASE_FORK_H

#include <stdbool.h>
#include <stdint.h>

struct sp__fork {
        volatile uint32_t *page;
};

/** false when out of memory. */
bool sp__fork_init(struct sp__fork *guard);
void sp__fork_destroy(struct sp__fork *guard);

/** Whether this process was forked off after sp__fork_init(). */
static inline bool sp__forked(const struct sp__fork *guard)
{
        return *guard->page == 0;
}

#endif
