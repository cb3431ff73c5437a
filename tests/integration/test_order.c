/* SPDX-License-Identifier: MIT */
/* What a session is given runs in the order in which it was given, by calls of whichever form. */
#include "way.h"

#include "base/clock.h"
#include "pg/pool_internal.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST = 8, LATE_MS = 15 };

/* A session beside an empty table, and what its calls were answered, by tag. */
struct world {
        sp_pool *pool;
        sp_session *session;
        sp_queue *queue;
        sp_stmt *insert, *divide, *count;
        struct sp__task late;
        sp_status told[MOST];
        size_t given;
};

static void world_begin(struct world *world)
{
        *world = (struct world){.pool = pool_with((const char *[]){"pool.max=4", "pool.min=1", NULL})};
        run(&ways[0], world->pool, "DROP TABLE IF EXISTS session_turns");
        run(&ways[0], world->pool, "CREATE TABLE session_turns (id int)");
        world->insert = stmt_of("INSERT INTO session_turns VALUES (1)");
        world->divide = stmt_of("SELECT 1/0");
        world->count = stmt_of("SELECT count(*) FROM session_turns WHERE id < $1");
        world->session = session_of(&ways[0], world->pool);
        world->queue = queue_of();
}

static void world_end(struct world *world)
{
        sp_session_release(world->session);
        run(&ways[0], world->pool, "DROP TABLE session_turns");
        sp_stmt_unref(world->insert);
        sp_stmt_unref(world->divide);
        sp_stmt_unref(world->count);
        sp_queue_free(world->queue);
        sp_pool_free(world->pool);
}

static int64_t rows(struct world *world)
{
        return number(&ways[0], world->pool, "SELECT count(*) FROM session_turns", 0);
}

static void nap(struct sp__task *task)
{
        nanosleep(&(struct timespec){.tv_nsec = LATE_MS * SP__MS}, NULL);
}

/* Whatever does not wait for the engine overtakes what it is to begin now. */
static void engine_is_late(struct world *world)
{
        world->late.run = nap;
        sp__engine_post(world->pool->engine, &world->late);
}

static uint64_t tag(struct world *world)
{
        assert_true(world->given < MOST);
        return world->given++;
}

static void give(struct world *world, const sp_stmt *stmt)
{
        assert_int_equal(sp_session_query_async(world->session, NULL, stmt, NULL, world->queue, tag(world)), SP_OK);
}

/* The answers to all that was given. */
static void collect(struct world *world)
{
        for (size_t i = 0; i < world->given; i++) {
                sp_completion *done;

                assert_int_equal(sp_queue_wait(world->queue, &done, 1, -1), 1);
                world->told[sp_completion_tag(done)] = sp_completion_status(done);
                sp_completion_free(done);
        }
        world->given = 0;
}

/* From its first savepoint on a session keeps what follows its transactions, and ends them in another way. */
static void use_a_savepoint(struct world *world)
{
        assert_int_equal(sp_session_begin(world->session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_savepoint(world->session, NULL, "x", NULL), SP_OK);
        assert_int_equal(sp_session_commit(world->session, NULL, NULL), SP_OK);
}

static void test_an_asynchronous_end_comes_behind_what_was_given_before(void **state)
{
        struct world world;

        world_begin(&world);
        for (int savepoints = 0; savepoints <= 1; savepoints++) {
                if (savepoints)
                        use_a_savepoint(&world);
                engine_is_late(&world);
                assert_int_equal(sp_session_begin_async(world.session, NULL, NULL, world.queue, tag(&world)), SP_OK);
                give(&world, world.insert);
                give(&world, world.divide);
                assert_int_equal(sp_session_commit_async(world.session, NULL, world.queue, tag(&world)), SP_OK);
                collect(&world);
                assert_int_equal(world.told[0], SP_OK);
                assert_int_equal(world.told[1], SP_OK);
                assert_int_equal(world.told[2], SP_SQL);
                assert_int_equal(world.told[3], SP_SQL);
                assert_int_equal(sp_session_begin(world.session, NULL, NULL, NULL), SP_OK);
                engine_is_late(&world);
                give(&world, world.insert);
                assert_int_equal(sp_session_rollback_async(world.session, NULL, world.queue, tag(&world)), SP_OK);
                collect(&world);
                assert_int_equal(rows(&world), 0);
        }
        world_end(&world);
}

static void test_an_asynchronous_rollback_to_a_savepoint_comes_behind_what_was_given_before(void **state)
{
        struct world world;

        world_begin(&world);
        assert_int_equal(sp_session_begin(world.session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_savepoint(world.session, NULL, "x", NULL), SP_OK);
        engine_is_late(&world);
        give(&world, world.insert);
        assert_int_equal(sp_session_rollback_to_async(world.session, NULL, "x", world.queue, tag(&world)), SP_OK);
        collect(&world);
        assert_int_equal(world.told[1], SP_OK);
        assert_int_equal(sp_session_commit(world.session, NULL, NULL), SP_OK);
        assert_int_equal(rows(&world), 0);
        world_end(&world);
}

static int64_t rows_seen_inside(struct world *world)
{
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_error *error = NULL;
        int64_t seen;

        assert_int_equal(sp_params_add_int(params, 5), SP_OK);
        if (sp_session_query(world->session, NULL, world->count, params, &result, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        assert_int_equal(sp_result_int(result, 0, 0, &seen, NULL), SP_OK);
        sp_result_free(result);
        sp_params_free(params);
        return seen;
}

static void test_who_waits_comes_behind_what_he_did_not_wait_for(void **state)
{
        struct world world;

        world_begin(&world);
        for (int i = 1; i <= 3; i++) {
                engine_is_late(&world);
                give(&world, world.insert);
                assert_int_equal(rows_seen_inside(&world), i);
                collect(&world);
        }
        /* He may leave before it is his turn. */
        for (int i = 0; i < 2; i++) {
                sp_ctx *ctx = ctx_of("1ms");
                sp_result *result = NULL;

                engine_is_late(&world);
                give(&world, world.insert);
                sp_session_query(world.session, ctx, world.divide, NULL, &result, NULL);
                collect(&world);
                sp_ctx_unref(ctx);
        }
        assert_int_equal(rows_seen_inside(&world), 5);
        world_end(&world);
}

static void test_a_commit_that_is_waited_for_knows_what_failed_before(void **state)
{
        struct world world;

        world_begin(&world);
        for (int savepoints = 0; savepoints <= 1; savepoints++) {
                if (savepoints)
                        use_a_savepoint(&world);
                assert_int_equal(sp_session_begin(world.session, NULL, NULL, NULL), SP_OK);
                engine_is_late(&world);
                give(&world, world.insert);
                give(&world, world.divide);
                assert_int_equal(sp_session_commit(world.session, NULL, NULL), SP_SQL);
                collect(&world);
                assert_int_equal(world.told[0], SP_OK);
                assert_int_equal(world.told[1], SP_SQL);
                assert_int_equal(rows(&world), 0);
        }
        world_end(&world);
}

static sp_status work(void *arg, sp_session *session, sp_error **error)
{
        struct world *world = arg;

        world->session = session;
        engine_is_late(world);
        give(world, world->insert);
        give(world, world->divide);
        return SP_OK;
}

static void test_a_transaction_of_asynchronous_statements_is_whole(void **state)
{
        struct world world;
        sp_error *error = NULL;

        world_begin(&world);
        sp_session_release(world.session);
        assert_int_equal(sp_pool_transact(world.pool, NULL, NULL, work, &world, &error), SP_SQL);
        world.session = NULL;
        assert_string_equal(sp_error_code(error), "25P02");
        sp_error_free(error);
        collect(&world);
        assert_int_equal(world.told[0], SP_OK);
        assert_int_equal(world.told[1], SP_SQL);
        assert_int_equal(rows(&world), 0);
        world_end(&world);
}

static void test_a_copy_comes_behind_what_was_given_before(void **state)
{
        sp_stmt *copy_in = stmt_of("COPY session_turns FROM STDIN");
        struct world world;
        sp_error *error = NULL;
        sp_copy *copy = NULL;
        int64_t copied;

        world_begin(&world);
        engine_is_late(&world);
        give(&world, world.insert);
        if (sp_session_copy(world.session, NULL, copy_in, &copy, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        assert_int_equal(sp_copy_write(copy, NULL, "2\n", 2, NULL), SP_OK);
        assert_int_equal(sp_copy_end(copy, NULL, &copied, NULL), SP_OK);
        sp_copy_free(copy);
        collect(&world);
        assert_int_equal(world.told[0], SP_OK);
        assert_int_equal(rows(&world), 2);
        world_end(&world);
        sp_stmt_unref(copy_in);
}

/* Of what bounds a transaction, by a call or as a text. */
static void give_bound(struct world *world, sp_ctx *ctx, int which)
{
        sp_session *session = world->session;
        sp_stmt *stmt;

        switch (which) {
        case 0:
                assert_int_equal(sp_session_commit_async(session, NULL, world->queue, tag(world)), SP_OK);
                assert_int_equal(sp_session_begin_async(session, ctx, NULL, world->queue, tag(world)), SP_OK);
                return;
        case 1:
                assert_int_equal(sp_session_commit_async(session, ctx, world->queue, tag(world)), SP_OK);
                return;
        case 2:
                assert_int_equal(sp_session_rollback_async(session, ctx, world->queue, tag(world)), SP_OK);
                return;
        case 3:
                assert_int_equal(sp_session_savepoint_async(session, ctx, "x", world->queue, tag(world)), SP_OK);
                return;
        case 4:
                assert_int_equal(sp_session_rollback_to_async(session, ctx, "x", world->queue, tag(world)), SP_OK);
                return;
        default:
                stmt = stmt_of("ROLLBACK");
                assert_int_equal(sp_session_query_async(session, ctx, stmt, NULL, world->queue, tag(world)), SP_OK);
                sp_stmt_unref(stmt);
        }
}
enum { BOUNDS = 6 };

static void wait_until_held(struct world *world, size_t most)
{
        for (size_t held = 0; held < most; sched_yield()) {
                held = 0;
                sp__lock(&world->pool->lock);
                SP__EACH(&world->session->held, at, after)
                held++;
                sp__unlock(&world->pool->lock);
        }
}

/* A transaction's first statement is on its way, or nothing is yet, when one that bounds it is cancelled. */
static void cancel_a_bound(struct world *world, int which, bool begun)
{
        sp_session *gate = session_of(&ways[0], world->pool);
        sp_stmt *first = stmt_of("INSERT INTO session_turns SELECT 1 FROM pg_advisory_xact_lock(4713)");
        sp_ctx *ctx = sp_ctx_new(NULL);
        /* Behind a ROLLBACK or a savepoint it is enough that the transaction has failed. */
        bool fails = which >= 2 && which <= 4;
        size_t bound;

        world->session = session_of(&ways[0], world->pool);
        if (begun)
                session_run(&ways[0], gate, "SELECT pg_advisory_lock(4713)");
        else
                engine_is_late(world);
        assert_int_equal(sp_session_begin_async(world->session, NULL, NULL, world->queue, tag(world)), SP_OK);
        give(world, first);
        give_bound(world, ctx, which);
        bound = world->given - 1;
        give(world, world->insert);
        assert_int_equal(sp_session_commit_async(world->session, NULL, world->queue, tag(world)), SP_OK);
        if (begun)
                wait_until_held(world, world->given - 2);
        sp_ctx_cancel(ctx);
        sp_session_release(gate);
        collect(world);
        assert_int_equal(world->told[bound], SP_CANCELLED);
        assert_int_equal(world->told[bound + 1], fails ? SP_SQL : SP_UNAVAILABLE);
        assert_int_equal(world->told[bound + 2], fails ? SP_SQL : SP_UNAVAILABLE);
        sp_session_release(world->session);
        /* But for the transaction that was whole. */
        assert_int_equal(rows(world), which == 0);
        run(&ways[0], world->pool, "TRUNCATE session_turns");
        sp_ctx_unref(ctx);
        sp_stmt_unref(first);
}

static void test_nothing_comes_behind_a_bound_of_a_transaction_that_was_never_sent(void **state)
{
        struct world world;

        world_begin(&world);
        sp_session_release(world.session);
        for (int which = 0; which < BOUNDS; which++) {
                cancel_a_bound(&world, which, true);
                cancel_a_bound(&world, which, false);
        }
        world.session = session_of(&ways[0], world.pool);
        world_end(&world);
}

/* What is given in a transaction, the third of which is cancelled before it is sent. */
static void give_with_a_gap(struct world *world, const sp_stmt *first, sp_ctx *ctx)
{
        assert_int_equal(sp_session_begin_async(world->session, NULL, NULL, world->queue, tag(world)), SP_OK);
        give(world, first);
        assert_int_equal(sp_session_query_async(world->session, ctx, world->insert, NULL, world->queue, tag(world)),
                         SP_OK);
        assert_int_equal(sp_session_commit_async(world->session, NULL, world->queue, tag(world)), SP_OK);
}

static void test_no_transaction_takes_effect_without_a_statement_that_was_never_sent(void **state)
{
        sp_stmt *first = stmt_of("INSERT INTO session_turns SELECT 1 FROM pg_advisory_xact_lock(4713)");
        struct world world;

        world_begin(&world);
        for (int begun = 0; begun <= 1; begun++) {
                sp_session *gate = session_of(&ways[0], world.pool);
                sp_ctx *ctx = sp_ctx_new(NULL);

                if (begun)
                        session_run(&ways[0], gate, "SELECT pg_advisory_lock(4713)");
                else
                        engine_is_late(&world);
                give_with_a_gap(&world, first, ctx);
                if (begun)
                        wait_until_held(&world, 2);
                sp_ctx_cancel(ctx);
                sp_session_release(gate);
                collect(&world);
                assert_int_equal(world.told[1], SP_OK);
                assert_int_equal(world.told[2], SP_CANCELLED);
                assert_int_equal(world.told[3], SP_SQL);
                assert_int_equal(rows(&world), 0);
                sp_ctx_unref(ctx);
        }
        world_end(&world);
        sp_stmt_unref(first);
}

static void test_who_waits_for_a_statement_that_is_late_has_no_transaction_without_it(void **state)
{
        struct world world;
        sp_ctx *late = ctx_of("0ms");
        sp_result *result = NULL;
        sp_error *error = NULL;

        world_begin(&world);
        for (int empty = 0; empty <= 1; empty++) {
                assert_int_equal(sp_session_begin(world.session, NULL, NULL, NULL), SP_OK);
                if (!empty)
                        session_run(&ways[0], world.session, "INSERT INTO session_turns VALUES (1) RETURNING 1");
                assert_int_equal(sp_session_query(world.session, late, world.insert, NULL, &result, NULL), SP_TIMEOUT);
                assert_int_equal(sp_session_commit(world.session, NULL, &error), SP_SQL);
                says(error, "ended before it was sent", NULL);
                error = NULL;
                assert_int_equal(rows(&world), 0);
        }
        world_end(&world);
        sp_ctx_unref(late);
}

static void test_a_savepoint_takes_back_that_a_statement_was_never_sent(void **state)
{
        struct world world;
        sp_ctx *ctx = sp_ctx_new(NULL);

        world_begin(&world);
        engine_is_late(&world);
        assert_int_equal(sp_session_begin_async(world.session, NULL, NULL, world.queue, tag(&world)), SP_OK);
        assert_int_equal(sp_session_savepoint_async(world.session, NULL, "x", world.queue, tag(&world)), SP_OK);
        assert_int_equal(sp_session_query_async(world.session, ctx, world.divide, NULL, world.queue, tag(&world)),
                         SP_OK);
        assert_int_equal(sp_session_rollback_to_async(world.session, NULL, "x", world.queue, tag(&world)), SP_OK);
        give(&world, world.insert);
        assert_int_equal(sp_session_commit_async(world.session, NULL, world.queue, tag(&world)), SP_OK);
        sp_ctx_cancel(ctx);
        collect(&world);
        assert_int_equal(world.told[2], SP_CANCELLED);
        assert_int_equal(world.told[5], SP_OK);
        assert_int_equal(rows(&world), 1);
        world_end(&world);
        sp_ctx_unref(ctx);
}

static void test_outside_of_a_transaction_a_statement_that_was_never_sent_touches_no_other(void **state)
{
        struct world world;
        sp_ctx *ctx = sp_ctx_new(NULL);

        world_begin(&world);
        engine_is_late(&world);
        give(&world, world.insert);
        assert_int_equal(sp_session_query_async(world.session, ctx, world.insert, NULL, world.queue, tag(&world)),
                         SP_OK);
        give(&world, world.insert);
        sp_ctx_cancel(ctx);
        collect(&world);
        assert_int_equal(world.told[0], SP_OK);
        assert_int_equal(world.told[1], SP_CANCELLED);
        assert_int_equal(world.told[2], SP_OK);
        assert_int_equal(rows(&world), 2);
        world_end(&world);
        sp_ctx_unref(ctx);
}

/* The server has forgotten a statement that is run again when another one is given: that comes after it, or keeps it from that. */
static void test_what_is_sent_anew_comes_before_what_was_given_after_it(void **state)
{
        sp_stmt *forget = stmt_of("SELECT session_forgets()");
        sp_stmt *first =
            stmt_of("INSERT INTO session_turns VALUES (100) RETURNING (SELECT count(*) FROM session_turns)");
        struct world world;
        sp_completion *done;
        int again = 0;

        world_begin(&world);
        run(&ways[0], world.pool,
            "CREATE OR REPLACE FUNCTION session_forgets() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE "
            "ALL'; RETURN 1; END $$");
        for (unsigned i = 0; i < 400; i++) {
                sp_result *result = NULL;

                session_run(&ways[0], world.session, "TRUNCATE session_turns");
                give(&world, first);
                collect(&world);
                assert_int_equal(sp_session_query(world.session, NULL, forget, NULL, &result, NULL), SP_OK);
                sp_result_free(result);
                give(&world, first);
                for (int64_t until = sp__now() + i % 200 * 2000; sp__now() < until;)
                        ;
                /* It may find itself forgotten, too. */
                if (sp_session_query(world.session, NULL, world.insert, NULL, &result, NULL) == SP_OK)
                        sp_result_free(result);
                assert_int_equal(sp_queue_wait(world.queue, &done, 1, -1), 1);
                world.given = 0;
                if (sp_completion_status(done) == SP_OK) {
                        int64_t seen;

                        again++;
                        assert_int_equal(sp_result_int(sp_completion_result(done), 0, 0, &seen, NULL), SP_OK);
                        assert_int_equal(seen, 1);
                }
                sp_completion_free(done);
        }
        printf("# %d times anew\n", again);
        run(&ways[0], world.pool, "DROP FUNCTION session_forgets");
        world_end(&world);
        sp_stmt_unref(forget);
        sp_stmt_unref(first);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_an_asynchronous_end_comes_behind_what_was_given_before),
            cmocka_unit_test(test_an_asynchronous_rollback_to_a_savepoint_comes_behind_what_was_given_before),
            cmocka_unit_test(test_who_waits_comes_behind_what_he_did_not_wait_for),
            cmocka_unit_test(test_a_commit_that_is_waited_for_knows_what_failed_before),
            cmocka_unit_test(test_a_transaction_of_asynchronous_statements_is_whole),
            cmocka_unit_test(test_a_copy_comes_behind_what_was_given_before),
            cmocka_unit_test(test_nothing_comes_behind_a_bound_of_a_transaction_that_was_never_sent),
            cmocka_unit_test(test_no_transaction_takes_effect_without_a_statement_that_was_never_sent),
            cmocka_unit_test(test_who_waits_for_a_statement_that_is_late_has_no_transaction_without_it),
            cmocka_unit_test(test_a_savepoint_takes_back_that_a_statement_was_never_sent),
            cmocka_unit_test(test_outside_of_a_transaction_a_statement_that_was_never_sent_touches_no_other),
            cmocka_unit_test(test_what_is_sent_anew_comes_before_what_was_given_after_it),
        };

        return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
