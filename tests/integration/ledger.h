/* SPDX-License-Identifier: MIT */
/**
 * What must be in a table of tokens after all that its callers were told: the calls that a session was given, in their order,
 * with what each was answered, say of each token whether it is there.
 */
#ifndef TESTS_LEDGER_H
#define TESTS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sugarperf/sugarperf.h>

enum verb {
        VERB_BEGIN,
        VERB_COMMIT,
        VERB_ROLLBACK,
        VERB_SAVEPOINT,
        VERB_BACK,    /* ROLLBACK TO SAVEPOINT */
        VERB_RELEASE, /* RELEASE SAVEPOINT */
        VERB_BEGIN_TEXT,
        VERB_COMMIT_TEXT,
        VERB_ROLLBACK_TEXT,
        VERB_INSERT,
        VERB_BATCH,
        VERB_COPY,  /* of tokens, into the table */
        VERB_FAIL,  /* a division by zero */
        VERB_OTHER, /* nothing that is kept */
        VERBS
};

/** One that its session was given. */
struct deed {
        enum verb verb;
        sp_status told;
        char code[8];       /* of its error */
        bool undone;        /* COMMIT as text, and the server's tag says ROLLBACK; a COPY that was given up */
        int64_t token;      /* the first that it writes */
        int tokens;         /* how many */
        unsigned savepoint; /* its number, that no other of the session has */
};

/** What it was answered. */
void deed_told(struct deed *deed, sp_status status, const sp_error *error, const sp_result *result);
/** Whether it begins or ends a transaction. */
bool verb_bounds(enum verb verb);

struct ledger;

/** Of so many tokens, each of which is written by one deed. */
struct ledger *ledger_new(int64_t tokens);
void ledger_free(struct ledger *ledger);
/** The deeds of one session that was given back, or one deed without a session. */
void ledger_judge(struct ledger *ledger, const struct deed *deeds, unsigned count);
/** The table has the token, once more. */
void ledger_found(struct ledger *ledger, int64_t token);
/** How much is not as it must be, each of which is shown. */
int ledger_wrong(struct ledger *ledger);

#endif
