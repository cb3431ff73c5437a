/* SPDX-License-Identifier: MIT */
/**
 * The door to libpg_query. It keeps a memory context a thread, and makes a key of thread-specific data for each thread that
 * enters it, in one unguarded variable and for good, of the 1,024 that a process has; builds of it also swap the process's
 * standard error while they parse. Hence one at a time, and few threads: those that come later have it done by one of ours.
 */
#ifndef SP_SQL_PARSER_H
#define SP_SQL_PARSER_H

/** Calls `use(arg)` where libpg_query may be called, on this thread or another one. Any thread, but for one that is in there. */
void sp__parser_enter(void (*use)(void *arg), void *arg);

#endif
