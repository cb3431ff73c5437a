/* SPDX-License-Identifier: MIT */
/* A channel that a listener hears: its statements, and what is said of it. */
#include "base/buf.h"
#include "pg/pool_internal.h"

#include <stdlib.h>
#include <string.h>

static sp_stmt *command(const char *name, const char *verb, const char *channel)
{
        struct sp__buf sql = SP__BUF_INIT;
        sp_stmt *stmt = NULL;

        sp__buf_format(&sql, "%s ", verb);
        sp__buf_identifier(&sql, channel);
        sp__buf_char(&sql, 0);
        if (!sql.failed)
                stmt = sp__stmt_own(name, sql.data);
        if (stmt)
                stmt->sql.dirties = true;
        sp__buf_free(&sql);
        return stmt;
}

struct sp__channel *sp__channel_new(sp_pool *pool, const char *name)
{
        struct sp__channel *channel = calloc(1, sizeof *channel);

        if (!channel)
                return NULL;
        atomic_init(&channel->refs, 1);
        channel->pool = sp__pool_ref(pool);
        sp__list_init(&channel->link);
        channel->name = strdup(name);
        channel->listen = command("listen", "LISTEN", name);
        channel->unlisten = command("unlisten", "UNLISTEN", name);
        if (channel->name && channel->listen && channel->unlisten)
                return channel;
        sp__channel_unref(channel);
        return NULL;
}

struct sp__channel *sp__channel_ref(struct sp__channel *channel)
{
        atomic_fetch_add(&channel->refs, 1);
        return channel;
}

void sp__channel_unref(struct sp__channel *channel)
{
        if (atomic_fetch_sub(&channel->refs, 1) != 1)
                return;
        sp_stmt_unref(channel->listen);
        sp_stmt_unref(channel->unlisten);
        free(channel->name);
        sp__pool_unref(channel->pool);
        free(channel);
}

sp_value *sp__channel_notice(const struct sp__channel *channel, bool lost)
{
        struct sp__buf buf = SP__BUF_INIT;
        sp_value *value;

        sp__buf_text(&buf, "{\"channel\":");
        sp__buf_json(&buf, channel->name, strlen(channel->name));
        sp__buf_format(&buf, ",\"notice\":\"listening\",\"lost\":%s}", lost ? "true" : "false");
        value = buf.failed ? NULL : sp_value_new(buf.data, buf.len, SP_CODEC_JSON);
        sp__buf_free(&buf);
        return value;
}
