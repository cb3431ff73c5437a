/* SPDX-License-Identifier: MIT */
#include "pg/password.h"

#include "base/clock.h"
#include "base/thread.h"
#include "core/config.h"
#include "core/error.h"
#include "core/watch.h"
#include "pg/command.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PASSWORD_MAX = SP__COMMAND_OUTPUT };

struct sp__password {
        char *file;
        char **command;
        struct sp__watchers *watchers;

        sp__mutex lock;
        char *given; /* by the application */
        char *made;  /* by the command, last */
        int64_t made_ns;
        bool watched; /* the application answers refusals */
        struct sp__latest last;
};

/* {"refusal","reason","missed"}: how many came before it that this watch did not see. */
static sp_value *describe(const void *events, uint64_t seen)
{
        const struct sp__latest *change = events;
        char text[96];
        int len = snprintf(text, sizeof text, "{\"refusal\":%" PRIu64 ",\"reason\":\"%s\",\"missed\":%" PRIu64 "}",
                           change->number, change->to ? "wanted" : "refused", change->number - seen - 1);

        return sp_value_new(text, (size_t)len, SP_CODEC_JSON);
}

static const struct sp__watched refusals = {
    .size = sizeof(struct sp__latest), .keep = sp__latest_keep, .describe = describe};

static sp_status parts_new(struct sp__password *password, const char *file, const char *command, const char *pool,
                           sp_error **error)
{
        password->watchers = sp__watchers_new(&refusals);
        if (*file)
                password->file = strdup(file);
        if (*command)
                password->command = sp__command_words(command);
        if (*command && !password->command)
                return sp__fail(error, SP_INVALID,
                                "pool%s%s.password_command is no command: a quotation mark is left open",
                                pool ? "." : "", pool ? pool : "");
        if (!password->watchers || (*file && !password->file))
                return sp__fail(error, SP_NOMEM, "out of memory");
        return SP_OK;
}

sp_status sp__password_new(const sp_config *config, const char *pool, struct sp__password **out, sp_error **error)
{
        struct sp__password *password = calloc(1, sizeof *password);
        sp_status status;

        if (!password)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__mutex_init(&password->lock);
        status = parts_new(password, sp__config_text(config, "pool", pool, "password_file"),
                           sp__config_text(config, "pool", pool, "password_command"), pool, error);
        if (status == SP_OK)
                *out = password;
        else
                sp__password_free(password);
        return status;
}

void sp__password_wipe(char *text)
{
        if (text)
                explicit_bzero(text, strlen(text));
        free(text);
}

void sp__password_close(struct sp__password *password)
{
        if (password && password->watchers)
                sp__watchers_end(password->watchers);
}

void sp__password_free(struct sp__password *password)
{
        if (!password)
                return;
        sp__password_close(password);
        sp__watchers_unref(password->watchers);
        sp__password_wipe(password->given);
        sp__password_wipe(password->made);
        free(password->file);
        free(password->command);
        sp__mutex_destroy(&password->lock);
        free(password);
}

/* Takes `text`. The lock is not held. */
static void replace(struct sp__password *password, char **which, char *text)
{
        char *old;

        sp__lock(&password->lock);
        old = *which;
        *which = text;
        if (which == &password->made)
                password->made_ns = sp__now();
        sp__unlock(&password->lock);
        sp__password_wipe(old);
}

sp_status sp__password_set(struct sp__password *password, const void *data, size_t len, sp_error **error)
{
        char *copy = NULL;

        if (data && (len == 0 || len > PASSWORD_MAX || memchr(data, 0, len)))
                return sp__fail(error, SP_INVALID, "a password has 1 to %d bytes, none of them zero", PASSWORD_MAX);
        if (data && !(copy = strndup(data, len)))
                return sp__fail(error, SP_NOMEM, "out of memory");
        replace(password, &password->given, copy);
        return SP_OK;
}

/* The first line: editors and echo end one. NULL: it is no password. */
static char *line_of(struct sp__buf *buf)
{
        char *line = NULL;

        while (buf->len > 0 && (buf->data[buf->len - 1] == '\n' || buf->data[buf->len - 1] == '\r'))
                buf->len--;
        if (buf->len > 0 && buf->len <= PASSWORD_MAX && !memchr(buf->data, 0, buf->len))
                line = strndup(buf->data, buf->len);
        if (buf->data)
                explicit_bzero(buf->data, buf->cap);
        sp__buf_free(buf);
        return line;
}

static const char *read_file(const char *path, char **out)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct sp__buf buf = SP__BUF_INIT;
        char *room = fd >= 0 ? sp__buf_room(&buf, PASSWORD_MAX + 3) : NULL;
        ssize_t got = 1;

        while (room && got > 0 && buf.len < PASSWORD_MAX + 3) {
                got = read(fd, buf.data + buf.len, PASSWORD_MAX + 3 - buf.len);
                buf.len += got > 0 ? (size_t)got : 0;
        }
        if (fd >= 0)
                close(fd);
        *out = line_of(&buf);
        if (fd < 0 || got < 0)
                return "pool.password_file cannot be read";
        return *out ? NULL : "pool.password_file holds no password";
}

static char *copy_of(struct sp__password *password, char *const *which, int64_t since)
{
        char *copy = NULL;

        sp__lock(&password->lock);
        if (*which && (which != &password->made || password->made_ns >= since))
                copy = strdup(*which);
        sp__unlock(&password->lock);
        return copy;
}

/* Attempts that begin together share what it says. */
static const char *run_command(struct sp__password *password, int64_t since, const atomic_bool *stop, char **out)
{
        struct sp__buf buf = SP__BUF_INIT;
        const char *why;

        *out = copy_of(password, &password->made, since);
        if (*out)
                return NULL;
        why = sp__command_run(password->command, stop, &buf);
        *out = line_of(&buf);
        if (why) {
                sp__password_wipe(*out);
                *out = NULL;
                return why;
        }
        if (!*out)
                return "it printed no password";
        replace(password, &password->made, strdup(*out));
        return NULL;
}

bool sp__password_blocks(struct sp__password *password)
{
        bool given;

        sp__lock(&password->lock);
        given = password->given != NULL;
        sp__unlock(&password->lock);
        return !given && (password->file || password->command);
}

const char *sp__password_ask(struct sp__password *password, int64_t since, const atomic_bool *stop, char **out)
{
        *out = copy_of(password, &password->given, since);
        if (*out)
                return NULL;
        if (password->file)
                return read_file(password->file, out);
        return password->command ? run_command(password, since, stop, out) : NULL;
}

bool sp__password_changes(struct sp__password *password)
{
        bool changes;

        sp__lock(&password->lock);
        changes = password->given || password->watched || password->file || password->command;
        sp__unlock(&password->lock);
        return changes;
}

void sp__password_refused(struct sp__password *password, bool wanted)
{
        struct sp__latest change;

        sp__lock(&password->lock);
        password->last.number++;
        password->last.to = wanted;
        change = password->last;
        sp__unlock(&password->lock);
        sp__watchers_tell(password->watchers, &change);
}

sp_status sp__password_watch(struct sp__password *password, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        sp__lock(&password->lock);
        password->watched = true;
        sp__unlock(&password->lock);
        return sp__watchers_add(password->watchers, ctx, seen, queue, tag);
}
