/* SPDX-License-Identifier: MIT */
#include "profile/hypothesis.h"

#include "core/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

sp_status sp__hypothesize(struct sp__hypopg *hypopg, const struct sp__candidate *candidate, struct sp__advised *out,
                          sp_error **error)
{
        struct sp__buf ddl = SP__BUF_INIT, text = SP__BUF_INIT;
        sp_result *result = NULL;
        sp_status status;

        sp__candidate_write(candidate, false, &ddl);
        sp__buf_char(&ddl, 0);
        sp__buf_text(&text, "SELECT indexrelid::int8::float8, indexname FROM ");
        sp__buf_identifier(&text, hypopg->schema);
        sp__buf_text(&text, ".hypopg_create_index($1)");
        sp__buf_char(&text, 0);
        status = ddl.failed || text.failed
                     ? sp__fail(error, SP_NOMEM, "out of memory")
                     : sp__side_ask(hypopg->side, "hypothetical index", text.data, ddl.data, &result, error);
        if (status == SP_OK) {
                out->candidate = candidate;
                out->oid = (uint32_t)sp__side_number(result, 0, 0);
                snprintf(out->name, sizeof out->name, "%s", sp__side_text(result, 0, 1));
        }
        sp_result_free(result);
        sp__buf_free(&ddl);
        sp__buf_free(&text);
        return status;
}

/* `function`: "hypopg_reset()", "hypopg_drop_index(13)". */
static sp_status call(struct sp__hypopg *hypopg, const char *function, sp_result **out, sp_error **error)
{
        struct sp__buf text = SP__BUF_INIT;
        sp_result *result = NULL;
        sp_status status;

        sp__buf_text(&text, "SELECT ");
        sp__buf_identifier(&text, hypopg->schema);
        sp__buf_format(&text, ".%s", function);
        sp__buf_char(&text, 0);
        status = text.failed ? sp__fail(error, SP_NOMEM, "out of memory")
                             : sp__side_ask(hypopg->side, "hypothetical index", text.data, NULL, &result, error);
        sp__buf_free(&text);
        if (out && status == SP_OK)
                *out = result;
        else
                sp_result_free(result);
        return status;
}

sp_status sp__hypothesis_end(struct sp__hypopg *hypopg, struct sp__advised *advised, sp_error **error)
{
        char function[64];

        snprintf(function, sizeof function, "hypopg_drop_index(%" PRIu32 ")", advised->oid);
        advised->oid = 0;
        return call(hypopg, function, NULL, error);
}

/* A hypothetical index that holds what a real one does; 0 keys: it cannot be one. */
static struct sp__candidate twin_of(const struct sp__table *table, const struct sp__index *index)
{
        struct sp__candidate twin = {.table = table, .where = SP__USE_READ};

        if (index->whole && index->valid && strcmp(index->access, "btree") == 0 && index->count <= SP__KEYS)
                twin.count = index->count;
        memcpy(twin.keys, index->keys, sizeof twin.keys);
        return twin;
}

sp_status sp__hypopg_end(struct sp__hypopg *hypopg, sp_error **error)
{
        return call(hypopg, "hypopg_reset()", NULL, error);
}

sp_status sp__hypopg_reset(struct sp__hypopg *hypopg, const struct sp__catalog *catalog, sp_error **error)
{
        sp_status status = sp__hypopg_end(hypopg, error);

        for (size_t i = 0; i < catalog->count && status == SP_OK; i++) {
                const struct sp__table *table = &catalog->tables[i];

                for (size_t j = 0; j < table->index_count && status == SP_OK; j++) {
                        struct sp__candidate twin = twin_of(table, &table->indexes[j]);
                        struct sp__advised stands;

                        if (twin.count)
                                status = sp__hypothesize(hypopg, &twin, &stands, error);
                }
        }
        return status;
}

sp_status sp__hypothesis_bytes(struct sp__hypopg *hypopg, const struct sp__advised *advised, double *out,
                               sp_error **error)
{
        sp_result *result = NULL;
        char function[80];
        sp_status status;

        snprintf(function, sizeof function, "hypopg_relation_size(%" PRIu32 ")::float8", advised->oid);
        status = call(hypopg, function, &result, error);
        if (status == SP_OK)
                *out = sp__side_number(result, 0, 0);
        sp_result_free(result);
        return status;
}
