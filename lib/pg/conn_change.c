/* SPDX-License-Identifier: MIT */
/* What becomes of what a connection has prepared when something changes that it was prepared against, or is changed back. */
#include "pg/conn_io.h"

#include <string.h>

/* May end a transaction, or a part of one. */
static bool ends_part(const struct sp__unit *unit)
{
        const char *text = unit->stmt ? unit->stmt->text : unit->text ? unit->text : "";

        return (unit->stmt && unit->stmt->sql.tx) || strncmp(text, "COMMIT", strlen("COMMIT")) == 0 ||
               strncmp(text, "ROLLBACK", strlen("ROLLBACK")) == 0;
}

/* What is on its way to be prepared may fail with the transaction that `last` ends. */
static void doubt_before(struct sp__conn *conn, const struct sp__unit *last)
{
        SP__EACH(&conn->flights, at, after)
        {
                const struct sp__unit *unit = SP__OF(at, struct sp__unit, link);

                if (unit != last && unit->preparing && !unit->prepared)
                        sp__prepared_doubt(&conn->prepared, unit->stmt);
        }
}

/*
 * What follows here comes after it; others hear of a change of the schema when it took effect. A temporary table is nothing to
 * them, nor is what names mean here. Behind what may end the transaction all may be as it was.
 */
void sp__conn_note_change(struct sp__conn *conn, const struct sp__unit *unit)
{
        bool alters = unit->stmt && unit->stmt->sql.alters, renames = unit->stmt && unit->stmt->sql.renames;
        bool ends = ends_part(unit);

        conn->renamed |= alters || renames;
        if (alters || renames || (ends && conn->renamed))
                sp__prepared_outdate(&conn->prepared);
        conn->altered |= alters && !unit->stmt->sql.dirties;
        if (ends)
                doubt_before(conn, unit);
}

static void tell(struct sp__conn *conn)
{
        if (conn->altered && conn->prepared.changes)
                atomic_fetch_add_explicit(conn->prepared.changes, 1, memory_order_relaxed);
}

/* While more is in flight nobody knows whether the transaction that changed it has ended. */
void sp__conn_settle_change(struct sp__conn *conn, bool in_transaction)
{
        if (in_transaction)
                return;
        tell(conn);
        conn->altered &= !sp__list_empty(&conn->flights);
        conn->renamed &= !sp__list_empty(&conn->flights);
}

void sp__conn_tell_change(struct sp__conn *conn)
{
        tell(conn);
        conn->altered = conn->renamed = false;
}
