/* SPDX-License-Identifier: MIT */
#include "redis_set.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int redis_free_port(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        int fd, port;

        /* A cluster's node also wants the port 10,000 above. */
        do {
                address.sin_port = 0;
                fd = socket(AF_INET, SOCK_STREAM, 0);
                assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
                assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
                port = ntohs(address.sin_port);
                close(fd);
        } while (port > 50000);
        return port;
}

static void run_server(const struct redis_server *server)
{
        const char *argv[REDIS_ARGS + 16];
        char port[16], path[200];
        int count = 0, log;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(port, sizeof port, "%d", server->port);
        snprintf(path, sizeof path, "%s/log", server->dir);
        log = open(path, O_CREAT | O_APPEND | O_WRONLY, 0600);
        dup2(log, 1);
        dup2(log, 2);
        argv[count++] = "redis-server";
        /* A sentinel's file comes first. */
        if (server->args[0] && server->args[0][0] == '/')
                argv[count++] = server->args[0];
        for (int i = 0; i < 2; i++)
                argv[count++] = i ? port : server->tls ? "--tls-port" : "--port";
        if (server->tls) {
                argv[count++] = "--port";
                argv[count++] = "0";
        }
        argv[count++] = "--dir";
        argv[count++] = server->dir;
        argv[count++] = "--bind";
        argv[count++] = "127.0.0.1";
        for (int i = server->args[0] && server->args[0][0] == '/'; server->args[i]; i++)
                argv[count++] = server->args[i];
        argv[count] = NULL;
        execvp("redis-server", (char *const *)(uintptr_t)argv);
        _exit(127);
}

static redisContext *connect_to(const struct redis_server *server)
{
        struct timeval patience = {.tv_sec = 5};
        redisContext *link = redisConnectWithTimeout("127.0.0.1", server->port, patience);

        if (link && !link->err) {
                redisSetTimeout(link, patience);
                return link;
        }
        if (link)
                redisFree(link);
        return NULL;
}

static bool is_ready(const struct redis_server *server)
{
        redisReply *reply;
        bool ready;
        redisContext *link;

        if (server->tls) {
                link = connect_to(server);
                ready = link != NULL;
                if (link)
                        redisFree(link);
                return ready;
        }
        reply = redis_ask(server, "PING");
        /* Who asks for a password is there, too. */
        ready = reply && (reply->type == REDIS_REPLY_STATUS || strncmp(reply->str, "NOAUTH", 6) == 0);
        if (reply)
                freeReplyObject(reply);
        return ready;
}

/* false: it ended at once. */
static bool comes_up(struct redis_server *server)
{
        server->pid = fork();
        if (server->pid == 0)
                run_server(server);
        assert_true(server->pid > 0);
        while (!is_ready(server)) {
                if (waitpid(server->pid, NULL, WNOHANG) != 0)
                        return false;
                poll(NULL, 0, 10);
        }
        return true;
}

void redis_restart(struct redis_server *server)
{
        assert_true(comes_up(server));
}

void redis_start(struct redis_server *server, int port, const char *const args[])
{
        int i = 0, tries = port ? 1 : 5;
        bool up = false;

        for (; args && args[i]; i++) {
                assert_true(i < REDIS_ARGS - 1);
                server->args[i] = args[i];
        }
        server->args[i] = NULL;
        /* A port that was free may be somebody's by now. */
        for (; !up && tries > 0; tries--) {
                server->port = port ? port : redis_free_port();
                /* Not by its port: another one may have had that before. */
                snprintf(server->dir, sizeof server->dir, "%s/redis-XXXXXX", getenv("SP_TEST_SERVERS"));
                assert_non_null(mkdtemp(server->dir));
                up = comes_up(server);
        }
        assert_true(up);
}

void redis_kill(struct redis_server *server)
{
        if (server->pid <= 0)
                return;
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
}

void redis_freeze(struct redis_server *server)
{
        assert_int_equal(kill(server->pid, SIGSTOP), 0);
}

void redis_thaw(struct redis_server *server)
{
        assert_int_equal(kill(server->pid, SIGCONT), 0);
}

static redisReply *ask(const struct redis_server *server, const char *format, va_list args)
{
        redisContext *link = connect_to(server);
        redisReply *reply = link ? redisvCommand(link, format, args) : NULL;

        if (link)
                redisFree(link);
        return reply;
}

redisReply *redis_ask(const struct redis_server *server, const char *format, ...)
{
        redisReply *reply;
        va_list args;

        va_start(args, format);
        reply = ask(server, format, args);
        va_end(args);
        return reply;
}

char *redis_says(const struct redis_server *server, const char *format, ...)
{
        redisReply *reply;
        char *text = NULL;
        va_list args;

        va_start(args, format);
        reply = ask(server, format, args);
        va_end(args);
        assert_non_null(reply);
        if (reply->type == REDIS_REPLY_ERROR)
                fail_msg("%s: %s", format, reply->str);
        if (reply->type == REDIS_REPLY_INTEGER)
                assert_true(asprintf(&text, "%lld", reply->integer) > 0);
        else
                text = strdup(reply->str ? reply->str : "");
        freeReplyObject(reply);
        return text;
}

void redis_await(const struct redis_server *server, const char *question, const char *text)
{
        bool there = false;

        while (!there) {
                redisReply *reply = redis_ask(server, question);

                there = reply && reply->str && strstr(reply->str, text);
                if (reply)
                        freeReplyObject(reply);
                if (!there)
                        poll(NULL, 0, 20);
        }
}
