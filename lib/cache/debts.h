/* SPDX-License-Identifier: MIT */
/**
 * What this process owes the log: bumps that Redis has not acknowledged. They are made up for behind the scenes, one trip after
 * the other. Such a bump ends whatever was stored under its tag before it, so who sets a value there waits for it first.
 *
 * Threads: any; the log's lock guards it.
 */
#ifndef SP_CACHE_DEBTS_H
#define SP_CACHE_DEBTS_H

#include "core/error.h"
#include "loop/engine.h"

struct sp__log;

struct sp__debts {
        struct sp__timer timer;
        bool timed;
        bool paying;            /* a trip is under way, the only one */
        unsigned retries;       /* in vain, in a row */
        struct sp__list payers; /* who is to go with the next trip */
};

/** Who waits until what is owed of its tag is made up for: told once, on any thread, no lock held. */
struct sp__payer {
        struct sp__list link;
        uint64_t tag;
        /** Why it could not be; SP_OK: nothing that was owed when it began to wait is owed any more. */
        void (*go)(struct sp__payer *payer, sp_status status, const sp_error *error);
};

void sp__debts_init(struct sp__log *log);
/** No trips any more; who waits is told. */
void sp__debts_stop(struct sp__log *log);

/** Redis did not acknowledge a bump of the tags, or has not yet; one that was to begin a new epoch. Without Redis nothing is owed. */
void sp__log_owe(struct sp__log *log, const uint64_t *tags, size_t count);
void sp__log_owe_all(struct sp__log *log);
/** Entries may be kept for so long (ms), as far as this process knows: what is owed for longer ends none of them any more. */
void sp__log_lasts(struct sp__log *log, int64_t ms);
/** false: nothing is owed of its tag, and it is not told. */
bool sp__log_pay(struct sp__log *log, struct sp__payer *payer);

#endif
