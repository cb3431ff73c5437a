/* SPDX-License-Identifier: MIT */
/* Whether a token is valid: its signature and its time at once, the blacklist and its user through the cache. */
#include "auth.h"
#include "token.h"

#include "read.h"
#include "write.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SECONDS_DEFAULT = 3600, SECONDS_MAX = 30 * 24 * 3600 };

/* $1 hash of the token, $2 its user. NULL: revoked, or the user is not active; that too bears the user's tag. */
static const char valid_text[] =
    "SELECT CASE WHEN is_active AND NOT EXISTS (SELECT FROM token_blacklist WHERE token_hash = $1)"
    " THEN json_build_object('valid', true, 'userId', id, 'roleId', role_id) END, 'auth:user:' || $2::text AS tag "
    "FROM (SELECT) AS one LEFT JOIN users ON id = $2";

/* $1 hash, $2 user, $3 expires, seconds since 1970. */
static const char revoke_text[] =
    "INSERT INTO token_blacklist (token_hash, user_id, expires_at) VALUES ($1, $2, to_timestamp($3::bigint)) "
    "ON CONFLICT (token_hash) DO UPDATE SET user_id = excluded.user_id RETURNING json_build_object('revoked', true)";

void tokens_catalog(struct auth *auth)
{
        /* The parameter is secret: neither Redis nor a log sees a token. */
        auth->token = (struct reading){.name = "GET /auth/token/valid",
                                       .key = "auth:token:{token!}:valid",
                                       .options = "ttl=30d size=100B stale=0",
                                       .query = "getTokenValid",
                                       .text = valid_text,
                                       .absent = "the token is not valid",
                                       .status = 401};
        auth->revoke_token = (struct writing){.name = "POST /auth/token/revoke",
                                              .query = "revokeToken",
                                              .text = revoke_text,
                                              .table = "token_blacklist",
                                              .change = SP_ROW_INSERT,
                                              .status = 201};
}

/* "Authorization: Bearer <token>". False, and the call is answered: there is none that is genuine and of today. */
static bool token_of(struct auth *auth, struct http_call *call, const char **text, struct token *token)
{
        const char *header = http_header(call, "Authorization");

        if (!auth->secret) {
                http_error(call, 503, "AUTH_SECRET is not set");
                return false;
        }
        *text = header && strncmp(header, "Bearer ", 7) == 0 ? header + 7 : "";
        if (strlen(*text) < TOKEN_MAX && token_read(auth->secret, *text, token))
                return true;
        http_error(call, 401, auth->token.absent);
        return false;
}

void get_token_valid(void *arg, struct http_call *call, const char *id)
{
        struct auth *auth = arg;
        char hash[TOKEN_HASH_SIZE];
        struct token token;
        struct work *work;
        const char *text;

        if (!token_of(auth, call, &text, &token))
                return;
        work = read_new(&auth->service, call, &auth->token);
        if (!work)
                return;
        token_hash(text, hash);
        work->expires_ms = token.expires * 1000;
        read_key(work, text);
        work_param(work, hash);
        work_param(work, token.user);
        read_run(work);
}

void post_token_revoke(void *arg, struct http_call *call, const char *id)
{
        struct auth *auth = arg;
        char hash[TOKEN_HASH_SIZE], expires[32];
        struct token token;
        struct work *work;
        const char *text;

        if (!token_of(auth, call, &text, &token) || !(work = write_new(&auth->service, call, &auth->revoke_token)))
                return;
        token_hash(text, hash);
        snprintf(expires, sizeof expires, "%lld", (long long)token.expires);
        write_column(work, "token_hash", hash);
        write_column(work, "user_id", token.user);
        work_param(work, expires);
        write_run(work);
}

static void answer_token(struct http_call *call, const char *secret, const char *user, int64_t seconds)
{
        struct token token = {.expires = (int64_t)time(NULL) + seconds};
        char text[TOKEN_MAX], line[TOKEN_MAX + 64];
        int len;

        snprintf(token.user, sizeof token.user, "%s", user);
        token_make(secret, &token, text);
        len = snprintf(line, sizeof line, "{\"token\":\"%s\",\"expires\":%lld}", text, (long long)token.expires);
        http_answer(call, 201, NULL, (struct http_body){.data = line, .len = (size_t)len});
}

/* Stands in for a login, which would ask for a password first: whoever reaches this service is trusted. */
void post_token(void *arg, struct http_call *call, const char *id)
{
        struct auth *auth = arg;
        json_t *body = body_parse(call);
        const char *user = body ? body_id(body, "userId") : NULL;
        json_int_t seconds = SECONDS_DEFAULT;

        if (!body)
                return;
        if (body_has(body, "seconds"))
                seconds = json_integer_value(json_object_get(body, "seconds"));
        if (!auth->secret)
                http_error(call, 503, "AUTH_SECRET is not set");
        else if (!user || strchr(user, '~') || seconds < 1 || seconds > SECONDS_MAX)
                http_error(call, 400, "userId is needed; seconds may be 1 to 2592000");
        else
                answer_token(call, auth->secret, user, seconds);
        json_decref(body);
}
