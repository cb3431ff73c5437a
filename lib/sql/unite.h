/* SPDX-License-Identifier: MIT */
/**
 * One statement out of two that differ in their literals alone, as a service writes them that puts values into the text:
 *
 *     … WHERE id = 7 AND ok, … WHERE id = 8 AND ok  ->  … WHERE id = $1 AND ok
 */
#ifndef SP_SQL_UNITE_H
#define SP_SQL_UNITE_H

#include "base/buf.h"

#include <stdint.h>

/**
 * Appends `text`, ended by a zero byte, with parameters for the literals that `other` has otherwise or as parameters, numbered from behind its own
 * ones on, and adds those to `varies` (bit 0 for $1). false: they differ in more, or past $32. Any thread.
 */
bool sp__sql_unite(const char *text, const char *other, uint32_t *varies, struct sp__buf *out);

#endif
