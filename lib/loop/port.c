/* SPDX-License-Identifier: MIT */
#include "loop/port.h"

#include "loop/engine_internal.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool sp__port_init(struct sp__port *port, const struct sp__port_kind *kind, struct sp__engine *engine)
{
        *port = (struct sp__port){.kind = kind, .engine = engine, .fd = -1};
        port->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (port->wake < 0)
                return false;
        sp__mutex_init(&port->lock);
        sp__list_init(&port->waiters);
        sp__list_init(&port->dirty_link);
        return true;
}

void sp__port_destroy(struct sp__port *port)
{
        sp__list_remove(&port->dirty_link);
        close(port->wake);
        sp__mutex_destroy(&port->lock);
}

/* Brings the engine's epoll in step. Deregistered rather than masked: a hang-up would be told for ever. */
static void arm(struct sp__port *port, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = port};
        int verb = port->armed == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

        if (events == port->armed)
                return;
        epoll_ctl(port->engine->epoll, verb, port->fd, &event);
        port->armed = events;
}

static void set_driver(struct sp__port *port, enum sp__driver driver, sp__op *driving)
{
        port->driver = driver;
        port->driving = driving;
        if (port->fd >= 0)
                arm(port, driver == SP__DRIVER_ENGINE ? port->want : 0);
}

/* The token goes to the caller that has waited longest, else to the engine, else it is free. The lock is held. */
static void pass(struct sp__port *port)
{
        struct sp__list *link = sp__list_pop(&port->waiters);

        if (link) {
                sp__op *next = SP__OF(link, sp__op, port_link);

                set_driver(port, SP__DRIVER_WAITER, next);
                sp__op_poke(next);
        } else if (port->fd >= 0 && port->kind->busy(port)) {
                set_driver(port, SP__DRIVER_ENGINE, NULL);
                /* The engine's thread may never have been started. */
                sp__engine_nudge(port->engine);
        } else {
                set_driver(port, SP__DRIVER_FREE, NULL);
        }
}

static void interrupt(struct sp__port *port)
{
        uint64_t one = 1;

        if (write(port->wake, &one, sizeof one) < 0) {
                /* Full: it is readable already. */
        }
}

void sp__port_attach(struct sp__port *port, int fd, uint32_t want)
{
        port->fd = fd;
        port->want = want;
        port->armed = 0;
        if (port->driver == SP__DRIVER_ENGINE)
                arm(port, want);
}

void sp__port_detach(struct sp__port *port)
{
        struct sp__list *link;

        if (port->fd >= 0 && port->armed)
                arm(port, 0);
        port->fd = -1;
        port->driver = SP__DRIVER_FREE;
        port->driving = NULL;
        /* Nothing comes here any more: they look for where their operation is now. */
        while ((link = sp__list_pop(&port->waiters)))
                sp__op_poke(SP__OF(link, sp__op, port_link));
}

void sp__port_want(struct sp__port *port, uint32_t want)
{
        if (port->want == want)
                return;
        port->want = want;
        if (port->driver == SP__DRIVER_ENGINE && port->fd >= 0)
                arm(port, want);
        else if (port->driver == SP__DRIVER_WAITER)
                interrupt(port);
}

void sp__port_engage(struct sp__port *port)
{
        if (port->driver != SP__DRIVER_FREE)
                return;
        set_driver(port, SP__DRIVER_ENGINE, NULL);
        sp__engine_nudge(port->engine);
}

void sp__port_enter(struct sp__port *port, sp__op *caller, bool idle)
{
        bool blocked = false;

        if (caller) {
                /* In this order, and the other way round in sp__op_wait(): one of the two sees the other. */
                atomic_store(&caller->port, port);
                blocked = !atomic_load(&caller->gone);
        }
        if (!blocked) {
                sp__port_engage(port);
        } else if (port->driver == SP__DRIVER_FREE || (port->driver == SP__DRIVER_ENGINE && idle)) {
                /* It may have waited for the token since an earlier step; nobody waits and drives. */
                sp__list_remove(&caller->port_link);
                set_driver(port, SP__DRIVER_WAITER, caller);
                sp__op_poke(caller);
        } else if (port->driving != caller && !sp__list_linked(&caller->port_link)) {
                sp__list_push(&port->waiters, &caller->port_link);
        }
}

static void leave(struct sp__port *port, sp__op *caller)
{
        sp__lock(&port->lock);
        if (port->driving == caller)
                pass(port);
        else
                sp__list_remove(&caller->port_link);
        sp__unlock(&port->lock);
}

void sp__op_leave(sp__op *caller)
{
        struct sp__port *port = caller ? atomic_exchange(&caller->port, NULL) : NULL;

        if (port)
                leave(port, caller);
}

void sp__op_interrupt(sp__op *caller)
{
        struct sp__port *port = atomic_load(&caller->port);

        if (!port)
                return;
        sp__lock(&port->lock);
        if (port->driving == caller)
                interrupt(port);
        sp__unlock(&port->lock);
}

void sp__port_flush(struct sp__port *port, struct sp__batch *done)
{
        if (!sp__engine_here(port->engine))
                port->kind->flush(port, done);
        else if (!sp__list_linked(&port->dirty_link))
                sp__list_push(&port->engine->dirty, &port->dirty_link);
}

void sp__port_flush_dirty(struct sp__engine *engine)
{
        struct sp__list *link;
        struct sp__batch done;

        sp__batch_init(&done);
        while ((link = sp__list_pop(&engine->dirty))) {
                struct sp__port *port = SP__OF(link, struct sp__port, dirty_link);

                sp__lock(&port->lock);
                if (port->fd >= 0)
                        port->kind->flush(port, &done);
                sp__unlock(&port->lock);
        }
        sp__batch_deliver(&done);
}

static void finish_event(struct sp__port *port, struct sp__batch *done)
{
        if (port->kind->after)
                port->kind->after(port);
        sp__batch_deliver(done);
}

void sp__port_event(struct sp__port *port, uint32_t events)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&port->lock);
        if (port->driver == SP__DRIVER_ENGINE && port->fd >= 0)
                port->kind->ready(port, events, &done);
        sp__unlock(&port->lock);
        finish_event(port, &done);
}

static bool is_done(sp__op *op)
{
        return atomic_load(&op->done);
}

/* One look at the port that `op` drives. false: it drives it no longer. */
static bool drive_once(struct sp__port *port, sp__op *op)
{
        struct pollfd fds[2] = {{.events = 0}, {.fd = port->wake, .events = POLLIN}};
        struct sp__batch done;
        uint64_t drained;
        bool mine;

        sp__lock(&port->lock);
        mine = port->driving == op && port->fd >= 0;
        fds[0].fd = port->fd;
        fds[0].events = (short)(port->want & (EPOLLIN | EPOLLOUT));
        sp__unlock(&port->lock);
        if (!mine || poll(fds, 2, sp__poll_ms(sp__now(), op->deadline)) <= 0)
                return mine;
        if (fds[1].revents && read(port->wake, &drained, sizeof drained) < 0)
                return true;
        sp__batch_init(&done);
        sp__lock(&port->lock);
        if (fds[0].revents && port->driving == op && port->fd >= 0)
                port->kind->ready(port, (uint32_t)fds[0].revents, &done);
        sp__unlock(&port->lock);
        finish_event(port, &done);
        return true;
}

/* Until it is done, has moved, or its deadline passed. false: it does not drive this port. */
static bool drive(struct sp__port *port, sp__op *op)
{
        do {
                if (!drive_once(port, op))
                        return false;
        } while (!is_done(op) && sp__now() < op->deadline && atomic_load(&op->port) == port);
        return true;
}

static void sleep_until_poked(sp__op *op)
{
        sp__lock(&op->wait_lock);
        while (!is_done(op) && !op->poked) {
                if (!sp__cond_wait(&op->wait_cond, &op->wait_lock, op->deadline))
                        break;
        }
        op->poked = false;
        sp__unlock(&op->wait_lock);
}

void sp__op_wait(sp__op *op)
{
        while (!is_done(op)) {
                struct sp__port *port = atomic_load(&op->port);

                if (op->deadline != SP__FOREVER && sp__now() >= op->deadline) {
                        op->kind->cancel(op, SP_TIMEOUT);
                        /* Settled by us, or by one who is about to tell us. */
                        if (!is_done(op))
                                sleep_until_poked(op);
                        continue;
                }
                if (!port || !drive(port, op))
                        sleep_until_poked(op);
        }
        atomic_store(&op->gone, true);
        sp__op_leave(op);
}
