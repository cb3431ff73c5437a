/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static int port_parse(const char *program, const char *text)
{
        char *end;
        long port;

        errno = 0;
        port = strtol(text, &end, 10);
        if (!*text || *end || errno || port < 0 || port > 65535) {
                fprintf(stderr, "%s: the port is \"%s\", must be 0–65535\n", program, text);
                exit(2);
        }
        return (int)port;
}

int options_port(int argc, char **argv, const char *what, int usual)
{
        static const struct option table[] = {
            {"port", required_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
        const char *text = getenv("PORT");
        int option;

        while ((option = getopt_long(argc, argv, "p:h", table, NULL)) != -1) {
                if (option == 'p') {
                        text = optarg;
                } else {
                        fprintf(option == 'h' ? stdout : stderr, "usage: %s [--port N]    %s\n", argv[0], what);
                        exit(option == 'h' ? 0 : 2);
                }
        }
        return text && *text ? port_parse(argv[0], text) : usual;
}

void stop_prepare(sigset_t *signals)
{
        sigemptyset(signals);
        sigaddset(signals, SIGTERM);
        sigaddset(signals, SIGINT);
        pthread_sigmask(SIG_BLOCK, signals, NULL);
}

void stop_wait(const sigset_t *signals, int port)
{
        int got;

        printf("listening on http://127.0.0.1:%d\n", port);
        fflush(stdout);
        sigwait(signals, &got);
}
