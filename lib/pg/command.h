/* SPDX-License-Identifier: MIT */
/** A program that is run for what it prints, without a shell. */
#ifndef SP_PG_COMMAND_H
#define SP_PG_COMMAND_H

#include "base/buf.h"

#include <stdatomic.h>

/** What it may print, and for how long it may run whatever its caller says. */
enum { SP__COMMAND_OUTPUT = 16384, SP__COMMAND_MS = 60000 };

/**
 * The words of a command line: blanks separate, '…' and "…" hold together, \ takes the next character as it is (not in '…').
 * One block, to be freed; NULL: a quotation mark is left open, there is no word, or memory is short.
 */
char **sp__command_words(const char *text);
/**
 * Runs it to its end, killing it (and what it started) when `*stop` becomes true; `stop` may be NULL. NULL: it ended well, and
 * `out` has what it printed. Else why not; static, without a word of its own. Blocks: the engine's helper thread.
 */
const char *sp__command_run(char *const *words, const atomic_bool *stop, struct sp__buf *out);

#endif
