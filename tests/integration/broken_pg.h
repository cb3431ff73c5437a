/* SPDX-License-Identifier: MIT */
/**
 * A server that says what none should: it greets, and answers whatever comes next with a script of bytes; then it hangs up, or
 * says nothing more. For one connection after the other.
 */
#ifndef BROKEN_PG_H
#define BROKEN_PG_H

#include <stdbool.h>
#include <stddef.h>

struct broken_pg;

struct broken_pg *broken_pg_start(const void *script, size_t len, bool hangs_up);
void broken_pg_stop(struct broken_pg *server);
/** The setting "pool.url=…"; lives as long as the server. */
const char *broken_pg_url(const struct broken_pg *server);

#endif
