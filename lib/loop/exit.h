/* SPDX-License-Identifier: MIT */
/**
 * The end of the process. exit() runs handlers while other threads go on, and one of them takes OpenSSL apart, which libpq uses
 * on the engine's thread. From before that on, no engine does anything any more.
 */
#ifndef SP_LOOP_EXIT_H
#define SP_LOOP_EXIT_H

#include <stdbool.h>

/** Before an engine's thread starts. Any lock may be held. */
void sp__exit_watch(void);
/** An engine's thread goes to work; it does not come back where the process ends. No lock held. */
void sp__exit_enter(void);
void sp__exit_leave(void);
/** Whether the process ends: its engines stand still, and nobody may wait for them. */
bool sp__exit_begun(void);

#endif
