/* SPDX-License-Identifier: MIT */
/* Rules from anywhere are taken or refused with one line; what is taken can be worked out for any row. */
#include "fuzz.h"

#include "core/error.h"
#include "invalidate/rules.h"

#include <stdlib.h>
#include <string.h>

#define SEED(text)                                                                                                     \
        {                                                                                                              \
                text, sizeof text - 1                                                                                  \
        }

const char fuzz_name[] = "rules";

const struct fuzz_seed fuzz_seeds[] = {
    SEED("contents(id) when title, status, tags -> rec:content:{id}:full, tag rec:recommendations"),
    SEED("user_interactions(user_id, content_id) on insert, delete\n\xe2\x86\x92 rec:recommendations:{user_id}:*,\n"
         "rec:content:{content_id}:full # both"),
    SEED("\"my schema\".\"my table\"(\"a b\", c) -> tag \"x, {c}\", all"),
    SEED("t -> all\nu() on update -> rec:recommendations:*"),
    SEED("tokens(token) -> auth:token:{token!}:valid"),
    {NULL, 0},
};

static void declare(sp_cache *cache, const char *text, const char *pattern)
{
        sp_template *tmpl = NULL;

        if (sp_template_new(text, NULL, &tmpl, NULL) != SP_OK || sp_template_pattern(tmpl, pattern, NULL) != SP_OK ||
            sp_cache_declare(cache, tmpl, NULL) != SP_OK)
                abort();
        sp_template_unref(tmpl);
}

static sp_cache *a_cache(void)
{
        static sp_cache *cache;

        if (cache)
                return cache;
        if (sp_cache_new(NULL, &cache, NULL) != SP_OK)
                abort();
        declare(cache, "rec:content:{contentId}:full", "rec:content:*");
        declare(cache, "rec:recommendations:{userId}:{limit}", "rec:recommendations:{userId}:*");
        declare(cache, "auth:token:{token!}:valid", "auth:token:*");
        return cache;
}

/* Every kind of change, its cells in every state in turn. */
static void reach_all(const sp_rules *rules)
{
        static const struct sp__cell cells[] = {{SP__CELL_TEXT, "a:*", 3},
                                                {SP__CELL_NULL, NULL, 0},
                                                {SP__CELL_UNKNOWN, NULL, 0},
                                                {SP__CELL_SAME, NULL, 0},
                                                {SP__CELL_ASSUMED, NULL, 0}};
        sp_params *params = sp_params_new();
        struct sp__row_cells row;

        for (size_t i = 0; i < rules->table_count * 20; i++) {
                const struct sp__ruled *table = rules->tables[i / 20];
                struct sp__aims aims = {0};
                struct sp__reach reach = {.aim = sp__reach_add, .arg = &aims, .params = params};
                struct sp__change change = {table, SP_ROW_INSERT + (int)(i % 4), row.now, row.was};

                for (size_t k = 0; k < table->column_count; k++) {
                        row.now[k] = cells[(i + k) % 5];
                        row.was[k] = cells[(i / 4 + 2 * k) % 5];
                }
                if (!sp__reach_change(&reach, &change))
                        abort();
                sp__aims_free(&aims);
        }
        sp_params_free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        sp_error *error = NULL;
        sp_rules *rules = NULL;
        sp_status status;

        if (sp_rules_new(a_cache(), &rules, NULL) != SP_OK)
                abort();
        status = sp_rules_add(rules, "fuzz", data, size, &error);
        if ((status == SP_OK) != (error == NULL) || (status != SP_OK && status != SP_INVALID && status != SP_LIMIT))
                abort();
        if (error && (strncmp(sp_error_message(error), "fuzz:", 5) != 0 || strchr(sp_error_message(error), '\n')))
                abort();
        reach_all(rules);
        sp_error_free(error);
        sp_rules_unref(rules);
        return 0;
}
