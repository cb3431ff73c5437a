/* SPDX-License-Identifier: MIT */
/**
 * A socket to Redis with its output and hiredis' reader. hiredis connects and parses; sending is ours, because hiredis
 * writes without MSG_NOSIGNAL and a server that went away must not end the program.
 *
 * The owner's lock guards it.
 */
#ifndef SP_REDIS_WIRE_H
#define SP_REDIS_WIRE_H

#include "base/buf.h"
#include "redis/address.h"
#include "redis/tls.h"

#include <hiredis/hiredis.h>

struct sp__wire {
        redisContext *context; /* NULL: none */
        const redisReplyObjectFunctions *usual_functions;
        redisReplyObjectFunctions functions; /* the usual ones, with a bound on arrays */
        struct sp__buf out;
        struct sp__tls tls;
        struct sp__buf sealed; /* with TLS: what becomes of `out` */
        size_t sent;           /* of what goes out */
        bool distrusted;       /* the server's certificate was refused */
        /** What went wrong last, static or in the context. */
        char reason[192];
};

/** Begins to connect; `number` NULL: the address itself; `tls` where the address asks for it. -1 on failure, else the fd. */
int sp__wire_open(struct sp__wire *wire, const struct sp__address *address, const char *number, SSL_CTX *tls);
/** Once the fd is writable: whether it stands. */
bool sp__wire_stands(struct sp__wire *wire);
/** Closes; the output is dropped. */
void sp__wire_close(struct sp__wire *wire);
/** Makes whoever polls the fd wake up with an end of file. */
void sp__wire_break(struct sp__wire *wire);

/** Puts AUTH and SELECT into the output; the number of replies that will come. */
unsigned sp__wire_greet(struct sp__wire *wire, const struct sp__address *address);
/** Puts one command into the output. */
void sp__wire_put(struct sp__wire *wire, const char *const words[], size_t count);
/** Whether TLS is still being agreed upon. */
bool sp__wire_unsealed(const struct sp__wire *wire);
/** Sends what it can. false: broken. */
bool sp__wire_flush(struct sp__wire *wire);
static inline bool sp__wire_pending(const struct sp__wire *wire)
{
        return wire->sent < (sp__tls_is_open(&wire->tls) ? wire->sealed.len : wire->out.len);
}

/** Reads what is there, up to some 256 kB. false: the end, or broken. */
bool sp__wire_read(struct sp__wire *wire);
/** The next whole reply, owned; NULL: none yet. false: bytes that are no reply. */
bool sp__wire_next(struct sp__wire *wire, redisReply **reply);
/** Whether the server closed it while nobody looked. */
bool sp__wire_dead(const struct sp__wire *wire);

enum { SP__CODE_MAX = 32 };
/** What an error reply says of the server or the call, and its prefix. */
sp_status sp__redis_status(const redisReply *reply, char code[SP__CODE_MAX]);
/** An error reply as an error of ours: SP_AUTH, SP_UNAVAILABLE or SP_REDIS, with its prefix as the code. */
sp_error *sp__redis_error(const redisReply *reply, const char *where);

/** "$<len>\r\n<bytes>\r\n", and the head of a command. */
void sp__resp_head(struct sp__buf *out, size_t count);
void sp__resp_bulk(struct sp__buf *out, const void *data, size_t len);

#endif
