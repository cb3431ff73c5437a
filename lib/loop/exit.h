/* SPDX-License-Identifier: MIT */
/**
 * The end of the process. exit() runs handlers while other threads go on, and one of them takes OpenSSL apart, which libpq uses
 * on threads of the library's: engines, a change feed's and the profiler's. From before that on, none of them does anything any
 * more.
 */
#ifndef SP_LOOP_EXIT_H
#define SP_LOOP_EXIT_H

#include <stdbool.h>

/** Before such a thread starts. Any lock may be held. */
void sp__exit_watch(void);
/** It goes to work; it does not come back where the process ends. No lock held. Not twice. */
void sp__exit_enter(void);
/** It waits, which may take long. */
void sp__exit_leave(void);
/** Whether the process ends: its engines stand still, and nobody may wait for them. */
bool sp__exit_begun(void);

#endif
