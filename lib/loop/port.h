/* SPDX-License-Identifier: MIT */
/**
 * A port: one connection's fd, its mutex, and its driver token. Only the holder of the token waits for the fd and reads;
 * sends are non-blocking, under the mutex, from any thread.
 *
 *     FREE ──────────── nothing is in flight, nobody watches
 *     WAITER ────────── a blocked caller drives: it polls, reads and answers everybody, until its own answer is there;
 *                       then it hands the token to another blocked caller, else to the engine, else it is free
 *     ENGINE ────────── the engine's thread drives
 *
 * So a lone blocking caller pays no thread hop, and asynchronous work needs no thread of its own.
 *
 * Lock order: a room's own lock, then a port's. No two ports at once.
 */
#ifndef SP_LOOP_PORT_H
#define SP_LOOP_PORT_H

#include "core/op.h"
#include "loop/engine.h"

struct sp__port;

struct sp__port_kind {
        /** The fd is ready (EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP). The token's holder, the port's lock held. */
        void (*ready)(struct sp__port *port, uint32_t events, struct sp__batch *done);
        /** Write what is buffered. The port's lock held, any thread. May be NULL. */
        void (*flush)(struct sp__port *port, struct sp__batch *done);
        /** Whether somebody must watch the fd (an answer is due, output is pending). The port's lock held. */
        bool (*busy)(const struct sp__port *port);
        /** After the first of these, same thread, the lock still held: it lets go of it, and does what cannot be done under it. May be NULL. */
        void (*after)(struct sp__port *port);
};

enum sp__driver { SP__DRIVER_FREE, SP__DRIVER_WAITER, SP__DRIVER_ENGINE };

struct sp__port {
        const struct sp__port_kind *kind;
        struct sp__engine *engine;
        sp__mutex lock; /* guards the connection, what is in flight on it, and what follows */
        int fd;         /* -1: none */
        int wake;       /* an eventfd that interrupts a blocked caller which drives */
        uint32_t want;  /* EPOLLIN | EPOLLOUT */
        uint32_t armed; /* what the engine's epoll watches, 0: nothing */
        enum sp__driver driver;
        sp__op *driving;            /* WAITER: whose thread has the token */
        sp__op *polling;            /* whose thread waits for the fd: it passes the token on itself */
        uint32_t pollers;           /* threads that have not come back from there yet */
        struct sp__list waiters;    /* blocked callers that could drive */
        bool put_off;               /* the next driver flushes before it polls */
        struct sp__list dirty_link; /* engine's thread only */
};

/** false: no descriptor left. */
bool sp__port_init(struct sp__port *port, const struct sp__port_kind *kind, struct sp__engine *engine);
/** Nobody may use it any more; the fd was detached. */
void sp__port_destroy(struct sp__port *port);

/** A connection stands (or begins to): from now on `fd` is watched for `want`. The lock is held. */
void sp__port_attach(struct sp__port *port, int fd, uint32_t want);
/** Before the fd is closed, by the token's holder or while it is free; nobody drives afterwards. The lock is held. */
void sp__port_detach(struct sp__port *port);
/** What to wait for. The lock is held. */
void sp__port_want(struct sp__port *port, uint32_t want);
/** The engine shall drive, unless a caller does. The lock is held. */
void sp__port_engage(struct sp__port *port);

/**
 * An operation is about to be sent here on behalf of `caller` (op->caller, NULL when nobody is blocked): sees to it that
 * somebody will drive. `idle`: nothing else is in flight. The lock is held; call before sending. A caller that is still at
 * another port (it did not sp__op_leave()) stays there, and the engine drives here.
 */
void sp__port_enter(struct sp__port *port, sp__op *caller, bool idle);
/**
 * The blocked caller no longer waits for its port: takes it off the list, or has its token handed on. Any thread, no port's
 * lock held.
 */
void sp__op_leave(sp__op *caller);

/**
 * Writes buffered output: at the end of the engine's turn when called there, else at once. But where something is in flight
 * (not `idle`) and the caller that has the token is about to poll, that one does it, so that what those send whom it has just
 * answered goes together. The lock is held.
 */
void sp__port_flush(struct sp__port *port, bool idle, struct sp__batch *done);

/** Waits until the operation is settled, driving where it may; at its deadline it is cancelled with SP_TIMEOUT. No lock held. */
void sp__op_wait(sp__op *op);

#endif
