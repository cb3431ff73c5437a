/* SPDX-License-Identifier: MIT */
/** What the server says beside its answers (NOTICE, WARNING, INFO, …) while a session wants it, until its holder takes it. */
#ifndef SP_PG_NOTICES_H
#define SP_PG_NOTICES_H

#include "base/buf.h"

#include <libpq-fe.h>
#include <sugarperf/session.h>

/** The session's; the lock of its connection's port guards it. */
struct sp__notices {
        struct sp__buf text; /* a JSON array without its end */
        size_t dropped;      /* behind that */
};

/** Keeps it where there is room. The port's lock is held. */
void sp__notices_add(struct sp__notices *notices, const PGresult *res);
/** The session goes back: its connection keeps none for it any more. No lock held. */
void sp__notices_end(sp_session *session);

#endif
