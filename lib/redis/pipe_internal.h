/* SPDX-License-Identifier: MIT */
/** What pipe.c and pipe_open.c share. The port's lock is held in all of it. */
#ifndef SP_REDIS_PIPE_INTERNAL_H
#define SP_REDIS_PIPE_INTERNAL_H

#include "base/random.h"
#include "loop/port.h"
#include "loop/resolve.h"
#include "redis/pipe.h"
#include "redis/wire.h"

enum sp__pipe_state {
        SP__PIPE_DOWN,
        SP__PIPE_LOCATING,
        SP__PIPE_RESOLVING,
        SP__PIPE_CONNECTING,
        SP__PIPE_GREETING,
        SP__PIPE_UP,
        SP__PIPE_BREAKING
};

struct sp__pipe {
        struct sp__port port;
        struct sp__engine *engine;
        struct sp__pipe_options options;
        atomic_uint refs; /* the owner's, and those of questions that are out */

        /* The port's lock guards what follows. */
        struct sp__address address;
        enum sp__pipe_state state;
        struct sp__wire wire;
        struct sp__list flying;   /* commands that were sent, oldest first */
        struct sp__list waiting;  /* for the connection */
        unsigned groups;          /* sends with an answer due */
        struct sp__command *last; /* of what is in the buffer; NULL: all was sent */
        struct {
                unsigned due;   /* replies, before it is up */
                unsigned auths; /* of them, what was asked so far */
                bool select, role, info;
        } greeting;
        bool stood;
        bool closed;
        bool leaving;      /* the server can't take writes: once all is answered another is looked for */
        int64_t stands_at; /* since when it is up */
        int64_t used_at;   /* when something was in flight last */
        unsigned failures;
        int64_t pause_until;
        sp_error *why; /* it is down */
        struct sp__random random;

        struct sp__timer timer;
        bool timed;
        struct sp__resolving resolve;
        struct sp__locate locate;
        bool asking;     /* one of the two is out */
        size_t next;     /* of the host's numbers */
        size_t attempts; /* with numbers that did not answer */
        struct sp__task end;
};

static inline struct sp__pipe *sp__pipe_of(struct sp__port *port)
{
        return SP__OF(port, struct sp__pipe, port);
}

void sp__pipe_unref(struct sp__pipe *pipe);
/** The fd goes: by whoever drives it, or while nobody does. */
void sp__pipe_shut(struct sp__pipe *pipe);
/** Everything fails with `why` (owned). `drives`: the caller holds the token. */
void sp__pipe_break(struct sp__pipe *pipe, sp_error *why, bool drives, struct sp__batch *done);
sp_error *sp__pipe_unreachable(const struct sp__pipe *pipe, const char *reason);
/** It stands: what waited is sent. */
void sp__pipe_stand(struct sp__pipe *pipe);

/** pipe_open.c: begins to connect; the fd is writable; a reply before it stood (false: refused). */
void sp__pipe_connect(struct sp__pipe *pipe, struct sp__batch *done);
void sp__pipe_connected(struct sp__pipe *pipe, struct sp__batch *done);
bool sp__pipe_greeted(struct sp__pipe *pipe, const redisReply *reply, struct sp__batch *done);

#endif
