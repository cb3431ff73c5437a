/* SPDX-License-Identifier: MIT */
/** Stops, kills, pauses and starts the servers of a set of one's own (servers.py ctl). After cmocka.h. */
#ifndef TESTS_CTL_H
#define TESTS_CTL_H

#include <stdio.h>
#include <stdlib.h>

static inline void control(const char *verb, const char *server)
{
        char command[256];

        snprintf(command, sizeof command, "python3 tests/support/servers.py ctl %s %s", verb, server);
        assert_int_equal(system(command), 0);
}

#endif
