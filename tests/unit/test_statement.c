/* SPDX-License-Identifier: MIT */
/* A statement's text tells how it may be run; no literal of it, and no secret, reaches text, fingerprint or error. */
#include "base/buf.h"
#include "base/random.h"
#include "sql/statement.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { R = SP__SQL_READ, W = SP__SQL_WRITE, S = SP__SQL_SESSION, C = SP__SQL_COPY, TX = 16, D = 32, F = 64 };

static const struct {
        const char *text;
        unsigned expected;
} kinds[] = {
    {"SELECT 1", R},
    {"  select * from t where a = $1;  -- done", R},
    {"VALUES (1, 'a'), (2, 'b')", R},
    {"TABLE contents", R},
    {"WITH x AS (SELECT 1) SELECT * FROM x", R},
    {"SELECT 1 UNION SELECT 2", R},
    {"SHOW search_path", R},
    {"EXPLAIN DELETE FROM t", R},
    {"EXPLAIN (ANALYZE false) DELETE FROM t", R},
    {"EXPLAIN (ANALYZE off, VERBOSE) UPDATE t SET a = 1", R},
    {"EXPLAIN (ANALYZE 0) UPDATE t SET a = 1", R},
    {"EXPLAIN ANALYZE SELECT 1", R},
    {"EXPLAIN CREATE TEMP TABLE x AS SELECT 1", R},
    {"SELECT pg_advisory_xact_lock(1)", R},
    {"SELECT 'INSERT INTO t; FOR UPDATE; {\"InsertStmt\":{\"lockingClause\":[]}}'", R},
    {"SELECT \"set_config\" FROM t", R},
    {"SELECT '\",\"lockingClause\":[{' || 'x\\'", R},
    {"SELECT a AS \"pg_advisory_lock(1)\" FROM \"InsertStmt\"", R},
    {"INSERT INTO t VALUES (1)", W},
    {"UPDATE t SET a = 1", W},
    {"DELETE FROM t", W},
    {"MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", W},
    {"SELECT * FROM t FOR UPDATE", W},
    {"SELECT * FROM (SELECT * FROM t FOR KEY SHARE) s", W},
    {"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", W},
    {"WITH x AS (UPDATE t SET a = 1 RETURNING a) SELECT a FROM t WHERE a IN (SELECT a FROM x)", W},
    {"SELECT * INTO copy FROM t", W},
    {"CREATE TABLE x AS SELECT 1", W},
    {"CREATE TABLE x (a int)", W},
    {"CREATE INDEX CONCURRENTLY i ON t (a)", W},
    {"DROP TABLE x", W},
    {"TRUNCATE t", W},
    {"ALTER TABLE t ADD COLUMN b int", W},
    {"VACUUM t", W},
    {"REFRESH MATERIALIZED VIEW v", W},
    {"NOTIFY c, 'payload'", W},
    {"GRANT SELECT ON t TO u", W},
    {"CALL p(1)", W},
    {"DO $$ BEGIN PERFORM 1; END $$", W},
    {"EXPLAIN ANALYZE DELETE FROM t", W},
    {"EXPLAIN (ANALYZE) INSERT INTO t VALUES (1)", W},
    {"EXPLAIN (ANALYZE true, VERBOSE) INSERT INTO t VALUES (1)", W},
    {"SELECT nextval('s')", W},
    {"SELECT pg_notify('c', 'x')", W},
    {"SELECT pg_catalog.setval('s', 1)", W},
    {"ALTER SYSTEM SET work_mem = '1MB'", W},
    {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", W},
    {"BEGIN", S | TX},
    {"START TRANSACTION ISOLATION LEVEL SERIALIZABLE", S | TX},
    {"COMMIT", S | TX},
    {"END", S | TX},
    {"ROLLBACK", S | TX},
    {"ABORT", S | TX},
    {"SAVEPOINT a", S | TX},
    {"RELEASE a", S | TX},
    {"ROLLBACK TO SAVEPOINT a", S | TX},
    {"PREPARE TRANSACTION 'x'", S | TX},
    {"COMMIT PREPARED 'x'", S | TX},
    {"SET TRANSACTION READ ONLY", S | TX},
    {"SET CONSTRAINTS ALL DEFERRED", S},
    {"SET LOCAL work_mem = '1MB'", S},
    {"SET work_mem = '1MB'", S | D},
    {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", S | D},
    {"SET ROLE admin", S | D},
    {"SET SESSION AUTHORIZATION u", S | D},
    {"SET TIME ZONE 'UTC'", S | D},
    {"RESET work_mem", S | D},
    {"RESET ALL", S | D},
    {"DISCARD ALL", S | D},
    {"LISTEN c", S | D},
    {"UNLISTEN *", S | D},
    {"PREPARE p AS SELECT $1::int", S | D},
    {"EXECUTE p(1)", S},
    {"EXPLAIN EXECUTE p(1)", S},
    {"EXPLAIN ANALYZE EXECUTE p(1)", S},
    {"DEALLOCATE p", S | D},
    {"DECLARE c CURSOR FOR SELECT 1", S},
    {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", S | D},
    {"FETCH 10 FROM c", S},
    {"MOVE c", S},
    {"CLOSE c", S},
    {"LOCK TABLE t", S},
    {"LOAD 'x'", S | D},
    {"CREATE TEMP TABLE x (a int)", S | D},
    {"CREATE TEMPORARY TABLE x AS SELECT 1", S | D},
    {"CREATE TEMP VIEW v AS SELECT 1", S | D},
    {"CREATE TEMP SEQUENCE s", S | D},
    {"CREATE TABLE pg_temp.x (a int)", S | D},
    {"SELECT 1 INTO TEMP x", S | D},
    {"EXPLAIN ANALYZE CREATE TEMP TABLE x AS SELECT 1", S | D},
    {"SELECT * FROM pg_temp.x", S},
    {"INSERT INTO pg_temp.x VALUES (1)", S},
    {"SELECT set_config('work_mem', '1MB', false)", S | D | F},
    {"SELECT pg_catalog.set_config('work_mem', '1MB', false)", S | D | F},
    {"SELECT SET_CONFIG('a.b', 'c', true) FROM t", S | D | F},
    {"SELECT 1 WHERE EXISTS (SELECT pg_advisory_lock(1))", S | D | F},
    {"SELECT pg_try_advisory_lock_shared(1, 2)", S | D | F},
    {"SELECT pg_advisory_unlock_all()", S | D | F},
    {"INSERT INTO t VALUES (currval('s'))", S | F},
    {"SELECT lastval()", S | F},
    {"SELECT public.dblink_connect('c', 'host=x')", S | D | F},
    {"COPY t FROM STDIN", C},
    {"COPY (SELECT 1) TO STDOUT", C},
};

static void test_kinds(void **state)
{
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
                sp_error *error = NULL;
                struct sp__sql sql;
                unsigned found;

                if (sp__sql_parse(kinds[i].text, strlen(kinds[i].text), &sql, &error) != SP_OK)
                        fail_msg("%s: %s", kinds[i].text, sp_error_message(error));
                found =
                    (unsigned)sql.kind | (sql.tx ? TX : 0u) | (sql.dirties ? D : 0u) | (sql.session_function ? F : 0u);
                if (found != kinds[i].expected)
                        fail_msg("%s is %s%s%s%s", kinds[i].text, sp__sql_kind_name(sql.kind), sql.tx ? " tx" : "",
                                 sql.dirties ? " dirties" : "", sql.session_function ? " function" : "");
                sp__sql_free(&sql);
        }
}

static const struct {
        const char *text;
        bool obscure;
} effects[] = {
    {"SELECT count(*), coalesce(max(a), 0), lower(b) FROM t WHERE c > now() - interval '1 day'", false},
    {"SELECT abs(1), xpath_exists('/a', x), extract(year FROM d), position('a' IN b), trim(b) FROM t", false},
    {"SELECT pg_catalog.jsonb_agg(a), PG_CATALOG.Upper(b), a AT TIME ZONE 'UTC' FROM t GROUP BY b", false},
    {"SELECT ST_DWithin(a, b, 5), uuid_generate_v4(), a BETWEEN SYMMETRIC 1 AND 2 FROM t", false},
    {"INSERT INTO t VALUES (nextval('s'), gen_random_uuid())", false},
    {"SELECT \"f(\" FROM t WHERE a = 'f()'", false},
    {"EXPLAIN SELECT f()", false},
    {"SELECT ST_AsMVT(a), st_3DDistance(a, b), st_transform(a, 4326) FROM t", false},
    {"SELECT st_book(1)", true},
    {"SELECT st_lower('a')", true},
    {"SELECT distance(a, b) FROM t", true},
    {"SELECT f()", true},
    {"SELECT app.count(1)", true},
    {"SELECT public.nextval('s')", true},
    {"SELECT pg_catalog.f()", true},
    {"SELECT \"Count\"(a) FROM t", true},
    {"SELECT \"abs acos\"(a) FROM t", true},
    {"SELECT ab(a), ac(a), count(a) FROM t", true},
    {"SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM f(1) x)", true},
    {"INSERT INTO t SELECT f(a) FROM s", true},
    {"UPDATE t SET a = app.f(a)", true},
    {"EXPLAIN ANALYZE SELECT f()", true},
    {"CREATE TABLE x AS SELECT f()", true},
    {"COPY (SELECT f()) TO STDOUT", true},
    {"DECLARE c CURSOR FOR SELECT f()", true},
    {"SELECT query_to_xml('SELECT 1', true, true, '')", true},
    {"CALL p(1)", true},
    {"DO $$ BEGIN PERFORM 1; END $$", true},
};

static void test_a_function_that_is_not_known_is_told(void **state)
{
        for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
                struct sp__sql sql;

                assert_int_equal(sp__sql_parse(effects[i].text, strlen(effects[i].text), &sql, NULL), SP_OK);
                if (sql.obscure != effects[i].obscure)
                        fail_msg("%s is %s", effects[i].text, sql.obscure ? "obscure" : "not obscure");
                sp__sql_free(&sql);
        }
}

static const struct {
        const char *text;
        bool alters, resolves;
} changes[] = {
    {"ALTER TABLE t ALTER v TYPE text", true, false},
    {"CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", true, false},
    {"DROP TYPE e", true, false},
    {"CREATE TEMP TABLE t (v int)", true, false},
    {"CREATE TABLE t AS SELECT 1", true, false},
    {"SELECT 1 AS v INTO t", true, true},
    {"DO $$ BEGIN END $$", true, true},
    {"INSERT INTO t VALUES ($1)", false, true},
    {"CALL p($1)", false, true},
    {"TRUNCATE t", false, false},
    {"ANALYZE t", false, false},
    {"CREATE INDEX ON t (v)", false, false},
    {"REFRESH MATERIALIZED VIEW m", false, false},
    {"EXPLAIN SELECT 1", false, true},
    {"ROLLBACK", false, false},
    {"LOCK TABLE t", false, false},
    {"SET search_path = a", false, false},
};

static void test_what_changes_names_and_types_is_told_and_what_relies_on_them(void **state)
{
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
                struct sp__sql sql;

                assert_int_equal(sp__sql_parse(changes[i].text, strlen(changes[i].text), &sql, NULL), SP_OK);
                if (sql.alters != changes[i].alters || sql.resolves != changes[i].resolves)
                        fail_msg("%s: alters %d, resolves %d", changes[i].text, sql.alters, sql.resolves);
                sp__sql_free(&sql);
        }
}

static const struct {
        const char *text;
        const char *shown;
} texts[] = {
    {"SELECT title FROM contents WHERE id = $1", "SELECT title FROM contents WHERE id = $1"},
    {"select 1,\n\t 'a'  -- why\n from t;", "select ?, ? from t"},
    {"SELECT/* a /* nested */ b */1", "SELECT ?"},
    {"SELECT a FROM t WHERE b IN (1, 2, 3) AND c = -1.5e3", "SELECT a FROM t WHERE b IN (...) AND c = ?"},
    {"SELECT a FROM t WHERE b in ($1,$2)", "SELECT a FROM t WHERE b in (...)"},
    {"SELECT a FROM t WHERE b IN (SELECT 1)", "SELECT a FROM t WHERE b IN (SELECT ?)"},
    {"SELECT ARRAY[1, 2], a[1]", "SELECT ARRAY[...], a[?]"},
    {"INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, $1)", "INSERT INTO t VALUES (?, ?), ..."},
    {"INSERT INTO t VALUES (1, now()), (2, now())", "INSERT INTO t VALUES (?, now()), (?, now())"},
    {"SELECT E'it\\'s', U&'d!0061' UESCAPE '!', $q$x$q$, B'01', X'ff', N'n'", "SELECT ?, ? UESCAPE ?, ?, ?, ?, N?"},
    {"SELECT a - 1, -1, a -1, name - 1, current_date - 1, 2 - -1",
     "SELECT a - ?, ?, a -?, name - ?, current_date - ?, ? - ?"},
    {"SELECT \"It's\" FROM t LIMIT 10", "SELECT \"It's\" FROM t LIMIT ?"},
    {"SET app.key = secretword", "SET app.key = ?"},
    {"SET app.key TO secretword, other", "SET app.key TO ?"},
    {"ALTER ROLE u SET app.key = secretword", "ALTER ROLE u SET app.key = ?"},
    {"SELECT 'Zürich', ü FROM t WHERE ö = 'ß' AND x = 1", "SELECT ?, ü FROM t WHERE ö = ? AND x = ?"},
};

static void test_the_text_shows_no_literal_and_is_one_line(void **state)
{
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                struct sp__sql sql;

                assert_int_equal(sp__sql_parse(texts[i].text, strlen(texts[i].text), &sql, NULL), SP_OK);
                assert_string_equal(sql.text, texts[i].shown);
                sp__sql_free(&sql);
        }
}

/* %1 and %2 stand where a secret is written. */
static const char *const carriers[] = {
    "SELECT * FROM users WHERE password = '%s'",
    "SELECT 1 /* %s */ -- %s",
    "INSERT INTO users VALUES ('%s', E'\\x41%s', $$%s$$)",
    "CREATE ROLE u PASSWORD '%s'",
    "ALTER USER u WITH PASSWORD '%s'",
    "SET app.token = '%s'",
    "SET app.token TO %s",
    "ALTER SYSTEM SET app.token = '%s'",
    "ALTER DATABASE d SET app.token = %s",
    "NOTIFY c, '%s'",
    "COMMENT ON TABLE t IS '%s'",
    "CREATE SERVER s FOREIGN DATA WRAPPER f OPTIONS (password '%s')",
    "CREATE SUBSCRIPTION s CONNECTION 'password=%s' PUBLICATION p",
    "CREATE USER MAPPING FOR u SERVER s OPTIONS (password '%s')",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT %s'",
    "DO $$ BEGIN PERFORM '%s'; END $$",
    "CALL p('%s')",
    "EXECUTE p('%s')",
    "COPY t FROM PROGRAM '%s'",
    "PREPARE p AS SELECT '%s'",
    "DECLARE c CURSOR FOR SELECT '%s'",
    "EXPLAIN SELECT '%s'",
    "CREATE TABLE x (a text DEFAULT '%s')",
    "CREATE VIEW v AS SELECT '%s'",
};

static void fill(char *out, size_t cap, const char *carrier, const char *secret)
{
        size_t len = 0;

        for (; *carrier; carrier++) {
                if (strncmp(carrier, "%s", 2) == 0) {
                        len += (size_t)snprintf(out + len, cap - len, "%s", secret);
                        carrier++;
                } else
                        out[len++] = *carrier;
        }
        out[len] = 0;
}

static void test_a_secret_reaches_neither_text_nor_fingerprint(void **state)
{
        for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++) {
                char first[256], second[256];
                struct sp__sql one, two;

                fill(first, sizeof first, carriers[i], "hunter2");
                fill(second, sizeof second, carriers[i], "tr0ub4dor");
                assert_int_equal(sp__sql_parse(first, strlen(first), &one, NULL), SP_OK);
                assert_int_equal(sp__sql_parse(second, strlen(second), &two, NULL), SP_OK);
                if (strstr(one.text, "hunter2"))
                        fail_msg("%s is shown as %s", first, one.text);
                if (strcmp(one.text, two.text) != 0 || one.fingerprint != two.fingerprint)
                        fail_msg("%s: two fingerprints", carriers[i]);
                sp__sql_free(&one);
                sp__sql_free(&two);
        }
}

static void test_the_length_of_a_list_does_not_change_the_fingerprint(void **state)
{
        static const char *const alike[][2] = {
            {"SELECT 1 WHERE a IN (1, 2)", "select 5 where a in ($1,$2,$3,$4) -- more"},
            {"INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (1, 2), (3, 4), (5, 6)"},
            {"SELECT a FROM t AS x LIMIT 1", "SELECT a FROM t AS x LIMIT 20"},
        };

        for (size_t i = 0; i < sizeof alike / sizeof *alike; i++) {
                struct sp__sql one, two;

                assert_int_equal(sp__sql_parse(alike[i][0], strlen(alike[i][0]), &one, NULL), SP_OK);
                assert_int_equal(sp__sql_parse(alike[i][1], strlen(alike[i][1]), &two, NULL), SP_OK);
                assert_true(one.fingerprint == two.fingerprint);
                sp__sql_free(&one);
                sp__sql_free(&two);
        }
}

static void refused(const char *text, size_t len, sp_status status, const char *says)
{
        struct sp__sql sql = {.text = (char *)(uintptr_t) "untouched"};
        sp_error *error = NULL;

        assert_int_equal(sp__sql_parse(text, len, &sql, &error), status);
        assert_non_null(error);
        if (!strstr(sp_error_message(error), says) || strstr(sp_error_message(error), "hunter2"))
                fail_msg("%.60s: %s", text, sp_error_message(error));
        assert_string_equal(sql.text, "untouched");
        sp_error_free(error);
        assert_int_equal(sp__sql_parse(text, len, &sql, NULL), status);
}

static void test_what_is_not_one_statement_is_refused_by_position_alone(void **state)
{
        static const char *const broken[] = {"hunter2",
                                             "SELEC 'hunter2'",
                                             "SELECT 'hunter2",
                                             "SELECT $hunter2$x",
                                             "SELECT \"hunter2",
                                             "SELECT /* hunter2",
                                             "SELECT U&'\\hunter2'",
                                             "CREATE ROLE u hunter2",
                                             "SELECT 1 FROM 'hunter2'",
                                             "SELECT '\xff\xfe' hunter2 hunter2"};

        for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
                refused(broken[i], strlen(broken[i]), SP_INVALID, "does not parse");
        refused("SELECT 1 FROM FROM", 18, SP_INVALID, "character 15");
        refused("", 0, SP_INVALID, "no statement");
        refused(" ; -- hunter2", 13, SP_INVALID, "no statement");
        refused("SELECT 'hunter2'; SELECT 2", 26, SP_INVALID, "2 statements");
        refused("BEGIN; SELECT 1; COMMIT;", 24, SP_INVALID, "3 statements");
        refused("SELECT 1\0; DROP", 15, SP_INVALID, "zero byte");
}

static char *repeated(const char *head, const char *unit, const char *tail, size_t len)
{
        size_t size = strlen(unit), at = strlen(head);
        char *text = malloc(len + 1);

        assert_non_null(text);
        memcpy(text, head, at);
        for (; at + size + strlen(tail) <= len; at += size)
                memcpy(text + at, unit, size);
        strcpy(text + at, tail);
        return text;
}

static void test_deep_statements_are_refused_and_long_flat_ones_are_not(void **state)
{
        static const char *const deep[][2] = {
            {"SELECT ", "("},
            {"SELECT 1", "+1"},
            {"SELECT 1", "::int"},
            {"SELECT ", "- "},
            {"SELECT ", "NOT "},
            {"SELECT 1", " UNION SELECT 1"},
            {"SELECT ", "f(x,"},
            {"SELECT ", "CASE WHEN 1=1 AND "},
            {"SELECT a", "[a"},
            {"SELECT * FROM t", " JOIN u ON true"},
            {"SELECT a", " IS NULL"},
            {"SELECT a", " COLLATE x"},
            {"SELECT a", " AT TIME ZONE b"},
            {"SELECT * FROM ", "(SELECT * FROM "},
            {"SELECT a", " @> b"},
        };
        static const char *const flat[][3] = {
            {"SELECT a FROM t WHERE a IN (0", ",1", ")"},
            {"INSERT INTO t VALUES (0,'x')", ",(-1,'a+b+c((((')", ""},
            {"SELECT a FROM t WHERE a = 0", " OR a = 1 AND b > 2 OR NOT c LIKE 'x'", ""},
            {"SELECT 1 /*", "((((", "*/"},
            {"SELECT '", "((((", "'"},
            {"SELECT f(a + b, 1)", ", f(a + b, (c + d) * 2)", ""},
        };
        struct sp__sql sql;
        char *text;

        for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
                text = repeated(deep[i][0], deep[i][1], "", SP__SQL_MAX);
                refused(text, strlen(text), SP_LIMIT, "deeper");
                free(text);
        }
        for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
                text = repeated(flat[i][0], flat[i][1], flat[i][2], SP__SQL_MAX / 4);
                if (sp__sql_parse(text, strlen(text), &sql, NULL) != SP_OK)
                        fail_msg("%s%s… was refused", flat[i][0], flat[i][1]);
                sp__sql_free(&sql);
                free(text);
        }
        text = repeated("SELECT '", "x", "'", SP__SQL_MAX + 1);
        refused(text, strlen(text), SP_LIMIT, "1 MiB");
        free(text);
}

/* Pieces of SQL in any order: whatever comes of it, nothing breaks and no literal shows. */
static void test_a_text_is_split_where_its_statements_end(void **state)
{
        static const struct {
                const char *text, *places;
        } rows[] = {
            {"", "[]"},
            {" ; -- nothing", "[]"},
            {"SELECT 1", "[[0,8]]"},
            {"SELECT 1;", "[[0,8]]"},
            {"SELECT ';'; SELECT $$;$$", "[[0,10],[11,24]]"},
            {"SELECT '\xc3\xa4'; SELECT 2;", "[[0,11],[12,21]]"},
        };
        char deep[8192];
        struct sp__buf buf = SP__BUF_INIT;

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                assert_int_equal(sp__sql_split(rows[i].text, strlen(rows[i].text), &buf, NULL), SP_OK);
                sp__buf_char(&buf, 0);
                assert_string_equal(buf.data, rows[i].places);
                sp__buf_clear(&buf);
        }
        assert_int_equal(sp__sql_split("SELECT 1; SELEC", 15, &buf, NULL), SP_INVALID);
        assert_int_equal(sp__sql_split("SELECT 'x", 9, &buf, NULL), SP_INVALID);
        assert_int_equal(sp__sql_split("SELECT\0", 7, &buf, NULL), SP_INVALID);
        memset(deep, '(', sizeof deep);
        assert_int_equal(sp__sql_split(deep, sizeof deep, &buf, NULL), SP_LIMIT);
        assert_int_equal(buf.len, 0);
        sp__buf_free(&buf);
}

static void test_what_is_not_looked_into_may_leave_anything_behind(void **state)
{
        struct sp__sql one, two;

        assert_int_equal(sp__sql_opaque("SELEC 'secret'", 14, &one, NULL), SP_OK);
        assert_int_equal(sp__sql_opaque("SELEC 'other'", 13, &two, NULL), SP_OK);
        assert_int_equal(one.kind, SP__SQL_SESSION);
        assert_true(one.dirties);
        assert_string_equal(one.text, "?");
        assert_int_not_equal(one.fingerprint, two.fingerprint);
        sp__sql_free(&one);
        sp__sql_free(&two);
        assert_int_equal(sp__sql_opaque("a\0b", 3, &one, NULL), SP_INVALID);
}

static void test_rubbish_does_no_harm(void **state)
{
        static const char *const pieces[] = {"SELECT ", "'hunter2'", "(",  ")",      ",",        " FROM t ",    "$1",
                                             " IN ",    "::",        "\"", "'",      " VALUES ", "--",          "/*",
                                             "\n",      "1",         "-",  " CASE ", " END ",    ";",           "\xff",
                                             "$$",      "[",         "]",  " SET ",  "=",        " WITH x AS ", "E'\\",
                                             "{\"",     " EXPLAIN ", "U&'"};
        struct sp__random random = {sp__random_seed()};
        uint64_t seed = random.state;
        size_t parsed = 0;

        print_message("# seed %" PRIu64 "\n", seed);
        for (int round = 0; round < 5000; round++) {
                char text[256] = "";
                struct sp__sql sql;

                for (uint64_t n = sp__random_next(&random) % 12; n > 0; n--)
                        strcat(text, pieces[sp__random_next(&random) % (sizeof pieces / sizeof *pieces)]);
                if (sp__sql_parse(text, strlen(text), &sql, NULL) != SP_OK)
                        continue;
                parsed++;
                if (!strchr(text, '"') && strstr(sql.text, "hunter2"))
                        fail_msg("seed %" PRIu64 ": %s is shown as %s", seed, text, sql.text);
                sp__sql_free(&sql);
        }
        assert_true(parsed > 0);
}

static void *parse_all(void *arg)
{
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
                struct sp__sql sql;

                if (sp__sql_parse(kinds[i].text, strlen(kinds[i].text), &sql, NULL) != SP_OK)
                        return arg;
                sp__sql_free(&sql);
        }
        return NULL;
}

static void test_threads_parse_and_end_without_a_leak(void **state)
{
        for (int round = 0; round < 8; round++) {
                pthread_t threads[4];
                void *failed;

                for (int i = 0; i < 4; i++)
                        assert_int_equal(pthread_create(&threads[i], NULL, parse_all, (void *)kinds), 0);
                for (int i = 0; i < 4; i++) {
                        assert_int_equal(pthread_join(threads[i], &failed), 0);
                        assert_null(failed);
                }
        }
}

static void *parse_one(void *arg)
{
        struct sp__sql sql;

        if (sp__sql_parse("SELECT 1", 8, &sql, NULL) != SP_OK)
                return arg;
        sp__sql_free(&sql);
        return sp__sql_parse("SELEC", 5, &sql, NULL) == SP_INVALID ? NULL : arg;
}

/* The parser takes one of the process's 1,024 for each thread that enters it, and gives none back. */
static void test_any_number_of_threads_may_parse(void **state)
{
        pthread_key_t key;

        for (int i = 0; i < 1200; i++) {
                pthread_t thread;
                void *failed;

                assert_int_equal(pthread_create(&thread, NULL, parse_one, (void *)kinds), 0);
                assert_int_equal(pthread_join(thread, &failed), 0);
                assert_null(failed);
        }
        assert_int_equal(pthread_key_create(&key, NULL), 0);
        pthread_key_delete(key);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_kinds),
            cmocka_unit_test(test_a_function_that_is_not_known_is_told),
            cmocka_unit_test(test_what_changes_names_and_types_is_told_and_what_relies_on_them),
            cmocka_unit_test(test_the_text_shows_no_literal_and_is_one_line),
            cmocka_unit_test(test_a_secret_reaches_neither_text_nor_fingerprint),
            cmocka_unit_test(test_the_length_of_a_list_does_not_change_the_fingerprint),
            cmocka_unit_test(test_what_is_not_one_statement_is_refused_by_position_alone),
            cmocka_unit_test(test_deep_statements_are_refused_and_long_flat_ones_are_not),
            cmocka_unit_test(test_a_text_is_split_where_its_statements_end),
            cmocka_unit_test(test_what_is_not_looked_into_may_leave_anything_behind),
            cmocka_unit_test(test_rubbish_does_no_harm),
            cmocka_unit_test(test_threads_parse_and_end_without_a_leak),
            cmocka_unit_test(test_any_number_of_threads_may_parse),
        };

        return cmocka_run_group_tests_name("statement", tests, NULL, NULL);
}
