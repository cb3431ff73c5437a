/* SPDX-License-Identifier: MIT */
/**
 * Which indexes the recorded statements of a pool want. Candidates are laid before the planner as hypothetical indexes
 * (HypoPG), and taken greedily by what they save over all runs less what they cost the writes, as in Chaudhuri, Narasayya,
 * "An efficient, cost-driven index selection tool for Microsoft SQL Server" (VLDB 1997); then those without which nothing
 * gets dearer are put back. Nothing is created, changed or dropped. A blocking caller's.
 */
#ifndef SP_PROFILE_ADVICE_H
#define SP_PROFILE_ADVICE_H

#include "profile/candidates.h"
#include "profile/workload.h"

/** An index that is advised. */
struct sp__advised {
        const struct sp__candidate *candidate;
        uint32_t oid;  /* HypoPG's number of it while it is laid before the planner, 0: it is not */
        char name[64]; /* … and its name there */
        double saves;  /* cost of plans over all runs that were recorded */
        double writes; /* rows that were written into it meanwhile */
        double bytes;  /* about how large it will be */
};

enum { SP__ADVISED = 32 };

struct sp__advice {
        struct sp__workload workload;
        struct sp__catalog catalog;
        struct sp__candidates candidates;
        struct sp__advised advised[SP__ADVISED];
        size_t count;
        bool costed; /* HypoPG was asked */
};

sp_status sp__advice_read(struct sp__side *side, const struct sp__names *names, const char *pool,
                          struct sp__advice *out, sp_error **error);
void sp__advice_free(struct sp__advice *advice);
/** As JSON; NULL when out of memory. */
sp_value *sp__advice_value(const struct sp__advice *advice, const char *pool);

#endif
