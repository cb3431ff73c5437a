/* SPDX-License-Identifier: MIT */
/* What a session's transaction invalidates: when it took effect, not before, and not when it did not. */
#include "desk.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* A session with a transaction open, in which something was done. */
static sp_session *transaction(struct desk *desk)
{
        sp_session *session;
        sp_error *error = NULL;

        assert_int_equal(sp_pool_acquire(desk->pool, NULL, &session, &error), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, &error), SP_OK);
        session_run(&ways[0], session, "SELECT 1");
        return session;
}

/* With these in its cache, a letter each, and such a session. */
static sp_session *open_desk(struct desk *desk, void **state, const char *parts)
{
        desk_begin(desk, state);
        for (; *parts; parts++)
                desk_put(desk, (char[]){*parts, 0});
        return transaction(desk);
}

static void close_desk(struct desk *desk, sp_session *session)
{
        sp_session_release(session);
        desk_end(desk);
}

static void follow(struct desk *desk, sp_session *session, const char *id)
{
        sp_row *row = desk_row("items", SP_ROW_UPDATE, id);
        sp_error *error = NULL;

        if (sp_session_invalidate_row(session, desk->rules, row, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_row_free(row);
}

/* The way's form of a call on a session that yields nothing. */
static sp_status finish(struct desk *desk, sp_session *session,
                        sp_status (*blocking)(sp_session *, sp_ctx *, sp_error **),
                        sp_status (*async)(sp_session *, sp_ctx *, sp_queue *, uint64_t))
{
        sp_completion *done = NULL;
        sp_queue *queue;
        sp_status status;

        if (desk->way->invalidate == sp_cache_invalidate)
                return blocking(session, NULL, NULL);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(async(session, NULL, queue, 7), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, 20000), 1);
        status = sp_completion_status(done);
        sp_completion_free(done);
        sp_queue_free(queue);
        return status;
}

static sp_status commit(struct desk *desk, sp_session *session)
{
        return finish(desk, session, sp_session_commit, sp_session_commit_async);
}

static sp_status roll_back(struct desk *desk, sp_session *session)
{
        return finish(desk, session, sp_session_rollback, sp_session_rollback_async);
}

static void test_at_commit_and_not_before(void **state)
{
        struct desk desk;
        sp_session *session;

        session = open_desk(&desk, state, "123");
        follow(&desk, session, "1");
        follow(&desk, session, "2");
        assert_true(desk_has(&desk, "1"));
        assert_int_equal(commit(&desk, session), SP_OK);
        assert_false(desk_has(&desk, "1"));
        assert_false(desk_has(&desk, "2"));
        assert_true(desk_has(&desk, "3"));
        close_desk(&desk, session);
}

static void test_a_rollback_drops_it(void **state)
{
        struct desk desk;
        sp_session *session;

        session = open_desk(&desk, state, "1");
        follow(&desk, session, "1");
        assert_int_equal(roll_back(&desk, session), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(&ways[0], session, "SELECT 1");
        assert_int_equal(commit(&desk, session), SP_OK);
        assert_true(desk_has(&desk, "1"));
        /* So does giving the session back, and a commit that the server turned down. */
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(&ways[0], session, "SELECT 1");
        follow(&desk, session, "1");
        sp_session_release(session);
        assert_true(desk_has(&desk, "1"));
        session = transaction(&desk);
        follow(&desk, session, "1");
        {
                sp_stmt *stmt = stmt_of("SELECT 1 / 0");
                sp_result *result;

                assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, NULL), SP_SQL);
                sp_stmt_unref(stmt);
        }
        assert_int_equal(commit(&desk, session), SP_SQL);
        assert_true(desk_has(&desk, "1"));
        close_desk(&desk, session);
}

static void test_a_savepoint_drops_what_came_behind_it(void **state)
{
        struct desk desk;
        sp_session *session;

        session = open_desk(&desk, state, "12345");
        follow(&desk, session, "1");
        assert_int_equal(sp_session_savepoint(session, NULL, "a", NULL), SP_OK);
        follow(&desk, session, "2");
        assert_int_equal(sp_session_savepoint(session, NULL, "a", NULL), SP_OK);
        follow(&desk, session, "3");
        assert_int_equal(sp_session_rollback_to(session, NULL, "a", NULL), SP_OK);
        follow(&desk, session, "4");
        assert_int_equal(sp_session_release_savepoint(session, NULL, "a", NULL), SP_OK);
        /* Now the first one of that name, which drops 2 and 4. */
        assert_int_equal(sp_session_rollback_to(session, NULL, "a", NULL), SP_OK);
        follow(&desk, session, "5");
        assert_int_equal(commit(&desk, session), SP_OK);
        assert_false(desk_has(&desk, "1"));
        assert_true(desk_has(&desk, "2"));
        assert_true(desk_has(&desk, "3"));
        assert_true(desk_has(&desk, "4"));
        assert_false(desk_has(&desk, "5"));
        close_desk(&desk, session);
}

static void test_savepoints_that_the_library_did_not_see_drop_nothing(void **state)
{
        struct desk desk;
        sp_session *session;

        session = open_desk(&desk, state, "12");
        follow(&desk, session, "1");
        session_run(&ways[0], session, "SAVEPOINT s");
        follow(&desk, session, "2");
        assert_int_equal(sp_session_rollback_to(session, NULL, "s", NULL), SP_OK);
        assert_int_equal(commit(&desk, session), SP_OK);
        assert_false(desk_has(&desk, "1"));
        assert_false(desk_has(&desk, "2"));
        close_desk(&desk, session);
}

/* Nobody waits in between. */
static void test_a_transaction_that_begins_behind_an_end_leaves_to_it_what_follows(void **state)
{
        sp_stmt *nap = stmt_of("SELECT pg_sleep(0.05)");
        sp_queue *queue;
        struct desk desk;
        sp_session *session = open_desk(&desk, state, "1");

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        follow(&desk, session, "1");
        assert_int_equal(sp_session_query_async(session, NULL, nap, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_session_rollback_async(session, NULL, queue, 2), SP_OK);
        assert_int_equal(sp_session_begin_async(session, NULL, NULL, queue, 3), SP_OK);
        assert_int_equal(sp_session_commit_async(session, NULL, queue, 4), SP_OK);
        for (int i = 0; i < 4; i++) {
                sp_completion *done;

                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                assert_int_equal(sp_completion_status(done), SP_OK);
                sp_completion_free(done);
        }
        assert_true(desk_has(&desk, "1"));
        sp_queue_free(queue);
        sp_stmt_unref(nap);
        close_desk(&desk, session);
}

/* A COMMIT that the caller wrote himself is seen late, but it is not lost. */
static void test_a_commit_by_hand_is_made_up_for(void **state)
{
        struct desk desk;
        sp_session *session;

        session = open_desk(&desk, state, "12");
        follow(&desk, session, "1");
        session_run(&ways[0], session, "COMMIT");
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(&ways[0], session, "SELECT 1");
        while (desk_has(&desk, "1"))
                nanosleep(&(struct timespec){.tv_nsec = SP__MS}, NULL);
        follow(&desk, session, "2");
        session_run(&ways[0], session, "COMMIT");
        sp_session_release(session);
        while (desk_has(&desk, "2"))
                nanosleep(&(struct timespec){.tv_nsec = SP__MS}, NULL);
        desk_end(&desk);
}

static void test_without_a_transaction_it_is_refused(void **state)
{
        struct desk desk;
        sp_session *session;
        sp_error *error = NULL;
        sp_row *row = desk_row("items", SP_ROW_UPDATE, "1");

        desk_begin(&desk, state);
        assert_int_equal(sp_pool_acquire(desk.pool, NULL, &session, NULL), SP_OK);
        assert_int_equal(sp_session_invalidate_row(session, desk.rules, row, &error), SP_INVALID);
        says(error, "no transaction is open", NULL);
        sp_session_release(session);
        sp_row_free(row);
        desk_end(&desk);
}

/* The server takes the transaction back at COMMIT. */
static void test_a_commit_that_fails_drops_it(void **state)
{
        struct desk desk;
        sp_session *session;
        char text[TEXT_MAX];

        session = open_desk(&desk, state, "1");
        snprintf(text, sizeof text, "CREATE TEMP TABLE %s (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", desk.name);
        session_run(&ways[0], session, text);
        snprintf(text, sizeof text, "INSERT INTO %s VALUES (1), (1)", desk.name);
        session_run(&ways[0], session, text);
        follow(&desk, session, "1");
        assert_int_equal(commit(&desk, session), SP_SQL);
        assert_true(desk_has(&desk, "1"));
        close_desk(&desk, session);
}

/* Nobody knows whether it took effect, so it is taken to have. */
static void test_a_commit_without_an_answer_invalidates(void **state)
{
        struct desk desk;
        sp_session *session;
        char text[TEXT_MAX];
        int64_t pid;

        session = open_desk(&desk, state, "1");
        pid = session_number(&ways[0], session, "SELECT pg_backend_pid()");
        /* The commit kills its own connection. */
        snprintf(text, sizeof text,
                 "CREATE FUNCTION pg_temp.die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
                 "pg_terminate_backend(%lld); PERFORM pg_sleep(9); RETURN NULL; END $$",
                 (long long)pid);
        session_run(&ways[0], session, text);
        snprintf(text, sizeof text, "CREATE TEMP TABLE %s (id int)", desk.name);
        session_run(&ways[0], session, text);
        snprintf(text, sizeof text,
                 "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE "
                 "FUNCTION pg_temp.die()",
                 desk.name);
        session_run(&ways[0], session, text);
        snprintf(text, sizeof text, "INSERT INTO %s VALUES (1)", desk.name);
        session_run(&ways[0], session, text);
        follow(&desk, session, "1");
        assert_int_equal(commit(&desk, session), SP_LOST);
        assert_false(desk_has(&desk, "1"));
        close_desk(&desk, session);
}

struct work {
        struct desk *desk;
        int runs;
};

static sp_status do_work(void *arg, sp_session *session, sp_error **error)
{
        struct work *work = arg;

        session_run(&ways[0], session, "SELECT 1");
        follow(work->desk, session, work->runs++ ? "2" : "1");
        if (work->runs > 1)
                return SP_OK;
        {
                sp_stmt *stmt = stmt_of("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$");
                sp_result *result;
                sp_status status = sp_session_query(session, NULL, stmt, NULL, &result, error);

                sp_stmt_unref(stmt);
                return status;
        }
}

static void test_a_transaction_that_is_made_again_tells_of_the_last_time_alone(void **state)
{
        struct desk desk;
        struct work work = {&desk, 0};

        desk_begin(&desk, state);
        desk_put(&desk, "1");
        desk_put(&desk, "2");
        assert_int_equal(sp_pool_transact(desk.pool, NULL, NULL, do_work, &work, NULL), SP_OK);
        assert_int_equal(work.runs, 2);
        assert_true(desk_has(&desk, "1"));
        assert_false(desk_has(&desk, "2"));
        desk_end(&desk);
}

/* What comes late for a cache that is gone does nothing. */
static void test_a_cache_may_be_freed_before_the_commit(void **state)
{
        struct desk desk;
        sp_session *session;

        session = open_desk(&desk, state, "");
        follow(&desk, session, "1");
        sp_rules_unref(desk.rules);
        sp_cache_free(desk.cache);
        desk.cache = NULL;
        desk.rules = NULL;
        assert_int_equal(commit(&desk, session), SP_OK);
        close_desk(&desk, session);
}

/* More than the trips take that are under way at a time. */
static void test_a_large_transaction_is_told_as_a_whole(void **state)
{
        enum { MANY = 5500 };
        struct desk desk;
        sp_session *session;
        char id[16];

        desk_begin(&desk, state);
        desk_put(&desk, "0");
        desk_put(&desk, "5499");
        desk_put(&desk, "5500");
        session = transaction(&desk);
        for (int i = 0; i < MANY; i++) {
                snprintf(id, sizeof id, "%d", i);
                follow(&desk, session, id);
        }
        assert_int_equal(commit(&desk, session), SP_OK);
        assert_false(desk_has(&desk, "0"));
        assert_false(desk_has(&desk, "5499"));
        assert_true(desk_has(&desk, "5500"));
        close_desk(&desk, session);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            ALL_WAYS(test_at_commit_and_not_before),
            ALL_WAYS(test_a_rollback_drops_it),
            ALL_WAYS(test_a_savepoint_drops_what_came_behind_it),
            ALL_WAYS(test_savepoints_that_the_library_did_not_see_drop_nothing),
            DESK_WAY(test_a_transaction_that_begins_behind_an_end_leaves_to_it_what_follows, 0),
            ALL_WAYS(test_a_commit_by_hand_is_made_up_for),
            ALL_WAYS(test_without_a_transaction_it_is_refused),
            ALL_WAYS(test_a_commit_that_fails_drops_it),
            ALL_WAYS(test_a_commit_without_an_answer_invalidates),
            ALL_WAYS(test_a_transaction_that_is_made_again_tells_of_the_last_time_alone),
            ALL_WAYS(test_a_cache_may_be_freed_before_the_commit),
            ALL_WAYS(test_a_large_transaction_is_told_as_a_whole),
        };

        return cmocka_run_group_tests_name("sequel", tests, NULL, NULL);
}
