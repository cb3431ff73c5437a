/* SPDX-License-Identifier: MIT */
/* A walk over libpg_query's tree. Conditions that are joined by AND are read one by one; of all else only the columns. */
#include "sql/access.h"

#include "base/json.h"
#include "sql/statement.h"

#include <stdlib.h>
#include <string.h>

/* The tree was bounded by SP__SQL_DEPTH, and a level of it is a few of JSON. */
enum { DEPTH = 1500 };

struct walk {
        struct sp__access *out;
        uint32_t level;
        int depth;
};

static void walk_any(struct walk *walk, const struct sp__json *node);
static void walk_condition(struct walk *walk, const struct sp__json *node);
static void walk_from(struct walk *walk, const struct sp__json *node);

static void *grown(struct sp__access *out, void *array, size_t count, size_t size)
{
        void *larger;

        if (count & (count - 1))
                return array;
        larger = realloc(array, (count ? count * 2 : 1) * size);
        out->failed |= !larger;
        return larger ? larger : array;
}

static void source_add(struct walk *walk, const char *alias, const char *schema, const char *table)
{
        struct sp__access *out = walk->out;

        out->sources = grown(out, out->sources, out->source_count, sizeof *out->sources);
        if (!out->failed)
                out->sources[out->source_count++] = (struct sp__source){walk->level, alias, schema, table, false};
}

static size_t use_add(struct walk *walk, enum sp__use use, const char *qualifier, const char *column)
{
        struct sp__access *out = walk->out;

        out->uses = grown(out, out->uses, out->use_count, sizeof *out->uses);
        if (out->failed)
                return 0;
        out->uses[out->use_count] = (struct sp__use_of){walk->level, use, qualifier, column, out->use_count};
        return out->use_count++;
}

/* The level of a new statement inside; false: memory is short. */
static bool level_begin(struct walk *walk, uint32_t *outer)
{
        struct sp__access *out = walk->out;

        out->levels = grown(out, out->levels, out->level_count, sizeof *out->levels);
        if (out->failed)
                return false;
        *outer = walk->level;
        out->levels[out->level_count] = (struct sp__level){.parent = out->level_count ? walk->level : 0};
        walk->level = (uint32_t)out->level_count++;
        return true;
}

/* {"ColumnRef":{"fields":[{"String":{"sval":"t"}},{"String":{"sval":"a"}}]}}; of longer ones the last two. */
static bool column_of(const struct sp__json *node, const char **qualifier, const char **column)
{
        const struct sp__json *reference = sp__json_get(node, "ColumnRef");
        const struct sp__json *fields = sp__json_get(reference, "fields");

        if (!fields)
                return false;
        *qualifier = *column = "";
        for (const struct sp__json *field = fields->first; field; field = field->next) {
                const struct sp__json *string = sp__json_get(field, "String");

                *qualifier = *column;
                *column = string ? sp__json_text(string, "sval") : "*";
        }
        return true;
}

/* Under a cast, too. */
static const struct sp__json *bare(const struct sp__json *node)
{
        const struct sp__json *cast;

        while ((cast = sp__json_get(node, "TypeCast")))
                node = sp__json_get(cast, "arg");
        return node;
}

static bool use_column(struct walk *walk, const struct sp__json *node, enum sp__use use, size_t *index)
{
        const char *qualifier, *column;

        if (!column_of(node, &qualifier, &column))
                return false;
        *index = use_add(walk, use, qualifier, column);
        return true;
}

/* The name of an operator, "" where it is a qualified one. */
static const char *operator_of(const struct sp__json *expression)
{
        const struct sp__json *name = sp__json_get(expression, "name");

        if (!name || !name->first || name->first->next)
                return "";
        return sp__json_text(sp__json_get(name->first, "String"), "sval");
}

static bool among(const char *text, const char *const words[])
{
        for (; *words; words++) {
                if (strcmp(text, *words) == 0)
                        return true;
        }
        return false;
}

/* What a comparison makes of a column on one of its sides; SP__USE_READ: nothing an index could serve. */
static enum sp__use use_of(const struct sp__json *expression)
{
        static const char *const ranges[] = {"<", ">", "<=", ">=", NULL};
        const char *kind = sp__json_text(expression, "kind"), *name = operator_of(expression);

        if (strcmp(kind, "AEXPR_BETWEEN") == 0)
                return SP__USE_RANGE;
        if ((strcmp(kind, "AEXPR_IN") == 0 || strcmp(kind, "AEXPR_OP_ANY") == 0) && strcmp(name, "=") == 0)
                return SP__USE_IN;
        if (strcmp(kind, "AEXPR_OP") != 0)
                return SP__USE_READ;
        return strcmp(name, "=") == 0 ? SP__USE_EQUAL : among(name, ranges) ? SP__USE_RANGE : SP__USE_READ;
}

/* "a = true": true or false; 0: it is no such constant. */
static int truth(const struct sp__json *node)
{
        const struct sp__json *value = sp__json_get(sp__json_get(node, "A_Const"), "boolval");

        return !value ? 0 : strcmp(sp__json_text(value, "boolval"), "true") == 0 ? 1 : -1;
}

static void walk_comparison(struct walk *walk, const struct sp__json *expression)
{
        const struct sp__json *left = sp__json_get(expression, "lexpr"), *right = sp__json_get(expression, "rexpr");
        enum sp__use use = use_of(expression);
        size_t a = 0, b = 0;
        bool is_left, is_right;

        if (use == SP__USE_EQUAL && truth(right))
                use = truth(right) > 0 ? SP__USE_TRUE : SP__USE_FALSE;
        is_left = use_column(walk, left, use, &a);
        /* Lists stand on the right. */
        is_right = use != SP__USE_IN && use_column(walk, right, use, &b);
        if (!is_left)
                walk_any(walk, left);
        if (!is_right)
                walk_any(walk, right);
        if (!is_left || !is_right || walk->out->failed || use == SP__USE_RANGE)
                return;
        if (use == SP__USE_EQUAL)
                walk->out->uses[a].use = walk->out->uses[b].use = SP__USE_JOIN;
        walk->out->uses[a].other = b;
        walk->out->uses[b].other = a;
}

static void walk_bool(struct walk *walk, const struct sp__json *expression)
{
        const struct sp__json *args = sp__json_get(expression, "args");
        const char *op = sp__json_text(expression, "boolop");
        size_t index;

        if (!args)
                return;
        if (strcmp(op, "NOT_EXPR") == 0 && use_column(walk, args->first, SP__USE_FALSE, &index))
                return;
        for (const struct sp__json *arg = args->first; arg; arg = arg->next) {
                if (strcmp(op, "AND_EXPR") == 0)
                        walk_condition(walk, arg);
                else
                        walk_any(walk, arg);
        }
}

/* "a IN (SELECT …)" */
static void walk_sublink(struct walk *walk, const struct sp__json *link)
{
        const struct sp__json *test = sp__json_get(link, "testexpr");
        size_t index;

        if (test && !use_column(walk, test, SP__USE_IN, &index))
                walk_any(walk, test);
        walk_any(walk, sp__json_get(link, "subselect"));
}

static void walk_null(struct walk *walk, const struct sp__json *test)
{
        bool null = strcmp(sp__json_text(test, "nulltesttype"), "IS_NULL") == 0;
        size_t index;

        if (!use_column(walk, sp__json_get(test, "arg"), null ? SP__USE_NULL : SP__USE_NOT_NULL, &index))
                walk_any(walk, sp__json_get(test, "arg"));
}

/* One that must hold: on its own, or beside others. */
static void walk_condition(struct walk *walk, const struct sp__json *node)
{
        const struct sp__json *inner = sp__json_inner(node);
        size_t index;

        if (!inner || ++walk->depth > DEPTH) {
                walk->out->failed |= inner != NULL;
                return;
        }
        if (strcmp(inner->key, "A_Expr") == 0)
                walk_comparison(walk, inner);
        else if (strcmp(inner->key, "BoolExpr") == 0)
                walk_bool(walk, inner);
        else if (strcmp(inner->key, "NullTest") == 0)
                walk_null(walk, inner);
        else if (strcmp(inner->key, "SubLink") == 0)
                walk_sublink(walk, inner);
        else if (!use_column(walk, node, SP__USE_TRUE, &index))
                walk_any(walk, node);
        walk->depth--;
}

static void walk_table(struct walk *walk, const struct sp__json *table)
{
        const char *name = sp__json_text(table, "relname");
        const char *alias = sp__json_text(sp__json_get(table, "alias"), "aliasname");

        source_add(walk, *alias ? alias : name, sp__json_text(table, "schemaname"), name);
}

static void walk_join(struct walk *walk, const struct sp__json *join)
{
        const struct sp__json *using = sp__json_get(join, "usingClause");

        walk_from(walk, sp__json_get(join, "larg"));
        walk_from(walk, sp__json_get(join, "rarg"));
        if (sp__json_get(join, "quals"))
                walk_condition(walk, sp__json_get(join, "quals"));
        for (const struct sp__json *name = using ? using->first : NULL; name; name = name->next)
                use_add(walk, SP__USE_JOIN, "", sp__json_text(sp__json_get(name, "String"), "sval"));
}

/* One item of FROM. */
static void walk_from(struct walk *walk, const struct sp__json *node)
{
        const struct sp__json *inner = sp__json_inner(node);

        if (!inner || ++walk->depth > DEPTH) {
                walk->out->failed |= inner != NULL;
                return;
        }
        if (strcmp(inner->key, "RangeVar") == 0)
                walk_table(walk, inner);
        else if (strcmp(inner->key, "JoinExpr") == 0)
                walk_join(walk, inner);
        else {
                source_add(walk, sp__json_text(sp__json_get(inner, "alias"), "aliasname"), "", "");
                walk_any(walk, node);
        }
        walk->depth--;
}

/* The expression that an item of ORDER BY means: by its place among what is selected, by its name there, or itself. */
static const struct sp__json *ordered_by(const struct sp__json *select, const struct sp__json *node)
{
        const struct sp__json *targets = sp__json_get(select, "targetList");
        const struct sp__json *number = sp__json_get(sp__json_get(node, "A_Const"), "ival");
        const char *qualifier = "", *column = "";
        long place = number ? strtol(sp__json_text(number, "ival"), NULL, 10) : 0;
        bool named = column_of(node, &qualifier, &column) && !*qualifier;

        for (const struct sp__json *target = targets ? targets->first : NULL; target; target = target->next) {
                const struct sp__json *result = sp__json_get(target, "ResTarget");

                if (--place == 0 || (named && strcmp(sp__json_text(result, "name"), column) == 0))
                        return sp__json_get(result, "val");
        }
        return node;
}

static void walk_order(struct walk *walk, const struct sp__json *select)
{
        const struct sp__json *items = sp__json_get(select, "sortClause");
        bool plain = items != NULL;
        size_t index;

        for (const struct sp__json *item = items ? items->first : NULL; item; item = item->next) {
                const struct sp__json *by = sp__json_get(item, "SortBy");
                const struct sp__json *node = bare(ordered_by(select, sp__json_get(by, "node")));
                bool down = strcmp(sp__json_text(by, "sortby_dir"), "SORTBY_DESC") == 0;
                bool usual = strcmp(sp__json_text(by, "sortby_nulls"), "SORTBY_NULLS_DEFAULT") == 0;

                if (!usual || !use_column(walk, node, down ? SP__USE_ORDER_DESC : SP__USE_ORDER, &index)) {
                        plain = false;
                        walk_any(walk, node);
                }
        }
        walk->out->levels[walk->level].orders = plain;
}

static void walk_list(struct walk *walk, const struct sp__json *list,
                      void (*each)(struct walk *, const struct sp__json *))
{
        for (const struct sp__json *node = list ? list->first : NULL; node; node = node->next)
                each(walk, node);
}

/* Members of a statement that are read in a way of their own; all others hold columns, or statements inside. */
static bool special(const char *key)
{
        static const char *const keys[] = {"fromClause", "usingClause", "whereClause", "sortClause", "relation", NULL};

        return among(key, keys);
}

static void walk_targets(struct walk *walk, const struct sp__json *statement)
{
        const struct sp__json *targets = sp__json_get(statement, "targetList");

        for (const struct sp__json *target = targets ? targets->first : NULL; target; target = target->next)
                use_add(walk, SP__USE_WRITTEN, "", sp__json_text(sp__json_get(target, "ResTarget"), "name"));
}

static void walk_statement(struct walk *walk, const struct sp__json *statement)
{
        struct sp__level *level;
        uint32_t outer;

        if (!level_begin(walk, &outer))
                return;
        level = &walk->out->levels[walk->level];
        level->limits = sp__json_get(statement, "limitCount") != NULL;
        level->groups = sp__json_get(statement, "groupClause") || sp__json_get(statement, "distinctClause") ||
                        strcmp(sp__json_text(statement, "op"), "SETOP_NONE") != 0;
        if (sp__json_get(statement, "relation")) {
                walk_table(walk, sp__json_get(statement, "relation"));
                if (!walk->out->failed)
                        walk->out->sources[walk->out->source_count - 1].written = true;
        }
        walk_list(walk, sp__json_get(statement, "fromClause"), walk_from);
        walk_list(walk, sp__json_get(statement, "usingClause"), walk_from);
        if (sp__json_get(statement, "whereClause"))
                walk_condition(walk, sp__json_get(statement, "whereClause"));
        if (strcmp(statement->key, "UpdateStmt") == 0)
                walk_targets(walk, statement);
        for (const struct sp__json *member = statement->first; member; member = member->next) {
                if (!special(member->key))
                        walk_any(walk, member);
        }
        if (sp__json_get(statement, "sortClause"))
                walk_order(walk, statement);
        walk->level = outer;
}

static bool is_statement(const char *key)
{
        static const char *const keys[] = {"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", NULL};

        return key && among(key, keys);
}

/* Columns anywhere below, and the statements inside. larg and rarg of a UNION come without a name of their own. */
static void walk_any(struct walk *walk, const struct sp__json *node)
{
        size_t index;

        if (!node || node->kind > SP__JSON_ARRAY || walk->out->failed)
                return;
        if (++walk->depth > DEPTH)
                walk->out->failed = true;
        else if (is_statement(node->key))
                walk_statement(walk, node);
        else if (node->key && (strcmp(node->key, "larg") == 0 || strcmp(node->key, "rarg") == 0) &&
                 sp__json_get(node, "op"))
                walk_statement(walk, node);
        else if (!use_column(walk, node, SP__USE_READ, &index)) {
                for (const struct sp__json *member = node->first; member; member = member->next)
                        walk_any(walk, member);
        }
        walk->depth--;
}

static enum sp__access_kind kind_of(const struct sp__json *statement)
{
        static const char *const names[] = {[SP__ACCESS_SELECT] = "SelectStmt",
                                            [SP__ACCESS_INSERT] = "InsertStmt",
                                            [SP__ACCESS_UPDATE] = "UpdateStmt",
                                            [SP__ACCESS_DELETE] = "DeleteStmt"};

        for (int kind = SP__ACCESS_SELECT; kind <= SP__ACCESS_DELETE; kind++) {
                if (strcmp(statement->key, names[kind]) == 0)
                        return (enum sp__access_kind)kind;
        }
        return SP__ACCESS_OTHER;
}

static void read_tree(struct sp__access *out)
{
        const struct sp__json *statements = sp__json_get(sp__json_root(out->tree), "stmts");
        const struct sp__json *statement = sp__json_inner(sp__json_get(statements ? statements->first : NULL, "stmt"));
        struct walk walk = {.out = out};

        if (!statement)
                return;
        out->kind = kind_of(statement);
        if (out->kind != SP__ACCESS_OTHER)
                walk_any(&walk, statement);
}

bool sp__access_read(const char *text, struct sp__access *out)
{
        struct sp__access access = {0};
        char *json = sp__sql_tree_text(text);

        access.tree = json ? sp__json_read(json, strlen(json)) : NULL;
        free(json);
        if (access.tree)
                read_tree(&access);
        if (!access.tree || access.failed) {
                sp__access_free(&access);
                return false;
        }
        *out = access;
        return true;
}

void sp__access_free(struct sp__access *access)
{
        free(access->levels);
        free(access->sources);
        free(access->uses);
        sp__json_free(access->tree);
        *access = (struct sp__access){0};
}
