/* SPDX-License-Identifier: MIT */
/* What the server says beside its answers goes to the session that wants it, in its order, and to nobody else. */
#include "way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 1024 };

#define SAY(word) "DO $$ BEGIN RAISE NOTICE '" word "'; END $$"

static sp_session *hearing(const struct way *way, sp_pool *pool)
{
        sp_session *session = session_of(way, pool);

        assert_int_equal(sp_session_keep_notices(session, true, NULL), SP_OK);
        return session;
}

/* The messages of what was kept, each behind a blank; "" where there is nothing. */
static const char *said(sp_session *session, char text[TEXT])
{
        sp_value *value = sp_session_notices(session);
        size_t len, used = 0;

        *text = 0;
        if (!value)
                return text;
        for (const char *at = sp_value_data(value, &len); (at = strstr(at, "\"M\":\"")); at += strlen("\"M\":\""))
                used += (size_t)snprintf(text + used, TEXT - used, " %.*s", (int)strcspn(at + 5, "\""), at + 5);
        sp_value_unref(value);
        return text;
}

static void hears(sp_session *session, const char *expected)
{
        char text[TEXT];

        assert_string_equal(said(session, text), expected);
}

static sp_status attempt(const struct way *way, sp_session *session, const char *text)
{
        sp_stmt *stmt = stmt_of(text);
        sp_result *result = NULL;
        sp_status status = way->session(session, NULL, stmt, NULL, &result, NULL);

        sp_result_free(result);
        sp_stmt_unref(stmt);
        return status;
}

static void test_notices_are_kept_in_their_order_with_all_their_fields(void **state)
{
        static const char expected[] =
            "{\"S\":\"NOTICE\",\"V\":\"NOTICE\",\"C\":\"ZX001\",\"M\":\"\\\"one\\\" \xc3\xbc\","
            "\"D\":\"a detail\",\"H\":\"a hint\",\"W\":\"PL/pgSQL function ";
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = hearing(way, pool);
        sp_value *value;
        const char *text;
        size_t len;

        session_run(way, session,
                    "DO $$ BEGIN RAISE NOTICE '\"one\" \xc3\xbc' USING DETAIL = 'a detail', HINT = 'a hint', "
                    "ERRCODE = 'ZX001'; RAISE WARNING 'two'; RAISE INFO 'three'; END $$");
        value = sp_session_notices(session);
        text = sp_value_data(value, &len);
        assert_int_equal(sp_value_codec(value), SP_CODEC_JSON);
        assert_int_equal(text[0], '[');
        assert_memory_equal(text + 1, expected, strlen(expected));
        assert_string_equal(text + len - 2, "}]");
        sp_value_unref(value);
        session_run(way, session, SAY("four"));
        session_run(way, session, "DROP TABLE IF EXISTS no_such_notice");
        session_run(way, session, SAY("five"));
        hears(session, " four table \\ five");
        hears(session, "");
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_what_came_before_an_error_or_the_end_of_the_connection_is_kept(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = hearing(way, pool);

        assert_int_equal(attempt(way, session, "DO $$ BEGIN RAISE NOTICE 'one'; PERFORM 1 / 0; END $$"), SP_SQL);
        hears(session, " one");
        assert_int_equal(attempt(way, session,
                                 "DO $$ BEGIN RAISE NOTICE 'two'; PERFORM pg_terminate_backend(pg_backend_pid()); "
                                 "PERFORM pg_sleep(60); END $$"),
                         SP_LOST);
        hears(session, " two");
        assert_int_equal(sp_session_keep_notices(session, true, NULL), SP_OK);
        hears(session, "");
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_a_commit_and_a_copy_bring_theirs(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = hearing(way, pool);
        sp_stmt *copies = stmt_of("COPY noticed FROM STDIN");
        int64_t rows = 0;
        sp_copy *copy;

        session_run(way, session, "CREATE TEMP TABLE noticed (id int)");
        session_run(way, session,
                    "CREATE FUNCTION pg_temp.say() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RAISE NOTICE '% %', TG_ARGV[0], NEW.id; RETURN NEW; END $$");
        session_run(way, session,
                    "CREATE TRIGGER early BEFORE INSERT ON noticed FOR EACH ROW EXECUTE FUNCTION pg_temp.say('early')");
        session_run(way, session,
                    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON noticed DEFERRABLE INITIALLY DEFERRED "
                    "FOR EACH ROW EXECUTE FUNCTION pg_temp.say('late')");
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(way, session, "INSERT INTO noticed VALUES (1)");
        hears(session, " early 1");
        assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
        hears(session, " late 1");
        assert_int_equal(sp_session_copy(session, NULL, copies, &copy, NULL), SP_OK);
        assert_int_equal(sp_copy_write(copy, NULL, "2\n3\n", 4, NULL), SP_OK);
        assert_int_equal(sp_copy_end(copy, NULL, &rows, NULL), SP_OK);
        sp_copy_free(copy);
        hears(session, " early 2 early 3 late 2 late 3");
        sp_stmt_unref(copies);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_nothing_is_kept_that_nobody_wants(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = session_of(way, pool);

        session_run(way, session, SAY("one"));
        hears(session, "");
        assert_int_equal(sp_session_keep_notices(session, true, NULL), SP_OK);
        session_run(way, session, SAY("two"));
        assert_int_equal(sp_session_keep_notices(session, false, NULL), SP_OK);
        session_run(way, session, SAY("three"));
        hears(session, " two");
        assert_int_equal(sp_session_keep_notices(session, true, NULL), SP_OK);
        session_run(way, session, SAY("four"));
        hears(session, " four");
        sp_session_release(session);
        assert_int_equal(sp_session_keep_notices(NULL, true, NULL), SP_INVALID);
        assert_null(sp_session_notices(NULL));
        sp_pool_free(pool);
}

static void test_no_later_holder_gets_what_was_left(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = hearing(way, pool);
        int64_t backend = session_number(way, session, "SELECT pg_backend_pid()");

        session_run(way, session, "BEGIN");
        session_run(way, session, SAY("left"));
        sp_session_release(session);
        run(way, pool, SAY("between"));
        session = session_of(way, pool);
        assert_int_equal(session_number(way, session, "SELECT pg_backend_pid()"), backend);
        session_run(way, session, SAY("unheard"));
        assert_int_equal(sp_session_keep_notices(session, true, NULL), SP_OK);
        hears(session, "");
        session_run(way, session, SAY("mine"));
        hears(session, " mine");
        sp_session_release(session);
        sp_pool_free(pool);
}

/* Its place in the pool is the next one's at once. */
static void test_who_lost_the_connection_hears_nothing_of_the_one_in_its_place(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.min=0", NULL});
        sp_session *lost = hearing(way, pool), *next;

        assert_int_equal(attempt(way, lost, "SELECT pg_terminate_backend(pg_backend_pid())"), SP_LOST);
        next = session_of(way, pool);
        session_run(way, next, SAY("one"));
        assert_int_equal(sp_session_keep_notices(lost, true, NULL), SP_OK);
        session_run(way, next, SAY("two"));
        hears(lost, "");
        assert_int_equal(sp_session_keep_notices(next, true, NULL), SP_OK);
        session_run(way, next, SAY("three"));
        assert_int_equal(sp_session_keep_notices(lost, false, NULL), SP_OK);
        sp_session_release(lost);
        session_run(way, next, SAY("four"));
        hears(next, " three four");
        sp_session_release(next);
        sp_pool_free(pool);
}

/* How many there are to be taken. */
static size_t taken(sp_session *session)
{
        sp_value *value = sp_session_notices(session);
        size_t len, count = 0;

        for (const char *at = value ? sp_value_data(value, &len) : NULL; at && (at = strstr(at, "\"M\":")); at++)
                count++;
        sp_value_unref(value);
        return count;
}

static void test_of_too_many_the_first_are_kept_and_the_others_counted(void **state)
{
        enum { ALL = 400 };
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = hearing(way, pool);
        const char *text, *end;
        int kept = 0, dropped;
        sp_value *value;
        size_t len;

        session_run(way, session,
                    "DO $$ BEGIN FOR i IN 1..400 LOOP RAISE NOTICE '%.', i USING DETAIL = "
                    "repeat('x', CASE WHEN i > 200 THEN 1 ELSE 8000 END); END LOOP; END $$");
        value = sp_session_notices(session);
        text = sp_value_data(value, &len);
        assert_in_range(len, SP_NOTICES_MAX - 10000, SP_NOTICES_MAX + 32);
        for (const char *at = text; (at = strstr(at, "\"M\":\"")); at++)
                assert_int_equal(atoi(at + strlen("\"M\":\"")), ++kept);
        end = strstr(text, ",{\"dropped\":");
        assert_non_null(end);
        dropped = atoi(end + strlen(",{\"dropped\":"));
        assert_int_equal(kept + dropped, ALL);
        assert_in_range(dropped, ALL / 2, ALL - 1);
        sp_value_unref(value);
        session_run(way, session, SAY("after"));
        hears(session, " after");
        sp_session_release(session);
        sp_pool_free(pool);
}

/* While the engine reads them; all of them are there once the last answer is. */
static void test_they_may_be_taken_while_statements_run(void **state)
{
        enum { COUNT = 20, EACH = 50 };
        static const char says[] = "DO $$ BEGIN FOR i IN 1..50 LOOP RAISE NOTICE 'x'; END LOOP; END $$";
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_session *session = hearing(&ways[1], pool);
        sp_queue *queue = queue_of();
        sp_stmt *stmt = stmt_of(says);
        sp_completion *done;
        size_t heard = 0;

        (void)state;
        for (int i = 0; i < COUNT; i++)
                assert_int_equal(sp_session_query_async(session, NULL, stmt, NULL, queue, (uint64_t)i), SP_OK);
        for (int i = 0; i < COUNT;) {
                heard += taken(session);
                if (sp_queue_take(queue, &done, 1) == 0)
                        continue;
                heard += taken(session);
                assert_int_equal(sp_completion_status(done), SP_OK);
                assert_int_equal(sp_completion_tag(done), i++);
                assert_true(heard >= (size_t)i * EACH);
                sp_completion_free(done);
        }
        assert_int_equal(heard, COUNT * EACH);
        sp_stmt_unref(stmt);
        sp_queue_free(queue);
        sp_session_release(session);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_notices_are_kept_in_their_order_with_all_their_fields),
            BOTH_WAYS(test_what_came_before_an_error_or_the_end_of_the_connection_is_kept),
            BOTH_WAYS(test_a_commit_and_a_copy_bring_theirs),
            BOTH_WAYS(test_nothing_is_kept_that_nobody_wants),
            BOTH_WAYS(test_no_later_holder_gets_what_was_left),
            BOTH_WAYS(test_who_lost_the_connection_hears_nothing_of_the_one_in_its_place),
            BOTH_WAYS(test_of_too_many_the_first_are_kept_and_the_others_counted),
            cmocka_unit_test(test_they_may_be_taken_while_statements_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
