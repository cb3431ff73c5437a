/* SPDX-License-Identifier: MIT */
/* Numbers have a point, whatever the host program's locale writes. */
#include "base/buf.h"

#include <float.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_the_point_of_any_locale_becomes_that_of_c(void **state)
{
        static const char *const cases[][2] = {
            {"0,5000", "0.5000"},
            {"-12,5e-07", "-12.5e-07"},
            {"0\xd9\xab"
             "25",
             "0.25"},
            {"0.25", "0.25"},
            {"17", "17"},
            {"1e+20", "1e+20"},
            {"nan", "nan"},
            {"-inf", "-inf"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char text[32];

                strcpy(text, cases[i][0]);
                sp__point_restore(text);
                assert_string_equal(text, cases[i][1]);
        }
}

static void test_a_fixed_number_is_the_same_in_any_locale(void **state)
{
        static const char *const locales[] = {"C", "de_DE.UTF-8", "fa_IR.UTF-8"};

        for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
                struct sp__buf buf = SP__BUF_INIT;

                /* Not every machine has them. */
                setlocale(LC_NUMERIC, locales[i]);
                sp__buf_fixed(&buf, 0.5, 4);
                sp__buf_char(&buf, ' ');
                sp__buf_fixed(&buf, -1234.25, 1);
                sp__buf_char(&buf, ' ');
                sp__buf_fixed(&buf, 3, 0);
                sp__buf_char(&buf, 0);
                assert_string_equal(buf.data, "0.5000 -1234.2 3");
                sp__buf_clear(&buf);
                sp__buf_fixed(&buf, -DBL_MAX, 3);
                assert_int_equal(buf.len, 314);
                sp__buf_free(&buf);
        }
        setlocale(LC_NUMERIC, "C");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_point_of_any_locale_becomes_that_of_c),
            cmocka_unit_test(test_a_fixed_number_is_the_same_in_any_locale),
        };

        return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
