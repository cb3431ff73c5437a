/* SPDX-License-Identifier: MIT */
/** Command line of the services and of the naive form: --port N (0: a free one), --help. */
#ifndef SERVICE_OPTIONS_H
#define SERVICE_OPTIONS_H

#include <signal.h>
#include <stdbool.h>

/* The port to listen on: --port, else PORT of the environment, else `usual`. Ends the program on a bad command line. */
int options_port(int argc, char **argv, const char *what, int usual);
/* How long what runs may go on once it is asked to stop: DRAIN_MS of the environment, else 5,000. Ends the program, too. */
int options_drain_ms(const char *program);
/* Whether a variable is "on"; not where it is "off", empty or not there. Ends the program when it is something else. */
bool options_on(const char *program, const char *name);

/* SIGTERM and SIGINT wait for stop_wait(). Call it before the first thread is made. */
void stop_prepare(sigset_t *signals);
/* Says where the server listens, then waits for one of the signals. */
void stop_wait(const sigset_t *signals, int port);

#endif
