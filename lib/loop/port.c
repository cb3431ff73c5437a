/* SPDX-License-Identifier: MIT */
#include "loop/port.h"

#include "loop/engine_internal.h"
#include "loop/exit.h"

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
                /* It writes what was put off when it hears that it can. */
                if (port->put_off)
                        port->want |= EPOLLOUT;
                port->put_off = false;
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
        /* Only at the end of all: who polls must not stay there. */
        if (port->polling)
                interrupt(port);
        port->fd = -1;
        port->put_off = false;
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
        else if (port->polling)
                interrupt(port);
}

void sp__port_engage(struct sp__port *port)
{
        if (port->driver != SP__DRIVER_FREE)
                return;
        set_driver(port, SP__DRIVER_ENGINE, NULL);
        sp__engine_nudge(port->engine);
}

/* Whether its thread waits, and for this port alone. The lock is held. */
static bool joins(struct sp__port *port, sp__op *caller)
{
        struct sp__port *former = NULL;
        bool came = atomic_compare_exchange_strong(&caller->port, &former, port);

        if (!came && former != port)
                return false;
        /* In this order, and the other way round in sp__op_wait(): one of the two sees the other. */
        if (!atomic_load(&caller->gone))
                return true;
        if (came)
                atomic_store(&caller->port, NULL);
        return false;
}

void sp__port_enter(struct sp__port *port, sp__op *caller, bool idle)
{
        if (!caller || !joins(port, caller)) {
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

/* false: it went elsewhere meanwhile. */
static bool leave(struct sp__port *port, sp__op *caller)
{
        bool here, polls;

        sp__lock(&port->lock);
        here = atomic_load(&caller->port) == port;
        polls = here && port->polling == caller;
        if (here && port->driving != caller)
                sp__list_remove(&caller->port_link);
        else if (here && !polls)
                pass(port);
        if (here)
                atomic_store(&caller->port, NULL);
        sp__unlock(&port->lock);
        /* Its thread notices that it does not belong there any more. */
        if (polls)
                sp__op_poke(caller);
        return here;
}

void sp__op_leave(sp__op *caller)
{
        struct sp__port *port;

        while (caller && (port = atomic_load(&caller->port)) && !leave(port, caller)) {
                /* Look where it is now. */
        }
}

void sp__port_flush(struct sp__port *port, bool idle, struct sp__batch *done)
{
        if (sp__engine_here(port->engine)) {
                if (!sp__list_linked(&port->dirty_link))
                        sp__list_push(&port->engine->dirty, &port->dirty_link);
        } else if (!idle && port->driver == SP__DRIVER_WAITER && !port->polling) {
                port->put_off = true;
        } else {
                port->kind->flush(port, done);
        }
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

/* The lock is held, and let go of. */
static void finish_event(struct sp__port *port, struct sp__batch *done)
{
        if (port->kind->after)
                port->kind->after(port);
        else
                sp__unlock(&port->lock);
        sp__batch_deliver(done);
}

void sp__port_event(struct sp__port *port, uint32_t events)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&port->lock);
        if (port->driver == SP__DRIVER_ENGINE && port->fd >= 0)
                port->kind->ready(port, events, &done);
        finish_event(port, &done);
}

/* Whether it was told. What moves from here on shows as a poke. */
static bool look(sp__op *op)
{
        if (atomic_load(&op->wait) & SP__WAIT_POKED)
                atomic_fetch_and(&op->wait, ~(unsigned)SP__WAIT_POKED);
        return atomic_load(&op->wait) & SP__WAIT_DONE;
}

/* Until one of them is ready, its deadline passed, or it was told or poked. */
static void poll_for(sp__op *op, struct pollfd fds[2])
{
        unsigned nothing = 0;

        op->polls = fds[1].fd;
        if (!atomic_compare_exchange_strong(&op->wait, &nothing, SP__WAIT_POLLS))
                return;
        poll(fds, 2, sp__poll_ms(sp__now_for(op->deadline), op->deadline));
        if (atomic_fetch_and(&op->wait, ~(unsigned)SP__WAIT_POLLS) == SP__WAIT_POLLS)
                return;
        /* Who tells may be about to write to the descriptor. */
        sp__lock(&op->wait_lock);
        sp__unlock(&op->wait_lock);
}

/*
 * Back from poll(). One that the port was closed under may be slow to come back, while another drives already: until the last of
 * them is here the descriptor stays readable, for a wake-up may be meant for any. The lock is held.
 */
static void end_poll(struct sp__port *port, sp__op *op, bool woken)
{
        uint64_t drained;

        if (port->polling == op)
                port->polling = NULL;
        if (--port->pollers == 0 && woken && read(port->wake, &drained, sizeof drained) < 0) {
                /* It was not readable: so it shall be. */
        }
}

/* false: it does not drive this port any more. The lock is held. */
static bool still_drives(struct sp__port *port, sp__op *op)
{
        if (port->driving != op)
                return false;
        if (atomic_load(&op->port) == port)
                return true;
        pass(port);
        return false;
}

/* Nothing is due here any more, and nobody else waits: the token is given back in the same turn of the lock, which is held. */
static void rest(struct sp__port *port, sp__op *op)
{
        if (port->driving != op || port->fd < 0 || !sp__list_empty(&port->waiters) || port->kind->busy(port))
                return;
        set_driver(port, SP__DRIVER_FREE, NULL);
        atomic_store(&op->port, NULL);
}

/* One look at the port. false: `op` does not drive it. */
static bool drive(struct sp__port *port, sp__op *op)
{
        struct pollfd fds[2] = {{.events = 0}, {.fd = port->wake, .events = POLLIN}};
        struct sp__batch done;
        bool mine, ready;

        sp__batch_init(&done);
        sp__lock(&port->lock);
        if (port->driving == op && port->put_off) {
                port->put_off = false;
                port->kind->flush(port, &done);
        }
        mine = port->driving == op && port->fd >= 0;
        if (mine) {
                port->polling = op;
                port->pollers++;
        }
        fds[0].fd = port->fd;
        fds[0].events = (short)(port->want & (EPOLLIN | EPOLLOUT));
        sp__unlock(&port->lock);
        sp__batch_deliver(&done);
        if (!mine)
                return false;
        poll_for(op, fds);
        sp__lock(&port->lock);
        end_poll(port, op, fds[1].revents != 0);
        mine = still_drives(port, op);
        ready = mine && fds[0].revents && port->fd >= 0;
        if (!ready) {
                sp__unlock(&port->lock);
                return mine;
        }
        port->kind->ready(port, (uint32_t)fds[0].revents, &done);
        rest(port, op);
        finish_event(port, &done);
        return true;
}

static void sleep_until_poked(sp__op *op, int64_t deadline)
{
        unsigned now = atomic_fetch_or(&op->wait, SP__WAIT_SLEEPS) | SP__WAIT_SLEEPS;

        while (!(now & (SP__WAIT_DONE | SP__WAIT_POKED)) && sp__word_wait(&op->wait, now, deadline))
                now = atomic_load(&op->wait);
        atomic_fetch_and(&op->wait, ~(unsigned)SP__WAIT_SLEEPS);
}

/* A thread of the library's own, which stands at the exit's gate, must not keep it open meanwhile. */
static void sleep_or_leave(sp__op *op, int64_t deadline)
{
        if (op->caller) {
                sleep_until_poked(op, deadline);
                return;
        }
        sp__exit_leave();
        sleep_until_poked(op, deadline);
        sp__exit_enter();
}

void sp__op_wait(sp__op *op)
{
        bool late = false;

        while (!look(op)) {
                struct sp__port *port = atomic_load(&op->port);

                if (late || atomic_load(&op->settled)) {
                        /* Settled by us, or by one who is about to tell us: no reason to keep a token. */
                        sp__op_leave(op);
                        sleep_or_leave(op, SP__FOREVER);
                } else if (op->deadline != SP__FOREVER && sp__now_for(op->deadline) >= op->deadline) {
                        late = true;
                        op->kind->cancel(op, SP_TIMEOUT);
                } else if (!port || !drive(port, op)) {
                        sleep_or_leave(op, op->deadline);
                }
        }
        atomic_store(&op->gone, true);
        sp__op_leave(op);
}
