/* SPDX-License-Identifier: MIT */
/*
 * Everything at once: 64 callers, blocking and through queues, of which statements succeed, fail, come too late and are
 * cancelled, while connections are cut, backends terminated and the server restarted and killed. Each caller gets one answer,
 * its own; each write is there as often as its caller was told; no connection is left over, and the pool fills again.
 *
 *     test-storm [seed]
 */
#include "../integration/pg_proxy.h"
#include "../integration/way.h"
#include "../support/ctl.h"

#include "base/random.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 64, TOKENS = 4096, BURST = 8, SETS = 3, MOST = 12, LEAST = 3, BLOWS = 8, BETWEEN = 1500 };

/* How often the table must have a token afterwards. */
enum fate { NEVER, ONCE, PERHAPS };

struct storm {
        uint64_t seed;
        sp_pool *pool;
        struct pg_proxy *proxy; /* between the pool and the server, which goes on where it cuts */
        atomic_int next, wrong, answers, successes;
        atomic_bool stop;
        unsigned char fates[CALLERS][TOKENS];
};

struct caller {
        struct storm *storm;
        const struct way *way;
        struct sp__random random;
        int number, used;
        sp_stmt *echo, *divide, *slow, *insert;
        sp_queue *queue;
};

static uint64_t given_seed;

static uint64_t dice(struct caller *caller, uint64_t sides)
{
        return sp__random_next(&caller->random) % sides;
}

static int64_t new_token(struct caller *caller)
{
        return (int64_t)caller->number * TOKENS + caller->used++;
}

static void set_fate(struct caller *caller, int64_t token, enum fate fate)
{
        caller->storm->fates[token / TOKENS][token % TOKENS] = (unsigned char)fate;
}

static void wrong(struct caller *caller, const char *what, sp_status status, const sp_error *error)
{
        printf("# %s: %s %s %s\n", what, sp_status_name(status), error ? sp_error_code(error) : "",
               error ? sp_error_message(error) : "");
        atomic_fetch_add(&caller->storm->wrong, 1);
}

/* What may come of anything while servers go and callers give up. */
static bool weather(sp_status status)
{
        return status == SP_UNAVAILABLE || status == SP_LOST || status == SP_TIMEOUT || status == SP_CANCELLED;
}

static enum fate fate_of(sp_status status)
{
        return status == SP_OK ? ONCE : status == SP_UNAVAILABLE || status == SP_SQL ? NEVER : PERHAPS;
}

static int64_t cell(const sp_result *result, size_t row)
{
        size_t len;
        const char *text = sp_result_get(result, row, 0, &len);

        return text ? strtoll(text, NULL, 10) : -1;
}

static void count_answer(struct caller *caller, sp_status status)
{
        atomic_fetch_add(&caller->storm->answers, 1);
        if (status == SP_OK)
                atomic_fetch_add(&caller->storm->successes, 1);
}

static sp_params *params_of(int64_t token)
{
        sp_params *params = sp_params_new();

        sp_params_add_int(params, token);
        return params;
}

/* Now and then a deadline that many cannot keep. */
static sp_ctx *hasty(struct caller *caller)
{
        char timeout[16];

        if (dice(caller, 4) > 0)
                return NULL;
        snprintf(timeout, sizeof timeout, "%dms", (int)dice(caller, 8));
        return ctx_of(timeout);
}

/* One answer, which is the caller's own: the token, or the error that it asked for. */
static void judge(struct caller *caller, const sp_stmt *stmt, int64_t token, sp_status status, const sp_result *result,
                  const sp_error *error)
{
        bool fails = stmt == caller->divide;
        bool good = weather(status);

        count_answer(caller, status);
        if (status == SP_OK)
                good = !fails && (stmt == caller->insert || cell(result, 0) == token);
        else if (status == SP_SQL)
                good = fails && error && strcmp(sp_error_code(error), "22012") == 0;
        if (!good)
                wrong(caller, sp_stmt_name(stmt), status, error);
        if (stmt == caller->insert)
                set_fate(caller, token, fate_of(status));
}

static void ask(struct caller *caller, const sp_stmt *stmt)
{
        int64_t token = new_token(caller);
        sp_params *params = params_of(token);
        sp_ctx *ctx = hasty(caller);
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_status status = caller->way->query(caller->storm->pool, ctx, stmt, params, &result, &error);

        judge(caller, stmt, token, status, result, error);
        sp_result_free(result);
        sp_error_free(error);
        sp_ctx_unref(ctx);
        sp_params_free(params);
}

static const sp_stmt *any_stmt(struct caller *caller)
{
        const sp_stmt *const all[] = {caller->echo, caller->echo, caller->divide, caller->slow, caller->insert};

        return all[dice(caller, sizeof all / sizeof *all)];
}

/* Many at once, of which some are cancelled: as many answers come, one for each tag. */
static void burst(struct caller *caller)
{
        sp_ctx *ctx = sp_ctx_new(NULL);
        const sp_stmt *stmts[BURST];
        int64_t tokens[BURST];
        int due = 0, got[BURST] = {0};

        for (int i = 0; i < BURST; i++) {
                sp_params *params = params_of(tokens[i] = new_token(caller));
                sp_status status;

                stmts[i] = any_stmt(caller);
                status = sp_pool_query_async(caller->storm->pool, i % 2 ? ctx : NULL, stmts[i], params, caller->queue,
                                             (uint64_t)i);
                due += status == SP_OK;
                got[i] = status != SP_OK;
                if (status != SP_OK)
                        wrong(caller, "a submission", status, NULL);
                sp_params_free(params);
        }
        if (dice(caller, 2))
                sp_ctx_cancel(ctx);
        while (due > 0) {
                sp_completion *done;
                uint64_t tag;

                sp_queue_wait(caller->queue, &done, 1, -1);
                tag = sp_completion_tag(done);
                if (tag >= BURST || got[tag]++)
                        wrong(caller, "a second answer", sp_completion_status(done), NULL);
                else
                        judge(caller, stmts[tag], tokens[tag], sp_completion_status(done), sp_completion_result(done),
                              sp_completion_error(done));
                sp_completion_free(done);
                due--;
        }
        sp_ctx_unref(ctx);
}

/* Two tokens in one transaction: both or none. */
static void transact(struct caller *caller)
{
        int64_t tokens[2] = {new_token(caller), new_token(caller)};
        sp_session *session = NULL;
        sp_error *error = NULL;
        sp_status status = caller->way->acquire(caller->storm->pool, NULL, &session, &error);
        bool committing = false;

        if (status == SP_OK)
                status = sp_session_begin(session, NULL, NULL, &error);
        for (int i = 0; i < 2 && status == SP_OK; i++) {
                sp_params *params = params_of(tokens[i]);
                sp_ctx *ctx = hasty(caller);
                sp_result *result = NULL;

                status = caller->way->session(session, ctx, caller->insert, params, &result, &error);
                sp_result_free(result);
                sp_ctx_unref(ctx);
                sp_params_free(params);
        }
        if (status == SP_OK && dice(caller, 4)) {
                committing = true;
                status = sp_session_commit(session, NULL, &error);
        }
        for (int i = 0; i < 2; i++)
                set_fate(caller, tokens[i], committing ? fate_of(status) : NEVER);
        count_answer(caller, status);
        if (status != SP_OK && !weather(status))
                wrong(caller, "a transaction", status, error);
        sp_error_free(error);
        sp_session_release(session);
}

/* All sets or none. */
static void batch(struct caller *caller)
{
        sp_params *params = sp_params_new();
        int64_t tokens[SETS];
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_status status;

        for (int i = 0; i < SETS; i++) {
                sp_params_add_int(params, tokens[i] = new_token(caller));
                sp_params_next(params);
        }
        status = sp_pool_batch(caller->storm->pool, NULL, caller->insert, params, &result, &error);
        for (int i = 0; i < SETS; i++)
                set_fate(caller, tokens[i], fate_of(status));
        count_answer(caller, status);
        if (status != SP_OK && !weather(status))
                wrong(caller, "a batch", status, error);
        sp_result_free(result);
        sp_error_free(error);
        sp_params_free(params);
}

static void one_round(struct caller *caller)
{
        switch (dice(caller, 12)) {
        case 0:
                transact(caller);
                break;
        case 1:
                batch(caller);
                break;
        case 2:
        case 3:
                burst(caller);
                break;
        default:
                ask(caller, any_stmt(caller));
        }
}

static void *caller_body(void *arg)
{
        struct storm *storm = arg;
        int number = atomic_fetch_add(&storm->next, 1);
        struct caller caller = {.storm = storm,
                                .way = &ways[number % WAYS],
                                .random = {storm->seed + (uint64_t)number},
                                .number = number,
                                .echo = stmt_of("SELECT $1::int8"),
                                .divide = stmt_of("SELECT $1::int8 / 0"),
                                .slow = stmt_of("SELECT $1::int8 FROM pg_sleep(0.005)"),
                                .insert = stmt_of("INSERT INTO storm_log SELECT $1::int8 FROM pg_sleep(0.002)"),
                                .queue = queue_of()};

        while (!atomic_load(&storm->stop) && caller.used < TOKENS - BURST)
                one_round(&caller);
        sp_stmt_unref(caller.echo);
        sp_stmt_unref(caller.divide);
        sp_stmt_unref(caller.slow);
        sp_stmt_unref(caller.insert);
        sp_queue_free(caller.queue);
        return NULL;
}

static sp_pool *chief_pool(void)
{
        return pool_with((const char *[]){"pool.max=2", "pool.min=0", "pool.acquire_timeout=20s",
                                          "pool.query_timeout=20s", "pool.statement_timeout=20s", NULL});
}

/* For the judge: a statement that may be tried until the server is there. */
static int64_t count_of(sp_pool *chief, const char *text)
{
        sp_stmt *stmt = stmt_of(text);
        sp_result *result = NULL;
        int64_t count;

        while (ways[0].query(chief, NULL, stmt, NULL, &result, NULL) != SP_OK)
                sched_yield();
        count = cell(result, 0);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        return count;
}

static int64_t connections(sp_pool *chief)
{
        return count_of(chief, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'storm'");
}

static void terminate(sp_pool *chief, int64_t most)
{
        char text[256];

        snprintf(text, sizeof text,
                 "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity "
                 "WHERE application_name = 'storm' ORDER BY random() LIMIT %lld) victims",
                 (long long)most);
        count_of(chief, text);
}

/* Until so many more have succeeded, or all callers have used up their tokens. */
static void let_them(struct storm *storm, int more)
{
        int goal = atomic_load(&storm->successes) + more, last = -1;

        for (int idle = 0; atomic_load(&storm->successes) < goal && idle < 100; idle++) {
                if (atomic_load(&storm->answers) != last)
                        idle = 0;
                last = atomic_load(&storm->answers);
                poll(NULL, 0, 20);
        }
}

static void blow(struct storm *storm, sp_pool *chief, struct sp__random *random, int i)
{
        if (i == BLOWS / 3) {
                control("restart", "pg");
        } else if (i == 2 * BLOWS / 3) {
                control("kill", "pg");
                control("start", "pg");
        } else {
                for (uint64_t n = 1 + sp__random_next(random) % 8; n > 0; n--) {
                        pg_proxy_cut(storm->proxy);
                        terminate(chief, 1 + (int64_t)(sp__random_next(random) % 3));
                }
        }
}

/* Every write is there as often as its caller was told. */
static void check_fates(struct storm *storm, sp_pool *chief)
{
        sp_stmt *stmt = stmt_of("SELECT token FROM storm_log");
        unsigned char(*found)[TOKENS] = calloc(CALLERS, sizeof *found);
        sp_result *page = NULL;
        sp_stream *stream;

        assert_int_equal(sp_pool_stream(chief, NULL, stmt, NULL, 0, &stream, NULL), SP_OK);
        while (sp_stream_next(stream, NULL, &page, NULL) == SP_OK && page) {
                for (size_t i = 0; i < sp_result_rows(page); i++)
                        found[cell(page, i) / TOKENS][cell(page, i) % TOKENS]++;
                sp_result_free(page);
        }
        sp_stream_free(stream);
        sp_stmt_unref(stmt);
        for (int i = 0; i < CALLERS * TOKENS; i++) {
                int fate = storm->fates[i / TOKENS][i % TOKENS], count = found[i / TOKENS][i % TOKENS];

                if (fate == PERHAPS ? count <= 1 : count == (fate == ONCE))
                        continue;
                printf("# token %d is there %d times, told %d\n", i, count, fate);
                atomic_fetch_add(&storm->wrong, 1);
        }
        free(found);
}

static int descriptors(void)
{
        DIR *folder = opendir("/proc/self/fd");
        int count = 0;

        while (readdir(folder))
                count++;
        closedir(folder);
        return count;
}

/* Nothing runs, nothing waits, nothing is held, and what the server has is what the pool knows of. */
static void check_rest(struct storm *storm, sp_pool *chief)
{
        sp_pool *pool = storm->pool;

        assert_int_equal(sp_pool_drain(pool, -1), SP_OK);
        while (sp_pool_active(pool) > 0 || connections(chief) != sp_pool_idle(pool))
                sched_yield();
        assert_int_equal(sp_pool_waiting(pool), 0);
        assert_in_range(sp_pool_idle(pool), 0, MOST);
        terminate(chief, MOST);
        /* Nobody asks for one. */
        while (sp_pool_idle(pool) < LEAST || connections(chief) < LEAST)
                poll(NULL, 0, 10);
        assert_int_equal(number(&ways[0], pool, "SELECT 5", 0), 5);
}

static void test_everything_at_once(void **state)
{
        int fds = descriptors();
        struct storm *storm = calloc(1, sizeof *storm);
        sp_pool *chief = chief_pool();
        struct sp__random random;
        pthread_t threads[CALLERS];
        char most[32], least[32];

        storm->seed = given_seed ? given_seed : sp__random_seed();
        random.state = storm->seed;
        printf("# seed %llu\n", (unsigned long long)storm->seed);
        run(&ways[0], chief, "CREATE TABLE storm_log (token int8)");
        /* The tests' server loses what it acknowledged when it is killed, as it comes. */
        run(&ways[0], chief, "ALTER DATABASE test SET synchronous_commit = on");
        snprintf(most, sizeof most, "pool.max=%d", MOST);
        snprintf(least, sizeof least, "pool.min=%d", LEAST);
        storm->proxy = pg_proxy_start();
        storm->pool = pool_with((const char *[]){pg_proxy_url(storm->proxy), most, least, "pool.application_name=storm",
                                                 "pool.acquire_timeout=20s", "pool.query_timeout=30s",
                                                 "pool.statement_timeout=20s", NULL});
        for (size_t i = 0; i < CALLERS; i++)
                pthread_create(&threads[i], NULL, caller_body, storm);
        for (int i = 0; i < BLOWS; i++) {
                let_them(storm, BETWEEN);
                blow(storm, chief, &random, i);
        }
        let_them(storm, BETWEEN);
        atomic_store(&storm->stop, true);
        for (size_t i = 0; i < CALLERS; i++)
                pthread_join(threads[i], NULL);
        printf("# %d answers, %d of them successes\n", atomic_load(&storm->answers), atomic_load(&storm->successes));
        check_rest(storm, chief);
        check_fates(storm, chief);
        sp_pool_free(storm->pool);
        pg_proxy_stop(storm->proxy);
        while (connections(chief) > 0)
                sched_yield();
        assert_int_equal(atomic_load(&storm->wrong), 0);
        run(&ways[0], chief, "DROP TABLE storm_log");
        run(&ways[0], chief, "ALTER DATABASE test RESET synchronous_commit");
        sp_pool_free(chief);
        assert_int_equal(descriptors(), fds);
        free(storm);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_everything_at_once),
        };

        given_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
        return cmocka_run_group_tests_name("storm", tests, NULL, NULL);
}
