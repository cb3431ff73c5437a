/* SPDX-License-Identifier: MIT */
#include "profile/plan.h"

#include "base/hash.h"
#include "base/json.h"
#include "core/error.h"
#include "pg/stmt.h"
#include "sql/bounded.h"

#include <string.h>

enum { SHAPE_MAX = 2000 };

/* "12.34", which is all that EXPLAIN writes; strtod() would want the point of the program's locale. */
static double number(const char *text)
{
        double value = 0, digit = 1;

        for (; *text >= '0' && *text <= '9'; text++)
                value = value * 10 + (*text - '0');
        if (*text == '.') {
                for (text++; *text >= '0' && *text <= '9'; text++)
                        value += (digit /= 10) * (*text - '0');
        }
        return value;
}

static void write_node(struct sp__plan *plan, const struct sp__json *node)
{
        const struct sp__json *below = sp__json_get(node, "Plans");
        const char *relation = sp__json_text(node, "Relation Name"), *index = sp__json_text(node, "Index Name");
        bool several = below && below->first && below->first->next;

        if (plan->shape.len < SHAPE_MAX) {
                sp__buf_text(&plan->shape, sp__json_text(node, "Node Type"));
                if (*relation)
                        sp__buf_format(&plan->shape, " on %s", relation);
                if (*index)
                        sp__buf_format(&plan->shape, " using %s", index);
                if (below && below->first)
                        sp__buf_text(&plan->shape, several ? " (" : " > ");
        }
        if (*index)
                sp__buf_add(&plan->indexes, index, strlen(index) + 1);
        for (const struct sp__json *child = below ? below->first : NULL; child; child = child->next) {
                if (child != below->first && plan->shape.len < SHAPE_MAX)
                        sp__buf_text(&plan->shape, ", ");
                write_node(plan, child);
        }
        if (several && plan->shape.len < SHAPE_MAX)
                sp__buf_char(&plan->shape, ')');
}

bool sp__plan_read(const char *json, size_t len, struct sp__plan *out)
{
        struct sp__json_tree *tree = sp__json_read(json, len);
        const struct sp__json *root = tree ? sp__json_root(tree) : NULL;
        const struct sp__json *node =
            root && root->kind == SP__JSON_ARRAY ? sp__json_get(root->first, "Plan") : sp__json_get(root, "Plan");
        struct sp__plan plan = {0};
        bool read = node != NULL;

        if (read) {
                plan.cost = number(sp__json_text(node, "Total Cost"));
                plan.rows = number(sp__json_text(node, "Plan Rows"));
                write_node(&plan, node);
                plan.digest = sp__hash(plan.shape.data, plan.shape.len, 0);
                sp__buf_char(&plan.shape, 0);
                read = !plan.shape.failed && !plan.indexes.failed;
        }
        sp__json_free(tree);
        if (read)
                *out = plan;
        else
                sp__plan_free(&plan);
        return read;
}

void sp__plan_free(struct sp__plan *plan)
{
        sp__buf_free(&plan->shape);
        sp__buf_free(&plan->indexes);
}

bool sp__plan_uses(const struct sp__plan *plan, const char *index)
{
        for (size_t at = 0; at < plan->indexes.len; at += strlen(plan->indexes.data + at) + 1) {
                if (strcmp(plan->indexes.data + at, index) == 0)
                        return true;
        }
        return false;
}

sp_status sp__plan_begin(struct sp__side *side, sp_error **error)
{
        return sp__side_run(side, "explain", "SET plan_cache_mode = force_generic_plan", error);
}

sp_status sp__plan_prepare(struct sp__side *side, unsigned number, const sp_stmt *stmt, const char *text, int64_t limit,
                           int *params, sp_error **error)
{
        struct sp__buf prepare = SP__BUF_INIT, bounded = SP__BUF_INIT;
        int count = sp__sql_bounded(text, limit, &bounded);
        sp_status status;

        sp__buf_format(&prepare, "PREPARE sp_plan_%u AS %s", number, count < 0 ? "" : bounded.data);
        sp__buf_char(&prepare, 0);
        if (count < 0 || prepare.failed)
                status = sp__fail(error, SP_NOMEM, "out of memory");
        else
                status = sp__side_run(side, stmt->name, prepare.data, error);
        sp__buf_free(&bounded);
        sp__buf_free(&prepare);
        if (status == SP_OK)
                *params = count;
        return status;
}

static sp_status explain(struct sp__side *side, unsigned number, const char *name, int params, sp_result **out,
                         sp_error **error)
{
        struct sp__buf text = SP__BUF_INIT;
        sp_status status;

        sp__buf_format(&text, "EXPLAIN (FORMAT JSON) EXECUTE sp_plan_%u", number);
        for (int i = 0; i < params; i++)
                sp__buf_text(&text, i ? ", NULL" : "(NULL");
        if (params)
                sp__buf_char(&text, ')');
        sp__buf_char(&text, 0);
        status = text.failed ? sp__fail(error, SP_NOMEM, "out of memory")
                             : sp__side_ask(side, name, text.data, NULL, out, error);
        sp__buf_free(&text);
        return status;
}

sp_status sp__plan_explain(struct sp__side *side, unsigned number, const sp_stmt *stmt, int params,
                           struct sp__plan *out, sp_error **error)
{
        sp_result *result = NULL;
        /* What was planned before does not know of what was made since. */
        sp_status status = sp__side_run(side, stmt->name, "DISCARD PLANS", error);
        size_t len = 0;
        const char *json;

        if (status == SP_OK)
                status = explain(side, number, stmt->name, params, &result, error);
        if (status != SP_OK)
                return status;
        json = sp_result_get(result, 0, 0, &len);
        if (!json || !sp__plan_read(json, len, out))
                status = sp__fail(error, SP_PROTOCOL, "the plan of \"%s\" is none", stmt->name);
        sp_result_free(result);
        return status;
}
