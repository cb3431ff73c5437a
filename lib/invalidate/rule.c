/* SPDX-License-Identifier: MIT */
/* One rule: its names become templates, patterns and columns, or an error that says which of them is none. */
#include "core/error.h"
#include "invalidate/rules.h"

#include <stdlib.h>
#include <string.h>

struct binding {
        struct sp__ruled *table;
        const struct sp__keys *keys;
        const char *source;
        const struct sp__draft *draft;
        sp_error **error;
};

static sp_status wrong(const struct binding *binding, const char *what, const struct sp__slice *slice, const char *fix)
{
        return sp__fail(binding->error, SP_INVALID, "%.128s:%u: %s \"%.*s\": %s", binding->source, binding->draft->line,
                        what, (int)(slice->len < 128 ? slice->len : 128), slice->at, fix);
}

static sp_status no_memory(const struct binding *binding)
{
        return sp__fail(binding->error, SP_NOMEM, "out of memory");
}

/* It does not end with a zero byte. */
static char *copy_of(const struct sp__slice *slice)
{
        char *copy = malloc(slice->len + 1);

        if (!copy)
                return NULL;
        memcpy(copy, slice->at, slice->len);
        copy[slice->len] = 0;
        return copy;
}

static bool same(const struct sp__slice *slice, const char *text, size_t len)
{
        return slice->len == len && memcmp(slice->at, text, len) == 0;
}

static int column_find(const struct sp__ruled *table, const char *name, size_t len)
{
        for (size_t i = 0; i < table->column_count; i++) {
                if (strlen(table->columns[i]) == len && memcmp(table->columns[i], name, len) == 0)
                        return (int)i;
        }
        return -1;
}

static sp_status column_add(const struct binding *binding, const struct sp__slice *name, uint8_t *place)
{
        struct sp__ruled *table = binding->table;
        int found = column_find(table, name->at, name->len);

        if (found < 0) {
                if (table->column_count == SP__RULED_COLUMNS_MAX)
                        return wrong(binding, "column", name, "the rules of a table name 64 columns at most");
                table->columns[table->column_count] = copy_of(name);
                if (!table->columns[table->column_count])
                        return no_memory(binding);
                found = (int)table->column_count++;
        }
        *place = (uint8_t)found;
        return SP_OK;
}

/* The column that a target uses must stand behind the table: so it is seen what a rule depends on. */
static sp_status column_used(const struct binding *binding, const struct sp__slice *target, const char *name,
                             size_t len, uint8_t *place)
{
        const struct sp__draft *draft = binding->draft;
        struct sp__slice used = {name, len};

        for (size_t i = 0; i < draft->column_count; i++) {
                if (same(&draft->columns[i], name, len))
                        return column_add(binding, &used, place);
        }
        return sp__fail(
            binding->error, SP_INVALID,
            "%.128s:%u: target \"%.*s\" uses the column \"%.*s\", which the rule does not name: write %.*s(%s%.*s)",
            binding->source, draft->line, (int)(target->len < 128 ? target->len : 128), target->at,
            (int)(len < 64 ? len : 64), name, (int)draft->table.len, draft->table.at, draft->column_count ? "…, " : "",
            (int)(len < 64 ? len : 64), name);
}

/* The shape's own message says what is wrong; where, we add. */
static sp_status told_where(const struct binding *binding, sp_status status, sp_error *why)
{
        sp__fail(binding->error, status, "%.128s:%u: %s", binding->source, binding->draft->line, sp_error_message(why));
        sp_error_free(why);
        return status;
}

static sp_status undeclared(const struct binding *binding, const struct sp__slice *text, const struct sp__shape *shape)
{
        bool star = memchr(text->at, '*', text->len) != NULL;
        const char *near = sp__keys_near(binding->keys, shape);

        return sp__fail(binding->error, SP_INVALID, "%.128s:%u: no template %s \"%.*s\"%s%.128s%s: %s", binding->source,
                        binding->draft->line, star ? "declares the pattern" : "is declared for",
                        (int)(text->len < 128 ? text->len : 128), text->at, near ? " (the nearest is \"" : "",
                        near ? near : "", near ? "\")" : "",
                        star ? "add it by sp_template_pattern() before sp_cache_declare(), or scan by sp_cache_scan()"
                             : "call sp_cache_declare() before the rules are added, or correct the rule");
}

static sp_status bind_columns(const struct binding *binding, const struct sp__slice *text,
                              const struct sp__shape *shape, struct sp__goal *goal)
{
        sp_status status = SP_OK;

        for (size_t i = 0; i < shape->count && status == SP_OK; i++) {
                const struct sp__segment *segment = &shape->segments[i];

                if (segment->kind == SP__SEGMENT_PARAM)
                        status = column_used(binding, text, shape->text + segment->name_at, segment->name_len,
                                             &goal->columns[goal->count++]);
        }
        return status;
}

static sp_status bind_key(const struct binding *binding, const struct sp__slice *text, struct sp__goal *goal)
{
        struct sp__shape shape;
        sp_error *why = NULL;
        sp_status status = sp__shape_parse("pattern", goal->text, &shape, &why);

        if (status != SP_OK)
                return told_where(binding, status, why);
        if (sp__keys_alike(binding->keys, &shape, &goal->like)) {
                sp_template_ref((sp_template *)(uintptr_t)goal->like.tmpl);
                goal->kind = goal->like.pattern ? SP__AIM_PATTERN : SP__AIM_KEY;
                status = bind_columns(binding, text, &shape, goal);
        } else {
                status = undeclared(binding, text, &shape);
        }
        sp__shape_free(&shape);
        return status;
}

static sp_status add_piece(const struct binding *binding, const struct sp__slice *text, struct sp__goal *goal,
                           const char *at, size_t len, bool column)
{
        struct sp__piece *piece;
        uint8_t place = 0;

        if (len == 0)
                return column ? wrong(binding, "tag", text, "{} names no column") : SP_OK;
        if (goal->count == SP__GOAL_PIECES_MAX)
                return wrong(binding, "tag", text, "it has too many parts");
        if (column && column_used(binding, text, at, len, &place) != SP_OK)
                return SP_INVALID;
        piece = &goal->pieces[goal->count++];
        *piece = (struct sp__piece){(uint16_t)(at - goal->text), (uint16_t)len, column ? place : -1};
        return SP_OK;
}

static sp_status bind_tag(const struct binding *binding, const struct sp__slice *text, struct sp__goal *goal)
{
        sp_status status = SP_OK;

        goal->kind = SP__AIM_TAG;
        goal->pieces = calloc(SP__GOAL_PIECES_MAX, sizeof *goal->pieces);
        if (!goal->pieces)
                return no_memory(binding);
        if (text->len > SP_TAG_MAX)
                return wrong(binding, "tag", text, "a tag has 256 bytes at most");
        for (const char *at = goal->text; *at && status == SP_OK;) {
                size_t plain = strcspn(at, "{}"), named = at[plain] == '{' ? strcspn(at + plain + 1, "{}") : 0;

                if (at[plain] == '}' || (at[plain] == '{' && at[plain + 1 + named] != '}'))
                        return wrong(binding, "tag", text, "{ and } stand around a column's name, in pairs");
                status = add_piece(binding, text, goal, at, plain, false);
                at += plain;
                if (status == SP_OK && *at) {
                        status = add_piece(binding, text, goal, at + 1, named, true);
                        at += named + 2;
                }
        }
        return status;
}

static sp_status bind_goal(const struct binding *binding, const struct sp__draft_target *target, struct sp__goal *goal)
{
        goal->text = copy_of(&target->text);
        if (!goal->text)
                return no_memory(binding);
        switch (target->kind) {
        case SP__DRAFT_ALL:
                goal->kind = SP__AIM_ALL;
                return SP_OK;
        case SP__DRAFT_TAG:
                return bind_tag(binding, &target->text, goal);
        default:
                return bind_key(binding, &target->text, goal);
        }
}

static void goal_free(struct sp__goal *goal)
{
        sp_template_unref((sp_template *)(uintptr_t)goal->like.tmpl);
        free(goal->pieces);
        free(goal->text);
}

void sp__rule_free(struct sp__rule *rule)
{
        if (!rule)
                return;
        for (size_t i = 0; i < rule->goal_count; i++)
                goal_free(&rule->goals[i]);
        free(rule->goals);
        free(rule->source);
        free(rule);
}

void sp__ruled_free(struct sp__ruled *table)
{
        for (size_t i = 0; i < table->rule_count; i++)
                sp__rule_free(table->rules[i]);
        for (size_t i = 0; i < table->column_count; i++)
                free(table->columns[i]);
        free(table->rules);
        free(table->schema);
        free(table->name);
        free(table);
}

static sp_status bind_when(const struct binding *binding, struct sp__rule *rule)
{
        sp_status status = SP_OK;

        for (size_t i = 0; i < binding->draft->when_count && status == SP_OK; i++)
                status = column_add(binding, &binding->draft->when[i], &rule->when[rule->when_count++]);
        return status;
}

/* Columns that no target uses are known all the same: whoever reads the table looks whether they exist. */
static sp_status bind_named(const struct binding *binding, struct sp__rule *rule)
{
        sp_status status = SP_OK;

        for (size_t i = 0; i < binding->draft->column_count && status == SP_OK; i++)
                status = column_add(binding, &binding->draft->columns[i], &rule->named[rule->named_count++]);
        return status;
}

static sp_status bind(const struct binding *binding, struct sp__rule *rule)
{
        const struct sp__draft *draft = binding->draft;
        sp_status status = bind_named(binding, rule);

        if (status == SP_OK)
                status = bind_when(binding, rule);
        for (size_t i = 0; i < draft->target_count && status == SP_OK; i++)
                status = bind_goal(binding, &draft->targets[i], &rule->goals[rule->goal_count++]);
        return status;
}

static struct sp__ruled *table_of(sp_rules *rules, const struct sp__draft *draft)
{
        static const struct sp__slice standard = {"public", 6};
        const struct sp__slice *schema = draft->schema.len ? &draft->schema : &standard;
        struct sp__ruled **tables, *table;

        for (size_t i = 0; i < rules->table_count; i++) {
                table = rules->tables[i];
                if (same(schema, table->schema, strlen(table->schema)) &&
                    same(&draft->table, table->name, strlen(table->name)))
                        return table;
        }
        tables = realloc(rules->tables, (rules->table_count + 1) * sizeof(struct sp__ruled *));
        if (!tables)
                return NULL;
        rules->tables = tables;
        table = calloc(1, sizeof *table);
        if (!table)
                return NULL;
        table->schema = copy_of(schema);
        table->name = copy_of(&draft->table);
        if (!table->schema || !table->name) {
                sp__ruled_free(table);
                return NULL;
        }
        return rules->tables[rules->table_count++] = table;
}

sp_status sp__rule_bind(sp_rules *rules, const struct sp__keys *keys, const char *source, const struct sp__draft *draft,
                        struct sp__rule **out, struct sp__ruled **table, sp_error **error)
{
        struct binding binding = {table_of(rules, draft), keys, source, draft, error};
        struct sp__rule *rule = calloc(1, sizeof *rule);
        sp_status status = SP_NOMEM;

        if (rule && binding.table) {
                rule->source = strdup(source);
                rule->line = draft->line;
                rule->events = draft->events;
                rule->goals = calloc(draft->target_count, sizeof *rule->goals);
        }
        if (rule && rule->source && rule->goals)
                status = bind(&binding, rule);
        else
                no_memory(&binding);
        if (status == SP_OK) {
                *out = rule;
                *table = binding.table;
        } else {
                sp__rule_free(rule);
        }
        return status;
}
