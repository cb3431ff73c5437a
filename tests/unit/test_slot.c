/* SPDX-License-Identifier: MIT */
/* Where in a cluster a command belongs, and what becomes of a trip whose commands belong to several nodes. */
#include "redis/orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int slot(const char *key)
{
        return sp__slot_of(key, strlen(key));
}

/* From the cluster's specification. */
static void test_slots_are_those_of_the_specification(void **state)
{
        assert_int_equal(slot("123456789"), 0x31c3);
        assert_int_equal(slot("foo"), 12182);
        assert_int_equal(slot("{user1000}.following"), slot("{user1000}.followers"));
        assert_int_equal(slot("foo{}{bar}"), slot("foo{}{bar}"));
        assert_int_not_equal(slot("foo{}{bar}"), slot("bar"));
        assert_int_equal(slot("foo{{bar}}zap"), slot("{bar"));
        assert_int_equal(slot("foo{bar}{zap}"), slot("bar"));
        assert_int_equal(slot("foo{bar"), slot("foo{bar"));
        assert_int_equal(slot(""), 0);
}

static struct sp__command *command_of(const char *text)
{
        struct sp__command *command = sp__command_new();
        size_t words = 1;

        for (const char *at = text; *at; at++)
                words += *at == ' ';
        sp__command_begin(command, words);
        while (words--) {
                size_t len = strcspn(text, " ");

                sp__command_arg(command, text, len);
                text += len + 1;
        }
        return command;
}

static void test_a_command_is_at_home_with_its_first_key(void **state)
{
        static const struct {
                const char *text, *key; /* NULL: none */
        } cases[] = {{"GET a", "a"},
                     {"set a b EX 5", "a"},
                     {"PING", NULL},
                     {"INFO server", NULL},
                     {"EVAL text 2 a b", "a"},
                     {"EVALSHA abc 0 arg", NULL},
                     {"EVAL text 0", NULL},
                     {"XREAD COUNT 2 STREAMS s $", "s"},
                     {"XREADGROUP GROUP g c STREAMS s >", "s"},
                     {"XREAD COUNT 2", NULL},
                     {"OBJECT ENCODING a", "a"},
                     {"BITOP AND to from", "to"},
                     {"ZUNION 2 a b", "a"},
                     {"GET", NULL},
                     {"MEMORY USAGE a", "a"}};

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct sp__command *command = command_of(cases[i].text);
                struct sp__request_view view;
                size_t at = 0;

                assert_true(sp__request_next(command->request.data, command->request.len, &at, &view));
                assert_int_equal(sp__request_keys(&view).slot, cases[i].key ? slot(cases[i].key) : SP__NO_SLOT);
                assert_false(sp__request_next(command->request.data, command->request.len, &at, &view));
                sp__command_free(command);
        }
}

static redisReply *number(long long value)
{
        redisReply *reply = calloc(1, sizeof *reply);

        reply->type = REDIS_REPLY_INTEGER;
        reply->integer = value;
        return reply;
}

static redisReply *list_of(redisReply *only)
{
        redisReply *reply = calloc(1, sizeof *reply);

        reply->type = REDIS_REPLY_ARRAY;
        reply->elements = 1;
        reply->element = calloc(1, sizeof *reply->element);
        reply->element[0] = only;
        return reply;
}

static redisReply *failure(const char *text)
{
        redisReply *reply = number(0);

        reply->type = REDIS_REPLY_ERROR;
        reply->str = strdup(text);
        reply->len = (int)strlen(text);
        return reply;
}

static void test_a_trip_of_many_keys_becomes_one_command_each(void **state)
{
        struct sp__command *command = command_of("UNLINK a b c");
        struct sp__orders *plan;

        sp__command_begin(command, 2);
        sp__command_text(command, "GET");
        sp__command_text(command, "d");
        sp__command_begin(command, 3);
        sp__command_text(command, "UNLINK");
        sp__command_text(command, "{x}1");
        sp__command_text(command, "{x}2");
        /* As somebody's own: what one node can do it does at once. */
        command->strict = true;
        plan = sp__orders_new(command);
        assert_non_null(plan);
        command->got = command->due;
        assert_int_equal(plan->count, 5);
        assert_int_equal(plan->orders[1].len, strlen("*2\r\n$6\r\nUNLINK\r\n$1\r\nb\r\n"));
        assert_memory_equal(plan->orders[1].data, "*2\r\n$6\r\nUNLINK\r\n$1\r\nb\r\n", plan->orders[1].len);
        assert_int_equal(plan->orders[3].slot, slot("d"));
        assert_int_equal(plan->orders[4].reply, 2);
        assert_int_equal(plan->orders[4].merge, SP__MERGE_WHOLE);
        for (int i = 0; i < 3; i++)
                sp__orders_keep(command, &plan->orders[i], number(i));
        assert_int_equal(command->replies[0]->integer, 3);
        sp__orders_free(plan);
        sp__command_free(command);
}

static void test_a_trip_of_the_librarys_own_is_one_key_a_command(void **state)
{
        struct sp__command *command = command_of("UNLINK {x}1 {x}2");
        struct sp__orders *plan = sp__orders_new(command);

        command->got = command->due;
        assert_int_equal(plan->count, 2);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(plan->orders[i].slot, slot("x"));
                sp__orders_keep(command, &plan->orders[i], number(1));
        }
        assert_int_equal(command->replies[0]->integer, 2);
        sp__orders_free(plan);
        sp__command_free(command);
}

static void test_answers_of_parts_are_one_answer(void **state)
{
        struct sp__command *command = command_of("MGET a b c");
        struct sp__orders *plan = sp__orders_new(command);

        command->got = command->due;
        sp__orders_keep(command, &plan->orders[2], list_of(number(3)));
        sp__orders_keep(command, &plan->orders[0], list_of(number(1)));
        assert_int_equal(command->replies[0]->elements, 3);
        assert_int_equal(command->replies[0]->element[0]->integer, 1);
        assert_int_equal(command->replies[0]->element[1]->type, REDIS_REPLY_NIL);
        assert_int_equal(command->replies[0]->element[2]->integer, 3);
        /* What makes no sense changes nothing; an error is the whole answer, for good. */
        sp__orders_keep(command, &plan->orders[1], number(2));
        assert_int_equal(command->replies[0]->element[1]->type, REDIS_REPLY_NIL);
        sp__orders_keep(command, &plan->orders[1], failure("ERR no"));
        sp__orders_keep(command, &plan->orders[0], list_of(number(1)));
        assert_int_equal(command->replies[0]->type, REDIS_REPLY_ERROR);
        sp__orders_free(plan);
        sp__command_free(command);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_slots_are_those_of_the_specification),
            cmocka_unit_test(test_a_command_is_at_home_with_its_first_key),
            cmocka_unit_test(test_a_trip_of_many_keys_becomes_one_command_each),
            cmocka_unit_test(test_a_trip_of_the_librarys_own_is_one_key_a_command),
            cmocka_unit_test(test_answers_of_parts_are_one_answer),
        };

        return cmocka_run_group_tests_name("slot", tests, NULL, NULL);
}
