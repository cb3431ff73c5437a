/* SPDX-License-Identifier: MIT */
/**
 * fork() for tests. A failed assertion jumps to what runs the tests: in a child that would be a second copy of all that is left
 * of them, with children of its own, and so on. Here it ends the child, with SIGABRT; and a child does not outlive its parent.
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static inline pid_t child_fork(void)
{
        static const struct rlimit no_core = {0, 0};
        pid_t pid;

        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                setenv("CMOCKA_TEST_ABORT", "1", 1);
                setrlimit(RLIMIT_CORE, &no_core);
        }
        return pid;
}

#endif
