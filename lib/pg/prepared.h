/* SPDX-License-Identifier: MIT */
/** Which statements a connection has prepared: a bounded set, least recently used out first. The connection's lock guards it. */
#ifndef SP_PG_PREPARED_H
#define SP_PG_PREPARED_H

#include "base/list.h"
#include "pg/stmt.h"

struct sp__prepared {
        struct sp__prepared_item *items;
        struct sp__prepared_item **buckets;
        size_t cap;
        size_t count;
        size_t mask;
        struct sp__list recent; /* oldest first */
};

/** `cap` 0: prepares nothing. false when out of memory. */
bool sp__prepared_init(struct sp__prepared *set, size_t cap);
void sp__prepared_free(struct sp__prepared *set);
void sp__prepared_clear(struct sp__prepared *set);
/** Whether it is there, in its present form; then it becomes the most recent. */
bool sp__prepared_has(struct sp__prepared *set, const sp_stmt *stmt);
/** Adds it. `evicted` gets the id of what has to go first, "" for none: who made room, or itself in its former form. */
void sp__prepared_add(struct sp__prepared *set, const sp_stmt *stmt, char evicted[SP__STMT_ID]);
/** Whether it was there. */
bool sp__prepared_remove(struct sp__prepared *set, const sp_stmt *stmt);

#endif
