/* SPDX-License-Identifier: MIT */
/* Notices of a session. Its connection writes them where the session says, and nowhere while nobody asks. */
#include "pg/notices.h"

#include "core/error.h"
#include "pg/fault.h"
#include "pg/pool_internal.h"

#include <stdlib.h>
#include <string.h>

static void write_fields(struct sp__buf *buf, const PGresult *res)
{
        char before = '{';

        for (const char *letter = SP__FAULT_FIELDS; *letter; letter++) {
                const char *text = PQresultErrorField(res, *letter);

                if (!text)
                        continue;
                sp__buf_format(buf, "%c\"%c\":", before, *letter);
                sp__buf_json(buf, text, strlen(text));
                before = ',';
        }
        sp__buf_char(buf, '}');
}

/* Behind one that was dropped nothing is kept: what is told has no holes. */
static bool keep(struct sp__notices *notices, const struct sp__buf *one)
{
        struct sp__buf *text = &notices->text;

        if (one->failed || notices->dropped > 0 || text->len + one->len + 1 > SP_NOTICES_MAX)
                return false;
        if (!sp__buf_room(text, one->len + 1)) {
                text->failed = false;
                return false;
        }
        sp__buf_char(text, text->len > 0 ? ',' : '[');
        sp__buf_add(text, one->data, one->len);
        return true;
}

void sp__notices_add(struct sp__notices *notices, const PGresult *res)
{
        struct sp__buf one = SP__BUF_INIT;

        /* libpq's own have no code. */
        if (!PQresultErrorField(res, PG_DIAG_SQLSTATE))
                return;
        write_fields(&one, res);
        notices->dropped += !keep(notices, &one);
        sp__buf_free(&one);
}

/* A connection that is gone may be another session's already. */
static void direct(sp_session *session, struct sp__notices *notices)
{
        struct sp__conn *conn = session->conn;

        sp__lock(&session->pool->lock);
        sp__lock(&conn->port.lock);
        if (!session->broken && conn->ready)
                conn->notices = notices;
        sp__unlock(&conn->port.lock);
        sp__unlock(&session->pool->lock);
}

sp_status sp_session_keep_notices(sp_session *session, bool on, sp_error **error)
{
        SP__NEED(session, error);
        if (sp__engine_forked(session->pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (on && !session->notices)
                session->notices = calloc(1, sizeof *session->notices);
        if (on && !session->notices)
                return sp__fail(error, SP_NOMEM, "%s", sp_status_text(SP_NOMEM));
        if (session->notices)
                direct(session, on ? session->notices : NULL);
        return SP_OK;
}

/* All of them as one value, NULL where there are none; frees the text. */
static sp_value *value_of(struct sp__buf *text, size_t dropped)
{
        sp_value *value = NULL;

        if (dropped > 0)
                sp__buf_format(text, "%c{\"dropped\":%zu}", text->len > 0 ? ',' : '[', dropped);
        if (text->len > 0)
                sp__buf_char(text, ']');
        if (text->len > 0 && !text->failed)
                value = sp_value_new(text->data, text->len, SP_CODEC_JSON);
        sp__buf_free(text);
        return value;
}

sp_value *sp_session_notices(sp_session *session)
{
        struct sp__notices taken;

        if (!session || !session->notices || sp__engine_forked(session->pool->engine))
                return NULL;
        sp__lock(&session->conn->port.lock);
        taken = *session->notices;
        *session->notices = (struct sp__notices){0};
        sp__unlock(&session->conn->port.lock);
        return value_of(&taken.text, taken.dropped);
}

void sp__notices_end(sp_session *session)
{
        struct sp__notices *notices = session->notices;
        struct sp__conn *conn = session->conn;

        if (!notices)
                return;
        sp__lock(&conn->port.lock);
        if (conn->notices == notices)
                conn->notices = NULL;
        sp__unlock(&conn->port.lock);
        sp__buf_free(&notices->text);
        free(notices);
}
