/* SPDX-License-Identifier: MIT */
/**
 * A unit of work, seen by what it runs: a context that was given a "scope". Each statement is noted, where it is asked for, by
 * hashes of its parameters; what ran too often is a finding when the unit ends. It is all done by the unit's own threads: the one
 * that reads everybody's answers would take each unit's lines from another core, and the unit would take them back.
 *
 * Threads: any.
 */
#ifndef SP_PROFILE_WORK_H
#define SP_PROFILE_WORK_H

#include "profile/findings.h"

/**
 * A statement is asked for; `least`: sp__findings_least(), 1 or more. NULL: its context belongs to no unit of work, or nothing is
 * to be found in it.
 */
void *sp__work_asked(struct sp__findings *findings, int64_t least, const sp_ctx *ctx, const sp_stmt *stmt,
                     const sp_params *params);
/**
 * It is over, once for each `asked`, while its context is held: it took so long; 0: it did not run. true: it took over the caller's
 * reference to the statement.
 */
bool sp__work_over(void *asked, int64_t ns);

#endif
