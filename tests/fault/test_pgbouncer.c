/* SPDX-License-Identifier: MIT */
/*
 * Behind PgBouncer, where it is installed: in transaction mode, in which each statement and each transaction may run in another
 * session of the server's, and in session mode. SP_PGBOUNCER names the program, if it is not in its usual place.
 */
#include "../integration/way.h"

#include <arpa/inet.h>
#include <grp.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSIONS = 2, ROUNDS = 400 };

struct bouncer {
        pid_t pid;
        int port;
        char url[120];
};

static const char *program(void)
{
        const char *named = getenv("SP_PGBOUNCER");
        const char *const places[] = {named ? named : "", "/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"};

        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                if (access(places[i], X_OK) == 0)
                        return places[i];
        }
        return NULL;
}

static struct sockaddr_in loopback(int port)
{
        return (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
}

static int free_port(void)
{
        struct sockaddr_in address = loopback(0);
        socklen_t len = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        close(fd);
        return ntohs(address.sin_port);
}

static bool answers(int port)
{
        struct sockaddr_in address = loopback(port);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool good = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;

        close(fd);
        return good;
}

/* It does not run as root, and may stand where only root may look. */
static void run_bouncer(const char *path)
{
        const struct passwd *account = getuid() == 0 ? getpwnam("nobody") : NULL;
        const char *const words[] = {"pgbouncer", "-q", path, NULL};
        int file = open(program(), O_RDONLY | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (account && (setgroups(0, NULL) != 0 || setgid(account->pw_gid) != 0 || setuid(account->pw_uid) != 0))
                _exit(126);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fexecve(file, (char *const *)(uintptr_t)words, environ);
        _exit(127);
}

static struct bouncer bouncer_start(const char *mode, const char *ignored)
{
        int server = atoi(strrchr(getenv("SP_TEST_PG"), ':') + 1);
        struct bouncer bouncer = {.port = free_port()};
        char path[200];
        FILE *file;

        snprintf(path, sizeof path, "%s/pgbouncer-%d.ini", getenv("SP_TEST_SERVERS"), bouncer.port);
        file = fopen(path, "w");
        assert_non_null(file);
        fprintf(file,
                "[databases]\ntest = host=127.0.0.1 port=%d user=test password=test\n"
                "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = any\n"
                "pool_mode = %s\ndefault_pool_size = %d\nignore_startup_parameters = extra_float_digits%s\n",
                server, bouncer.port, mode, SESSIONS, ignored);
        fclose(file);
        assert_int_equal(chmod(path, 0644), 0);
        bouncer.pid = fork();
        if (bouncer.pid == 0)
                run_bouncer(path);
        while (!answers(bouncer.port)) {
                assert_int_equal(waitpid(bouncer.pid, NULL, WNOHANG), 0);
                poll(NULL, 0, 10);
        }
        snprintf(bouncer.url, sizeof bouncer.url, "pool.url=postgresql://test@127.0.0.1:%d/test", bouncer.port);
        return bouncer;
}

static void bouncer_stop(struct bouncer *bouncer)
{
        kill(bouncer->pid, SIGKILL);
        waitpid(bouncer->pid, NULL, 0);
}

/* More connections than the proxy has sessions: who thinks a session its own is soon wrong. */
static sp_pool *shared_pool(const struct bouncer *bouncer)
{
        return pool_with((const char *[]){bouncer->url, "pool.max=6", "pool.statements=0", "pool.statement_timeout=0",
                                          "pool.acquire_timeout=30s", "pool.query_timeout=60s", NULL});
}

static void test_a_proxy_that_takes_no_options_is_told_of(void **state)
{
        struct bouncer bouncer = bouncer_start("transaction", "");
        sp_pool *pool = pool_with((const char *[]){bouncer.url, NULL});
        sp_error *error = fails(way_of(state), pool, NULL, "SELECT 1", SP_UNAVAILABLE);

        assert_false(sp_error_retryable(error));
        says(error, "set pool.statements and pool.statement_timeout to 0", NULL);
        sp_pool_free(pool);
        bouncer_stop(&bouncer);
}

static void test_transactions_are_whole_in_transaction_mode(void **state)
{
        const struct way *way = way_of(state);
        struct bouncer bouncer = bouncer_start("transaction", "");
        sp_pool *pool = shared_pool(&bouncer);

        run(way, pool, "DROP TABLE IF EXISTS bounced");
        run(way, pool, "CREATE TABLE bounced (n int8 PRIMARY KEY)");
        for (int i = 0; i < 20; i++) {
                sp_session *session = session_of(way, pool);
                char text[64];

                assert_int_equal(sp_session_begin(session, NULL, i % 2 ? "serializable" : NULL, NULL), SP_OK);
                snprintf(text, sizeof text, "INSERT INTO bounced VALUES (%d)", i);
                session_run(way, session, text);
                assert_int_equal(sp_session_savepoint(session, NULL, "here", NULL), SP_OK);
                session_run(way, session, "DELETE FROM bounced");
                assert_int_equal(sp_session_rollback_to(session, NULL, "here", NULL), SP_OK);
                if (i % 4 == 0)
                        assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
                else if (i % 4 != 1)
                        assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
                /* An open transaction is rolled back by the release. */
                sp_session_release(session);
        }
        assert_int_equal(number(way, pool, "SELECT count(*) FROM bounced", 0), 10);
        run(way, pool, "DROP TABLE bounced");
        sp_pool_free(pool);
        bouncer_stop(&bouncer);
}

static int64_t streamed(sp_pool *pool)
{
        sp_stmt *stmt = stmt_of("SELECT generate_series(1, 1000)");
        sp_result *page = NULL;
        sp_stream *stream;
        int64_t rows = 0;

        assert_int_equal(sp_pool_stream(pool, NULL, stmt, NULL, 100, &stream, NULL), SP_OK);
        while (sp_stream_next(stream, NULL, &page, NULL) == SP_OK && page) {
                rows += (int64_t)sp_result_rows(page);
                sp_result_free(page);
                page = NULL;
        }
        sp_stream_free(stream);
        sp_stmt_unref(stmt);
        return rows;
}

static int64_t copied(sp_pool *pool)
{
        sp_stmt *stmt = stmt_of("COPY bounced FROM STDIN");
        sp_session *session = session_of(&ways[0], pool);
        int64_t rows = 0;
        sp_copy *copy;

        assert_int_equal(sp_session_copy(session, NULL, stmt, &copy, NULL), SP_OK);
        assert_int_equal(sp_copy_write(copy, NULL, "-1\n-2\n-3\n", 9, NULL), SP_OK);
        assert_int_equal(sp_copy_end(copy, NULL, &rows, NULL), SP_OK);
        sp_copy_free(copy);
        sp_session_release(session);
        sp_stmt_unref(stmt);
        return rows;
}

static int64_t batched(sp_pool *pool)
{
        sp_stmt *stmt = stmt_of("INSERT INTO bounced VALUES ($1)");
        sp_params *params = sp_params_new();
        sp_result *result;
        int64_t rows;

        for (int64_t n = 1001; n <= 1050; n++) {
                sp_params_add_int(params, n);
                sp_params_next(params);
        }
        assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, NULL), SP_OK);
        rows = sp_result_affected(result);
        sp_result_free(result);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        return rows;
}

static void test_streams_copies_and_batches_pass(void **state)
{
        struct bouncer bouncer = bouncer_start("transaction", "");
        sp_pool *pool = shared_pool(&bouncer);

        run(way_of(state), pool, "DROP TABLE IF EXISTS bounced");
        run(way_of(state), pool, "CREATE TABLE bounced (n int8 PRIMARY KEY)");
        for (int i = 0; i < 5; i++)
                assert_int_equal(streamed(pool), 1000);
        assert_int_equal(copied(pool), 3);
        assert_int_equal(batched(pool), 50);
        assert_int_equal(number(way_of(state), pool, "SELECT count(*) FROM bounced", 0), 53);
        run(way_of(state), pool, "DROP TABLE bounced");
        sp_pool_free(pool);
        bouncer_stop(&bouncer);
}

/* Of three in a row one fails, one reads, one writes. */
static void check_answer(const sp_completion *done, int64_t number)
{
        size_t len;

        if (number % 3 == 0) {
                assert_int_equal(sp_completion_status(done), SP_SQL);
                assert_string_equal(sp_error_code(sp_completion_error(done)), "22012");
                return;
        }
        assert_int_equal(sp_completion_status(done), SP_OK);
        if (number % 3 == 1)
                assert_int_equal(strtoll(sp_result_get(sp_completion_result(done), 0, 0, &len), NULL, 10), number);
}

static void test_many_callers_each_get_their_own_answer(void **state)
{
        struct bouncer bouncer = bouncer_start("transaction", "");
        sp_pool *pool = shared_pool(&bouncer);
        sp_stmt *stmts[] = {stmt_of("SELECT 10 / ($1::int8 * 0)"), stmt_of("SELECT $1::int8"),
                            stmt_of("INSERT INTO bounced VALUES ($1)")};
        sp_params *params = sp_params_new();
        sp_queue *queue = queue_of();

        run(&ways[0], pool, "DROP TABLE IF EXISTS bounced");
        run(&ways[0], pool, "CREATE TABLE bounced (n int8 PRIMARY KEY)");
        for (int64_t sent = 0, got = 0; got < ROUNDS; got++) {
                sp_completion *done;

                for (; sent < ROUNDS && sent < got + 64; sent++) {
                        sp_params_clear(params);
                        sp_params_add_int(params, sent);
                        assert_int_equal(
                            sp_pool_query_async(pool, NULL, stmts[sent % 3], params, queue, (uint64_t)sent), SP_OK);
                }
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                check_answer(done, (int64_t)sp_completion_tag(done));
                sp_completion_free(done);
        }
        assert_int_equal(number(&ways[0], pool, "SELECT count(*) FROM bounced", 0), ROUNDS / 3);
        run(&ways[0], pool, "DROP TABLE bounced");
        for (size_t i = 0; i < 3; i++)
                sp_stmt_unref(stmts[i]);
        sp_params_free(params);
        sp_queue_free(queue);
        sp_pool_free(pool);
        bouncer_stop(&bouncer);
}

/* The statement is ended at the server, and what comes next in its session goes on. */
static void test_who_gives_up_harms_nobody(void **state)
{
        const struct way *way = way_of(state);
        struct bouncer bouncer = bouncer_start("transaction", "");
        sp_pool *pool = shared_pool(&bouncer);

        for (int i = 0; i < 10; i++) {
                sp_ctx *ctx = ctx_of("20ms");

                sp_error_free(fails(way, pool, ctx, "SELECT pg_sleep(302)", SP_TIMEOUT));
                assert_int_equal(number(way, pool, "SELECT $1::int8", i), i);
                sp_ctx_unref(ctx);
        }
        while (number(way, pool,
                      "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(302)' AND state = 'active'",
                      0) > 0)
                poll(NULL, 0, 10);
        sp_pool_free(pool);
        bouncer_stop(&bouncer);
}

static void test_statements_are_prepared_in_session_mode(void **state)
{
        const struct way *way = way_of(state);
        struct bouncer bouncer = bouncer_start("session", ", options");
        sp_pool *pool = pool_with((const char *[]){bouncer.url, "pool.max=2", "pool.min=0", NULL});

        for (int i = 0; i < 5; i++)
                assert_int_equal(number(way, pool, "SELECT $1::int8", i), i);
        assert_true(number(way, pool, "SELECT count(*) FROM pg_prepared_statements", 0) > 0);
        sp_pool_free(pool);
        bouncer_stop(&bouncer);
}

/* cmocka's skip() is a failure to readers of TAP. */
static void test_pgbouncer_is_not_installed(void **state)
{
        puts("# pgbouncer is not installed: nothing was tried");
}

int main(void)
{
        const struct CMUnitTest none[] = {cmocka_unit_test(test_pgbouncer_is_not_installed)};
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_a_proxy_that_takes_no_options_is_told_of),
            BOTH_WAYS(test_transactions_are_whole_in_transaction_mode),
            BOTH_WAYS(test_streams_copies_and_batches_pass),
            cmocka_unit_test(test_many_callers_each_get_their_own_answer),
            BOTH_WAYS(test_who_gives_up_harms_nobody),
            BOTH_WAYS(test_statements_are_prepared_in_session_mode),
        };

        if (!program())
                return cmocka_run_group_tests_name("pgbouncer", none, NULL, NULL);
        return cmocka_run_group_tests_name("pgbouncer", tests, NULL, NULL);
}
