/* SPDX-License-Identifier: MIT */
/* Who connects to a service is not lost while it has no room, no descriptor, or ends. */
#include "listener.h"
#include "loopback.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

/* Who is taken gets a byte. */
struct door {
        struct listener *listener;
        atomic_bool room;
        sem_t asked;
        atomic_int taken;
};

static bool room(void *arg)
{
        struct door *door = arg;

        sem_post(&door->asked);
        return atomic_load(&door->room);
}

static void take(void *arg, int fd, const struct sockaddr *address, socklen_t len)
{
        struct door *door = arg;

        if (address->sa_family == AF_INET && len == sizeof(struct sockaddr_in) && send(fd, "x", 1, 0) == 1)
                atomic_fetch_add(&door->taken, 1);
        close(fd);
}

static void door_open(struct door *door, bool with_room)
{
        struct listener_options options = {.room = room, .take = take, .arg = door};

        memset(door, 0, sizeof *door);
        atomic_store(&door->room, with_room);
        sem_init(&door->asked, 0, 0);
        door->listener = listener_start(&options);
        assert_non_null(door->listener);
}

static void assert_taken(int fd)
{
        char byte;

        assert_int_equal(recv(fd, &byte, 1, 0), 1);
        close(fd);
}

static void test_who_finds_no_room_waits_until_there_is(void **state)
{
        int fd = loopback_socket();
        struct door door;

        door_open(&door, false);
        assert_int_equal(loopback_join(fd, listener_port(door.listener)), 0);
        sem_wait(&door.asked);
        sem_wait(&door.asked);
        assert_int_equal(atomic_load(&door.taken), 0);
        atomic_store(&door.room, true);
        assert_taken(fd);
        listener_stop(door.listener);
        sem_destroy(&door.asked);
}

static void test_who_waits_when_it_ends_is_taken_and_nobody_after(void **state)
{
        int fds[3], late = loopback_socket(), port;
        struct door door;

        door_open(&door, false);
        port = listener_port(door.listener);
        for (int i = 0; i < 3; i++) {
                fds[i] = loopback_socket();
                assert_int_equal(loopback_join(fds[i], port), 0);
        }
        sem_wait(&door.asked);
        listener_stop(door.listener);
        assert_int_equal(atomic_load(&door.taken), 3);
        for (int i = 0; i < 3; i++)
                assert_taken(fds[i]);
        assert_int_equal(loopback_join(late, port), -1);
        assert_int_equal(errno, ECONNREFUSED);
        close(late);
        sem_destroy(&door.asked);
}

static void test_where_no_descriptor_is_left_it_tries_again(void **state)
{
        int fd = loopback_socket(), other = loopback_socket();
        struct rlimit limit, none;
        struct door door;

        door_open(&door, true);
        getrlimit(RLIMIT_NOFILE, &limit);
        none = limit;
        none.rlim_cur = 2; /* of which poll() needs as many as it waits for */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(loopback_join(fd, listener_port(door.listener)), 0);
        sem_wait(&door.asked);
        sem_wait(&door.asked);
        assert_int_equal(atomic_load(&door.taken), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_taken(fd);
        assert_int_equal(loopback_join(other, listener_port(door.listener)), 0);
        assert_taken(other);
        listener_stop(door.listener);
        sem_destroy(&door.asked);
}

static void test_a_port_that_is_taken_is_said(void **state)
{
        struct listener_options options = {.room = room, .take = take};
        struct door door;

        door_open(&door, true);
        options.port = listener_port(door.listener);
        errno = 0;
        assert_null(listener_start(&options));
        assert_int_equal(errno, EADDRINUSE);
        listener_stop(door.listener);
        sem_destroy(&door.asked);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_who_finds_no_room_waits_until_there_is),
            cmocka_unit_test(test_who_waits_when_it_ends_is_taken_and_nobody_after),
            cmocka_unit_test(test_where_no_descriptor_is_left_it_tries_again),
            cmocka_unit_test(test_a_port_that_is_taken_is_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
