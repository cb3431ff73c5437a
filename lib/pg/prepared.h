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
        atomic_uint *changes;   /* how often the schema changed, as far as is known; NULL: nobody counts */
        unsigned seen;          /* of these */
        unsigned epoch;         /* what was prepared in an earlier one may be out of date */
        int64_t age_ns;         /* … and what is older than that; 0: never */
};

enum sp__prepared_state {
        SP__PREPARED_NOT,
        SP__PREPARED_DOUBTED, /* nobody knows whether it is there: see sp__prepared_doubt() */
        SP__PREPARED_OLD,     /* what it was prepared against may have changed */
        SP__PREPARED_READY
};

/** `cap` 0: prepares nothing. false when out of memory. */
bool sp__prepared_init(struct sp__prepared *set, size_t cap);
void sp__prepared_free(struct sp__prepared *set);
void sp__prepared_clear(struct sp__prepared *set);
/** Whether it is there, in its present form; then it becomes the most recent. */
enum sp__prepared_state sp__prepared_look(struct sp__prepared *set, const sp_stmt *stmt, int64_t now);
/** All that is there may be out of date. */
void sp__prepared_outdate(struct sp__prepared *set);
/** This one is. */
void sp__prepared_outdate_one(struct sp__prepared *set, const sp_stmt *stmt);
/** Its PREPARE was not answered, and perhaps failed with its transaction, behind which it is asked for. */
void sp__prepared_doubt(struct sp__prepared *set, const sp_stmt *stmt);
/** Its PREPARE was answered: it is there. */
void sp__prepared_trust(struct sp__prepared *set, const sp_stmt *stmt);
/** Adds it. `evicted` gets the id of what has to go first, "" for none: who made room, or itself in its former form. */
void sp__prepared_add(struct sp__prepared *set, const sp_stmt *stmt, int64_t now, char evicted[SP__STMT_ID]);
/** Whether it was there. */
bool sp__prepared_remove(struct sp__prepared *set, const sp_stmt *stmt);

#endif
