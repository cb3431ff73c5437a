/* SPDX-License-Identifier: MIT */
/** Indexes that are not worth what they cost. */
#ifndef SP_PROFILE_IDLE_H
#define SP_PROFILE_IDLE_H

#include "profile/catalog.h"

/**
 * Why the index could go: "invalid", "duplicate", "unused" or "redundant"; NULL: nothing speaks against it. `of`: the one that
 * does for it, else NULL; that one has no fault itself but to be unused, so that what is dropped for it is not missed.
 */
const char *sp__index_fault(const struct sp__table *table, const struct sp__index *index, const struct sp__index **of);

#endif
