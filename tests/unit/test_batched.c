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

#define LATERAL(one)                                                                                                   \
        "SELECT \"batch\".\"k1\", \"one\".* FROM unnest($1::\"type\"[]) AS \"batch\" (\"k1\"), LATERAL (" one          \
        ") AS \"one\""

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
    {"SELECT count(*) FROM t WHERE b = $1;", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT count(*) FROM t WHERE b = \"batch\".\"k1\"")},
    /* As mappers write it. */
    {"SELECT b FROM t WHERE a IN ($1)", 1, SP__BATCHED_TEXT, "SELECT a, b FROM t WHERE a = ANY($1)"},
    {"SELECT b FROM t WHERE t.a IN ($1::int) AND c ORDER BY b", 1, SP__BATCHED_TEXT,
     "SELECT t.a, b FROM t WHERE t.a = ANY($1::int[]) AND c ORDER BY b"},
    {"SELECT b FROM t WHERE a NOT IN ($1)", 1, SP__BATCHED_NONE, ""},
    {"SELECT b FROM t WHERE a IN ($1, $2)", 3, SP__BATCHED_NONE, ""},
    {"SELECT b FROM t WHERE a = ANY(ARRAY[$1])", 1, SP__BATCHED_NONE, ""},
    {"SELECT b FROM t WHERE a = CAST($1 AS int)", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE a = CAST(\"batch\".\"k1\" AS int)")},
    {"SELECT b FROM t WHERE lower(a) = lower($1)", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE lower(a) = lower(\"batch\".\"k1\")")},
    {"SELECT b FROM t WHERE a = date_trunc('day', $1)", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE a = date_trunc(?, \"batch\".\"k1\")")},
    {"SELECT b FROM t WHERE a ->> 'x' = $1", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE a ->> ? = \"batch\".\"k1\"")},
    {"SELECT b FROM t WHERE a = 'x' || $1", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE a = ? || \"batch\".\"k1\"")},
    {"SELECT b FROM t WHERE a = $1 + 1", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE a = \"batch\".\"k1\" + ?")},
    {"SELECT b FROM t WHERE a = $1::numeric(10, 2)", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE a = \"batch\".\"k1\"::numeric(?, ?)")},
    {"SELECT b FROM t WHERE a = $1::character varying", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE a = \"batch\".\"k1\"::character varying")},
    {"SELECT b FROM t WHERE a IS NOT DISTINCT FROM $1", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE a IS NOT DISTINCT FROM \"batch\".\"k1\"")},
    {"SELECT b FROM t WHERE (a, c) = (7, $1)", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE (a, c) = (?, \"batch\".\"k1\")")},
    {"WITH x AS (SELECT b FROM t WHERE a = $1) SELECT * FROM x", 1, SP__BATCHED_TEXT,
     LATERAL("WITH x AS (SELECT b FROM t WHERE a = \"batch\".\"k1\") SELECT * FROM x")},
    {"WITH x AS (DELETE FROM t WHERE a = $1 RETURNING b) SELECT * FROM x", 1, SP__BATCHED_SETS, ""},
    /* Any of the values is not the same as each of them. */
    {"SELECT b FROM t WHERE NOT a = $1", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT b FROM t WHERE NOT a = \"batch\".\"k1\"")},
    {"SELECT t.b FROM t LEFT JOIN u ON u.a = t.a AND u.c = $1 WHERE t.d", 1, SP__BATCHED_TEXT,
     LATERAL("SELECT t.b FROM t LEFT JOIN u ON u.a = t.a AND u.c = \"batch\".\"k1\" WHERE t.d")},
    /* Many sets of parameters. */
    {"INSERT INTO t VALUES ($1, $2)", 3, SP__BATCHED_SETS, ""},
    {"UPDATE contents SET engagement_score = $1 WHERE id = $2", 3, SP__BATCHED_SETS, ""},
    {"UPDATE t SET a = a + $1 WHERE id = $2", 3, SP__BATCHED_SETS, ""},
    {"UPDATE t SET a = b WHERE id > $1 AND id < $2", 3, SP__BATCHED_NONE, ""},
    {"UPDATE contents SET engagement_score = $1 WHERE id = $2", 2, SP__BATCHED_SETS, ""},
    /* Pages: each asks for what follows the one before. */
    {"SELECT * FROM t WHERE id > $1 ORDER BY id LIMIT 100", 1, SP__BATCHED_NONE, ""},
    {"SELECT * FROM t ORDER BY id LIMIT $1 OFFSET $2", 2, SP__BATCHED_NONE, ""},
    {"SELECT * FROM t WHERE (a, id) < ($1, $2) ORDER BY a DESC, id DESC LIMIT 10", 3, SP__BATCHED_NONE, ""},
    {"SELECT * FROM t WHERE a = 3 AND id BETWEEN $1 AND $2 AND c = 4", 3, SP__BATCHED_NONE, ""},
    {"SELECT * FROM t WHERE a @> $1 AND b = 3", 1, SP__BATCHED_NONE, ""},
    {"SELECT * FROM t WHERE f(a, 3) = 3 LIMIT $1", 1, SP__BATCHED_NONE, ""},
    {"SELECT a FROM t WHERE b = ANY($1)", 1, SP__BATCHED_NONE, ""},
    {"SELECT a FROM t WHERE b = $1", 0, SP__BATCHED_NONE, ""},
    {"SELECT 'unfinished", 1, SP__BATCHED_NONE, ""},
    {"", 1, SP__BATCHED_NONE, ""},
};

/* Values in the text. */
static const struct {
        const char *text, *other;
        enum sp__batched batched;
        const char *instead;
} united[] = {
    {"SELECT b FROM t WHERE a = 7 AND c = 'secret'", "SELECT b FROM t WHERE a = 8 /* x */ AND c = 'secret'",
     SP__BATCHED_TEXT, "SELECT a, b FROM t WHERE a = ANY($1) AND c = ?"},
    {"SELECT b FROM t WHERE a = 'x' AND c > $1", "SELECT b FROM t WHERE a = 'y' AND c > $1", SP__BATCHED_TEXT,
     "SELECT a, b FROM t WHERE a = ANY($2) AND c > $1"},
    {"SELECT b FROM t WHERE a = 7", "SELECT b FROM t WHERE a = $1", SP__BATCHED_TEXT,
     "SELECT a, b FROM t WHERE a = ANY($1)"},
    {"SELECT b FROM t WHERE a = $1", "SELECT b FROM t WHERE a = 7", SP__BATCHED_TEXT,
     "SELECT a, b FROM t WHERE a = ANY($1)"},
    {"INSERT INTO t VALUES (1, 'secret')", "INSERT INTO t VALUES (2, 'secret')", SP__BATCHED_SETS, ""},
    {"SELECT b FROM t WHERE a > 7 ORDER BY a LIMIT 5", "SELECT b FROM t WHERE a > 9 ORDER BY a LIMIT 5",
     SP__BATCHED_NONE, ""},
    {"SELECT b FROM t ORDER BY a LIMIT 5 OFFSET 5", "SELECT b FROM t ORDER BY a LIMIT 5 OFFSET 10", SP__BATCHED_NONE,
     ""},
    {"SELECT b FROM t WHERE a IN (1, 2)", "SELECT b FROM t WHERE a IN (1, 2, 3)", SP__BATCHED_NONE, ""},
    {"SELECT b FROM t WHERE a = 7", "SELECT b FROM t WHERE a = 7", SP__BATCHED_NONE, ""},
    {"SELECT b FROM t WHERE a = 7", "SELECT 'unfinished", SP__BATCHED_NONE, ""},
};

static void expect(const char *text, const char *other, uint32_t varies, enum sp__batched batched, const char *instead)
{
        struct sp__buf out = SP__BUF_INIT;
        enum sp__batched got = sp__sql_batched(text, other, varies, &out);

        sp__buf_char(&out, 0);
        if (got != batched || strcmp(out.data, instead) != 0)
                fail_msg("%s\n%d: %s", text, got, out.data);
        sp__buf_free(&out);
}

static void test_each_statement_has_its_cure(void **state)
{
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                expect(cases[i].text, NULL, cases[i].varies, cases[i].batched, cases[i].instead);
}

static void test_statements_that_differ_in_literals_have_one_cure(void **state)
{
        for (size_t i = 0; i < sizeof united / sizeof *united; i++)
                expect(united[i].text, united[i].other, 0, united[i].batched, united[i].instead);
        /* Written otherwise besides. */
        expect("SELECT b FROM t WHERE a = $1", "SELECT t.b FROM t WHERE t.a = 7", 1, SP__BATCHED_TEXT,
               "SELECT a, b FROM t WHERE a = ANY($1)");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_statement_has_its_cure),
                                           cmocka_unit_test(test_statements_that_differ_in_literals_have_one_cure)};

        return cmocka_run_group_tests_name("batched", tests, NULL, NULL);
}
