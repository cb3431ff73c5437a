/* SPDX-License-Identifier: MIT */
/**
 * Where tests of races and crashes hold the library up between two steps, and mistakes that it makes on purpose there, to see that
 * they would find them. Only test programs that are built with SP__PROBES have any of it: they compile these rooms anew
 * and define what stands here. In the library nothing of it exists.
 */
#ifndef SP_CACHE_PROBE_H
#define SP_CACHE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

enum sp__bug {
        SP__BUG_NONE,
        SP__BUG_LATE_PLACE,   /* v0 is taken when the load is over */
        SP__BUG_NO_TAGS,      /* the loader's tags are ignored */
        SP__BUG_NO_OWN,       /* an acknowledgement is not applied to this process's mirror */
        SP__BUG_TRANSACTION,  /* what was read inside an open transaction is stored */
        SP__BUG_LOST_MESSAGE, /* a gap in the stream is taken for none */
        SP__BUG_HORIZON,      /* what was once proven is served for ever */
        SP__BUG_OLD_RUN,      /* a server that lives anew is believed, in whatever it says */
        SP__BUG_CONFIRMED,    /* the feed confirms what it has read, and invalidates then */
        SP__BUG_NEW_SLOT,     /* a slot that is new is read as if it had been there all along */
        SP__BUG_MOVED_SLOT,   /* so is a slot that somebody else read on */
        SP__BUGS
};

#ifdef SP__PROBES
extern enum sp__bug sp__probe_bug;
/** Perhaps waits. Any thread. */
void sp__probe_step(void);
/** By how much this process's wall clock is wrong. */
int64_t sp__probe_wall_ms(void);

static inline bool sp__bugged(enum sp__bug bug)
{
        return sp__probe_bug == bug;
}
#else
static inline void sp__probe_step(void)
{
}

static inline int64_t sp__probe_wall_ms(void)
{
        return 0;
}

static inline bool sp__bugged(enum sp__bug bug)
{
        return false;
}
#endif

#endif
