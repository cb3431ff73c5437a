/* SPDX-License-Identifier: MIT */
/**
 * What a pool has to say of itself: the last few events, numbered, for those who watch (core/watch.h).
 *
 * Threads: any. An event is told while no lock is held.
 */
#ifndef SP_PG_NEWS_H
#define SP_PG_NEWS_H

#include "core/watch.h"

/**
 * A watch is answered by the oldest event that is still there and whose number is above what it has seen. An event is told
 * as a `struct sp__buf`, which is taken: its members as JSON, without braces.
 */
extern const struct sp__watched sp__news;

#endif
