/* SPDX-License-Identifier: MIT */
#include "profile/side.h"

#include "core/error.h"
#include "pg/stmt.h"

#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sugarperf/result.h>

sp_status sp__side_open(sp_pool *pool, sp_ctx *ctx, struct sp__side *out, sp_error **error)
{
        struct sp__side side = {.ctx = ctx};
        sp_status status = sp_pool_acquire(pool, ctx, &side.session, error);

        if (status == SP_OK)
                *out = side;
        return status;
}

void sp__side_close(struct sp__side *side)
{
        sp_session_release(side->session);
        side->session = NULL;
}

/* The connection's statement timeout has another name here than the pool knows it by. */
static sp_status give(const char *name, sp_status status, sp_error *failed, sp_error **error)
{
        const char *code = sp_error_code(failed);

        if (status == SP_TIMEOUT && code && strcmp(code, "57014") == 0) {
                sp_error *told = sp__error_new(status, code,
                                               "\"%s\": the profiler's question took longer than "
                                               "profiler.explain_timeout",
                                               name);

                sp_error_free(failed);
                failed = told;
        }
        sp__error_give(error, failed);
        return status;
}

static sp_status ask(struct sp__side *side, const sp_stmt *stmt, const sp_params *params, sp_result **out,
                     sp_error **error)
{
        sp_error *failed = NULL;
        sp_status status = sp_session_query(side->session, side->ctx, stmt, params, out, &failed);

        return status == SP_OK ? status : give(sp_stmt_name(stmt), status, failed, error);
}

sp_status sp__side_ask(struct sp__side *side, const char *name, const char *text, const char *array, sp_result **out,
                       sp_error **error)
{
        sp_stmt *stmt = sp__stmt_own(name, text);
        sp_params *params = array ? sp_params_new() : NULL;
        sp_status status = SP_NOMEM;

        /* PREPARE and SET are among them: the session is not given on as it is. */
        if (stmt)
                stmt->sql.dirties = true;
        if (stmt && (!array || (params && sp_params_add_text(params, array, strlen(array)) == SP_OK)))
                status = ask(side, stmt, params, out, error);
        else
                sp__fail(error, status, "out of memory");
        sp_params_free(params);
        sp_stmt_unref(stmt);
        return status;
}

sp_status sp__side_run(struct sp__side *side, const char *name, const char *text, sp_error **error)
{
        sp_result *result = NULL;
        sp_status status = sp__side_ask(side, name, text, NULL, &result, error);

        sp_result_free(result);
        return status;
}

const char *sp__side_text(const sp_result *result, size_t row, size_t column)
{
        size_t len;
        const char *text = sp_result_get(result, row, column, &len);

        return text ? text : "";
}

double sp__side_number(const sp_result *result, size_t row, size_t column)
{
        double value = 0;

        /* PostgreSQL's point is one in every locale. */
        sp_result_double(result, row, column, &value, NULL);
        return value;
}

bool sp__side_bool(const sp_result *result, size_t row, size_t column)
{
        return strcmp(sp__side_text(result, row, column), "t") == 0;
}

sp_status sp__side_extension(struct sp__side *side, const char *what, const char *name, struct sp__extension *out,
                             sp_error **error)
{
        static const char text[] =
            "SELECT current_setting('server_version_num')::float8,"
            " (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = $1),"
            " EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)";
        sp_result *result = NULL;
        sp_status status = sp__side_ask(side, what, text, name, &result, error);

        if (status != SP_OK)
                return status;
        out->version = sp__side_number(result, 0, 0);
        snprintf(out->schema, sizeof out->schema, "%s", sp__side_text(result, 0, 1));
        out->there = sp__side_bool(result, 0, 2);
        sp_result_free(result);
        return SP_OK;
}
