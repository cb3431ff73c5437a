/* SPDX-License-Identifier: MIT */
/* A heap yields its nodes in order, a list keeps its links, a buffer writes what readers expect. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { NODES = 512, STEPS = 20000 };

static int64_t least_of(const struct sp__heap_node *nodes)
{
        int64_t least = INT64_MAX;

        for (size_t i = 0; i < NODES; i++) {
                if (nodes[i].place && nodes[i].key < least)
                        least = nodes[i].key;
        }
        return least;
}

static void test_the_first_of_a_heap_is_the_least(void **state)
{
        struct sp__random random = {sp__random_seed()};
        struct sp__heap_node nodes[NODES] = {{0}};
        struct sp__heap heap = {0};
        size_t count = 0;

        printf("# seed %llu\n", (unsigned long long)random.state);
        for (int i = 0; i < STEPS; i++) {
                struct sp__heap_node *node = &nodes[sp__random_next(&random) % NODES];

                if (node->place) {
                        sp__heap_remove(&heap, node);
                        assert_int_equal(node->place, 0);
                        count--;
                } else {
                        /* Few keys, so that equal ones occur. */
                        assert_true(sp__heap_push(&heap, node, (int64_t)(sp__random_next(&random) % 200) - 100));
                        count++;
                }
                assert_int_equal(heap.count, count);
                assert_true(count == 0 || sp__heap_first(&heap)->key == least_of(nodes));
        }
        while (sp__heap_first(&heap)) {
                assert_int_equal(sp__heap_first(&heap)->key, least_of(nodes));
                sp__heap_remove(&heap, sp__heap_first(&heap));
        }
        sp__heap_remove(&heap, &nodes[0]);
        assert_null(sp__heap_first(&heap));
        sp__heap_free(&heap);
}

struct item {
        int n;
        struct sp__list link;
};

static void expect(struct sp__list *head, const char *order)
{
        size_t at_char = 0;

        SP__EACH(head, at, after)
        assert_int_equal(SP__OF(at, struct item, link)->n, order[at_char++] - '0');
        assert_int_equal(order[at_char], 0);
}

static void test_a_list_keeps_its_order_and_forgets_what_leaves(void **state)
{
        struct item items[6];
        struct sp__list head, other;

        sp__list_init(&head);
        sp__list_init(&other);
        for (int i = 0; i < 6; i++) {
                items[i].n = i;
                sp__list_init(&items[i].link);
                assert_false(sp__list_linked(&items[i].link));
        }
        for (int i = 0; i < 3; i++)
                sp__list_push(&head, &items[i].link);
        sp__list_push_front(&head, &items[3].link);
        expect(&head, "3012");
        sp__list_remove(&items[0].link);
        sp__list_remove(&items[0].link);
        assert_false(sp__list_linked(&items[0].link));
        expect(&head, "312");
        sp__list_push(&other, &items[4].link);
        sp__list_push(&other, &items[5].link);
        sp__list_join(&head, &other);
        sp__list_join(&head, &other);
        assert_true(sp__list_empty(&other));
        expect(&head, "31245");
        SP__EACH(&head, at, after)
        {
                if (SP__OF(at, struct item, link)->n % 2)
                        sp__list_remove(at);
        }
        expect(&head, "24");
        assert_ptr_equal(sp__list_pop(&head), &items[2].link);
        assert_ptr_equal(sp__list_pop(&head), &items[4].link);
        assert_null(sp__list_pop(&head));
}

static void test_json_text_is_escaped_and_keeps_every_other_byte(void **state)
{
        struct sp__buf buf = SP__BUF_INIT;
        static const char text[] = "a\"b\\c\n\t\0\x1f\xc3\xa4/";

        sp__buf_json(&buf, text, sizeof text - 1);
        sp__buf_char(&buf, 0);
        assert_string_equal(buf.data, "\"a\\\"b\\\\c\\u000a\\u0009\\u0000\\u001f\xc3\xa4/\"");
        sp__buf_free(&buf);
}

static void test_packed_numbers_read_as_they_were_written(void **state)
{
        struct sp__random random = {sp__random_seed()};
        struct sp__buf buf = SP__BUF_INIT;

        printf("# seed %llu\n", (unsigned long long)random.state);
        for (int i = 0; i < 1000; i++) {
                uint64_t value = sp__random_next(&random) >> (sp__random_next(&random) % 64);

                sp__buf_clear(&buf);
                sp__buf_u16(&buf, (uint16_t)value);
                sp__buf_u32(&buf, (uint32_t)value);
                sp__buf_u64(&buf, value);
                assert_int_equal(buf.len, 14);
                assert_int_equal((unsigned char)buf.data[0], value & 0xff);
                assert_int_equal(sp__get_u16(buf.data), (uint16_t)value);
                assert_int_equal(sp__get_u32(buf.data + 2), (uint32_t)value);
                assert_true(sp__get_u64(buf.data + 6) == value);
        }
        sp__buf_free(&buf);
}

static void test_a_buffer_grows_with_what_is_put_in(void **state)
{
        struct sp__buf buf = SP__BUF_INIT;

        sp__buf_add(&buf, NULL, 0);
        for (int i = 0; i < 3000; i++)
                sp__buf_format(&buf, "%d,", i % 10);
        assert_int_equal(buf.len, 6000);
        assert_memory_equal(buf.data + 5980, "0,1,2,3,4,5,6,7,8,9,", 20);
        assert_false(buf.failed);
        sp__buf_free(&buf);
        assert_null(buf.data);
}

static void test_waits_are_rounded_up_and_never_negative(void **state)
{
        assert_int_equal(sp__poll_ms(100, SP__FOREVER), -1);
        assert_int_equal(sp__poll_ms(100, 100), 0);
        assert_int_equal(sp__poll_ms(100, 5), 0);
        assert_int_equal(sp__poll_ms(100, 101), 1);
        assert_int_equal(sp__poll_ms(0, 3 * SP__MS), 3);
        assert_true(sp__poll_ms(0, SP__FOREVER - 1) > 0);
        assert_true(sp__after_ms(5, -1) == SP__FOREVER);
        assert_true(sp__after_ms(5, INT64_MAX / 2) == SP__FOREVER);
        assert_true(sp__after_ms(5, 2) == 5 + 2 * SP__MS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_first_of_a_heap_is_the_least),
            cmocka_unit_test(test_a_list_keeps_its_order_and_forgets_what_leaves),
            cmocka_unit_test(test_json_text_is_escaped_and_keeps_every_other_byte),
            cmocka_unit_test(test_packed_numbers_read_as_they_were_written),
            cmocka_unit_test(test_a_buffer_grows_with_what_is_put_in),
            cmocka_unit_test(test_waits_are_rounded_up_and_never_negative),
        };

        return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
