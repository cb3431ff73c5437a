/* SPDX-License-Identifier: MIT */
/*
 * All that a pool can be asked for without a wait, at random: statements, batches, sessions whose calls are given at once or one
 * by one, streams and COPY, with deadlines that cannot be kept, callers that give up, handles that go back early and backends
 * that are terminated. Each submission has one completion; the table has what the callers were told; nothing is left over.
 *
 *     test-medley [seed [plays]]
 */
#include "../support/sanitized.h"
#include "ledger.h"
#include "way.h"

#include "base/random.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        PLAYS = SANITIZED ? 150 : 1000,
        ACTORS = 8,
        DEEDS = 40,
        CALLS = 65536,
        TOKENS = 1 << 17,
        SETS = 3,
        ROWS = 30,
        MOST = 5
};

/* Statements that are no deed of a session's. */
enum { SLOW = VERBS, SLOW_INSERT, PAGE, BLOW, STMTS };

/* What a completion is for. */
enum what { WHAT_DEED, WHAT_SESSION, WHAT_STREAM, WHAT_PAGE, WHAT_COPY, WHAT_WRITTEN, WHAT_ENDED, WHAT_BLOW };

struct call {
        enum what what;
        bool due;
        unsigned deed;
        struct actor *actor;
};

struct actor {
        struct medley *medley;
        sp_ctx *ctx; /* that may be cancelled, or NULL */
        sp_session *session;
        sp_stream *stream;
        sp_copy *copy;
        struct deed deeds[DEEDS];
        unsigned given, due, savepoints, first_savepoint, bursts;
        int64_t rows; /* of the stream, so far */
        bool plays;
};

struct medley {
        struct sp__random random;
        sp_pool *pool, *chief;
        sp_queue *queue;
        struct ledger *ledger;
        struct call *calls;
        unsigned called;
        int64_t token;
        int plays, wrong;
        sp_stmt *stmts[STMTS];
        struct actor actors[ACTORS];
};

static uint64_t given_seed;
static int given_plays;

static uint64_t dice(struct medley *medley, uint64_t sides)
{
        return sp__random_next(&medley->random) % sides;
}

static void wrong(struct medley *medley, const char *what, sp_status status, const sp_error *error)
{
        printf("# %s: %s %s\n", what, sp_status_name(status), error ? sp_error_message(error) : "");
        medley->wrong++;
}

/* One more completion is due, if the submission took place. */
static uint64_t tag(struct actor *actor, enum what what, unsigned deed)
{
        struct medley *medley = actor->medley;

        assert_true(medley->called < CALLS);
        medley->calls[medley->called] = (struct call){.what = what, .deed = deed, .actor = actor};
        return medley->called++;
}

/* false: it was refused, which only a context that was cancelled explains. */
static bool submitted(struct actor *actor, sp_status status)
{
        if (status == SP_OK) {
                actor->medley->calls[actor->medley->called - 1].due = true;
                actor->due++;
        } else if (status != SP_CANCELLED) {
                wrong(actor->medley, "a submission", status, NULL);
        }
        return status == SP_OK;
}

/* None, one that many cannot keep, or the actor's, which may be cancelled; a reference. */
static sp_ctx *any_ctx(struct actor *actor)
{
        char timeout[16];

        switch (dice(actor->medley, 8)) {
        case 0:
                snprintf(timeout, sizeof timeout, "%dms", (int)dice(actor->medley, 6));
                return ctx_of(timeout);
        case 1:
        case 2:
                return sp_ctx_ref(actor->ctx);
        default:
                return NULL;
        }
}

static sp_params *params_of(int64_t token, int sets)
{
        sp_params *params = sp_params_new();

        for (int i = 0; i < sets; i++) {
                sp_params_add_int(params, token + i);
                if (sets > 1)
                        sp_params_next(params);
        }
        return params;
}

static struct deed *new_deed(struct actor *actor, enum verb verb)
{
        struct deed *deed = &actor->deeds[actor->given++];

        *deed = (struct deed){.verb = verb};
        deed->tokens = verb == VERB_INSERT ? 1 : verb == VERB_BATCH || verb == VERB_COPY ? SETS : 0;
        deed->token = actor->medley->token;
        actor->medley->token += deed->tokens;
        assert_true(actor->medley->token <= TOKENS);
        return deed;
}

/* By a caller who waits for it. false: it was refused, for its context was cancelled before. */
static bool insert_and_wait(struct actor *actor, struct deed *deed, sp_ctx *ctx)
{
        sp_params *params = params_of(deed->token, 1);
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_status status =
            sp_session_query(actor->session, ctx, actor->medley->stmts[VERB_INSERT], params, &result, &error);

        deed_told(deed, status, error, result);
        sp_result_free(result);
        sp_error_free(error);
        sp_params_free(params);
        return status != SP_CANCELLED;
}

static sp_status give_statement(struct actor *actor, const struct deed *deed, sp_ctx *ctx, uint64_t at)
{
        struct medley *medley = actor->medley;
        sp_params *params = deed->tokens ? params_of(deed->token, deed->tokens) : NULL;
        const sp_stmt *stmt = medley->stmts[deed->verb];
        sp_status status;

        if (deed->verb == VERB_OTHER && dice(medley, 4) == 0)
                stmt = medley->stmts[SLOW];
        if (deed->verb == VERB_INSERT && dice(medley, 4) == 0)
                stmt = medley->stmts[SLOW_INSERT];
        if (deed->verb == VERB_BATCH)
                status = actor->session ? sp_session_batch_async(actor->session, ctx, stmt, params, medley->queue, at)
                                        : sp_pool_batch_async(medley->pool, ctx, stmt, params, medley->queue, at);
        else
                status = actor->session ? sp_session_query_async(actor->session, ctx, stmt, params, medley->queue, at)
                                        : sp_pool_query_async(medley->pool, ctx, stmt, params, medley->queue, at);
        sp_params_free(params);
        return status;
}

static sp_status give_mark(struct actor *actor, struct deed *deed, sp_ctx *ctx, uint64_t at)
{
        sp_queue *queue = actor->medley->queue;
        unsigned span = actor->savepoints - actor->first_savepoint;
        char name[32];

        if (deed->verb == VERB_SAVEPOINT)
                deed->savepoint = ++actor->savepoints;
        else
                deed->savepoint = actor->first_savepoint + 1 + (span ? (unsigned)dice(actor->medley, span) : 0);
        snprintf(name, sizeof name, "s%u", deed->savepoint);
        if (deed->verb == VERB_SAVEPOINT)
                return sp_session_savepoint_async(actor->session, ctx, name, queue, at);
        if (deed->verb == VERB_BACK)
                return sp_session_rollback_to_async(actor->session, ctx, name, queue, at);
        return sp_session_release_savepoint_async(actor->session, ctx, name, queue, at);
}

static sp_status give(struct actor *actor, struct deed *deed, sp_ctx *ctx, uint64_t at)
{
        sp_queue *queue = actor->medley->queue;

        switch (deed->verb) {
        case VERB_BEGIN:
                return sp_session_begin_async(actor->session, ctx, NULL, queue, at);
        case VERB_COMMIT:
                return sp_session_commit_async(actor->session, ctx, queue, at);
        case VERB_ROLLBACK:
                return sp_session_rollback_async(actor->session, ctx, queue, at);
        case VERB_SAVEPOINT:
        case VERB_BACK:
        case VERB_RELEASE:
                return give_mark(actor, deed, ctx, at);
        case VERB_COPY:
                return sp_session_copy_async(actor->session, ctx, actor->medley->stmts[VERB_COPY], queue, at);
        default:
                return give_statement(actor, deed, ctx, at);
        }
}

/* What was refused was not given. */
static bool play_deed(struct actor *actor, enum verb verb)
{
        struct medley *medley = actor->medley;
        sp_ctx *ctx = any_ctx(actor);
        struct deed *deed = new_deed(actor, verb);
        bool given;

        if (verb == VERB_INSERT && actor->session && dice(medley, 8) == 0)
                given = insert_and_wait(actor, deed, ctx);
        else
                given = submitted(actor, give(actor, deed, ctx,
                                              tag(actor, verb == VERB_COPY ? WHAT_COPY : WHAT_DEED, actor->given - 1)));
        if (!given)
                actor->given--;
        if (given && verb_bounds(verb))
                actor->first_savepoint = actor->savepoints;
        sp_ctx_unref(ctx);
        return given;
}

static enum verb any_verb(struct medley *medley)
{
        static const enum verb often[] = {VERB_INSERT, VERB_INSERT, VERB_INSERT, VERB_BEGIN, VERB_COMMIT,
                                          VERB_COMMIT, VERB_BEGIN,  VERB_OTHER,  VERB_OTHER, VERB_SAVEPOINT};

        return dice(medley, 2) ? often[dice(medley, sizeof often / sizeof *often)] : (enum verb)(dice(medley, VERBS));
}

/* Nothing of it is expected any more. */
static void rest(struct actor *actor)
{
        struct medley *medley = actor->medley;

        if (actor->due || actor->session || actor->stream || actor->copy)
                return;
        ledger_judge(medley->ledger, actor->deeds, actor->given);
        sp_ctx_unref(actor->ctx);
        *actor = (struct actor){.medley = medley};
}

/* Some calls at once; a COPY is the last of them. What is given behind it would be refused. */
static void burst(struct actor *actor)
{
        struct medley *medley = actor->medley;
        unsigned count = 1 + (unsigned)dice(medley, 8);

        for (unsigned i = 0; i < count; i++) {
                enum verb verb = any_verb(medley);

                if (play_deed(actor, verb) && verb == VERB_COPY)
                        return;
        }
        if (dice(medley, 2))
                play_deed(actor, VERB_COMMIT);
}

static bool copies(const struct actor *actor)
{
        return actor->given > 0 && actor->deeds[actor->given - 1].verb == VERB_COPY && actor->due > 0;
}

/* The session has been answered all that it was given, or is not waited for. */
static void play_on(struct actor *actor)
{
        struct medley *medley = actor->medley;

        if (!actor->session || actor->copy || copies(actor))
                return;
        if (actor->due && dice(medley, 4))
                return;
        if (actor->bursts++ < 3 && dice(medley, 4))
                burst(actor);
        else if (actor->due)
                actor->bursts--;
        if (actor->due && dice(medley, 8))
                return;
        sp_session_release(actor->session);
        actor->session = NULL;
}

static void end_stream(struct actor *actor)
{
        sp_stream_free(actor->stream);
        actor->stream = NULL;
}

static void next_page(struct actor *actor)
{
        sp_ctx *ctx = any_ctx(actor);

        if (dice(actor->medley, 6) == 0 ||
            !submitted(actor, sp_stream_next_async(actor->stream, ctx, actor->medley->queue, tag(actor, WHAT_PAGE, 0))))
                end_stream(actor);
        sp_ctx_unref(ctx);
}

static bool weather(sp_status status)
{
        return status == SP_UNAVAILABLE || status == SP_LOST || status == SP_TIMEOUT || status == SP_CANCELLED;
}

static void take_page(struct actor *actor, sp_completion *done)
{
        const sp_result *page = sp_completion_result(done);
        size_t len;

        if (sp_completion_status(done) != SP_OK && !weather(sp_completion_status(done)))
                wrong(actor->medley, "a page", sp_completion_status(done), sp_completion_error(done));
        for (size_t i = 0; i < sp_result_rows(page); i++) {
                if (strtoll(sp_result_get(page, i, 0, &len), NULL, 10) != ++actor->rows)
                        wrong(actor->medley, "a row that is not the next one", SP_OK, NULL);
        }
        if (page) {
                next_page(actor);
                return;
        }
        if (sp_completion_status(done) == SP_OK && actor->rows != ROWS)
                wrong(actor->medley, "a stream that ended early", SP_OK, NULL);
        end_stream(actor);
}

static struct deed *copy_deed(struct actor *actor)
{
        return &actor->deeds[actor->given - 1];
}

/* Of what was given up nothing stays. */
static void end_copy(struct actor *actor, sp_status status)
{
        sp_copy_free(actor->copy);
        actor->copy = NULL;
        copy_deed(actor)->told = status;
        copy_deed(actor)->undone = status != SP_OK;
}

static void write_copy(struct actor *actor)
{
        struct medley *medley = actor->medley;
        const struct deed *deed = copy_deed(actor);
        sp_ctx *ctx = any_ctx(actor);
        char text[128];
        int len = 0;

        for (int i = 0; i < deed->tokens; i++)
                len += snprintf(text + len, sizeof text - (size_t)len, "%lld\n", (long long)deed->token + i);
        if (dice(medley, 6) == 0 || !submitted(actor, sp_copy_write_async(actor->copy, ctx, text, (size_t)len,
                                                                          medley->queue, tag(actor, WHAT_WRITTEN, 0))))
                end_copy(actor, SP_CANCELLED);
        sp_ctx_unref(ctx);
}

static void written(struct actor *actor, sp_status status)
{
        struct medley *medley = actor->medley;
        sp_ctx *ctx = any_ctx(actor);

        if (status != SP_OK || dice(medley, 6) == 0 ||
            !submitted(actor, sp_copy_end_async(actor->copy, ctx, medley->queue, tag(actor, WHAT_ENDED, 0))))
                end_copy(actor, SP_CANCELLED);
        sp_ctx_unref(ctx);
}

static void take_copy(struct actor *actor, sp_completion *done)
{
        actor->copy = sp_completion_take_copy(done);
        deed_told(copy_deed(actor), sp_completion_status(done), sp_completion_error(done), NULL);
        if (actor->copy)
                write_copy(actor);
}

static void copy_ended(struct actor *actor, sp_completion *done)
{
        sp_copy_free(actor->copy);
        actor->copy = NULL;
        deed_told(copy_deed(actor), sp_completion_status(done), sp_completion_error(done), NULL);
}

static void take(struct medley *medley, sp_completion *done)
{
        uint64_t at = sp_completion_tag(done);
        sp_status status = sp_completion_status(done);
        struct call *call = at < medley->called ? &medley->calls[at] : NULL;
        struct actor *actor;

        if (!call || !call->due) {
                wrong(medley, "a completion that is not due", status, sp_completion_error(done));
                return;
        }
        call->due = false;
        if (call->what == WHAT_BLOW)
                return;
        actor = call->actor;
        actor->due--;
        switch (call->what) {
        case WHAT_SESSION:
                actor->session = sp_completion_take_session(done);
                break;
        case WHAT_STREAM:
                actor->stream = sp_completion_take_stream(done);
                if (actor->stream)
                        next_page(actor);
                break;
        case WHAT_PAGE:
                take_page(actor, done);
                break;
        case WHAT_COPY:
                take_copy(actor, done);
                break;
        case WHAT_WRITTEN:
                written(actor, status);
                break;
        case WHAT_ENDED:
                copy_ended(actor, done);
                break;
        default:
                deed_told(&actor->deeds[call->deed], status, sp_completion_error(done), sp_completion_result(done));
        }
        if (status != SP_OK && call->what != WHAT_DEED && call->what != WHAT_COPY && !weather(status))
                wrong(medley, "an answer", status, sp_completion_error(done));
        if (actor->ctx && dice(medley, 8) == 0)
                sp_ctx_cancel(actor->ctx);
        play_on(actor);
        rest(actor);
}

static void begin_play(struct actor *actor)
{
        static const enum verb single[] = {VERB_INSERT, VERB_INSERT, VERB_BATCH, VERB_FAIL, VERB_OTHER};
        struct medley *medley = actor->medley;
        sp_ctx *ctx;

        actor->ctx = sp_ctx_new(NULL);
        actor->plays = true;
        ctx = any_ctx(actor);
        switch (dice(medley, 5)) {
        case 0:
                submitted(actor, sp_pool_stream_async(medley->pool, ctx, medley->stmts[PAGE], NULL,
                                                      1 + dice(medley, 12), medley->queue, tag(actor, WHAT_STREAM, 0)));
                break;
        case 1:
        case 2:
                submitted(actor, sp_pool_acquire_async(medley->pool, ctx, medley->queue, tag(actor, WHAT_SESSION, 0)));
                break;
        default:
                play_deed(actor, single[dice(medley, sizeof single / sizeof *single)]);
        }
        sp_ctx_unref(ctx);
        rest(actor);
}

/* One of the pool's backends goes. */
static void blow(struct medley *medley)
{
        struct call *call = &medley->calls[medley->called];

        *call = (struct call){.what = WHAT_BLOW, .due = true};
        if (sp_pool_query_async(medley->chief, NULL, medley->stmts[BLOW], NULL, medley->queue, medley->called++) !=
            SP_OK)
                call->due = false;
}

static void play_all(struct medley *medley)
{
        sp_completion *done[16];
        size_t got;

        while (medley->plays > 0 || sp_queue_pending(medley->queue) > 0) {
                for (unsigned i = 0; i < ACTORS && medley->plays > 0; i++) {
                        if (medley->actors[i].plays)
                                continue;
                        medley->plays--;
                        if (dice(medley, 20) == 0)
                                blow(medley);
                        begin_play(&medley->actors[i]);
                }
                got = sp_queue_pending(medley->queue) ? sp_queue_wait(medley->queue, done, 16, -1) : 0;
                for (size_t i = 0; i < got; i++) {
                        take(medley, done[i]);
                        sp_completion_free(done[i]);
                }
        }
}

static void prepare(struct medley *medley)
{
        static const char *const texts[STMTS] = {
            [VERB_BEGIN_TEXT] = "BEGIN",
            [VERB_COMMIT_TEXT] = "COMMIT",
            [VERB_ROLLBACK_TEXT] = "ROLLBACK",
            [VERB_INSERT] = "INSERT INTO medley_log VALUES ($1::int8)",
            [VERB_BATCH] = "INSERT INTO medley_log VALUES ($1::int8)",
            [VERB_COPY] = "COPY medley_log FROM STDIN",
            [VERB_FAIL] = "SELECT 1/0",
            [VERB_OTHER] = "SELECT 5",
            [SLOW] = "SELECT pg_sleep(0.003)",
            [SLOW_INSERT] = "INSERT INTO medley_log SELECT $1::int8 FROM pg_sleep(0.002)",
            [PAGE] = "SELECT g FROM generate_series(1, 30) g",
            [BLOW] = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity "
                     "WHERE application_name = 'medley' ORDER BY random() LIMIT 1) victim"};

        for (unsigned i = 0; i < STMTS; i++)
                medley->stmts[i] = texts[i] ? stmt_of(texts[i]) : NULL;
}

/* What the server has of it is what the pool knows of. */
static void check_rest(struct medley *medley)
{
        static const char text[] = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'medley'";

        while (sp_pool_active(medley->pool) > 0 ||
               number(&ways[0], medley->chief, text, 0) != sp_pool_idle(medley->pool))
                sched_yield();
        assert_int_equal(sp_pool_waiting(medley->pool), 0);
        assert_int_equal(number(&ways[0], medley->pool, "SELECT 5", 0), 5);
        for (unsigned i = 0; i < medley->called; i++)
                assert_false(medley->calls[i].due);
}

static void check_table(struct medley *medley)
{
        sp_stmt *stmt = stmt_of("SELECT token FROM medley_log");
        sp_result *rows = NULL;
        size_t len;

        assert_int_equal(sp_pool_query(medley->chief, NULL, stmt, NULL, &rows, NULL), SP_OK);
        for (size_t i = 0; i < sp_result_rows(rows); i++)
                ledger_found(medley->ledger, strtoll(sp_result_get(rows, i, 0, &len), NULL, 10));
        printf("# %u calls, %zu tokens of %lld\n", medley->called, sp_result_rows(rows), (long long)medley->token);
        sp_result_free(rows);
        sp_stmt_unref(stmt);
}

static void test_whatever_comes_each_call_has_one_answer_and_the_table_what_they_say(void **state)
{
        struct medley *medley = calloc(1, sizeof *medley);

        medley->random.state = given_seed ? given_seed : sp__random_seed();
        medley->plays = given_plays ? given_plays : PLAYS;
        printf("# seed %llu\n", (unsigned long long)medley->random.state);
        medley->chief = pool_with((const char *[]){"pool.max=2", "pool.application_name=medley-chief", NULL});
        medley->pool = pool_with((const char *[]){"pool.max=5", "pool.application_name=medley", NULL});
        run(&ways[0], medley->chief, "DROP TABLE IF EXISTS medley_log");
        run(&ways[0], medley->chief, "CREATE TABLE medley_log (token int8)");
        medley->queue = queue_of();
        medley->ledger = ledger_new(TOKENS);
        medley->calls = calloc(CALLS, sizeof *medley->calls);
        for (unsigned i = 0; i < ACTORS; i++)
                medley->actors[i].medley = medley;
        prepare(medley);
        play_all(medley);
        check_rest(medley);
        check_table(medley);
        assert_int_equal(ledger_wrong(medley->ledger) + medley->wrong, 0);
        run(&ways[0], medley->chief, "DROP TABLE medley_log");
        for (unsigned i = 0; i < STMTS; i++)
                sp_stmt_unref(medley->stmts[i]);
        sp_queue_free(medley->queue);
        sp_pool_free(medley->pool);
        sp_pool_free(medley->chief);
        ledger_free(medley->ledger);
        free(medley->calls);
        free(medley);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_whatever_comes_each_call_has_one_answer_and_the_table_what_they_say),
        };

        given_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
        given_plays = argc > 2 ? atoi(argv[2]) : 0;
        return cmocka_run_group_tests_name("medley", tests, NULL, NULL);
}
