/* SPDX-License-Identifier: MIT */
/* What a change of a row reaches. What is not known is never taken for unchanged: where a value is missing, the goal is widened. */
#include "core/error.h"
#include "invalidate/rules.h"
#include "key/parts.h"

#include <stdio.h>
#include <string.h>

/* The side of a change that a goal is worked out for, and the other, which SAME means. */
struct side {
        const struct sp__ruled *table;
        const struct sp__cell *cells;
        const struct sp__cell *other;
};

static const struct sp__cell unknown = {SP__CELL_UNKNOWN, NULL, 0};

static const struct sp__cell *cell_of(const struct side *side, size_t column)
{
        const struct sp__cell *cell = &side->cells[column];

        if (cell->state < SP__CELL_SAME)
                return cell;
        cell = side->other ? &side->other[column] : &unknown;
        return cell->state < SP__CELL_SAME ? cell : &unknown;
}

static bool same_value(const struct sp__cell *a, const struct sp__cell *b)
{
        if (a->state == SP__CELL_NULL || b->state == SP__CELL_NULL)
                return a->state == b->state;
        return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* Whether an update left the column alone, as far as is known, or (`sure`) certainly. */
static bool untouched(const struct sp__change *change, size_t column, bool sure)
{
        const struct sp__cell *now = &change->now[column], *was = &change->was[column];

        if (now->state == SP__CELL_SAME || was->state == SP__CELL_SAME)
                return true;
        if (was->state == SP__CELL_ASSUMED)
                return !sure;
        if (now->state == SP__CELL_UNKNOWN || was->state == SP__CELL_UNKNOWN)
                return false;
        return same_value(now, was);
}

static bool concerns(const struct sp__rule *rule, const struct sp__change *change)
{
        if (change->kind == SP_ROW_TRUNCATE)
                return true;
        if (!(rule->events & SP__EVENT(change->kind)))
                return false;
        for (size_t i = 0; change->kind == SP_ROW_UPDATE && i < rule->when_count; i++) {
                if (!untouched(change, rule->when[i], true))
                        return true;
        }
        return change->kind != SP_ROW_UPDATE || rule->when_count == 0;
}

/* Its value is one of those that it could have. */
static void widen(struct sp__reach *reach, const struct sp__rule *rule, const struct sp__goal *goal)
{
        const struct sp__shape *cover = goal->kind == SP__AIM_TAG ? NULL : sp__template_cover(goal->like.tmpl);

        reach->wide = rule;
        if (cover)
                reach->aim(reach->arg, rule, SP__AIM_PATTERN, cover->text, strlen(cover->text));
        else
                reach->aim(reach->arg, rule, SP__AIM_ALL, "", 0);
}

enum outcome { REACHED, NOTHING, OPEN, SHORT };

static enum outcome left_open(struct sp__reach *reach, const struct side *side, size_t column)
{
        reach->wide_column = side->table->columns[column];
        return OPEN;
}

/* Nothing can be kept under a key without a part, nor under one that is too long. */
static enum outcome reach_key(struct sp__reach *reach, const struct sp__rule *rule, const struct sp__goal *goal,
                              const struct side *side)
{
        char text[SP_KEY_MAX];
        size_t len;

        sp_params_clear(reach->params);
        for (size_t i = 0; i < goal->count; i++) {
                const struct sp__cell *cell = cell_of(side, goal->columns[i]);

                if (cell->state == SP__CELL_UNKNOWN)
                        return left_open(reach, side, goal->columns[i]);
                if (cell->state == SP__CELL_NULL || cell->len == 0)
                        return NOTHING;
                if (sp_params_add_text(reach->params, cell->data, cell->len) != SP_OK)
                        return SHORT;
        }
        if (sp__shape_format(goal->like.shape, reach->params, text, sizeof text, &len) != SP_OK)
                return NOTHING;
        reach->aim(reach->arg, rule, goal->kind, text, len);
        return REACHED;
}

/* No entry has a tag that is longer than tags may be. */
static enum outcome reach_tag(struct sp__reach *reach, const struct sp__rule *rule, const struct sp__goal *goal,
                              const struct side *side)
{
        char text[SP_TAG_MAX];
        size_t len = 0;

        for (size_t i = 0; i < goal->count; i++) {
                const struct sp__piece *piece = &goal->pieces[i];
                struct sp__cell own = {SP__CELL_TEXT, goal->text + piece->at, piece->len};
                const struct sp__cell *cell = piece->column < 0 ? &own : cell_of(side, (size_t)piece->column);

                if (cell->state == SP__CELL_UNKNOWN)
                        return left_open(reach, side, (size_t)piece->column);
                if (cell->state == SP__CELL_NULL || cell->len > sizeof text - len)
                        return NOTHING;
                memcpy(text + len, cell->data, cell->len);
                len += cell->len;
        }
        if (len == 0)
                return NOTHING;
        reach->aim(reach->arg, rule, SP__AIM_TAG, text, len);
        return REACHED;
}

static enum outcome reach_side(struct sp__reach *reach, const struct sp__rule *rule, const struct sp__goal *goal,
                               const struct side *side)
{
        switch (goal->kind) {
        case SP__AIM_ALL:
                reach->aim(reach->arg, rule, SP__AIM_ALL, "", 0);
                return REACHED;
        case SP__AIM_TAG:
                return reach_tag(reach, rule, goal, side);
        default:
                return reach_key(reach, rule, goal, side);
        }
}

static size_t goal_column(const struct sp__goal *goal, size_t index)
{
        return goal->kind == SP__AIM_TAG ? (size_t)goal->pieces[index].column : goal->columns[index];
}

static bool uses_columns(const struct sp__goal *goal)
{
        for (size_t i = 0; i < goal->count; i++) {
                if (goal->kind != SP__AIM_TAG || goal->pieces[i].column >= 0)
                        return true;
        }
        return false;
}

/* Whether an update may have moved the row from one target to another. */
static bool moves(const struct sp__goal *goal, const struct sp__change *change)
{
        for (size_t i = 0; i < goal->count; i++) {
                if (goal->kind == SP__AIM_TAG && goal->pieces[i].column < 0)
                        continue;
                if (!untouched(change, goal_column(goal, i), false))
                        return true;
        }
        return false;
}

/* false: out of memory. */
static bool reach_goal(struct sp__reach *reach, const struct sp__rule *rule, const struct sp__goal *goal,
                       const struct sp__change *change)
{
        struct side now = {change->table, change->now, change->was}, was = {change->table, change->was, change->now};
        enum outcome first = NOTHING, second = NOTHING;

        if (change->kind == SP_ROW_TRUNCATE && uses_columns(goal)) {
                widen(reach, rule, goal);
                return true;
        }
        if (change->kind == SP_ROW_DELETE)
                first = reach_side(reach, rule, goal, &was);
        else
                first = reach_side(reach, rule, goal, &now);
        if (change->kind == SP_ROW_UPDATE && first != OPEN && moves(goal, change))
                second = reach_side(reach, rule, goal, &was);
        if (first == OPEN || second == OPEN)
                widen(reach, rule, goal);
        return first != SHORT && second != SHORT;
}

bool sp__reach_change(struct sp__reach *reach, const struct sp__change *change)
{
        const struct sp__ruled *table = change->table;

        for (size_t i = 0; i < table->rule_count; i++) {
                const struct sp__rule *rule = table->rules[i];

                if (!concerns(rule, change))
                        continue;
                for (size_t k = 0; k < rule->goal_count; k++) {
                        if (!reach_goal(reach, rule, &rule->goals[k], change))
                                return false;
                }
        }
        return true;
}

void sp__reach_add(void *arg, const struct sp__rule *rule, enum sp__aim_kind kind, const void *data, size_t len)
{
        sp__aims_add(arg, kind, data, len);
}

sp_status sp__rules_aims(const sp_rules *rules, const sp_row *row, struct sp__aims *aims, sp_error **error)
{
        struct sp__row_cells cells;
        struct sp__change change;
        struct sp__reach reach = {.aim = sp__reach_add, .arg = aims};
        sp_status status = sp__row_change(row, rules, &cells, &change, error);
        bool good;

        if (status != SP_OK || !change.table)
                return status;
        aims->why = "row";
        snprintf(aims->about, sizeof aims->about, "%.60s.%.60s", change.table->schema, change.table->name);
        reach.params = sp_params_new();
        good = reach.params && sp__reach_change(&reach, &change) && !aims->failed;
        sp_params_free(reach.params);
        if (!good)
                return sp__fail(error, SP_NOMEM, "out of memory");
        if (reach.wide && change.kind != SP_ROW_TRUNCATE)
                return sp__fail(
                    error, SP_INVALID, "%.128s:%u needs the column \"%s\" of table \"%s\", %s: nothing is invalidated",
                    reach.wide->source, reach.wide->line, reach.wide_column, change.table->name,
                    change.kind == SP_ROW_UPDATE ? "as it is and (sp_row_was()) as it was, which the row does not tell"
                                                 : "which the row does not tell");
        return SP_OK;
}
