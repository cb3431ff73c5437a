/* SPDX-License-Identifier: MIT */
/* Parameters arrive at the server as they were given, and no packed form can make the library read past its end. */
#include "base/buf.h"
#include "core/params.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void is(const sp_params *params, size_t index, const char *text)
{
        size_t len;
        const char *got = sp__params_get(params, index, &len);

        assert_non_null(got);
        assert_int_equal(len, strlen(text));
        assert_memory_equal(got, text, len + 1);
}

static sp_params *mixed(void)
{
        sp_params *params = sp_params_new();

        assert_int_equal(sp_params_add_text(params, "user-3", 6), SP_OK);
        assert_int_equal(sp_params_add_bytes(params, "\0\1\2", 3), SP_OK);
        assert_int_equal(sp_params_add_null(params), SP_OK);
        assert_int_equal(sp_params_add_int(params, INT64_MIN), SP_OK);
        assert_int_equal(sp_params_add_double(params, 0.1), SP_OK);
        assert_int_equal(sp_params_add_bool(params, true), SP_OK);
        assert_int_equal(sp_params_add_text(params, "", 0), SP_OK);
        return params;
}

static void check_mixed(const sp_params *params)
{
        struct sp__params_view view;

        assert_true(sp__params_view(params, &view));
        assert_int_equal(view.count, 7);
        is(params, 0, "user-3");
        assert_int_equal(view.lengths[1], 3);
        assert_memory_equal(view.values[1], "\0\1\2\0", 4);
        assert_int_equal(view.formats[0], 0);
        assert_int_equal(view.formats[1], 1);
        assert_null(view.values[2]);
        is(params, 3, "-9223372036854775808");
        assert_true(strtod(view.values[4], NULL) == 0.1);
        is(params, 5, "t");
        assert_non_null(view.values[6]);
        assert_int_equal(view.lengths[6], 0);
}

static void test_each_kind_of_value_arrives_as_it_was_given(void **state)
{
        sp_params *params = mixed();

        check_mixed(params);
        sp_params_free(params);
}

static void test_a_double_has_no_digit_too_many(void **state)
{
        static const struct {
                double value;
                const char *text;
        } rows[] = {
            {0.1, "0.1"},
            {19.99, "19.99"},
            {-2.5, "-2.5"},
            {1e22, "1e+22"},
            {0.1 + 0.2, "0.30000000000000004"},
            {1.7976931348623157e308, "1.7976931348623157e+308"},
            {NAN, "NaN"},
            {-NAN, "NaN"},
            {INFINITY, "Infinity"},
            {-INFINITY, "-Infinity"},
            {0, "0"},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp_params *params = sp_params_new();

                assert_int_equal(sp_params_add_double(params, rows[i].value), SP_OK);
                is(params, 0, rows[i].text);
                sp_params_free(params);
        }
}

static void test_a_copy_is_independent(void **state)
{
        sp_params *params = mixed(), *copy = sp__params_copy(params);

        sp_params_clear(params);
        sp_params_add_text(params, "else", 4);
        check_mixed(copy);
        sp_params_free(params);
        sp_params_add_int(copy, 1);
        assert_int_equal(sp_params_count(copy), 8);
        sp_params_free(copy);
        copy = sp__params_copy(NULL);
        assert_null(copy);
}

static void test_cleared_parameters_are_used_again(void **state)
{
        sp_params *params = sp_params_new();

        for (int round = 0; round < 3; round++) {
                struct sp__params_view view;

                for (int i = 0; i < 100; i++)
                        assert_int_equal(sp_params_add_int(params, i), SP_OK);
                assert_true(sp__params_view(params, &view));
                assert_int_equal(view.count, 100);
                is(params, 99, "99");
                sp_params_clear(params);
                assert_int_equal(sp_params_count(params), 0);
                assert_true(sp__params_view(params, &view));
                assert_int_equal(view.count, 0);
        }
        sp_params_free(params);
}

static void test_what_is_too_much_is_refused(void **state)
{
        sp_params *params = sp_params_new();

        assert_int_equal(sp_params_add_text(params, "", ((size_t)1 << 30) + 1), SP_LIMIT);
        for (int i = 0; i < 65535; i++)
                assert_int_equal(sp_params_add_null(params), SP_OK);
        assert_int_equal(sp_params_add_null(params), SP_LIMIT);
        assert_int_equal(sp_params_count(params), 65535);
        sp_params_free(params);
}

static void pack(struct sp__buf *buf)
{
        sp__buf_add(buf, "\1", 2);
        sp__buf_u16(buf, 3);
        sp__buf_char(buf, 't');
        sp__buf_u32(buf, 2);
        sp__buf_text(buf, "ab");
        sp__buf_char(buf, 't');
        sp__buf_u32(buf, UINT32_MAX);
        sp__buf_char(buf, 'b');
        sp__buf_u32(buf, 1);
        sp__buf_char(buf, 7);
}

/* From memory of its own size, so that a read past the end is seen. */
static sp_status load(sp_params *params, const char *data, size_t len)
{
        char *exact = malloc(len ? len : 1);
        sp_status status;

        memcpy(exact, data, len);
        status = sp_params_load(params, exact, len);
        free(exact);
        return status;
}

static void test_the_packed_form_loads_whole_or_not_at_all(void **state)
{
        sp_params *params = sp_params_new();
        struct sp__buf buf = SP__BUF_INIT;
        size_t len;

        pack(&buf);
        assert_int_equal(load(params, buf.data, buf.len), SP_OK);
        assert_int_equal(sp_params_count(params), 3);
        is(params, 0, "ab");
        assert_null(sp__params_get(params, 1, &len));
        for (size_t cut = 0; cut < buf.len; cut++) {
                assert_int_equal(load(params, buf.data, cut), SP_INVALID);
                assert_int_equal(sp_params_count(params), 0);
        }
        sp__buf_char(&buf, 0);
        assert_int_equal(load(params, buf.data, buf.len), SP_INVALID);
        sp_params_free(params);
        sp__buf_free(&buf);
}

static void test_hostile_lengths_and_kinds_are_refused(void **state)
{
        static const uint32_t lengths[] = {3, 12, 0x7fffffff, 0x80000000, 0xfffffffe, 0x40000000};
        sp_params *params = sp_params_new();
        struct sp__buf buf = SP__BUF_INIT;

        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                sp__buf_clear(&buf);
                sp__buf_add(&buf, "\1\0\1\0t", 5);
                sp__buf_u32(&buf, lengths[i]);
                sp__buf_text(&buf, "ab");
                assert_int_equal(load(params, buf.data, buf.len), SP_INVALID);
                buf.data[4] = 'a';
                assert_int_equal(load(params, buf.data, buf.len), SP_INVALID);
                /* As many sets of one value. */
                sp__buf_clear(&buf);
                sp__buf_add(&buf, "\2\0\1\0", 4);
                sp__buf_u32(&buf, lengths[i]);
                sp__buf_add(&buf, "t\0\0\0\0", 5);
                assert_int_equal(load(params, buf.data, buf.len), SP_INVALID);
        }
        for (int byte = 0; byte < 256; byte++) {
                char data[] = {1, 0, 1, 0, (char)byte, 0, 0, 0, 0}, head[] = {(char)byte, 0, 0, 0};

                assert_int_equal(load(params, data, sizeof data),
                                 byte == 't' || byte == 'b' || byte == 'a' ? SP_OK : SP_INVALID);
                assert_int_equal(load(params, head, sizeof head), byte == 1 ? SP_OK : SP_INVALID);
        }
        sp_params_free(params);
        sp__buf_free(&buf);
}

enum { PRINTS = 2000 };

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static void all_differ(uint32_t *prints, size_t count)
{
        qsort(prints, count, sizeof *prints, by_number);
        for (size_t i = 1; i < count; i++)
                assert_true(prints[i - 1] != prints[i]);
}

static uint32_t print(const sp_params *params)
{
        uint16_t each[SP__PRINTED];
        uint8_t count;
        uint32_t all = sp__params_print(params, each, &count);

        assert_int_equal(count, sp__params_set_count(params, 0));
        return all;
}

/* What "the same parameters" means to the profiler. */
static void test_the_print_tells_values_apart_that_are_alike(void **state)
{
        static uint32_t prints[PRINTS];
        sp_params *params = sp_params_new();
        char text[64];
        size_t count = 0;

        /* Numbers in a row, alone and in pairs. */
        for (int64_t i = 0; i < PRINTS; i++) {
                sp_params_clear(params);
                sp_params_add_int(params, i < PRINTS / 2 ? i : i / 32);
                if (i >= PRINTS / 2)
                        sp_params_add_int(params, i % 32);
                prints[i] = print(params);
        }
        all_differ(prints, PRINTS);
        /* Of each length, by one character anywhere, as text and as bytes. */
        for (size_t len = 0; len < 24; len++) {
                for (size_t at = 0; at <= len; at++) {
                        memset(text, 'a', sizeof text);
                        text[at] = at < len ? 'b' : 'a';
                        sp_params_clear(params);
                        sp_params_add_text(params, text, len);
                        prints[count++] = print(params);
                        sp_params_clear(params);
                        sp_params_add_bytes(params, text, len);
                        prints[count++] = print(params);
                }
        }
        sp_params_clear(params);
        sp_params_add_null(params);
        prints[count++] = print(params);
        all_differ(prints, count);
        sp_params_free(params);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_each_kind_of_value_arrives_as_it_was_given),
            cmocka_unit_test(test_a_double_has_no_digit_too_many),
            cmocka_unit_test(test_a_copy_is_independent),
            cmocka_unit_test(test_cleared_parameters_are_used_again),
            cmocka_unit_test(test_what_is_too_much_is_refused),
            cmocka_unit_test(test_the_packed_form_loads_whole_or_not_at_all),
            cmocka_unit_test(test_hostile_lengths_and_kinds_are_refused),
            cmocka_unit_test(test_the_print_tells_values_apart_that_are_alike),
        };

        return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
