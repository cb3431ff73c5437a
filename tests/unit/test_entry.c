/* SPDX-License-Identifier: MIT */
/* What one process wrote another reads back; any other bytes are recognised as none of ours, without a look beyond them. */
#include "base/random.h"
#include "cache/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct sp__random seeded(void)
{
        struct sp__random random = {sp__random_seed()};

        print_message("# seed %llu\n", (unsigned long long)random.state);
        return random;
}

/* A time that there is. */
static int64_t random_time(struct sp__random *random)
{
        return (int64_t)(sp__random_next(random) % ((uint64_t)SP__ENTRY_TIME_MOST + 1));
}

static void random_entry(struct sp__random *random, char *bytes, size_t max, struct sp__entry *entry)
{
        *entry = (struct sp__entry){.e = sp__random_next(random),
                                    .v0 = (int64_t)sp__random_next(random),
                                    .made = random_time(random),
                                    .fresh_until = random_time(random),
                                    .kept_until = random_time(random),
                                    .codec = (uint8_t)sp__random_next(random),
                                    .tag_count = (unsigned)(sp__random_next(random) % (SP__ENTRY_TAGS + 1)),
                                    .data = bytes,
                                    .len = sp__random_next(random) % max};
        for (size_t i = 0; i < entry->len; i++)
                bytes[i] = (char)sp__random_next(random);
        for (unsigned i = 0; i < entry->tag_count; i++)
                entry->tags[i] = sp__random_next(random);
}

/* Decodes a copy of exactly that size, so that a look beyond it is seen. */
static enum sp__entry_kind decode_copy(const char *bytes, size_t len, struct sp__entry *out, char **copy)
{
        *copy = malloc(len ? len : 1);
        memcpy(*copy, bytes, len);
        return sp__entry_decode(*copy, len, out);
}

static void same(const struct sp__entry *a, const struct sp__entry *b)
{
        assert_true(a->e == b->e && a->v0 == b->v0 && a->made == b->made);
        assert_true(a->fresh_until == b->fresh_until && a->kept_until == b->kept_until);
        assert_int_equal(a->codec, b->codec);
        assert_int_equal(a->tag_count, b->tag_count);
        assert_memory_equal(a->tags, b->tags, a->tag_count * sizeof(uint64_t));
        assert_int_equal(a->len, b->len);
        assert_memory_equal(a->data, b->data, a->len);
}

static void test_an_entry_comes_back_as_it_was(void **state)
{
        struct sp__random random = seeded();
        char bytes[300], *copy;

        for (int i = 0; i < 2000; i++) {
                struct sp__buf packed = SP__BUF_INIT;
                struct sp__entry entry, back;

                random_entry(&random, bytes, sizeof bytes, &entry);
                sp__entry_encode(&entry, 0, &packed);
                assert_false(packed.failed);
                assert_int_equal(decode_copy(packed.data, packed.len, &back, &copy), SP__ENTRY_GOOD);
                same(&entry, &back);
                free(copy);
                sp__buf_free(&packed);
        }
}

static void test_a_truncated_entry_is_foreign_or_shorter(void **state)
{
        struct sp__random random = seeded();
        struct sp__buf packed = SP__BUF_INIT;
        struct sp__entry entry, back;
        char bytes[40], *copy;

        random_entry(&random, bytes, sizeof bytes, &entry);
        sp__entry_encode(&entry, 0, &packed);
        for (size_t len = 0; len < packed.len; len++) {
                enum sp__entry_kind kind = decode_copy(packed.data, len, &back, &copy);

                assert_int_equal(kind, len < packed.len - entry.len ? SP__ENTRY_FOREIGN : SP__ENTRY_GOOD);
                free(copy);
        }
        sp__buf_free(&packed);
}

static void test_bytes_of_anybody_are_safe(void **state)
{
        struct sp__random random = seeded();
        struct sp__entry entry;
        char bytes[128], *copy;

        for (int i = 0; i < 20000; i++) {
                size_t len = sp__random_next(&random) % sizeof bytes;

                for (size_t k = 0; k < len; k++)
                        bytes[k] = (char)sp__random_next(&random);
                /* Now and then they begin like ours. */
                if (len > 3 && i % 2)
                        memcpy(bytes, "SP\1", 3);
                (void)decode_copy(bytes, len, &entry, &copy);
                free(copy);
        }
        assert_int_equal(sp__entry_decode("{\"plain\": \"json\"}", 17, &entry), SP__ENTRY_FOREIGN);
        assert_int_equal(sp__entry_decode("", 0, &entry), SP__ENTRY_FOREIGN);
}

static void test_times_that_there_are_not_are_nobodys(void **state)
{
        static const int64_t times[] = {-1, INT64_MIN, INT64_MAX, SP__ENTRY_TIME_MOST + 1};

        for (size_t i = 0; i < 3 * sizeof times / sizeof *times; i++) {
                struct sp__entry entry = {.made = 1000, .fresh_until = 2000, .kept_until = 3000, .data = "x", .len = 1};
                struct sp__entry back;
                struct sp__buf packed = SP__BUF_INIT;

                *(i % 3 == 0 ? &entry.made : i % 3 == 1 ? &entry.fresh_until : &entry.kept_until) = times[i / 3];
                sp__entry_encode(&entry, 0, &packed);
                assert_int_equal(sp__entry_decode(packed.data, packed.len, &back), SP__ENTRY_FOREIGN);
                assert_false(sp__entry_head(packed.data, packed.len, &back));
                sp__buf_free(&packed);
        }
}

static void test_a_newer_format_is_told_apart(void **state)
{
        struct sp__entry entry;

        assert_int_equal(sp__entry_decode("SP\3", 3, &entry), SP__ENTRY_NEWER);
        assert_int_equal(sp__entry_decode("SP\377and more", 11, &entry), SP__ENTRY_NEWER);
        assert_int_equal(sp__entry_decode("SP\0", 3, &entry), SP__ENTRY_FOREIGN);
}

static void compressible(struct sp__random *random, char *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                bytes[i] = i % 32 ? "{\"title\":"[i % 9] : (char)sp__random_next(random);
}

static size_t packed_len(const char *bytes, size_t len, size_t pack_from)
{
        struct sp__entry entry = {.codec = SP_CODEC_JSON, .tag_count = 1, .tags = {7}, .data = bytes, .len = len}, back;
        struct sp__buf packed = SP__BUF_INIT;
        size_t all, whole;
        sp_value *value;
        char *copy;

        sp__entry_encode(&entry, pack_from, &packed);
        assert_false(packed.failed);
        assert_int_equal(decode_copy(packed.data, packed.len, &back, &copy), SP__ENTRY_GOOD);
        assert_int_equal(back.whole, len);
        assert_int_equal(back.tags[0], 7);
        value = sp__entry_value(&back);
        assert_non_null(value);
        assert_memory_equal(sp_value_data(value, &whole), bytes, len);
        assert_int_equal(whole, len);
        assert_int_equal(sp_value_codec(value), SP_CODEC_JSON);
        sp_value_unref(value);
        free(copy);
        all = packed.len;
        sp__buf_free(&packed);
        return all;
}

static void test_a_large_value_is_packed_where_that_saves_an_eighth(void **state)
{
        enum { HEAD_AND_TAG = 56 };
        struct sp__random random = seeded();
        static char bytes[100000];

        compressible(&random, bytes, sizeof bytes);
        assert_true(packed_len(bytes, sizeof bytes, 1024) < sizeof bytes / 2);
        assert_true(packed_len(bytes, 1024, 1024) < HEAD_AND_TAG + 1024);
        assert_int_equal(packed_len(bytes, 1023, 1024), HEAD_AND_TAG + 1023);
        assert_int_equal(packed_len(bytes, sizeof bytes, 0), HEAD_AND_TAG + sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (char)sp__random_next(&random);
        assert_int_equal(packed_len(bytes, sizeof bytes, 1), HEAD_AND_TAG + sizeof bytes);
        assert_int_equal(packed_len(bytes, 1, 1), HEAD_AND_TAG + 1);
        assert_int_equal(packed_len(bytes, 0, 1), HEAD_AND_TAG);
}

static void test_a_value_that_is_not_packed_stays_readable_to_older_libraries(void **state)
{
        struct sp__entry entry = {.codec = SP_CODEC_TEXT, .data = "short", .len = 5};
        struct sp__buf packed = SP__BUF_INIT;

        sp__entry_encode(&entry, 1024, &packed);
        assert_memory_equal(packed.data, "SP\1\2\0\0\0\0", 8);
        sp__buf_free(&packed);
}

static void test_what_is_packed_and_damaged_is_no_value(void **state)
{
        struct sp__entry entry = {.data = NULL}, back;
        struct sp__random random = seeded();
        struct sp__buf packed = SP__BUF_INIT;
        char bytes[4000];
        sp_value *value;

        compressible(&random, bytes, sizeof bytes);
        entry.data = bytes;
        entry.len = sizeof bytes;
        sp__entry_encode(&entry, 1, &packed);
        /* One that says it is 2 GB long would have to have 8 MB. */
        memcpy(packed.data + 48, "\0\0\0\x7e", 4);
        assert_int_equal(sp__entry_decode(packed.data, packed.len, &back), SP__ENTRY_FOREIGN);
        memcpy(packed.data + 48, "\xa1\x0f\0\0", 4);
        assert_int_equal(sp__entry_decode(packed.data, packed.len, &back), SP__ENTRY_GOOD);
        assert_null(sp__entry_value(&back));
        assert_int_equal(sp_cache_inspect(packed.data, packed.len, &value), SP_PROTOCOL);
        assert_int_equal(sp__entry_decode(packed.data, 51, &back), SP__ENTRY_FOREIGN);
        sp__buf_free(&packed);
}

static void test_an_entry_can_be_looked_at(void **state)
{
        struct sp__entry entry = {.codec = SP_CODEC_JSON,
                                  .e = 255,
                                  .v0 = 3,
                                  .made = 1000,
                                  .fresh_until = 2000,
                                  .kept_until = 3000,
                                  .tag_count = 2,
                                  .tags = {1, 0xabc},
                                  .data = "[1]",
                                  .len = 3};
        struct sp__buf packed = SP__BUF_INIT;
        sp_value *text = NULL;
        size_t len;

        sp__entry_encode(&entry, 0, &packed);
        assert_int_equal(sp_cache_inspect(packed.data, packed.len, &text), SP_OK);
        assert_string_equal(sp_value_data(text, &len),
                            "{\"format\":1,\"codec\":3,\"epoch\":\"00000000000000ff\",\"v0\":3,\"made\":1000,"
                            "\"fresh_until\":2000,\"kept_until\":3000,"
                            "\"tags\":[\"0000000000000001\",\"0000000000000abc\"],"
                            "\"packing\":\"none\",\"bytes\":67,\"value_bytes\":3}");
        sp_value_unref(text);
        sp__buf_free(&packed);
        assert_int_equal(sp_cache_inspect("{}", 2, &text), SP_NOT_FOUND);
        assert_int_equal(sp_cache_inspect(NULL, 0, &text), SP_NOT_FOUND);
        assert_int_equal(sp_cache_inspect("SP\3new", 6, &text), SP_UNSUPPORTED);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_an_entry_comes_back_as_it_was),
            cmocka_unit_test(test_a_truncated_entry_is_foreign_or_shorter),
            cmocka_unit_test(test_bytes_of_anybody_are_safe),
            cmocka_unit_test(test_times_that_there_are_not_are_nobodys),
            cmocka_unit_test(test_a_newer_format_is_told_apart),
            cmocka_unit_test(test_a_large_value_is_packed_where_that_saves_an_eighth),
            cmocka_unit_test(test_a_value_that_is_not_packed_stays_readable_to_older_libraries),
            cmocka_unit_test(test_what_is_packed_and_damaged_is_no_value),
            cmocka_unit_test(test_an_entry_can_be_looked_at),
        };

        return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
