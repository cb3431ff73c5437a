/* SPDX-License-Identifier: MIT */
/* An error is one line of valid UTF-8 whatever went into it, and each status has its own name; values are immutable. */
#include "core/error.h"
#include "core/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_a_message_is_one_line(void **state)
{
        sp_error *error = sp__error_new(SP_SQL, "22P02", "one\ntwo\r\n\tthree\x7f!\n\n");

        assert_string_equal(sp_error_message(error), "one two   three !");
        assert_string_equal(sp_error_code(error), "22P02");
        assert_int_equal(sp_error_status(error), SP_SQL);
        sp_error_free(error);
}

static void test_a_cut_never_splits_a_character(void **state)
{
        static const char *const characters[] = {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

        for (size_t kind = 0; kind < 4; kind++) {
                size_t size = strlen(characters[kind]);

                for (size_t shift = 0; shift < 8; shift++) {
                        char text[2048] = "";
                        sp_error *error;
                        size_t len;

                        memset(text, 'x', shift);
                        for (len = shift; len < 1000; len += size)
                                memcpy(text + len, characters[kind], size);
                        error = sp__error_new(SP_INVALID, NULL, "%s", text);
                        len = strlen(sp_error_message(error));
                        assert_true(len < 512 && len > 500);
                        assert_memory_equal(sp_error_message(error), text, len);
                        assert_int_equal((len - shift) % size, 0);
                        sp_error_free(error);
                }
        }
}

static void test_who_did_not_ask_gets_no_error(void **state)
{
        sp_error *error = NULL, *copy;

        assert_int_equal(sp__fail(NULL, SP_TIMEOUT, "late"), SP_TIMEOUT);
        assert_int_equal(sp__fail(&error, SP_TIMEOUT, "%d late", 3), SP_TIMEOUT);
        assert_string_equal(sp_error_message(error), "3 late");
        assert_string_equal(sp_error_code(error), "");
        assert_true(sp_error_retryable(error));
        sp__error_set_retryable(error, false);
        copy = sp__error_copy(error);
        sp_error_free(error);
        assert_string_equal(sp_error_message(copy), "3 late");
        assert_false(sp_error_retryable(copy));
        sp__error_give(NULL, copy);
        sp_error_free(NULL);
        assert_null(sp__error_copy(NULL));
}

static void test_what_the_server_said_is_told_by_letter(void **state)
{
        static const char said[] = "MText\0D\0nkey\0";
        sp_error *error = sp__error_new(SP_SQL, "23505", "short"), *copy, *other;
        char *report = malloc(sizeof said);

        memcpy(report, said, sizeof said);
        sp__error_set_report(error, report);
        copy = sp__error_copy(error);
        other = sp__error_new(SP_SQL, "23505", "set 1: short");
        sp__error_move_report(other, error);
        assert_null(sp_error_field(error, 'M'));
        sp_error_free(error);
        for (int i = 0; i < 2; i++) {
                const sp_error *one = i == 0 ? copy : other;

                assert_string_equal(sp_error_field(one, 'M'), "Text");
                assert_string_equal(sp_error_field(one, 'D'), "");
                assert_string_equal(sp_error_field(one, 'n'), "key");
                assert_null(sp_error_field(one, 'T'));
                assert_null(sp_error_field(one, 0));
        }
        assert_null(sp_error_field(NULL, 'M'));
        sp_error_free(copy);
        sp_error_free(other);
        sp__error_set_report(NULL, malloc(1));
}

static void test_every_status_has_a_name_and_a_text_of_its_own(void **state)
{
        for (int one = 0; one >= SP_INTERNAL; one--) {
                assert_string_not_equal(sp_status_name((sp_status)one), "SP_UNKNOWN");
                assert_true(*sp_status_text((sp_status)one));
                for (int two = one - 1; two >= SP_INTERNAL; two--)
                        assert_string_not_equal(sp_status_name((sp_status)one), sp_status_name((sp_status)two));
        }
        assert_string_equal(sp_status_name(SP_LEASE_LOST), "SP_LEASE_LOST");
        assert_string_equal(sp_status_name((sp_status)(SP_INTERNAL - 1)), "SP_UNKNOWN");
        assert_string_equal(sp_status_name((sp_status)1), "SP_UNKNOWN");
        assert_string_equal(sp_status_name((sp_status)INT32_MIN), "SP_UNKNOWN");
        assert_false(sp_status_retryable(SP_LOST));
}

static void test_a_value_lives_until_its_last_reference(void **state)
{
        char bytes[] = "ab\0c";
        sp_value *value = sp_value_new(bytes, 4, SP_CODEC_USER + 1);
        size_t len;

        bytes[0] = 'x';
        assert_ptr_equal(sp_value_ref(value), value);
        sp_value_unref(value);
        assert_memory_equal(sp_value_data(value, &len), "ab\0c\0", 5);
        assert_int_equal(len, 4);
        assert_int_equal(sp_value_codec(value), SP_CODEC_USER + 1);
        assert_true(sp__value_size(value) > 4);
        sp_value_unref(value);
        value = sp_value_new(NULL, 0, SP_CODEC_ABSENT);
        assert_non_null(sp_value_data(value, &len));
        assert_int_equal(len, 0);
        sp_value_unref(value);
        sp_value_unref(NULL);
        assert_null(sp_value_ref(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_message_is_one_line),
            cmocka_unit_test(test_a_cut_never_splits_a_character),
            cmocka_unit_test(test_who_did_not_ask_gets_no_error),
            cmocka_unit_test(test_what_the_server_said_is_told_by_letter),
            cmocka_unit_test(test_every_status_has_a_name_and_a_text_of_its_own),
            cmocka_unit_test(test_a_value_lives_until_its_last_reference),
        };

        return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
