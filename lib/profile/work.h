/* SPDX-License-Identifier: MIT */
/**
 * A unit of work, seen by what it runs: a context that was given a "scope". Each statement is counted, where it is asked for, by
 * hashes of its parameters; what ran too often is a finding when the unit ends. It is all done by the unit's own thread but for
 * the time that a run took, so that the one thread that reads everybody's answers touches a word or two.
 *
 * Threads: any.
 */
#ifndef SP_PROFILE_WORK_H
#define SP_PROFILE_WORK_H

#include "profile/findings.h"

/** A statement is asked for. NULL: its context belongs to no unit of work, or nothing is to be found in it. */
void *sp__work_asked(struct sp__findings *findings, const sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params);
/** It ran; `asked`: as above, while its context is held. */
void sp__work_ran(void *asked, int64_t ns);

#endif
