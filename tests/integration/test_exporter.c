/* SPDX-License-Identifier: MIT */
/* The exporter answers whoever asks over HTTP, whatever they ask and however slowly, and ends when it is told to. */
#include "../support/child.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sugarperf/exporter.h>

enum { ANSWER_MAX = 1 << 20 };

/* `url`: of the database, NULL: the test's. */
static sp_client *client_of(const char *url)
{
        sp_config *config = sp_config_new();
        sp_client *client = NULL;

        assert_int_equal(sp_config_env(config, NULL), SP_OK);
        if (url)
                assert_int_equal(sp_config_set(config, "pool.url", url, NULL), SP_OK);
        assert_int_equal(sp_client_new(config, &client, NULL), SP_OK);
        sp_config_free(config);
        return client;
}

static sp_exporter *exporter_of(sp_client *client)
{
        sp_exporter *exporter = NULL;

        assert_int_equal(sp_exporter_new(client, "127.0.0.1:0", &exporter), SP_OK);
        assert_in_range(sp_exporter_port(exporter), 1, 65535);
        return exporter;
}

static int connected(int port)
{
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        return fd;
}

/* The whole answer, to be freed. */
static char *ask(const sp_exporter *exporter, const char *head)
{
        int fd = connected(sp_exporter_port(exporter));
        char *answer = malloc(ANSWER_MAX), request[512];
        size_t len = 0;
        ssize_t got;

        snprintf(request, sizeof request, "%s\r\nHost: x\r\nConnection: close\r\n\r\n", head);
        assert_int_equal(write(fd, request, strlen(request)), strlen(request));
        while ((got = read(fd, answer + len, ANSWER_MAX - 1 - len)) > 0)
                len += (size_t)got;
        assert_int_equal(got, 0);
        answer[len] = 0;
        close(fd);
        return answer;
}

/* Of the answer to `head`, how it begins and what it holds. */
static void answers(const sp_exporter *exporter, const char *head, const char *begins, const char *const holds[])
{
        char *answer = ask(exporter, head);

        if (strncmp(answer, begins, strlen(begins)) != 0)
                fail_msg("%s: %s", head, answer);
        for (; *holds; holds++) {
                if (!strstr(answer, *holds))
                        fail_msg("%s: %s does not hold %s", head, answer, *holds);
        }
        free(answer);
}

static void test_it_serves_metrics_and_health(void **state)
{
        sp_client *client = client_of(NULL);
        sp_exporter *exporter = exporter_of(client);
        char *head;

        answers(exporter, "GET /metrics HTTP/1.1", "HTTP/1.1 200 ",
                (const char *[]){"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
                                 "\n# TYPE sugarperf_pool_queries_total counter\n", NULL});
        answers(exporter, "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0",
                "HTTP/1.1 200 ",
                (const char *[]){"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n",
                                 "\n# TYPE sugarperf_pool_queries counter\n", "\n# EOF\n", NULL});
        answers(exporter, "GET /health HTTP/1.1", "HTTP/1.1 200 ",
                (const char *[]){"Content-Type: application/json\r\n",
                                 "{\"status\":\"healthy\",\"database\":\"connected\"", NULL});
        head = ask(exporter, "HEAD /metrics HTTP/1.1");
        assert_non_null(strstr(head, "HTTP/1.1 200 "));
        assert_string_equal(strstr(head, "\r\n\r\n"), "\r\n\r\n");
        free(head);
        answers(exporter, "GET / HTTP/1.1", "HTTP/1.1 404 ", (const char *[]){"/metrics and /health", NULL});
        answers(exporter, "GET /metrics/ HTTP/1.1", "HTTP/1.1 404 ", (const char *[]){NULL});
        answers(exporter, "POST /metrics HTTP/1.1\r\nContent-Length: 0", "HTTP/1.1 405 ",
                (const char *[]){"Allow: GET, HEAD\r\n", NULL});
        sp_exporter_free(exporter);
        sp_client_free(client);
}

static void test_an_unhealthy_client_answers_503(void **state)
{
        sp_client *client = client_of("postgresql://a:hunter2@127.0.0.1:1/x");
        sp_exporter *exporter = exporter_of(client);
        char *answer = ask(exporter, "GET /health HTTP/1.1");

        assert_non_null(strstr(answer, "HTTP/1.1 503 "));
        assert_non_null(strstr(answer, "{\"status\":\"unhealthy\""));
        assert_null(strstr(answer, "hunter2"));
        free(answer);
        sp_exporter_free(exporter);
        sp_client_free(client);
}

static void test_only_numbers_are_an_address(void **state)
{
        static const char *const wrong[] = {"",           "9464",        ":9464", "127.0.0.1",
                                            "127.0.0.1:", "127.0.0.1:x", "a:1",   "localhost:0",
                                            "::1:0",      "[::1]",       "[]:0",  "127.0.0.1:99999"};
        sp_client *client = client_of(NULL);
        sp_exporter *exporter = NULL, *second = NULL;
        char taken[32];

        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
                if (sp_exporter_new(client, wrong[i], &exporter) != SP_INVALID)
                        fail_msg("%s was taken", wrong[i]);
        }
        assert_int_equal(sp_exporter_new(NULL, "127.0.0.1:0", &exporter), SP_INVALID);
        assert_int_equal(sp_exporter_new(client, "127.0.0.1:0", NULL), SP_INVALID);
        assert_null(exporter);
        exporter = exporter_of(client);
        snprintf(taken, sizeof taken, "127.0.0.1:%d", sp_exporter_port(exporter));
        assert_int_equal(sp_exporter_new(client, taken, &second), SP_UNAVAILABLE);
        assert_int_equal(errno, EADDRINUSE);
        sp_exporter_free(exporter);
        /* Not every machine has it. */
        if (sp_exporter_new(client, "[::1]:0", &second) == SP_OK)
                assert_in_range(sp_exporter_port(second), 1, 65535);
        sp_exporter_free(second);
        sp_exporter_free(NULL);
        assert_int_equal(sp_exporter_port(NULL), 0);
        sp_client_free(client);
}

static int descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        int count = 0;

        while (readdir(dir))
                count++;
        closedir(dir);
        return count;
}

static void test_who_says_nothing_holds_up_nobody(void **state)
{
        enum { MUTE = 20 };
        sp_client *client = client_of(NULL);
        int fds[MUTE], before = descriptors();

        for (int round = 0; round < 3; round++) {
                sp_exporter *exporter = exporter_of(client);

                for (int i = 0; i < MUTE; i++) {
                        fds[i] = connected(sp_exporter_port(exporter));
                        assert_int_equal(write(fds[i], "GET /metr", i % 10), i % 10);
                }
                answers(exporter, "GET /metrics HTTP/1.1", "HTTP/1.1 200 ", (const char *[]){NULL});
                sp_exporter_free(exporter);
                for (int i = 0; i < MUTE; i++)
                        close(fds[i]);
                /* The first time the client connects. */
                if (round == 0)
                        before = descriptors();
        }
        assert_int_equal(descriptors(), before);
        sp_client_free(client);
}

static void test_a_child_leaves_it_to_its_parent(void **state)
{
        sp_client *client = client_of(NULL);
        sp_exporter *exporter = exporter_of(client);
        pid_t child = child_fork();
        int status;

        if (child == 0) {
                sp_exporter_free(exporter);
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        answers(exporter, "GET /metrics HTTP/1.1", "HTTP/1.1 200 ", (const char *[]){NULL});
        sp_exporter_free(exporter);
        sp_client_free(client);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_it_serves_metrics_and_health),
            cmocka_unit_test(test_an_unhealthy_client_answers_503),
            cmocka_unit_test(test_only_numbers_are_an_address),
            cmocka_unit_test(test_who_says_nothing_holds_up_nobody),
            cmocka_unit_test(test_a_child_leaves_it_to_its_parent),
        };

        return cmocka_run_group_tests_name("exporter", tests, NULL, NULL);
}
