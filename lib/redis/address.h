/* SPDX-License-Identifier: MIT */
/** Where a Redis is and who we are there, from redis.url. */
#ifndef SP_REDIS_ADDRESS_H
#define SP_REDIS_ADDRESS_H

#include <sugarperf/base.h>

enum sp__address_kind {
        SP__ADDRESS_ONE,      /* a server */
        SP__ADDRESS_SENTINEL, /* the primary of a service, for which sentinels are asked */
        SP__ADDRESS_CLUSTER   /* the nodes of a cluster, of which some are known */
};

struct sp__place {
        char *host;
        uint16_t port;
};

struct sp__address {
        enum sp__address_kind kind;
        bool tls;
        char *host; /* or the path of a unix socket; else that of the first place */
        bool local; /* a unix socket */
        uint16_t port;
        int db;
        char *user;               /* NULL: none */
        char *password;           /* NULL: none */
        char *where;              /* "host:port", the path, or what else it is called in messages */
        char *service;            /* SENTINEL: the primary's name */
        struct sp__place *places; /* SENTINEL and CLUSTER: whom to ask */
        size_t place_count;
};

/** SP_INVALID; the message names `setting`, and never shows the URL. */
sp_status sp__address_parse(const char *url, const char *setting, struct sp__address *out, sp_error **error);
/** false when out of memory. */
bool sp__address_copy(struct sp__address *to, const struct sp__address *from);
/** One server elsewhere, where we are the same. false when out of memory. */
bool sp__address_at(struct sp__address *to, const struct sp__address *from, const char *host, uint16_t port);
void sp__address_free(struct sp__address *address);
/** Whether connecting to it would have to ask for the host's number first. */
bool sp__address_named(const struct sp__address *address);
/** Whether that text is a number of a host. */
bool sp__address_is_number(const char *host);

#endif
