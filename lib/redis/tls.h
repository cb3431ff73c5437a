/* SPDX-License-Identifier: MIT */
/**
 * TLS to Redis, by OpenSSL over buffers in memory: the socket stays ours, non-blocking and without signals, with whatever
 * hiredis there is (its own TLS came with 1.0, and writes to the socket by itself).
 *
 * A struct sp__tls is one connection's; the owner's lock guards it. Contexts are shared by any threads.
 */
#ifndef SP_REDIS_TLS_H
#define SP_REDIS_TLS_H

#include "base/buf.h"

#include <openssl/ssl.h>
#include <sugarperf/config.h>

struct sp__tls {
        SSL *ssl;
        bool checks_host;
};

/** From redis.tls_…; to be freed by SSL_CTX_free(). SP_CONFIG: a file that cannot be read, or does not fit. */
sp_status sp__tls_context_new(const sp_config *config, SSL_CTX **out, sp_error **error);

/** Begins as the client's side towards `host`. false when out of memory. */
bool sp__tls_open(struct sp__tls *tls, SSL_CTX *context, const char *host);
void sp__tls_close(struct sp__tls *tls);
static inline bool sp__tls_is_open(const struct sp__tls *tls)
{
        return tls->ssl != NULL;
}

/**
 * Goes on with the handshake; once that is done, takes all of `plain` (and empties it). What is to be sent is added to
 * `sealed`. false: it failed, `reason` says why.
 */
bool sp__tls_seal(struct sp__tls *tls, struct sp__buf *plain, struct sp__buf *sealed, char *reason, size_t cap);
/** Takes what was received. false when out of memory. */
bool sp__tls_feed(struct sp__tls *tls, const void *data, size_t len);
/** The next bytes in clear, 0: none yet, -1: it failed, `reason` says why. */
int sp__tls_open_up(struct sp__tls *tls, void *out, int cap, char *reason, size_t reason_cap);
/** Whether it failed because the server is not whom we trust. */
bool sp__tls_distrusts(const struct sp__tls *tls);

#endif
