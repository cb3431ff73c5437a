/* SPDX-License-Identifier: MIT */
/* What a statement changes for those behind it in its session: what names mean, and what no reset takes back. */
#include "sql/statement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
        const char *text;
        bool renames, stays;
} lasting[] = {
    {"SET search_path = a", true, false},
    {"SET LOCAL SEARCH_PATH TO a, b", true, false},
    {"SET SCHEMA 'a'", true, false},
    {"RESET search_path", true, false},
    {"RESET ALL", true, false},
    {"SET ROLE a", true, false},
    {"SET SESSION AUTHORIZATION a", true, false},
    {"SELECT set_config('search_path', $1, true)", true, false},
    {"SELECT set_config('app.tenant', $1, true), pg_catalog.set_config('Role', 'a', false)", true, false},
    {"SELECT set_config($1, $2, true)", true, false},
    {"SELECT set_config('app.search_path', $1, true)", false, false},
    {"SELECT set_config('search_paths', 'role', true)", false, false},
    {"SET statement_timeout = 1", false, false},
    {"SET TRANSACTION READ ONLY", false, false},
    {"SELECT 'search_path'", false, false},
    {"SELECT setseed(0.5)", false, true},
    {"SET LOCAL seed = 0.5", false, true},
    {"SELECT pg_replication_origin_session_setup('a')", false, true},
    {"SELECT dblink_connect('a', 'b')", false, true},
    {"LOAD 'a'", false, true},
    {"LISTEN a", false, false},
};

static void test_what_lasts_is_seen(void **state)
{
        for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
                struct sp__sql sql;

                assert_int_equal(sp__sql_parse(lasting[i].text, strlen(lasting[i].text), &sql, NULL), SP_OK);
                if (sql.renames != lasting[i].renames || sql.stays != lasting[i].stays)
                        fail_msg("%s: renames %d, stays %d", lasting[i].text, sql.renames, sql.stays);
                sp__sql_free(&sql);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_lasts_is_seen)};

        return cmocka_run_group_tests_name("lasting", tests, NULL, NULL);
}
