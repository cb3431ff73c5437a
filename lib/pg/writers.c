/* SPDX-License-Identifier: MIT */
/*
 * Who wrote in a transaction may read it from its COMMIT on, which may be made under another context than his, or none: then his
 * unit of work has written once more.
 */
#include "core/ctx.h"
#include "pg/pool_internal.h"

#include <stdlib.h>

/* Units of work that share a session's transaction: a caller who joins more than so many loses the oldest. */
enum { WRITERS = 4 };

struct sp__writers {
        unsigned count;
        sp_ctx *roots[WRITERS]; /* references, in turn */
};

static bool has(const struct sp__writers *writers, const sp_ctx *root)
{
        for (unsigned i = 0; i < WRITERS; i++) {
                if (writers->roots[i] == root)
                        return true;
        }
        return false;
}

/* What it drops, to be let go of without the lock. The pool's lock is held. */
static sp_ctx *add(sp_session *session, sp_ctx *root)
{
        struct sp__writers *writers = session->writers;
        sp_ctx *dropped;

        if (!writers)
                writers = session->writers = calloc(1, sizeof *writers);
        if (!writers || has(writers, root))
                return NULL;
        dropped = writers->roots[writers->count % WRITERS];
        writers->roots[writers->count++ % WRITERS] = sp_ctx_ref(root);
        return dropped;
}

/* The pool's lock is held. */
static void tell(const struct sp__writers *writers)
{
        for (unsigned i = 0; writers && i < WRITERS; i++) {
                if (writers->roots[i])
                        sp__ctx_note_write(writers->roots[i]);
        }
}

void sp__session_note_write(struct sp__query *query)
{
        sp_session *session = query->session;
        sp_pool *pool = query->pool;
        sp_ctx *dropped = NULL;

        if (!pool->replicas || !session)
                return;
        sp__lock(&pool->lock);
        if (query->op.ctx)
                dropped = add(session, sp__ctx_root(query->op.ctx));
        if (query->deed == SP__DEED_COMMIT || query->stmt->sql.tx)
                tell(session->writers);
        sp__unlock(&pool->lock);
        sp_ctx_unref(dropped);
}

void sp__writers_free(struct sp__writers *writers)
{
        for (unsigned i = 0; writers && i < WRITERS; i++)
                sp_ctx_unref(writers->roots[i]);
        free(writers);
}
