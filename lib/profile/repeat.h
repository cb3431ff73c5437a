/* SPDX-License-Identifier: MIT */
/**
 * What a unit of work asked for with one fingerprint, and whether that was too often. Runs are kept by hashes of their
 * parameters.
 *
 * Threads: one at a time, but for sp__repeat_over().
 */
#ifndef SP_PROFILE_REPEAT_H
#define SP_PROFILE_REPEAT_H

#include "core/params.h"
#include "profile/findings.h"

#include <stdatomic.h>

/** A statement that was asked for. */
struct sp__run {
        const sp_stmt *stmt;
        int64_t ns;                 /* that it took; 0: it was not sent, or is not over */
        uint32_t values;            /* a hash of all of them; those that stand in the text count as parameters do */
        uint8_t count;              /* of `each` */
        uint16_t each[SP__PRINTED]; /* hashes of the first few parameters */
};

/** Sets of parameters told apart. */
enum { SP__REPEAT_SEEN = 16 };

struct sp__repeat {
        struct sp__run first; /* with a reference to its statement; but for `ns` */
        uint64_t fingerprint;
        const sp_stmt *other; /* a reference to the first one that had other literals; NULL: none has */
        _Atomic int64_t total_ns;
        _Atomic uint32_t unsent;
        uint32_t asked;
        uint32_t distinct;
        uint32_t varies; /* parameters that differed from the first run's */
        uint32_t count;  /* of `seen`; the rest of it is not written */
        struct {
                uint32_t values, times;
        } seen[SP__REPEAT_SEEN];
};

/** Of a run, which is not noted yet. */
void sp__repeat_init(struct sp__repeat *repeat, const struct sp__run *run);
void sp__repeat_clear(struct sp__repeat *repeat);
void sp__repeat_note(struct sp__repeat *repeat, const struct sp__run *run);
/** One that was noted took so long; 0: it was not sent. Any thread. */
void sp__repeat_over(struct sp__repeat *repeat, int64_t ns);
/** The unit of that name has ended: what was too often is a finding. */
void sp__repeat_judge(const struct sp__repeat *repeat, struct sp__findings *findings, const char *place);

#endif
