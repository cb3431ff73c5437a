/* SPDX-License-Identifier: MIT */
/**
 * Rules as the triggers read them: of each table the columns that matter, and what a change of them reaches. Pure.
 */
#ifndef SP_INVALIDATE_RULES_H
#define SP_INVALIDATE_RULES_H

#include "invalidate/aims.h"
#include "invalidate/draft.h"
#include "key/alike.h"

#include <stdatomic.h>
#include <sugarperf/invalidate.h>

enum { SP__RULED_COLUMNS_MAX = 64, SP__GOAL_PIECES_MAX = 2 * SP__SEGMENTS_MAX };

/** Of a tag's text: literally, or a column's value. */
struct sp__piece {
        uint16_t at; /* in the goal's text */
        uint16_t len;
        int column; /* -1: it stands for itself */
};

/** A target of a rule, its columns as places in those of its table. */
struct sp__goal {
        enum sp__aim_kind kind;
        char *text;            /* as it was written */
        struct sp__alike like; /* of a key or a pattern; with a reference to the template */
        size_t count;          /* of what follows: columns in the order of the shape's parameters, or pieces of a tag */
        uint8_t columns[SP__SEGMENTS_MAX];
        struct sp__piece *pieces;
};

struct sp__rule {
        char *source;
        unsigned line;
        unsigned events;
        size_t named_count, when_count;
        uint8_t named[SP__RULE_COLUMNS_MAX]; /* behind the table; also such as no target uses */
        uint8_t when[SP__RULE_COLUMNS_MAX];
        size_t goal_count;
        struct sp__goal *goals;
};

/** A table that rules are about. */
struct sp__ruled {
        char *schema, *name;
        size_t column_count, rule_count;
        char *columns[SP__RULED_COLUMNS_MAX];
        struct sp__rule **rules;
};

struct sp_rules {
        atomic_uint refs;
        sp_cache *cache;
        size_t table_count, rule_count;
        struct sp__ruled **tables;
};

/** NULL: no rule is about it. */
const struct sp__ruled *sp__rules_table(const sp_rules *rules, const char *schema, const char *name);
/** A number that is the same for the same rules, whatever they are called and wherever they stand. */
uint64_t sp__rules_hash(const sp_rules *rules);

/** rule.c. */
void sp__rule_free(struct sp__rule *rule);
void sp__ruled_free(struct sp__ruled *table);
/** The table is made, and columns are added to it, where they are not there yet. */
sp_status sp__rule_bind(sp_rules *rules, const struct sp__keys *keys, const char *source, const struct sp__draft *draft,
                        struct sp__rule **out, struct sp__ruled **table, sp_error **error);

/** What is known of a column's value. */
enum sp__cell_state {
        SP__CELL_UNKNOWN,
        SP__CELL_NULL,
        SP__CELL_TEXT,
        SP__CELL_SAME,   /* of an update: as on the other side */
        SP__CELL_ASSUMED /* the same, but nobody said so: good enough for a key, not for "when" */
};

struct sp__cell {
        enum sp__cell_state state;
        const char *data;
        size_t len;
};

/** A change of a row, its cells in the order of the table's columns. */
struct sp__change {
        const struct sp__ruled *table;
        int kind;                   /* SP_ROW_… */
        const struct sp__cell *now; /* not of a delete */
        const struct sp__cell *was; /* not of an insert */
};

/** Who is told what a change reaches. `data` lives as long as the call. */
struct sp__reach {
        void (*aim)(void *arg, const struct sp__rule *rule, enum sp__aim_kind kind, const void *data, size_t len);
        void *arg;
        sp_params *params;           /* to work with */
        const struct sp__rule *wide; /* a rule that had to be widened, for want of a column's value; NULL: none */
        const char *wide_column;
};

/** reach.c. false: out of memory. */
bool sp__reach_change(struct sp__reach *reach, const struct sp__change *change);
/** For `aim`: into the set of aims that `arg` is. */
void sp__reach_add(void *arg, const struct sp__rule *rule, enum sp__aim_kind kind, const void *data, size_t len);
/** What the row reaches, into a set of aims. SP_INVALID: it does not tell what a rule needs to know. */
sp_status sp__rules_aims(const sp_rules *rules, const sp_row *row, struct sp__aims *aims, sp_error **error);

/** row.c. Finds the row's table and cells; `change->table` NULL: no rule is about it. SP_LIMIT, SP_INVALID: it was refused. */
struct sp__row_cells {
        struct sp__cell now[SP__RULED_COLUMNS_MAX], was[SP__RULED_COLUMNS_MAX];
};
sp_status sp__row_change(const sp_row *row, const sp_rules *rules, struct sp__row_cells *cells,
                         struct sp__change *change, sp_error **error);
/** "schema.table" as JSON. */
void sp__row_name(const sp_row *row, struct sp__buf *out);
const char *sp__change_word(int kind);

#endif
