/* SPDX-License-Identifier: MIT */
/** Indexes that are not there, laid before the planner of one session by the extension HypoPG. */
#ifndef SP_PROFILE_HYPOTHESIS_H
#define SP_PROFILE_HYPOTHESIS_H

#include "profile/advice.h"

struct sp__hypopg {
        struct sp__side *side;
        const char *schema; /* that it was installed in */
};

/** The candidate stands from now on, under a number and a name that go to `out`. */
sp_status sp__hypothesize(struct sp__hypopg *hypopg, const struct sp__candidate *candidate, struct sp__advised *out,
                          sp_error **error);
/** It does no longer. */
sp_status sp__hypothesis_end(struct sp__hypopg *hypopg, struct sp__advised *advised, sp_error **error);
/** About how large it would be. */
sp_status sp__hypothesis_bytes(struct sp__hypopg *hypopg, const struct sp__advised *advised, double *out,
                               sp_error **error);
/**
 * Nothing stands but a twin of each real index: HypoPG takes its indexes to be less deep than real ones are, and beside twins
 * all are alike.
 */
sp_status sp__hypopg_reset(struct sp__hypopg *hypopg, const struct sp__catalog *catalog, sp_error **error);
/** Nothing stands. */
sp_status sp__hypopg_end(struct sp__hypopg *hypopg, sp_error **error);

#endif
