/* SPDX-License-Identifier: MIT */
/* The read that finds the rows of a write, and writes nothing. */
#include "sql/reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct {
        const char *text, *reading; /* NULL: there is none */
} cases[] = {
    {"DELETE FROM t WHERE a = $1", "SELECT * FROM t WHERE a = $1"},
    {"DELETE FROM ONLY s.t AS x USING u, v WHERE x.a = u.a RETURNING x.b;",
     "SELECT * FROM ONLY s.t AS x, u, v WHERE x.a = u.a"},
    {"DELETE FROM t USING u JOIN v USING (a) WHERE t.a = u.a", "SELECT * FROM t, u JOIN v USING (a) WHERE t.a = u.a"},
    {"DELETE FROM t WHERE a IN (SELECT a FROM u WHERE b) ", "SELECT * FROM t WHERE a IN (SELECT a FROM u WHERE b)"},
    {"DELETE FROM t WHERE EXISTS (SELECT FROM u JOIN v USING (a))",
     "SELECT * FROM t WHERE EXISTS (SELECT FROM u JOIN v USING (a))"},
    {"UPDATE jobs SET state = $1, at = now() WHERE queue = $2 RETURNING id", "SELECT * FROM jobs WHERE queue = $2"},
    {"update t x set a = b is distinct from c from u where x.a = u.a", "SELECT * FROM t x, u where x.a = u.a"},
    {"UPDATE t SET a = (SELECT b FROM u WHERE c) WHERE d", "SELECT * FROM t WHERE d"},
    {"UPDATE t SET a = extract(day FROM b) WHERE d", "SELECT * FROM t WHERE d"},
    {"DELETE FROM t", NULL},
    {"UPDATE t SET a = (SELECT b FROM u WHERE c)", NULL},
    {"INSERT INTO t SELECT * FROM u WHERE a = $1", NULL},
    {"WITH x AS (SELECT 1) DELETE FROM t WHERE a = $1", NULL},
    {"SELECT a FROM t WHERE b FOR UPDATE", NULL},
    {"DELETE", NULL},
    {"UPDATE", NULL},
    {"", NULL},
    {"DELETE FROM t WHERE 'unfinished", NULL},
};

static void test_a_write_s_rows_are_found_by_a_read(void **state)
{
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct sp__buf out = SP__BUF_INIT;
                bool written = sp__sql_reading(cases[i].text, &out);

                sp__buf_char(&out, 0);
                if (written != (cases[i].reading != NULL) || (written && strcmp(out.data, cases[i].reading) != 0))
                        fail_msg("%s\n%d: %s", cases[i].text, written, out.data);
                sp__buf_free(&out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_write_s_rows_are_found_by_a_read)};

        return cmocka_run_group_tests_name("reading", tests, NULL, NULL);
}
