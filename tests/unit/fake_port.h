/* SPDX-License-Identifier: MIT */
/** A port whose protocol is one byte, and operations that wait for it. */
#ifndef TESTS_FAKE_PORT_H
#define TESTS_FAKE_PORT_H

#include "core/queue.h"
#include "loop/engine_internal.h"
#include "loop/port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A protocol of one byte: each byte from the peer answers the oldest operation. */
struct fake {
        struct sp__port port;
        struct sp__list flights;
        int fd, peer;
        int unwritten;
        atomic_uint events;
};

struct work {
        sp__op op;
        atomic_int cancels;
};

static inline struct fake *fake_of(const struct sp__port *port)
{
        return SP__OF(port, struct fake, port);
}

static inline void fake_flush(struct sp__port *port, struct sp__batch *done)
{
        for (; fake_of(port)->unwritten > 0; fake_of(port)->unwritten--)
                assert_int_equal(write(fake_of(port)->fd, "!", 1), 1);
}

static inline void fake_ready(struct sp__port *port, uint32_t events, struct sp__batch *done)
{
        struct fake *fake = fake_of(port);
        char bytes[16];
        ssize_t n = read(fake->fd, bytes, sizeof bytes);

        atomic_fetch_or(&fake->events, events);
        fake_flush(port, done);
        if (events & EPOLLOUT)
                sp__port_want(port, EPOLLIN);
        for (ssize_t i = 0; i < n; i++) {
                sp__op *op = SP__OF(sp__list_pop(&fake->flights), sp__op, link);

                sp__op_yield(op, SP__YIELD_NONE, NULL, NULL, done);
                sp__op_unref(op);
        }
}

static inline bool fake_busy(const struct sp__port *port)
{
        return !sp__list_empty(&fake_of(port)->flights);
}

static const struct sp__port_kind fake_kind = {.ready = fake_ready, .flush = fake_flush, .busy = fake_busy};

static inline void fake_open(struct fake *fake, struct sp__engine *engine)
{
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        assert_true(sp__port_init(&fake->port, &fake_kind, engine));
        sp__list_init(&fake->flights);
        atomic_init(&fake->events, 0);
        fake->fd = pair[0];
        fake->peer = pair[1];
        sp__lock(&fake->port.lock);
        sp__port_attach(&fake->port, fake->fd, EPOLLIN);
        sp__unlock(&fake->port.lock);
}

static inline void fake_close(struct fake *fake)
{
        struct sp__list *link;

        sp__lock(&fake->port.lock);
        sp__port_detach(&fake->port);
        while ((link = sp__list_pop(&fake->flights)))
                sp__op_unref(SP__OF(link, sp__op, link));
        sp__unlock(&fake->port.lock);
        sp__port_destroy(&fake->port);
        close(fake->fd);
        close(fake->peer);
}

static inline void answer(struct fake *fake)
{
        assert_int_equal(write(fake->peer, "x", 1), 1);
}

/* What a room does to send an operation on behalf of a blocked caller, with so many bytes to write. */
static inline void fake_put(struct fake *fake, sp__op *op, sp__op *caller, int bytes)
{
        bool idle;

        sp__lock(&fake->port.lock);
        idle = sp__list_empty(&fake->flights);
        sp__port_enter(&fake->port, caller, idle);
        sp__list_push(&fake->flights, &sp__op_ref(op)->link);
        fake->unwritten += bytes;
        sp__port_flush(&fake->port, idle, NULL);
        sp__unlock(&fake->port.lock);
}

static inline void fake_send(struct fake *fake, sp__op *op, sp__op *caller)
{
        fake_put(fake, op, caller, 0);
}

static inline void arrives(struct fake *fake)
{
        for (char byte; read(fake->peer, &byte, 1) != 1;)
                sched_yield();
}

static inline void work_cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        atomic_fetch_add(&SP__OF(op, struct work, op)->cancels, 1);
        sp__batch_init(&done);
        sp__op_fail(op, why, NULL, &done);
        sp__batch_deliver(&done);
}

static inline void work_destroy(sp__op *op)
{
        free(SP__OF(op, struct work, op));
}

static const struct sp__op_kind work_kind = {.cancel = work_cancel, .destroy = work_destroy};

static inline sp__op *work_new(int64_t deadline)
{
        struct work *work = calloc(1, sizeof *work);

        sp__op_init(&work->op, &work_kind, NULL, deadline);
        return &work->op;
}

static inline sp__op *blocking(int64_t deadline)
{
        sp__op *op = work_new(deadline);

        sp__op_to_caller(op);
        return op;
}

static inline void *wait_body(void *op)
{
        sp__op_wait(op);
        return NULL;
}

static inline pthread_t wait_in_thread(sp__op *op)
{
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, wait_body, op), 0);
        return thread;
}

static inline void ends(sp__op *op, pthread_t thread, sp_status status)
{
        pthread_join(thread, NULL);
        assert_int_equal(op->status, status);
        sp__op_unref(op);
}

static inline sp__op *driver_of(struct fake *fake)
{
        sp__op *op;

        sp__lock(&fake->port.lock);
        op = fake->port.driving;
        sp__unlock(&fake->port.lock);
        return op;
}

static inline bool in_flight(struct fake *fake)
{
        bool busy;

        sp__lock(&fake->port.lock);
        busy = fake_busy(&fake->port);
        sp__unlock(&fake->port.lock);
        return busy;
}

static inline void until_polling(struct fake *fake, sp__op *op)
{
        bool polls = false;

        while (!polls) {
                sched_yield();
                sp__lock(&fake->port.lock);
                polls = fake->port.polling == op && atomic_load(&op->wait) & SP__WAIT_POLLS;
                sp__unlock(&fake->port.lock);
        }
}

static inline void settle(sp__op *op)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_yield(op, SP__YIELD_NONE, NULL, NULL, &done);
        sp__batch_deliver(&done);
}

struct world {
        struct sp__engine *engine;
        struct fake one, two;
};

static inline int world_open(void **state)
{
        struct world *world = calloc(1, sizeof *world);

        assert_int_equal(sp__engine_new(&world->engine, NULL), SP_OK);
        fake_open(&world->one, world->engine);
        fake_open(&world->two, world->engine);
        *state = world;
        return 0;
}

static inline int world_close(void **state)
{
        struct world *world = *state;
        struct sp__engine *engine = world->engine;

        /* As a pool does: detached while the engine runs, destroyed once it has stopped. */
        for (struct fake *fake = &world->one; fake; fake = fake == &world->one ? &world->two : NULL) {
                sp__lock(&fake->port.lock);
                sp__port_detach(&fake->port);
                sp__unlock(&fake->port.lock);
        }
        sp__engine_free(engine);
        fake_close(&world->one);
        fake_close(&world->two);
        free(world);
        return 0;
}

#endif
