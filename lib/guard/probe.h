/* SPDX-License-Identifier: MIT */
/**
 * Where the test of two threads holds a breaker up in the middle of what must look like one moment, and locks that it leaves out
 * on purpose there, to see that the test would find it. Only a program that is built with SP__PROBES has any of it: it compiles
 * this room anew and defines what stands here. In the library nothing of it exists.
 */
#ifndef SP_GUARD_PROBE_H
#define SP_GUARD_PROBE_H

#include <stdbool.h>

enum sp__guard_bug {
        SP__GUARD_SOUND,
        SP__GUARD_NO_LOCK_ACQUIRE,
        SP__GUARD_NO_LOCK_RECORD,
        SP__GUARD_NO_LOCK_FORCE,
        SP__GUARD_NO_LOCK_LOOK,
        SP__GUARD_DOOR, /* the next permit is read and written, not swapped */
        SP__GUARD_BUGS
};

#ifdef SP__PROBES
extern enum sp__guard_bug sp__guard_bug;
/** Perhaps waits. Any thread. */
void sp__guard_step(void);

static inline bool sp__guard_bugged(enum sp__guard_bug bug)
{
        return sp__guard_bug == bug;
}
#else
static inline void sp__guard_step(void)
{
}

static inline bool sp__guard_bugged(enum sp__guard_bug bug)
{
        return false;
}
#endif

#endif
