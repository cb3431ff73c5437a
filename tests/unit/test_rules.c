/* SPDX-License-Identifier: MIT */
/* Rules: what they say, what they refuse and how they put it, and what a change of a row reaches. */
#include "invalidate/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sp_cache *cache;

static void declare(const char *text, const char *const patterns[])
{
        sp_template *tmpl;

        assert_int_equal(sp_template_new(text, NULL, &tmpl, NULL), SP_OK);
        for (size_t i = 0; patterns && patterns[i]; i++)
                assert_int_equal(sp_template_pattern(tmpl, patterns[i], NULL), SP_OK);
        assert_int_equal(sp_cache_declare(cache, tmpl, NULL), SP_OK);
        sp_template_unref(tmpl);
}

static int begin(void **state)
{
        assert_int_equal(sp_cache_new(NULL, &cache, NULL), SP_OK);
        declare("rec:content:{contentId}:full", (const char *const[]){"rec:content:*", NULL});
        declare("rec:recommendations:{userId}:{limit}",
                (const char *const[]){"rec:recommendations:*", "rec:recommendations:{userId}:*", NULL});
        declare("rec:user:{userId}:interests", (const char *const[]){"rec:user:*:interests", NULL});
        declare("auth:token:{token!}:valid", NULL);
        declare("pay:pair:{left}:{right}", NULL);
        return 0;
}

static int end(void **state)
{
        sp_cache_free(cache);
        return 0;
}

static sp_rules *rules_of(const char *text)
{
        sp_error *error = NULL;
        sp_rules *rules;

        assert_int_equal(sp_rules_new(cache, &rules, NULL), SP_OK);
        if (sp_rules_add(rules, "t", text, strlen(text), &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        return rules;
}

/* What the change reaches, as "kind text" with commas between. */
static void reaches(const sp_rules *rules, const sp_row *row, const char *expected)
{
        static const char *const words[] = {"key", "tag", "pattern", "all"};
        struct sp__aims aims = {0};
        sp_error *error = NULL;
        char text[4096] = "";

        if (sp__rules_aims(rules, row, &aims, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        for (size_t i = 0; i < aims.count; i++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %.*s", i ? ", " : "",
                         words[aims.items[i].kind], (int)aims.items[i].len, aims.names.data + aims.items[i].at);
        if (aims.all)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%sall", aims.count ? ", " : "");
        assert_string_equal(text, expected);
        sp__aims_free(&aims);
}

static sp_row *row_of(const char *table, int change, const char *const cells[])
{
        sp_row *row = sp_row_new(table, change);

        assert_non_null(row);
        for (size_t i = 0; cells && cells[i]; i += 2)
                assert_int_equal(sp_row_set(row, cells[i], cells[i + 1], strlen(cells[i + 1])), SP_OK);
        return row;
}

static void says(const char *text, sp_status status, const char *message)
{
        sp_error *error = NULL;
        sp_rules *rules;

        assert_int_equal(sp_rules_new(cache, &rules, NULL), SP_OK);
        assert_int_equal(sp_rules_add(rules, "cache.rules", text, strlen(text), &error), status);
        assert_non_null(error);
        if (!strstr(sp_error_message(error), message))
                fail_msg("\"%s\" does not say \"%s\"", sp_error_message(error), message);
        assert_null(strchr(sp_error_message(error), '\n'));
        sp_error_free(error);
        /* All or none. */
        assert_int_equal(rules->rule_count, 0);
        sp_rules_unref(rules);
}

static const char document[] =
    "# onContentUpdated: counters and scores matter to nobody\n"
    "contents(id) when title, status, tags\n"
    "        \xe2\x86\x92\n"
    "        rec:content:{id}:full, rec:recommendations:*, rec:user:*:interests, tag rec:recommendations\n"
    "\n"
    "# onUserInteraction\n"
    "user_interactions(user_id, content_id) on insert, delete ->\n"
    "        rec:recommendations:{user_id}:*,\n"
    "        rec:content:{content_id}:full\n";

static void test_the_document_s_handlers_are_rules(void **state)
{
        static const char one_line[] = "contents(id) when title, status, tags -> rec:content:{id}:full, "
                                       "tag rec:recommendations";
        sp_rules *rules = rules_of(one_line);
        sp_row *row = row_of("contents", SP_ROW_UPDATE, (const char *const[]){"id", "42", NULL});

        reaches(rules, row, "key rec:content:42:full, tag rec:recommendations");
        sp_rules_unref(rules);
        sp_row_free(row);
        rules = rules_of("user_interactions(user_id, content_id) on insert, delete -> rec:recommendations:{user_id}:*, "
                         "rec:content:{content_id}:full");
        row = row_of("public.user_interactions", SP_ROW_INSERT,
                     (const char *const[]){"user_id", "user-3", "content_id", "7", NULL});
        reaches(rules, row, "pattern rec:recommendations:user-3:*, key rec:content:7:full");
        sp_rules_unref(rules);
        sp_row_free(row);
}

static void test_a_text_of_several_lines(void **state)
{
        sp_rules *rules = rules_of(document);
        sp_row *row = row_of("contents", SP_ROW_DELETE, (const char *const[]){"id", "1", NULL});

        reaches(rules, row,
                "key rec:content:1:full, pattern rec:recommendations:*, pattern rec:user:*:interests, tag "
                "rec:recommendations");
        sp_rules_unref(rules);
        says("contents(id) when title\n rec:content:{id}:full", SP_INVALID, "cache.rules:2: unexpected \"rec:");
        says("contents(id)\n\n", SP_INVALID, "the rule ends too soon");
        rules = rules_of("contents(id)\twhen title, \r\n status ->\n\n rec:content:{id}:full # a comment, -> and more\n"
                         "contents(id) \xe2\x86\x92 tag t:{id}");
        reaches(rules, row, "key rec:content:1:full, tag t:1");
        assert_int_equal(rules->rule_count, 2);
        sp_rules_unref(rules);
        sp_row_free(row);
}

static void test_what_is_wrong_is_said_with_place_and_remedy(void **state)
{
        says("contents(id) -> rec:contents:{id}:full", SP_INVALID,
             "cache.rules:1: no template is declared for \"rec:contents:{id}:full\" (the nearest is \"rec:");
        says("\n\ncontents(id) -> rec:content:{idd}:full", SP_INVALID,
             "cache.rules:3: target \"rec:content:{idd}:full\" uses the column \"idd\", which the rule does not name: "
             "write "
             "contents(…, idd)");
        says("contents(id) -> tag a:{x}", SP_INVALID, "uses the column \"x\"");
        says("contents -> rec:content:{id}:full", SP_INVALID, "write contents(id)");
        says("contents(id) -> rec:content:{id}:*", SP_INVALID,
             "no template declares the pattern \"rec:content:{id}:*\"");
        says("contents(id) -> rec:content:{id", SP_INVALID, "has a { without }");
        says("contents(id) rec:content:{id}:full", SP_INVALID, "unexpected \"rec:content:{id}:full\": ->");
        says("contents(id) on upsert -> all", SP_INVALID, "unexpected \"upsert\": behind \"on\" stand insert");
        says("contents(id -> all", SP_INVALID, "the columns end with )");
        says("contents(\"id) -> all", SP_INVALID, "a quotation mark is left open");
        says("contents(id) -> all all", SP_INVALID, "a comma stands between targets");
        says("contents(id) -> ", SP_INVALID, "a key, a pattern, tag and a text, or all is needed here");
        says("(id) -> all", SP_INVALID, "a rule begins with a table");
        says("contents(id) -> tag {", SP_INVALID, "in pairs");
        says("contents(id) -> tag {}", SP_INVALID, "names no column");
        says("contents(id) -> one", SP_INVALID, "two at least");
        says("c0123456789012345678901234567890123456789012345678901234567890123456789 -> all", SP_LIMIT, "63 bytes");
}

static void test_every_input_has_a_limit(void **state)
{
        char *text = malloc(SP_RULES_TEXT_MAX + 2), *at = text;
        sp_error *error = NULL;
        sp_rules *rules;

        memset(text, ' ', SP_RULES_TEXT_MAX + 1);
        assert_int_equal(sp_rules_new(cache, &rules, NULL), SP_OK);
        assert_int_equal(sp_rules_add(rules, "t", text, SP_RULES_TEXT_MAX + 1, &error), SP_LIMIT);
        sp_error_free(error);
        assert_int_equal(sp_rules_add(rules, "t", text, SP_RULES_TEXT_MAX, NULL), SP_OK);
        for (int i = 0; i <= SP_RULES_MAX; i++)
                at += sprintf(at, "t%d -> all\n", i);
        says(text, SP_LIMIT, "cache.rules:257: there are 256 rules already");
        at = text + sprintf(text, "t(");
        for (int i = 0; i <= SP__RULE_COLUMNS_MAX; i++)
                at += sprintf(at, "%sc%d", i ? "," : "", i);
        sprintf(at, ") -> all");
        says(text, SP_LIMIT, "a rule names 32 at most");
        at = text + sprintf(text, "t -> all");
        for (int i = 0; i < SP__RULE_TARGETS_MAX; i++)
                at += sprintf(at, ",all");
        says(text, SP_LIMIT, "a rule has 32 at most");
        sp_rules_unref(rules);
        free(text);
}

static void test_an_update_of_other_columns_touches_nothing(void **state)
{
        sp_rules *rules = rules_of("contents(id) when title, status -> rec:content:{id}:full");
        sp_row *row = row_of("contents", SP_ROW_UPDATE, (const char *const[]){"id", "42", "view_count", "7", NULL});

        /* Nobody said what changed. */
        reaches(rules, row, "key rec:content:42:full");
        sp_row_changed(row, "view_count");
        reaches(rules, row, "");
        sp_row_changed(row, "status");
        reaches(rules, row, "key rec:content:42:full");
        sp_row_free(row);
        row = row_of("contents", SP_ROW_UPDATE, (const char *const[]){"id", "42", "title", "a", "status", "b", NULL});
        reaches(rules, row, "key rec:content:42:full");
        sp_row_was(row, "title", "a", 1);
        sp_row_was(row, "status", "b", 1);
        reaches(rules, row, "");
        sp_row_was(row, "status", NULL, 0);
        reaches(rules, row, "key rec:content:42:full");
        sp_row_free(row);
        sp_rules_unref(rules);
}

static void test_a_row_that_moves_touches_both_places(void **state)
{
        sp_rules *rules = rules_of("p(a, b) -> pay:pair:{a}:{b}, tag p:{a}");
        sp_row *row = row_of("p", SP_ROW_UPDATE, (const char *const[]){"a", "1", "b", "2", NULL});

        reaches(rules, row, "key pay:pair:1:2, tag p:1");
        sp_row_was(row, "a", "9", 1);
        reaches(rules, row, "key pay:pair:1:2, key pay:pair:9:2, tag p:1, tag p:9");
        sp_row_was(row, "b", NULL, 0);
        reaches(rules, row, "key pay:pair:1:2, tag p:1, tag p:9");
        sp_row_free(row);
        sp_rules_unref(rules);
}

static void test_an_incomplete_row_is_refused(void **state)
{
        sp_rules *rules = rules_of("contents(id) -> rec:content:{id}:full");
        sp_row *row = row_of("contents", SP_ROW_DELETE, NULL);
        struct sp__aims aims = {0};
        sp_error *error = NULL;

        assert_int_equal(sp__rules_aims(rules, row, &aims, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "t:1 needs the column \"id\" of table \"contents\""));
        sp_error_free(error);
        sp__aims_free(&aims);
        sp_row_free(row);
        row = row_of("contents", SP_ROW_UPDATE, (const char *const[]){"id", "2", NULL});
        sp_row_changed(row, "id");
        assert_int_equal(sp__rules_aims(rules, row, &aims, NULL), SP_INVALID);
        sp__aims_free(&aims);
        sp_row_free(row);
        row = sp_row_new("contents", SP_ROW_INSERT);
        assert_int_equal(sp_row_set(row, "id", NULL, 1), SP_INVALID);
        assert_int_equal(sp_row_set(row, "id", "1", 1), SP_OK);
        assert_int_equal(sp__rules_aims(rules, row, &aims, NULL), SP_INVALID);
        sp__aims_free(&aims);
        sp_row_free(row);
        sp_rules_unref(rules);
        assert_null(sp_row_new("contents", 0));
        assert_null(sp_row_new("", SP_ROW_INSERT));
        assert_null(sp_row_new(NULL, SP_ROW_INSERT));
}

static void test_truncate_is_widened_to_what_covers_it(void **state)
{
        sp_rules *rules = rules_of("contents(id) on insert -> rec:content:{id}:full");
        sp_row *row = sp_row_new("contents", SP_ROW_TRUNCATE);

        reaches(rules, row, "pattern rec:content:*");
        sp_rules_unref(rules);
        rules = rules_of("contents(id) -> rec:recommendations:{id}:*, tag x");
        reaches(rules, row, "pattern rec:recommendations:*, tag x");
        sp_rules_unref(rules);
        rules = rules_of("contents(id, no) -> pay:pair:{id}:{no}");
        reaches(rules, row, "all");
        sp_rules_unref(rules);
        rules = rules_of("contents(id) -> tag x:{id}");
        reaches(rules, row, "all");
        sp_rules_unref(rules);
        sp_row_free(row);
}

/* An id that could mean something in a key or a pattern invalidates exactly itself. */
static void test_ids_widen_nothing(void **state)
{
        sp_rules *rules = rules_of("contents(id) -> rec:content:{id}:full");
        static const char *const ids[][2] = {{"*", "key rec:content:%2A:full"},
                                             {"a:b", "key rec:content:a%3Ab:full"},
                                             {"]", "key rec:content:%5D:full"},
                                             {"{x}", "key rec:content:%7Bx%7D:full"}};
        char *long_id = malloc(10240);
        sp_row *row;

        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
                row = row_of("contents", SP_ROW_DELETE, (const char *const[]){"id", ids[i][0], NULL});
                reaches(rules, row, ids[i][1]);
                sp_row_free(row);
        }
        memset(long_id, 'x', 10239);
        long_id[10239] = 0;
        row = row_of("contents", SP_ROW_DELETE, (const char *const[]){"id", long_id, NULL});
        {
                struct sp__aims aims = {0};

                assert_int_equal(sp__rules_aims(rules, row, &aims, NULL), SP_OK);
                assert_int_equal(aims.count, 1);
                assert_int_equal(aims.items[0].kind, SP__AIM_KEY);
                assert_int_equal(aims.items[0].len, strlen("rec:content::full") + 65);
                sp__aims_free(&aims);
        }
        sp_row_free(row);
        /* No key can be made of nothing. */
        row = row_of("contents", SP_ROW_DELETE, (const char *const[]){"id", "", NULL});
        reaches(rules, row, "");
        sp_row_free(row);
        sp_rules_unref(rules);
        free(long_id);
}

static void test_secrets_are_hashed_as_in_keys(void **state)
{
        sp_rules *rules = rules_of("tokens(token) -> auth:token:{token}:valid");
        sp_row *row = row_of("tokens", SP_ROW_DELETE, (const char *const[]){"token", "s3cret", NULL});
        sp_value *value = NULL;
        size_t len;

        assert_int_equal(sp_rules_explain(rules, row, &value, NULL), SP_OK);
        assert_null(strstr(sp_value_data(value, &len), "s3cret"));
        assert_non_null(strstr(sp_value_data(value, &len), "auth:token:~"));
        sp_value_unref(value);
        sp_row_free(row);
        sp_rules_unref(rules);
}

static void test_explain_says_which_keys_a_change_would_touch(void **state)
{
        sp_rules *rules = rules_of("contents(id) -> rec:content:{id}:full, tag \"my, tag\"\nother -> all");
        sp_row *row = row_of("contents", SP_ROW_UPDATE, (const char *const[]){"id", "a\"b", NULL});
        sp_value *value = NULL;
        size_t len;

        assert_int_equal(sp_rules_explain(rules, row, &value, NULL), SP_OK);
        assert_string_equal(sp_value_data(value, &len),
                            "{\"table\":\"public.contents\",\"change\":\"update\",\"targets\":["
                            "{\"rule\":\"t:1\",\"kind\":\"key\",\"text\":\"rec:content:a\\\"b:full\"},"
                            "{\"rule\":\"t:1\",\"kind\":\"tag\",\"text\":\"my, tag\"}]}");
        sp_value_unref(value);
        sp_row_free(row);
        row = sp_row_new("nobody.knows", SP_ROW_INSERT);
        assert_int_equal(sp_rules_explain(rules, row, &value, NULL), SP_OK);
        assert_string_equal(sp_value_data(value, &len),
                            "{\"table\":\"nobody.knows\",\"change\":\"insert\",\"targets\":[]}");
        sp_value_unref(value);
        sp_row_free(row);
        sp_rules_unref(rules);
}

static void test_the_number_of_the_rules_is_of_what_they_say(void **state)
{
        sp_rules *a = rules_of("contents(id) -> rec:content:{id}:full\nother -> all");
        sp_rules *b = rules_of("# the same\nother -> all\n\ncontents(id)   ->  rec:content:{id}:full");
        sp_rules *c = rules_of("contents(id) on insert -> rec:content:{id}:full\nother -> all");

        assert_true(sp__rules_hash(a) == sp__rules_hash(b));
        assert_true(sp__rules_hash(a) != sp__rules_hash(c));
        sp_rules_unref(a);
        sp_rules_unref(b);
        sp_rules_unref(c);
}

/* As some editors write it; the lines are counted all the same. */
static void test_a_mark_at_the_beginning_is_no_name(void **state)
{
        sp_rules *rules = rules_of("\xef\xbb\xbf"
                                   "contents(id) -> rec:content:{id}:full");
        sp_row *row = row_of("contents", SP_ROW_UPDATE, (const char *const[]){"id", "42", NULL});

        reaches(rules, row, "key rec:content:42:full");
        sp_rules_unref(rules);
        sp_row_free(row);
        rules = rules_of("\xef\xbb\xbf");
        assert_int_equal(rules->rule_count, 0);
        sp_rules_unref(rules);
        says("\xef\xbb\xbf\nbad", SP_INVALID, "cache.rules:2: ");
}

static void test_rules_of_a_file(void **state)
{
        char path[] = "/tmp/sugarperf-rules-XXXXXX";
        int fd = mkstemp(path);
        FILE *file = fdopen(fd, "w");
        sp_error *error = NULL;
        sp_rules *rules;

        fputs("contents(id) -> rec:content:{id}:full\nbad", file);
        fclose(file);
        assert_int_equal(sp_rules_new(cache, &rules, NULL), SP_OK);
        assert_int_equal(sp_rules_load(rules, path, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), strrchr(path, '/') + 1));
        assert_non_null(strstr(sp_error_message(error), ":2: "));
        sp_error_free(error);
        remove(path);
        error = NULL;
        assert_int_equal(sp_rules_load(rules, path, &error), SP_NOT_FOUND);
        sp_error_free(error);
        sp_rules_unref(rules);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_document_s_handlers_are_rules),
            cmocka_unit_test(test_a_text_of_several_lines),
            cmocka_unit_test(test_what_is_wrong_is_said_with_place_and_remedy),
            cmocka_unit_test(test_every_input_has_a_limit),
            cmocka_unit_test(test_an_update_of_other_columns_touches_nothing),
            cmocka_unit_test(test_a_row_that_moves_touches_both_places),
            cmocka_unit_test(test_an_incomplete_row_is_refused),
            cmocka_unit_test(test_truncate_is_widened_to_what_covers_it),
            cmocka_unit_test(test_ids_widen_nothing),
            cmocka_unit_test(test_secrets_are_hashed_as_in_keys),
            cmocka_unit_test(test_explain_says_which_keys_a_change_would_touch),
            cmocka_unit_test(test_the_number_of_the_rules_is_of_what_they_say),
            cmocka_unit_test(test_a_mark_at_the_beginning_is_no_name),
            cmocka_unit_test(test_rules_of_a_file),
        };

        return cmocka_run_group_tests_name("rules", tests, begin, end);
}
