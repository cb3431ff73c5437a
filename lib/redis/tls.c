/* SPDX-License-Identifier: MIT */
#include "redis/tls.h"

#include "core/config.h"
#include "core/error.h"
#include "redis/address.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 16384 };

static const char *text_of(const sp_config *config, const char *name)
{
        return sp__config_text(config, "redis", NULL, name);
}

static const char *last_reason(void)
{
        unsigned long code = ERR_peek_last_error();
        const char *text = code ? ERR_reason_error_string(code) : NULL;

        return text ? text : "no reason given";
}

static bool take_authorities(SSL_CTX *context, const char *file)
{
        return *file ? SSL_CTX_load_verify_locations(context, file, NULL) == 1
                     : SSL_CTX_set_default_verify_paths(context) == 1;
}

static bool take_own(SSL_CTX *context, const char *cert, const char *key)
{
        return !*cert || (SSL_CTX_use_certificate_chain_file(context, cert) == 1 &&
                          SSL_CTX_use_PrivateKey_file(context, *key ? key : cert, SSL_FILETYPE_PEM) == 1 &&
                          SSL_CTX_check_private_key(context) == 1);
}

/* A key with a pass phrase would be asked for at the terminal. */
static int no_phrase(char *buf, int size, int writing, void *arg)
{
        return 0;
}

/* NULL: good; else the setting that is not. */
static const char *set_up(SSL_CTX *context, const sp_config *config)
{
        bool verifies = strcmp(text_of(config, "tls_verify"), "none") != 0;

        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_default_passwd_cb(context, no_phrase);
        SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
        if (verifies && !take_authorities(context, text_of(config, "tls_ca")))
                return "tls_ca";
        if (!take_own(context, text_of(config, "tls_cert"), text_of(config, "tls_key")))
                return *text_of(config, "tls_key") ? "tls_cert or redis.tls_key" : "tls_cert";
        return NULL;
}

sp_status sp__tls_context_new(const sp_config *config, SSL_CTX **out, sp_error **error)
{
        SSL_CTX *context;
        const char *bad;

        ERR_clear_error();
        context = SSL_CTX_new(TLS_client_method());
        if (!context)
                return sp__fail(error, SP_NOMEM, "out of memory for TLS");
        bad = set_up(context, config);
        if (bad) {
                SSL_CTX_free(context);
                return sp__fail(error, SP_CONFIG, "redis.%s cannot be used: %s", bad, last_reason());
        }
        SSL_CTX_set_app_data(context, strcmp(text_of(config, "tls_verify"), "full") == 0 ? (void *)context : NULL);
        *out = context;
        return SP_OK;
}

/* A name is also sent, for servers that have several certificates. */
static bool set_host(struct sp__tls *tls, const char *host)
{
        X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);

        if (sp__address_is_number(host))
                return !tls->checks_host || X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
        if (SSL_set_tlsext_host_name(tls->ssl, host) != 1)
                return false;
        return !tls->checks_host || X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

bool sp__tls_open(struct sp__tls *tls, SSL_CTX *context, const char *host)
{
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

        tls->ssl = in && out ? SSL_new(context) : NULL;
        if (!tls->ssl) {
                BIO_free(in);
                BIO_free(out);
                return false;
        }
        /* "There is nothing more", not "it ended". */
        BIO_set_mem_eof_return(in, -1);
        SSL_set_bio(tls->ssl, in, out);
        SSL_set_connect_state(tls->ssl);
        tls->checks_host = SSL_CTX_get_app_data(context) != NULL;
        if (set_host(tls, host))
                return true;
        sp__tls_close(tls);
        return false;
}

void sp__tls_close(struct sp__tls *tls)
{
        SSL_free(tls->ssl);
        tls->ssl = NULL;
}

bool sp__tls_distrusts(const struct sp__tls *tls)
{
        return tls->ssl && SSL_get_verify_result(tls->ssl) != X509_V_OK &&
               SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE;
}

/* What came was no TLS; an alert would be the other side's own word. */
static bool no_tls(const struct sp__tls *tls)
{
        return !SSL_is_init_finished(tls->ssl) && ERR_GET_REASON(ERR_peek_last_error()) < SSL_AD_REASON_OFFSET;
}

static void explain(const struct sp__tls *tls, char *reason, size_t cap)
{
        if (sp__tls_distrusts(tls))
                snprintf(reason, cap, "its certificate is not trusted: %s (redis.tls_ca, redis.tls_verify)",
                         X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl)));
        else
                snprintf(reason, cap, "TLS failed: %s%s", last_reason(), no_tls(tls) ? ": does it speak TLS?" : "");
}

/* Whether it only waits for the other side. */
static bool waits(const struct sp__tls *tls, int result)
{
        int why = SSL_get_error(tls->ssl, result);

        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static void take_sealed(struct sp__tls *tls, struct sp__buf *sealed)
{
        BIO *out = SSL_get_wbio(tls->ssl);
        size_t len = BIO_ctrl_pending(out);
        char *room = len ? sp__buf_room(sealed, len) : NULL;

        if (room && BIO_read(out, room, (int)len) == (int)len)
                sealed->len += len;
}

bool sp__tls_seal(struct sp__tls *tls, struct sp__buf *plain, struct sp__buf *sealed, char *reason, size_t cap)
{
        size_t at = 0;
        int result = 1;

        ERR_clear_error();
        if (!SSL_is_init_finished(tls->ssl))
                result = SSL_do_handshake(tls->ssl);
        while (result > 0 && at < plain->len) {
                size_t left = plain->len - at;

                result = SSL_write(tls->ssl, plain->data + at, left < PIECE ? (int)left : PIECE);
                at += result > 0 ? (size_t)result : 0;
        }
        if (result <= 0 && !waits(tls, result)) {
                explain(tls, reason, cap);
                /* An alert that says why. */
                take_sealed(tls, sealed);
                return false;
        }
        if (at > 0) {
                memmove(plain->data, plain->data + at, plain->len - at);
                plain->len -= at;
        }
        take_sealed(tls, sealed);
        return true;
}

bool sp__tls_feed(struct sp__tls *tls, const void *data, size_t len)
{
        return BIO_write(SSL_get_rbio(tls->ssl), data, (int)len) == (int)len;
}

int sp__tls_open_up(struct sp__tls *tls, void *out, int cap, char *reason, size_t reason_cap)
{
        int result;

        ERR_clear_error();
        result = SSL_read(tls->ssl, out, cap);
        if (result > 0)
                return result;
        if (waits(tls, result))
                return 0;
        if (SSL_get_error(tls->ssl, result) == SSL_ERROR_ZERO_RETURN)
                snprintf(reason, reason_cap, "the server closed the connection");
        else
                explain(tls, reason, reason_cap);
        return -1;
}
