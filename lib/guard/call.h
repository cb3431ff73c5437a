/* SPDX-License-Identifier: MIT */
/** What the files of a call share. */
#ifndef SP_GUARD_CALL_H
#define SP_GUARD_CALL_H

#include "guard/policy.h"

struct sp__entry;

struct sp_call {
        atomic_uint refs;  /* the caller's, and one for each entry */
        sp_policy *policy; /* a reference, until it is freed */
        sp_ctx *ctx;
        sp_ctx *attempt_ctx; /* the caller's thread */

        /* The policy's lock. */
        struct sp__entry *entry; /* on its way, with a reference */
        bool running;            /* has a place, and a permit where there is a breaker */
        bool over;               /* there is no other attempt */
        uint64_t permit;
        int64_t since, pause_ns, attempts;
};

void sp__call_unref(sp_call *call);

/* enter.c */

/** A place is free: the oldest has it, with the list's reference. NULL: nobody waits. The policy's lock is held. */
struct sp__entry *sp__entry_place_free(sp_policy *policy);
/**
 * It has a place: the breaker is asked, and it begins; or the place goes to the next, who is asked likewise. Takes a
 * reference to the entry (may be NULL). No lock is held.
 */
void sp__entry_grant(struct sp__entry *entry);

#endif
