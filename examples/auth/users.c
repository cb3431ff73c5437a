/* SPDX-License-Identifier: MIT */
/* Users and what they may do. */
#include "auth.h"

#include "read.h"
#include "write.h"

/* $1 user. An inactive one may nothing. */
static const char permissions_text[] =
    "SELECT json_build_object('userId', users.id, 'role', roles.name, 'active', is_active, 'permissions',"
    " (SELECT coalesce(json_agg(permission_id ORDER BY permission_id), '[]') FROM role_permissions"
    "  WHERE role_id = users.role_id AND is_active))"
    "FROM users JOIN roles ON roles.id = role_id WHERE users.id = $1";

#define USER_BY(column)                                                                                                \
        "SELECT json_build_object('id', users.id, 'username', username, 'email', email, 'role', roles.name,"           \
        " 'active', is_active), 'auth:user:' || users.id AS tag "                                                      \
        "FROM users JOIN roles ON roles.id = role_id WHERE " column " = $1"

/* $1 id, $2 username, $3 email, $4 role. */
static const char create_text[] = "INSERT INTO users (id, username, email, role_id) VALUES ($1, $2, $3, $4) "
                                  "RETURNING json_build_object('id', id)";

/* $1 id, $2 username, $3 email, $4 role, $5 active; NULL leaves one as it is. The rules need names as they were, too. */
static const char change_text[] =
    "WITH old AS (SELECT id, username, email FROM users WHERE id = $1 FOR UPDATE) "
    "UPDATE users SET username = coalesce($2, users.username), email = coalesce($3, users.email),"
    " role_id = coalesce($4, role_id), is_active = coalesce($5::boolean, is_active) FROM old WHERE users.id = old.id "
    "RETURNING json_build_object('id', users.id), users.username AS username, users.email AS email,"
    " old.username AS was_username, old.email AS was_email";

/* $1 role, $2 permission. A role has a permission once, also where two requests give it at the same moment: the index sees to it. */
static const char grant_text[] =
    "WITH role AS (SELECT id FROM roles WHERE id = $1 FOR KEY SHARE), added AS ("
    " INSERT INTO role_permissions (role_id, permission_id) SELECT id, $2 FROM role ON CONFLICT DO NOTHING"
    ") SELECT json_build_object('role', id, 'permission', $2::text) FROM role";

static const char revoke_text[] =
    "WITH gone AS (DELETE FROM role_permissions WHERE role_id = $1 AND permission_id = $2) "
    "SELECT json_build_object('role', id, 'permission', $2::text) FROM roles WHERE id = $1";

void users_catalog(struct auth *auth)
{
        static const char taken[] = "the username or the email is taken";

        auth->permissions = (struct reading){.name = "GET /auth/user/permissions",
                                             .key = "auth:user:{userId}:permissions",
                                             .options = "ttl=12h size=1KB stale=0",
                                             .patterns = {"auth:user:*:permissions"},
                                             .query = "getUserPermissions",
                                             .text = permissions_text,
                                             .absent = "there is no such user"};
        auth->by_username = (struct reading){.name = "GET /auth/user?username",
                                             .key = "auth:username:{username}:user",
                                             .options = "ttl=12h size=200B stale=0",
                                             .patterns = {"auth:username:*"},
                                             .query = "getUserByUsername",
                                             .text = USER_BY("username"),
                                             .absent = "there is no such user"};
        /* An address is nobody's business: its key has the hash. */
        auth->by_email = (struct reading){.name = "GET /auth/user?email",
                                          .key = "auth:email:{email!}:user",
                                          .options = "ttl=12h size=200B stale=0",
                                          .patterns = {"auth:email:*"},
                                          .query = "getUserByEmail",
                                          .text = USER_BY("email"),
                                          .absent = "there is no such user"};
        auth->create_user =
            (struct writing){.name = "POST /auth/user",
                             .query = "createUser",
                             .text = create_text,
                             .table = "users",
                             .change = SP_ROW_INSERT,
                             .refusals = {{"23505", 409, taken}, {"23503", 400, "there is no such role"}},
                             .status = 201};
        auth->change_user =
            (struct writing){.name = "POST /auth/user/{id}",
                             .query = "changeUser",
                             .text = change_text,
                             .table = "users",
                             .change = SP_ROW_UPDATE,
                             .refusals = {{"23505", 409, taken}, {"23503", 400, "there is no such role"}},
                             .absent = "there is no such user",
                             .status = 200};
        auth->grant = (struct writing){.name = "POST /auth/role/permission",
                                       .query = "grantPermission",
                                       .text = grant_text,
                                       .table = "role_permissions",
                                       .change = SP_ROW_INSERT,
                                       .refusals = {{"23503", 400, "there is no such permission"}},
                                       .absent = "there is no such role",
                                       .status = 200};
        auth->revoke_grant = auth->grant;
        auth->revoke_grant.query = "revokePermission";
        auth->revoke_grant.text = revoke_text;
        auth->revoke_grant.change = SP_ROW_DELETE;
}

void get_permissions(void *arg, struct http_call *call, const char *id)
{
        struct auth *auth = arg;

        read_by_id(&auth->service, call, &auth->permissions, id);
}

void get_user(void *arg, struct http_call *call, const char *id)
{
        struct auth *auth = arg;
        const char *username = http_query(call, "username"), *email = http_query(call, "email");
        const char *word = username ? username : email;

        if (!word || (username && email) || !http_word_valid(word))
                http_error(call, 400, "username or email is needed, one of them: 1 to 128 visible ASCII characters");
        else
                read_by_id(&auth->service, call, username ? &auth->by_username : &auth->by_email, word);
}

void post_user(void *arg, struct http_call *call, const char *id)
{
        struct auth *auth = arg;
        json_t *body = body_parse(call);
        struct work *work;
        char made[ID_SIZE];

        if (!body)
                return;
        if (!body_word(body, "username") || !body_word(body, "email") || !body_id(body, "roleId") ||
            (body_has(body, "id") && !body_id(body, "id"))) {
                http_error(call, 400, "username, email and roleId are needed, an id is up to you: " HTTP_ID_KIND);
        } else if ((work = write_new(&auth->service, call, &auth->create_user))) {
                id_make(made);
                write_column(work, "id", body_id(body, "id") ? body_id(body, "id") : made);
                write_column(work, "username", body_word(body, "username"));
                write_column(work, "email", body_word(body, "email"));
                write_column(work, "role_id", body_id(body, "roleId"));
                write_run(work);
        }
        json_decref(body);
}

static void change_start(struct auth *auth, struct http_call *call, const char *id, const json_t *body)
{
        struct work *work = write_new(&auth->service, call, &auth->change_user);

        if (!work)
                return;
        write_column(work, "id", id);
        write_change(work, "username", body_word(body, "username"));
        write_change(work, "email", body_word(body, "email"));
        write_change(work, "role_id", body_id(body, "roleId"));
        write_change(work, "is_active", body_flag(body, "active"));
        write_run(work);
}

/* A change that is not understood must not look as if it was made. */
static bool change_good(const json_t *body)
{
        bool name = body_has(body, "username"), email = body_has(body, "email"), role = body_has(body, "roleId"),
             active = body_has(body, "active");

        return (name || email || role || active) && (!name || body_word(body, "username")) &&
               (!email || body_word(body, "email")) && (!role || body_id(body, "roleId")) &&
               (!active || body_flag(body, "active"));
}

void post_user_change(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);

        if (!body)
                return;
        if (change_good(body))
                change_start(arg, call, id, body);
        else
                http_error(call, 400, "username, email, roleId or active (true or false) is needed");
        json_decref(body);
}

void post_permission(void *arg, struct http_call *call, const char *id)
{
        struct auth *auth = arg;
        json_t *body = body_parse(call);
        const char *granted = body ? body_flag(body, "granted") : NULL;
        struct work *work;

        if (!body)
                return;
        if (!body_word(body, "permission") || !granted) {
                http_error(call, 400, "permission and granted (true or false) are needed");
        } else if ((work = write_new(&auth->service, call, *granted == 't' ? &auth->grant : &auth->revoke_grant))) {
                write_column(work, "role_id", id);
                write_column(work, "permission_id", body_word(body, "permission"));
                write_run(work);
        }
        json_decref(body);
}
