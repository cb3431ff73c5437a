/* SPDX-License-Identifier: MIT */
/* The statement that stands for many: it asks the same, tells which value a row belongs to, and holds no literal. */
#include "sql/batched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct {
        const char *text;
        uint32_t varies;
        enum sp__batched batched;
        const char *instead;
} cases[] = {
    /* The naive service's. */
    {"SELECT name FROM content_tags JOIN content_tag_links ON tag_id = content_tags.id WHERE content_id = $1 ORDER BY "
     "name",
     1, SP__BATCHED_TEXT,
     "SELECT content_id, name FROM content_tags JOIN content_tag_links ON tag_id = content_tags.id WHERE content_id = "
     "ANY($1) ORDER BY name"},
    {"SELECT id, title FROM contents WHERE id = $1", 1, SP__BATCHED_TEXT,
     "SELECT id, title FROM contents WHERE id = ANY($1)"},
    {"SELECT * FROM t WHERE a = $1 AND b = 'secret' -- secret\n;", 1, SP__BATCHED_TEXT,
     "SELECT * FROM t WHERE a = ANY($1) AND b = ?"},
    {"select t.* from t where t.a = $2 and t.b > $1", 2, SP__BATCHED_TEXT,
     "select t.* from t where t.a = ANY($2) and t.b > $1"},
    {"SELECT b FROM t WHERE $1 = a", 1, SP__BATCHED_TEXT, "SELECT a, b FROM t WHERE a = ANY($1)"},
    {"SELECT b FROM t WHERE a = $1::text AND c", 1, SP__BATCHED_TEXT,
     "SELECT a, b FROM t WHERE a = ANY($1::text[]) AND c"},
    {"SELECT a AS b, c FROM t WHERE a = $1", 1, SP__BATCHED_TEXT, "SELECT a, a AS b, c FROM t WHERE a = ANY($1)"},
    {"DELETE FROM t WHERE a = $1", 1, SP__BATCHED_TEXT, "DELETE FROM t WHERE a = ANY($1)"},
    /* What belongs to one value must be cut or counted for itself. */
    {"SELECT a FROM t WHERE b = $1 ORDER BY a LIMIT $2", 1, SP__BATCHED_TEXT,
     "SELECT \"batch\".\"k1\", \"one\".* FROM unnest($1::\"type\"[]) AS \"batch\" (\"k1\"), LATERAL (SELECT a FROM t "
     "WHERE b = \"batch\".\"k1\" ORDER BY a LIMIT $2) AS \"one\""},
    {"SELECT count(*) FROM t WHERE b = $1", 1, SP__BATCHED_TEXT,
     "SELECT \"batch\".\"k1\", \"one\".* FROM unnest($1::\"type\"[]) AS \"batch\" (\"k1\"), LATERAL (SELECT count(*) "
     "FROM t WHERE b = \"batch\".\"k1\") AS \"one\""},
    {"SELECT a FROM t WHERE b = $1 AND c = $2", 3, SP__BATCHED_TEXT,
     "SELECT \"batch\".\"k1\", \"batch\".\"k2\", \"one\".* FROM unnest($1::\"type\"[], $2::\"type\"[]) AS \"batch\" "
     "(\"k1\", \"k2\"), LATERAL (SELECT a FROM t WHERE b = \"batch\".\"k1\" AND c = \"batch\".\"k2\") AS \"one\""},
    {"SELECT a FROM t WHERE b = $1 OR c = $1", 1, SP__BATCHED_TEXT,
     "SELECT \"batch\".\"k1\", \"one\".* FROM unnest($1::\"type\"[]) AS \"batch\" (\"k1\"), LATERAL (SELECT a FROM t "
     "WHERE b = \"batch\".\"k1\" OR c = \"batch\".\"k1\") AS \"one\""},
    /* Many sets of parameters. */
    {"INSERT INTO t VALUES ($1, $2)", 3, SP__BATCHED_SETS, ""},
    {"UPDATE contents SET engagement_score = $1 WHERE id = $2", 3, SP__BATCHED_SETS, ""},
    {"UPDATE t SET a = a + $1 WHERE id = $2", 3, SP__BATCHED_SETS, ""},
    {"UPDATE t SET a = b WHERE id > $1 AND id < $2", 3, SP__BATCHED_NONE, ""},
    {"UPDATE contents SET engagement_score = $1 WHERE id = $2", 2, SP__BATCHED_SETS, ""},
    /* Pages: each asks for what follows the one before. */
    {"SELECT * FROM t WHERE id > $1 ORDER BY id LIMIT 100", 1, SP__BATCHED_NONE, ""},
    {"SELECT * FROM t ORDER BY id LIMIT $1 OFFSET $2", 2, SP__BATCHED_NONE, ""},
    {"SELECT a FROM t WHERE b = ANY($1)", 1, SP__BATCHED_NONE, ""},
    {"SELECT a FROM t WHERE b = $1", 0, SP__BATCHED_NONE, ""},
    {"SELECT 'unfinished", 1, SP__BATCHED_NONE, ""},
    {"", 1, SP__BATCHED_NONE, ""},
};

static void test_each_statement_has_its_cure(void **state)
{
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct sp__buf out = SP__BUF_INIT;
                enum sp__batched batched = sp__sql_batched(cases[i].text, cases[i].varies, &out);

                sp__buf_char(&out, 0);
                if (batched != cases[i].batched || strcmp(out.data, cases[i].instead) != 0)
                        fail_msg("%s\n%d: %s", cases[i].text, batched, out.data);
                sp__buf_free(&out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_statement_has_its_cure)};

        return cmocka_run_group_tests_name("batched", tests, NULL, NULL);
}
