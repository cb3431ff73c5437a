/* SPDX-License-Identifier: MIT */
/**
 * A thread between a pool and PostgreSQL that does what networks do: it forgets the connections that stand without a word to
 * either side, as a firewall does; it cuts them; it hangs up on new ones, as a server does that is not there.
 */
#ifndef PG_PROXY_H
#define PG_PROXY_H

#include <stdbool.h>

struct pg_proxy;

/** To the server of DATABASE_URL. */
struct pg_proxy *pg_proxy_start(void);
void pg_proxy_stop(struct pg_proxy *proxy);
/** The setting "pool.url=…" that leads through it; lives as long as the proxy. */
const char *pg_proxy_url(const struct pg_proxy *proxy);
/** Those that stand from now on carry nothing; new ones do. */
void pg_proxy_forget(struct pg_proxy *proxy);
/** Those that stand end. */
void pg_proxy_cut(struct pg_proxy *proxy);
/** Whether new ones are hung up on. */
void pg_proxy_refuse(struct pg_proxy *proxy, bool refuse);
/** New ones carry nothing for so long at first, as where connecting takes its time. */
void pg_proxy_delay(struct pg_proxy *proxy, int ms);
/** How many came so far. */
int pg_proxy_came(const struct pg_proxy *proxy);

#endif
