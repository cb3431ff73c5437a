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

static void random_entry(struct sp__random *random, char *bytes, size_t max, struct sp__entry *entry)
{
        *entry = (struct sp__entry){.e = sp__random_next(random),
                                    .v0 = (int64_t)sp__random_next(random),
                                    .made = (int64_t)sp__random_next(random),
                                    .fresh_until = (int64_t)sp__random_next(random),
                                    .kept_until = (int64_t)sp__random_next(random),
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
                sp__entry_encode(&entry, &packed);
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
        sp__entry_encode(&entry, &packed);
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

static void test_a_newer_format_is_told_apart(void **state)
{
        struct sp__entry entry;

        assert_int_equal(sp__entry_decode("SP\2", 3, &entry), SP__ENTRY_NEWER);
        assert_int_equal(sp__entry_decode("SP\377and more", 11, &entry), SP__ENTRY_NEWER);
        assert_int_equal(sp__entry_decode("SP\0", 3, &entry), SP__ENTRY_FOREIGN);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_an_entry_comes_back_as_it_was),
            cmocka_unit_test(test_a_truncated_entry_is_foreign_or_shorter),
            cmocka_unit_test(test_bytes_of_anybody_are_safe),
            cmocka_unit_test(test_a_newer_format_is_told_apart),
        };

        return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
