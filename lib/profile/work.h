/* SPDX-License-Identifier: MIT */
/**
 * A unit of work, seen by what it runs: a context that was given a "scope". Each statement is counted with its parameters'
 * hashes; what ran too often is a finding when the unit ends.
 *
 * Threads: any.
 */
#ifndef SP_PROFILE_WORK_H
#define SP_PROFILE_WORK_H

#include "profile/findings.h"

/** A statement ran: does nothing where its context belongs to no unit of work. Takes no memory but for the first runs. */
void sp__work_record(struct sp__findings *findings, const struct sp__stmt_record *record);

#endif
