/* SPDX-License-Identifier: MIT */
/** A statement's text for people: no literal, no comment, one line. */
#ifndef SP_SQL_TEXT_H
#define SP_SQL_TEXT_H

#include "base/buf.h"
#include "sql/token.h"

/** `settings`: what follows `=` or TO is a value, also when it is written as a name (SET x = secret). */
void sp__sql_text(const char *text, struct sp__tokens tokens, bool settings, struct sp__buf *out);
/** A hash of the literals and of the signs, which may be theirs; 0: it has neither. */
uint64_t sp__sql_literals(const char *text, struct sp__tokens tokens);

#endif
