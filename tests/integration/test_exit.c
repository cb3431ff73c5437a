/* SPDX-License-Identifier: MIT */
/* exit() in the middle of everything ends the process with the status that was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sugarperf/sugarperf.h>

enum { TIMES = 40, ASKED_FOR = 7 };

/* The program of the child: connections are being made, each with a password, when it leaves. */
static int leave(const char *after_us)
{
        static const char text[] = "SELECT 1";
        sp_config *config = sp_config_new();
        sp_result *result = NULL;
        sp_pool *pool;
        sp_stmt *stmt;

        if (sp_config_set(config, "pool.url", getenv("DATABASE_URL"), NULL) != SP_OK ||
            sp_config_set(config, "pool.min", "20", NULL) != SP_OK || sp_pool_new(config, NULL, &pool, NULL) != SP_OK ||
            sp_stmt_new("one", text, sizeof text - 1, 0, &stmt, NULL) != SP_OK ||
            sp_pool_query(pool, NULL, stmt, NULL, &result, NULL) != SP_OK)
                return 1;
        usleep((useconds_t)atoi(after_us));
        exit(ASKED_FOR);
}

static void test_the_process_ends_while_connections_are_made(void **state)
{
        for (int i = 0; i < TIMES; i++) {
                pid_t pid = fork();
                int status = 0;
                char after_us[16];

                /* Sooner or later, so that some leave in the middle of a password's mathematics. */
                snprintf(after_us, sizeof after_us, "%d", i * 250);
                if (pid == 0) {
                        /* What is still reachable at such an end is not lost. */
                        setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
                        execl("/proc/self/exe", "test-exit", "leave", after_us, (char *)NULL);
                        _exit(127);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (!WIFEXITED(status) || WEXITSTATUS(status) != ASKED_FOR)
                        fail_msg("run %d: status %#x", i, (unsigned)status);
        }
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_process_ends_while_connections_are_made)};

        if (argc > 2 && strcmp(argv[1], "leave") == 0)
                return leave(argv[2]);
        return cmocka_run_group_tests_name("exit", tests, NULL, NULL);
}
