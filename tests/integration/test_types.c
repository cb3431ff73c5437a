/* SPDX-License-Identifier: MIT */
/* Cells by type: the extremes of each type, as a real server writes them, and what is refused. */
#include "ways.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static sp_result *ask(sp_pool *pool, const char *text)
{
        sp_stmt *stmt = stmt_of(text);
        sp_error *error = NULL;
        sp_result *result;

        if (sp_pool_query(pool, NULL, stmt, NULL, &result, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        sp_stmt_unref(stmt);
        return result;
}

static sp_result *cell(sp_pool *pool, const char *expression)
{
        char text[512];

        snprintf(text, sizeof text, "SELECT %s AS it", expression);
        return ask(pool, text);
}

static void expect(const char *what, sp_status got, sp_status status, sp_error *error)
{
        if (got != status)
                fail_msg("%s: %s, not %s", what, sp_status_name(got), sp_status_name(status));
        if (status != SP_OK)
                says(error, "row 0, column 0 (\"it\"", NULL);
}

static void test_integers(void **state)
{
        static const struct {
                const char *sql;
                sp_status status;
                int64_t value;
        } rows[] = {
            {"(-32768)::int2", SP_OK, -32768},
            {"2147483647::int4", SP_OK, INT32_MAX},
            {"(-2147483648)::int4", SP_OK, INT32_MIN},
            {"9223372036854775807::int8", SP_OK, INT64_MAX},
            {"(-9223372036854775808)::int8", SP_OK, INT64_MIN},
            {"4294967295::oid", SP_OK, UINT32_MAX},
            {"0::int8", SP_OK, 0},
            {"count(*)", SP_OK, 1},
            {"42.000::numeric", SP_OK, 42},
            {"9223372036854775807::numeric", SP_OK, INT64_MAX},
            {"9223372036854775808::numeric", SP_LIMIT, 0},
            {"(-9223372036854775809)::numeric", SP_LIMIT, 0},
            {"1e100::numeric", SP_LIMIT, 0},
            {"42.5::numeric", SP_INVALID, 0},
            {"'NaN'::numeric", SP_INVALID, 0},
            {"'Infinity'::numeric", SP_INVALID, 0},
            {"1::float8", SP_INVALID, 0},
            {"'42'::text", SP_INVALID, 0},
            {"true", SP_INVALID, 0},
            {"now()", SP_INVALID, 0},
            {"NULL::int8", SP_NOT_FOUND, 0},
        };
        sp_pool *pool = pool_with(NULL);

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp_result *result = cell(pool, rows[i].sql);
                sp_error *error = NULL;
                int64_t value = -77;
                sp_status status;

                status = sp_result_int(result, 0, 0, &value, &error);
                expect(rows[i].sql, status, rows[i].status, error);
                assert_true(value == (rows[i].status == SP_OK ? rows[i].value : -77));
                sp_result_free(result);
        }
        sp_pool_free(pool);
}

static void test_doubles(void **state)
{
        static const struct {
                const char *sql;
                sp_status status;
                double value;
        } rows[] = {
            {"1.7976931348623157e308::float8", SP_OK, 1.7976931348623157e308},
            {"5e-324::float8", SP_OK, 5e-324},
            {"(-0.1)::float8", SP_OK, -0.1},
            {"'-Infinity'::float8", SP_OK, -INFINITY},
            {"'Infinity'::numeric", SP_OK, INFINITY},
            {"1.5::float4", SP_OK, 1.5},
            {"0.1::numeric", SP_OK, 0.1},
            {"9007199254740993::int8", SP_OK, 9007199254740992.0},
            {"(-3)::int2", SP_OK, -3},
            {"1e400::numeric", SP_LIMIT, 0},
            {"(-1e400)::numeric", SP_LIMIT, 0},
            {"'1.5'::text", SP_INVALID, 0},
            {"NULL::float8", SP_NOT_FOUND, 0},
        };
        sp_pool *pool = pool_with(NULL);
        sp_result *result;
        double value;

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp_error *error = NULL;
                sp_status status;

                result = cell(pool, rows[i].sql);
                value = -77;
                status = sp_result_double(result, 0, 0, &value, &error);
                expect(rows[i].sql, status, rows[i].status, error);
                assert_true(value == (rows[i].status == SP_OK ? rows[i].value : -77));
                sp_result_free(result);
        }
        result = cell(pool, "'NaN'::float8");
        assert_int_equal(sp_result_double(result, 0, 0, &value, NULL), SP_OK);
        assert_true(isnan(value));
        sp_result_free(result);
        sp_pool_free(pool);
}

static void test_times(void **state)
{
        static const struct {
                const char *sql;
                sp_status status;
                int64_t value;
        } rows[] = {
            {"'1970-01-01 00:00:00+00'::timestamptz", SP_OK, 0},
            {"'1969-12-31 23:59:59.999999+00'::timestamptz", SP_OK, -1},
            {"'2024-02-29 12:34:56.7+00'::timestamptz", SP_OK, 1709210096700000},
            {"'2024-02-29 18:04:56.7+05:30'::timestamptz", SP_OK, 1709210096700000},
            {"'2024-02-29 12:34:56.7'::timestamp", SP_OK, 1709210096700000},
            {"'2024-02-29'::date", SP_OK, 1709164800000000},
            {"'0001-01-01 00:00:00+00'::timestamptz", SP_OK, -62135596800000000},
            {"'0044-03-15 BC'::date", SP_OK, -63517824000000000},
            {"'4713-01-01 00:00:00+00 BC'::timestamptz", SP_OK, -210863520000000000},
            {"'9999-12-31 23:59:59.999999+00'::timestamptz", SP_OK, 253402300799999999},
            {"'100000-01-01 00:00:00+00'::timestamptz", SP_OK, 3093527980800000000},
            {"'infinity'::timestamptz", SP_OK, SP_TIME_INFINITY},
            {"'-infinity'::date", SP_OK, SP_TIME_NEG_INFINITY},
            {"'294276-12-31 23:59:59.999999+00'::timestamptz", SP_LIMIT, 0},
            {"'5874897-12-31'::date", SP_LIMIT, 0},
            {"'12:00'::time", SP_INVALID, 0},
            {"'2024-02-29'::text", SP_INVALID, 0},
            {"NULL::timestamptz", SP_NOT_FOUND, 0},
        };
        sp_pool *pool = pool_with(NULL);

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp_result *result = cell(pool, rows[i].sql);
                sp_error *error = NULL;
                int64_t value = -77;
                sp_status status;

                status = sp_result_time(result, 0, 0, &value, &error);
                expect(rows[i].sql, status, rows[i].status, error);
                if (value != (rows[i].status == SP_OK ? rows[i].value : -77))
                        fail_msg("%s: %" PRId64, rows[i].sql, value);
                sp_result_free(result);
        }
        sp_pool_free(pool);
}

/* The server's own arithmetic agrees, also where zones have odd offsets, and in sessions with another zone. */
static void test_times_agree_with_the_server(void **state)
{
        static const char *const zones[] = {"UTC", "Asia/Kathmandu", "America/St_Johns", "Europe/Amsterdam"};
        static const char text[] =
            "SELECT t, (extract(epoch FROM t) * 1000000)::int8 FROM generate_series(0, 400) AS n, "
            "LATERAL (SELECT '1815-06-18 11:00:00.000001+00'::timestamptz + n * interval '307 days 1:01:01.000003') AS "
            "x(t)";
        sp_pool *pool = pool_with(NULL);
        sp_session *session;
        char set[64];

        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
                sp_stmt *stmt = stmt_of(text);
                sp_result *result;
                int64_t a, b;

                snprintf(set, sizeof set, "SET timezone = '%s'", zones[i]);
                session_run(&ways[0], session, set);
                assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, NULL), SP_OK);
                assert_int_equal(sp_result_rows(result), 401);
                for (size_t row = 0; row < 401; row++) {
                        assert_int_equal(sp_result_time(result, row, 0, &a, NULL), SP_OK);
                        assert_int_equal(sp_result_int(result, row, 1, &b, NULL), SP_OK);
                        assert_int_equal(a, b);
                }
                sp_result_free(result);
                sp_stmt_unref(stmt);
        }
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_another_date_style_is_refused_not_guessed(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT '2024-02-03 00:00+00'::timestamptz AS it");
        sp_session *session;
        sp_result *result;
        sp_error *error = NULL;
        int64_t value;

        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        session_run(&ways[0], session, "SET datestyle = 'SQL, DMY'");
        assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, NULL), SP_OK);
        assert_int_equal(sp_result_time(result, 0, 0, &value, &error), SP_INVALID);
        says(error, "DateStyle", "2024");
        sp_result_free(result);
        sp_session_release(session);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_booleans_uuids_and_text(void **state)
{
        static const uint8_t id[16] = {0,    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                       0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
        sp_pool *pool = pool_with(NULL);
        sp_result *result = ask(pool, "SELECT true, false, NULL::bool, '00112233-4455-6677-8899-AABBCCDDEEFF'::uuid, "
                                      "12345678901234567890.123456789::numeric, '{\"a\": [1]}'::jsonb, ''::text");
        const char *text;
        uint8_t uuid[16];
        sp_error *error = NULL;
        size_t len;
        bool yes;

        assert_int_equal(sp_result_bool(result, 0, 0, &yes, NULL), SP_OK);
        assert_true(yes);
        assert_int_equal(sp_result_bool(result, 0, 1, &yes, NULL), SP_OK);
        assert_false(yes);
        assert_int_equal(sp_result_bool(result, 0, 2, &yes, NULL), SP_NOT_FOUND);
        assert_int_equal(sp_result_bool(result, 0, 3, &yes, &error), SP_INVALID);
        says(error, "is no boolean", "0011");
        assert_int_equal(sp_result_uuid(result, 0, 3, uuid, NULL), SP_OK);
        assert_memory_equal(uuid, id, 16);
        assert_int_equal(sp_result_uuid(result, 0, 4, uuid, NULL), SP_INVALID);
        assert_int_equal(sp_result_text(result, 0, 4, &text, &len, NULL), SP_OK);
        assert_string_equal(text, "12345678901234567890.123456789");
        assert_int_equal(sp_result_text(result, 0, 5, &text, &len, NULL), SP_OK);
        assert_string_equal(text, "{\"a\": [1]}");
        assert_int_equal(sp_result_text(result, 0, 6, &text, &len, NULL), SP_OK);
        assert_int_equal(len, 0);
        assert_int_equal(sp_result_text(result, 1, 0, &text, &len, &error), SP_NOT_FOUND);
        says(error, "it has 1 rows, 7 columns", NULL);
        assert_int_equal(sp_result_text(result, 0, 7, &text, &len, NULL), SP_NOT_FOUND);
        sp_result_free(result);
        sp_pool_free(pool);
}

static void test_bytes_come_as_they_were_stored(void **state)
{
        static const char *const outputs[] = {"SET bytea_output = hex", "SET bytea_output = escape"};
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT $1::bytea, ''::bytea, '\\x'::text");
        sp_params *params = sp_params_new();
        sp_session *session;
        sp_result *result;
        const void *bytes;
        char all[256];
        size_t len;

        for (int i = 0; i < 256; i++)
                all[i] = (char)i;
        sp_params_add_bytes(params, all, sizeof all);
        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        for (int i = 0; i < 2; i++) {
                session_run(&ways[0], session, outputs[i]);
                assert_int_equal(sp_session_query(session, NULL, stmt, params, &result, NULL), SP_OK);
                assert_int_equal(sp_result_bytes(result, 0, 0, &bytes, &len, NULL), SP_OK);
                assert_int_equal(len, 256);
                assert_memory_equal(bytes, all, 256);
                assert_int_equal(sp_result_bytes(result, 0, 1, &bytes, &len, NULL), SP_OK);
                assert_int_equal(len, 0);
                assert_int_equal(sp_result_bytes(result, 0, 2, &bytes, &len, NULL), SP_INVALID);
                sp_result_free(result);
        }
        sp_params_free(params);
        sp_session_release(session);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_arrays(void **state)
{
        static const struct {
                const char *sql;
                sp_status status;
                size_t count;
                const char *texts[4]; /* "\1": NULL */
        } rows[] = {
            {"'{}'::int4[]", SP_OK, 0, {0}},
            {"ARRAY[1,-2,NULL]::int8[]", SP_OK, 3, {"1", "-2", "\1"}},
            {"ARRAY['','NULL',NULL,'null']", SP_OK, 4, {"", "NULL", "\1", "null"}},
            {"ARRAY['a\"b','c\\d','{e,f}',' g ']", SP_OK, 4, {"a\"b", "c\\d", "{e,f}", " g "}},
            {"'[5:6]={x,y}'::text[]", SP_OK, 2, {"x", "y"}},
            {"ARRAY[true,false]", SP_OK, 2, {"t", "f"}},
            {"ARRAY['\\x00ff'::bytea]", SP_OK, 1, {"\\x00ff"}},
            {"ARRAY['2024-02-29'::date]", SP_OK, 1, {"2024-02-29"}},
            {"ARRAY['{\"a\": \"b,c\"}'::jsonb]", SP_OK, 1, {"{\"a\": \"b,c\"}"}},
            {"ARRAY['€','日本']", SP_OK, 2, {"€", "日本"}},
            {"'{{1,2},{3,4}}'::int4[]", SP_UNSUPPORTED, 0, {0}},
            {"1", SP_INVALID, 0, {0}},
            {"NULL::int4[]", SP_NOT_FOUND, 0, {0}},
        };
        sp_pool *pool = pool_with(NULL);

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp_result *result = cell(pool, rows[i].sql), *array = NULL;
                sp_error *error = NULL;
                sp_status status;
                size_t len;

                status = sp_result_array(result, 0, 0, &array, &error);
                expect(rows[i].sql, status, rows[i].status, error);
                for (size_t k = 0; array && k < rows[i].count; k++) {
                        const char *text = sp_result_get(array, k, 0, &len);

                        assert_string_equal(text ? text : "\1", rows[i].texts[k]);
                }
                if (array) {
                        assert_int_equal(sp_result_rows(array), rows[i].count);
                        assert_string_equal(sp_result_name(array, 0), "it");
                }
                sp_result_free(array);
                sp_result_free(result);
        }
        sp_pool_free(pool);
}

static void test_elements_have_their_type(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_result *result =
                      ask(pool, "SELECT ARRAY[9223372036854775807], ARRAY['2024-02-29 12:34:56.7+00'::timestamptz], "
                                "ARRAY['\\x00ff'::bytea]"),
                  *array;
        const void *bytes;
        int64_t value;
        size_t len;

        assert_int_equal(sp_result_array(result, 0, 0, &array, NULL), SP_OK);
        assert_int_equal(sp_result_int(array, 0, 0, &value, NULL), SP_OK);
        assert_int_equal(value, INT64_MAX);
        sp_result_free(array);
        assert_int_equal(sp_result_array(result, 0, 1, &array, NULL), SP_OK);
        assert_int_equal(sp_result_time(array, 0, 0, &value, NULL), SP_OK);
        assert_int_equal(value, 1709210096700000);
        sp_result_free(array);
        assert_int_equal(sp_result_array(result, 0, 2, &array, NULL), SP_OK);
        assert_int_equal(sp_result_bytes(array, 0, 0, &bytes, &len, NULL), SP_OK);
        assert_int_equal(len, 2);
        assert_memory_equal(bytes, "\0\377", 2);
        sp_result_free(array);
        sp_result_free(result);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_integers),
            cmocka_unit_test(test_doubles),
            cmocka_unit_test(test_times),
            cmocka_unit_test(test_times_agree_with_the_server),
            cmocka_unit_test(test_another_date_style_is_refused_not_guessed),
            cmocka_unit_test(test_booleans_uuids_and_text),
            cmocka_unit_test(test_bytes_come_as_they_were_stored),
            cmocka_unit_test(test_arrays),
            cmocka_unit_test(test_elements_have_their_type),
        };

        /* A program may have a locale whose decimal point is a comma; where there is none, C's. */
        setlocale(LC_NUMERIC, "de_DE.UTF-8");
        return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}
