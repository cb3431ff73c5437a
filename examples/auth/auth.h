/* SPDX-License-Identifier: MIT */
/** The auth service: users, what they may do, and whether a token is valid. It fails closed: no answer stands in for another. */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "service.h"

struct auth {
        struct service service;
        struct reading permissions, by_username, by_email, token;
        struct writing create_user, change_user, grant, revoke_grant, revoke_token;
        const char *secret; /* what tokens are signed with; NULL: nothing is */
};

/* users.c */
void users_catalog(struct auth *auth);
void get_permissions(void *auth, struct http_call *call, const char *id);
void get_user(void *auth, struct http_call *call, const char *id);
void post_user(void *auth, struct http_call *call, const char *id);
void post_user_change(void *auth, struct http_call *call, const char *id);
void post_permission(void *auth, struct http_call *call, const char *id);
/* tokens.c */
void tokens_catalog(struct auth *auth);
void post_token(void *auth, struct http_call *call, const char *id);
void get_token_valid(void *auth, struct http_call *call, const char *id);
void post_token_revoke(void *auth, struct http_call *call, const char *id);

#endif
