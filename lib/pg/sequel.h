/* SPDX-License-Identifier: MIT */
/**
 * What is to follow a session's transaction once it took effect: another room's deed, an invalidation. Collected in the order
 * of the session's calls, with its savepoints between, so that a rollback drops what it undoes.
 *
 * Where nobody can tell whether the transaction took effect the deeds are done: they must do no harm then. A statement text of
 * the caller's own ("COMMIT" by sp_session_query()) is not seen here; what is left when the session begins anew or goes back is
 * done then.
 *
 * Threads: the session's holder and, behind a statement of his, whoever answers that. A lock of its own, a leaf.
 */
#ifndef SP_PG_SEQUEL_H
#define SP_PG_SEQUEL_H

#include "core/op.h"

#include <sugarperf/session.h>

struct sp__sequel;

struct sp__sequel_kind {
        /** Does it, for `caller` (may be NULL), and calls `then(owner)` once, on any thread, no lock held. Consumes it. */
        void (*run)(struct sp__sequel *sequel, sp__op *caller, void (*then)(void *owner), void *owner);
        /** true: `other`, of the same kind and next to it, is now part of this one, and gone. */
        bool (*merge)(struct sp__sequel *sequel, struct sp__sequel *other);
        void (*drop)(struct sp__sequel *sequel);
};

struct sp__sequel {
        struct sp__list link;
        const struct sp__sequel_kind *kind; /* NULL: a savepoint */
        uint64_t number;                    /* of the session's calls */
};

/** SP_INVALID where no transaction is open. Else it is taken. */
sp_status sp__session_follow(sp_session *session, struct sp__sequel *sequel, sp_error **error);

/* For the pool's own files. */

struct sp__query;

enum sp__sequel_end { SP__SEQUEL_COMMIT, SP__SEQUEL_ROLLBACK, SP__SEQUEL_ROLLBACK_TO, SP__SEQUEL_RELEASE };

/** A statement that ends the transaction or a part of it. */
struct sp__sequel_call {
        enum sp__sequel_end kind;
        char name[SP_SAVEPOINT_MAX + 1]; /* of the savepoint */
};

/** Runs it, and does or drops what follows before it is answered. Of a session with sequels. Consumes the query. */
sp_status sp__sequel_run(struct sp__query *query, const struct sp__sequel_call *call, sp_error **error);
sp_status sp__sequel_submit(struct sp__query *query, const struct sp__sequel_call *call, sp_queue *queue, uint64_t tag);
/** A savepoint begins here. */
sp_status sp__sequel_mark(sp_session *session, const char *name, sp_error **error);
/** Another transaction begins: what is left is done. */
void sp__sequel_begin(sp_session *session);
/** The session ends; `rolled_back`: certainly. */
void sp__sequels_end(sp_session *session, bool rolled_back);

#endif
