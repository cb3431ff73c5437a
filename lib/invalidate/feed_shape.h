/* SPDX-License-Identifier: MIT */
/**
 * What stands behind the rules' tables, as the catalogue has it: facts, of which each is the table itself, a partition, a table that
 * inherits, with the file that its rows are in, a column, or its entry in the publication. The server's log tells of rows; not that a partition came or went with
 * those that it has, was emptied, or that a column was rewritten. Such facts are gone then, or others.
 */
#ifndef SP_INVALIDATE_FEED_SHAPE_H
#define SP_INVALIDATE_FEED_SHAPE_H

#include "invalidate/rules.h"

#include <sugarperf/pool.h>

struct sp__fact {
        uint64_t hash;
        uint32_t table; /* of the rules' */
        uint32_t row;
};

struct sp__feed_shape {
        sp_result *rows;
        struct sp__fact *facts; /* by table and hash */
        size_t count;
};

/** How two shapes of a table differ. GROWN: by what has no rows, a column or an empty partition: no answer is another one. */
enum sp__turn { SP__TURN_SAME, SP__TURN_GROWN, SP__TURN_OTHER };

/** One query. `publication`: whose entries are facts, too; "": none. */
sp_status sp__feed_shape_look(sp_pool *pool, sp_ctx *ctx, const sp_rules *rules, const char *publication,
                              struct sp__feed_shape *out, sp_error **error);
void sp__feed_shape_free(struct sp__feed_shape *shape);
/** A number of what a table has. */
uint64_t sp__feed_shape_digest(const struct sp__feed_shape *shape, size_t table);
/** Asks whether partitions that are new are empty. What could not be found out is OTHER. */
enum sp__turn sp__feed_shape_turn(const struct sp__feed_shape *was, const struct sp__feed_shape *now, size_t table,
                                  sp_pool *pool, sp_ctx *ctx);
/** The table with that number inherits from the rules' one: the log tells of its rows under its own name. Or it is a partition. */
bool sp__feed_shape_inherits(const struct sp__feed_shape *shape, uint32_t oid, size_t table);
/** One of the tables is in partitions. */
bool sp__feed_shape_has_roots(const struct sp__feed_shape *shape);
/** The column is of the table's primary key. */
bool sp__feed_shape_is_key(const struct sp__feed_shape *shape, size_t table, const char *column);
/** There is something in `now` that must be looked at anew: a table that inherits, or one of which the log has nothing. */
bool sp__feed_shape_has_heirs(const struct sp__feed_shape *was, const struct sp__feed_shape *now);

/** A table that the log is to tell of by its name: one of the rules', or one that inherits from it. */
struct sp__told {
        const struct sp__ruled *table;
        const char *schema, *name;
};

/** One after the other, `at` from 0 on; false: there are no more. */
bool sp__feed_shape_told(const struct sp__feed_shape *shape, const sp_rules *rules, size_t *at, struct sp__told *out);

#endif
