/* SPDX-License-Identifier: MIT */
/** Where a Redis is and who we are there, from redis.url. */
#ifndef SP_REDIS_ADDRESS_H
#define SP_REDIS_ADDRESS_H

#include <sugarperf/base.h>

struct sp__address {
        char *host; /* or the path of a unix socket */
        bool local; /* a unix socket */
        uint16_t port;
        int db;
        char *user;     /* NULL: none */
        char *password; /* NULL: none */
        char *where;    /* "host:port" or the path, for messages */
};

/** SP_INVALID or SP_UNSUPPORTED (rediss://); the message names `setting`, and never shows the URL. */
sp_status sp__address_parse(const char *url, const char *setting, struct sp__address *out, sp_error **error);
/** false when out of memory. */
bool sp__address_copy(struct sp__address *to, const struct sp__address *from);
void sp__address_free(struct sp__address *address);
/** Whether connecting to it would have to ask for the host's number first. */
bool sp__address_named(const struct sp__address *address);

#endif
