/* SPDX-License-Identifier: MIT */
/** The servers that one URL names, as libpq reads its lists: host=a,b hostaddr=,10.0.0.2 port=5432,5433. */
#ifndef SP_PG_HOSTS_H
#define SP_PG_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sugarperf/breaker.h>

struct sp__host {
        char *name;   /* what TLS verifies and a password file is asked for; a socket's folder; NULL: libpq's default */
        char *number; /* hostaddr as given; NULL: none */
        char *port;
        char *place;         /* "127.0.0.1:5432", for messages */
        bool named;          /* its number has to be asked for */
        sp_breaker *breaker; /* guard.c: NULL unless pool.breaker */
};

struct sp__hosts {
        struct sp__host *rows;
        size_t count;
        char *place; /* all of them */
};

/** Lists as in a URL, each may be NULL. `*odd`: they do not agree in length, and nothing is made. false: out of memory. */
bool sp__hosts_new(const char *names, const char *numbers, const char *ports, struct sp__hosts *out, bool *odd);
/** Its breaker is open, and that of another one is not. Whoever connects although all are, as for the health report, may find any. */
bool sp__host_shunned(const struct sp__hosts *hosts, size_t at);
/** SIZE_MAX: none of them. By its address. */
size_t sp__hosts_find(const struct sp__hosts *hosts, const char *place);
void sp__hosts_free(struct sp__hosts *hosts);

#endif
