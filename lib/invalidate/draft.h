/* SPDX-License-Identifier: MIT */
/**
 * The text of rules, taken apart; what it names is looked up by who binds it (rules.c). Pure.
 *
 *     rule    = table [ "(" [columns] ")" ] [ "on" events ] [ "when" columns ] arrow target { "," target }
 *     table   = [ name "." ] name            name    = letters, digits, _ and $, or any text in "…"
 *     events  = event { "," event }          event   = "insert" | "update" | "delete"
 *     arrow   = "->" | "→"                   target  = key or pattern | "tag" text | "all"
 *
 * Its targets end with their line, unless that ends with a comma; else a line may end anywhere. # begins a comment, at the
 * beginning of a word.
 */
#ifndef SP_INVALIDATE_DRAFT_H
#define SP_INVALIDATE_DRAFT_H

#include <sugarperf/invalidate.h>

enum { SP__RULE_COLUMNS_MAX = 32, SP__RULE_TARGETS_MAX = 32, SP__RULE_NAME_MAX = 63 };

/** Bits; SP_ROW_TRUNCATE has none, for every rule hears of it. */
#define SP__EVENT(change) (1u << (change))

/** In the text that was read. */
struct sp__slice {
        const char *at;
        size_t len;
};

enum sp__draft_kind { SP__DRAFT_KEY, SP__DRAFT_TAG, SP__DRAFT_ALL };

struct sp__draft_target {
        enum sp__draft_kind kind;
        struct sp__slice text;
};

struct sp__draft {
        unsigned line;
        struct sp__slice schema; /* len 0: public */
        struct sp__slice table;
        unsigned events; /* bits of SP__EVENT() */
        size_t column_count, when_count, target_count;
        struct sp__slice columns[SP__RULE_COLUMNS_MAX];
        struct sp__slice when[SP__RULE_COLUMNS_MAX];
        struct sp__draft_target targets[SP__RULE_TARGETS_MAX];
};

struct sp__draft_reader {
        const char *source; /* for messages */
        const char *at;
        const char *end;
        unsigned line;
        sp_error **error;
};

/** The next rule; SP_NOT_FOUND: none is left. SP_INVALID and SP_LIMIT: "source:line: what, and what would be right". */
sp_status sp__draft_next(struct sp__draft_reader *reader, struct sp__draft *out);

#endif
