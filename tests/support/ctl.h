/* SPDX-License-Identifier: MIT */
/** Stops, kills, pauses and starts the servers of a set of one's own, as servers.py ctl does. After cmocka.h. */
#ifndef TESTS_CTL_H
#define TESTS_CTL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static inline void control(const char *verb, const char *server)
{
        struct sockaddr_un door = {.sun_family = AF_UNIX};
        int link = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char text[256] = "";

        snprintf(door.sun_path, sizeof door.sun_path, "%s/ctl", getenv("SP_TEST_SERVERS"));
        assert_int_equal(connect(link, (const struct sockaddr *)&door, sizeof door), 0);
        snprintf(text, sizeof text, "%s %s", verb, server);
        assert_int_equal(write(link, text, strlen(text)), strlen(text));
        memset(text, 0, sizeof text);
        assert_true(read(link, text, sizeof text - 1) > 0);
        assert_string_equal(text, "ok");
        close(link);
}

#endif
