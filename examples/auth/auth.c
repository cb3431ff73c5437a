/* SPDX-License-Identifier: MIT */
/* The auth service: its paths, the work that is due, the rules that say which rows stand behind which keys. */
#include "auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_MIN = 16 };

/*
 * What is kept of a user bears the tag of that user, so that nobody needs to know under which name or address it is kept, or
 * which tokens there are. A name or an address that is new may be known as absent, so its own key goes too.
 */
static const char rules[] =
    "users(id) -> auth:user:{id}:permissions, tag auth:user:{id}\n"
    "users(username) when username -> auth:username:{username}:user\n"
    "users(email) when email -> auth:email:{email}:user\n"
    "roles(id) on update, delete when name -> auth:user:*:permissions, auth:username:*, auth:email:*\n"
    "role_permissions(role_id) -> auth:user:*:permissions\n"
    "token_blacklist(user_id) -> tag auth:user:{user_id}\n";

static const struct http_route routes[] = {{"GET", "/auth/user/{}/permissions", get_permissions},
                                           {"GET", "/auth/user", get_user},
                                           {"POST", "/auth/user", post_user},
                                           {"POST", "/auth/user/{}", post_user_change},
                                           {"POST", "/auth/role/{}/permission", post_permission},
                                           {"POST", "/auth/token", post_token},
                                           {"GET", "/auth/token/valid", get_token_valid},
                                           {"POST", "/auth/token/revoke", post_token_revoke},
                                           SERVICE_ROUTES};

/* An empty one is none: with it anybody could sign. It ends the service when it is so short that it can be guessed. */
static const char *secret_of(const char *program)
{
        const char *secret = getenv("AUTH_SECRET");

        if (!secret || !*secret)
                return NULL;
        if (strlen(secret) < SECRET_MIN) {
                fprintf(stderr,
                        "%s: AUTH_SECRET has %zu bytes, must have at least %d; \"openssl rand -hex 32\" makes one\n",
                        program, strlen(secret), SECRET_MIN);
                exit(2);
        }
        return secret;
}

int main(int argc, char **argv)
{
        struct auth auth = {.secret = secret_of(argv[0])};
        struct reading *const readings[] = {&auth.permissions, &auth.by_username, &auth.by_email, &auth.token, NULL};
        struct writing *const writings[] = {&auth.create_user,  &auth.change_user,  &auth.grant,
                                            &auth.revoke_grant, &auth.revoke_token, NULL};
        const struct job jobs[] = {{"warm-permissions", "start", "listNewestUsers",
                                    "SELECT id FROM users WHERE is_active ORDER BY created_at DESC, id LIMIT 100",
                                    &auth.permissions, NULL},
                                   {"rebuild-permissions", "daily 00:00", "listActiveUsers",
                                    "SELECT id FROM users WHERE is_active ORDER BY id", &auth.permissions, NULL},
                                   {0}};
        const struct plan plan = {.name = "auth",
                                  .what = "the auth service; AUTH_SECRET signs its tokens; see ../service/README.md",
                                  .port = 3003,
                                  .routes = routes,
                                  .readings = readings,
                                  .writings = writings,
                                  .jobs = jobs,
                                  .rules = rules};

        users_catalog(&auth);
        tokens_catalog(&auth);
        return service_main(&auth.service, &plan, argc, argv);
}
