/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number_parse(const char *program, const char *what, const char *text, int max)
{
        char *end;
        long number;

        errno = 0;
        number = strtol(text, &end, 10);
        if (!*text || *end || errno || number < 0 || number > max) {
                fprintf(stderr, "%s: %s is \"%s\", must be 0–%d\n", program, what, text, max);
                exit(2);
        }
        return (int)number;
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
        if (optind < argc) {
                fprintf(stderr, "%s: \"%s\" is no option; usage: %s [--port N]\n", argv[0], argv[optind], argv[0]);
                exit(2);
        }
        return text && *text ? number_parse(argv[0], "the port", text, 65535) : usual;
}

bool options_on(const char *program, const char *name)
{
        const char *text = getenv(name);

        if (!text || !*text || strcmp(text, "off") == 0)
                return false;
        if (strcmp(text, "on") == 0)
                return true;
        fprintf(stderr, "%s: %s is \"%s\", must be on or off\n", program, name, text);
        exit(2);
}

int options_drain_ms(const char *program)
{
        const char *text = getenv("DRAIN_MS");

        return text && *text ? number_parse(program, "DRAIN_MS", text, 3600 * 1000) : 5000;
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
