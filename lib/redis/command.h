/* SPDX-License-Identifier: MIT */
/**
 * One trip to Redis: a few commands that are sent together and answered together.
 *
 *     cmd = sp__command_new();
 *     sp__command_begin(cmd, 2);
 *     sp__command_text(cmd, "GET");
 *     sp__command_arg(cmd, key, len);
 *     sp__link_run(link, cmd, caller, then, owner);
 *
 * An error reply is a reply: a trip fails only when it could not be made. One thread at a time until it runs. In a cluster
 * the commands of a trip that go to different nodes run beside each other.
 */
#ifndef SP_REDIS_COMMAND_H
#define SP_REDIS_COMMAND_H

#include "base/buf.h"
#include "core/op.h"

#include <hiredis/hiredis.h>
#include <sugarperf/breaker.h>

enum { SP__TRIP_FEW = 4 };

struct sp__command;

/** What is more than a trip begins with one. */
struct sp__command_kind {
        /** It is about to go, and all of it is set: from here on others may end it, a timer, say. May be NULL. */
        void (*shared)(struct sp__command *command);
        /** All replies are there: settles it, instead of with success. May be NULL. Locks may be held. */
        void (*answer)(struct sp__command *command, const char *where, struct sp__batch *done);
        /** As sp__op_kind.settled. May be NULL. */
        void (*settled)(struct sp__command *command);
};

struct sp__command {
        sp__op op;
        const struct sp__command_kind *kind; /* NULL: a trip, no more */
        struct sp__buf request;
        unsigned due; /* replies */
        unsigned got;
        bool strict;         /* lost on the way it may have taken effect, and says so by SP_LOST */
        bool sent;           /* it failed, and may have been sent */
        bool closes;         /* it was the last one of a send */
        sp_breaker *breaker; /* that let it through: a reference, or NULL */
        uint64_t permit;
        int64_t since;
        int64_t overdue_at;   /* when its connection is given up */
        redisReply **replies; /* `due` of them, in the order of the commands */
        unsigned room;
        redisReply *few[SP__TRIP_FEW];
};

/** NULL when out of memory. */
struct sp__command *sp__command_new(void);
/** For what begins with one, all of it zero; malloc()ed, as it is freed by free(). */
void sp__command_init(struct sp__command *command, const struct sp__command_kind *kind, sp_ctx *ctx);
/** Room for so many replies. false (and request.failed) when out of memory. */
bool sp__command_make_room(struct sp__command *command, unsigned replies);
/** All replies are there. */
void sp__command_answer(struct sp__command *command, const char *where, struct sp__batch *done);
/** One more command, of that many words. */
void sp__command_begin(struct sp__command *command, size_t words);
void sp__command_arg(struct sp__command *command, const void *data, size_t len);
void sp__command_text(struct sp__command *command, const char *text);
void sp__command_int(struct sp__command *command, int64_t value);
/** Asks the breaker (NULL: none), and tells it of the outcome once that is there. NULL: the trip may be made. */
sp_error *sp__command_guard(struct sp__command *command, sp_breaker *breaker);
/** Settles one that was never run; takes it and the error. No lock held. */
void sp__command_refuse(struct sp__command *command, sp_error *error);
/** Drops one that was never run. */
void sp__command_free(struct sp__command *command);

static inline struct sp__command *sp__command_of(sp__op *op)
{
        return SP__OF(op, struct sp__command, op);
}

/** Whether a script was not known to the server: the trip is to be made again with the script's text. */
bool sp__command_noscript(const struct sp__command *command);
/** The first reply that is an error; NULL: none. */
const redisReply *sp__command_refused(const struct sp__command *command);

/** The bytes of a string or status reply; NULL: another kind. */
const char *sp__reply_bytes(const redisReply *reply, size_t *len);
/** A whole number from an integer or string reply; false: it is none. */
bool sp__reply_int(const redisReply *reply, int64_t *value);
/** Element `index` of an array reply; NULL where there is none. */
const redisReply *sp__reply_at(const redisReply *reply, size_t index);

#endif
