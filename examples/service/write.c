/* SPDX-License-Identifier: MIT */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { REFUSALS = sizeof((struct writing *)0)->refusals / sizeof(struct refusal) };

bool write_may_have_happened(sp_status status)
{
        return status == SP_OK || status == SP_LOST || status == SP_TIMEOUT || status == SP_CANCELLED;
}

static void done(struct work *work)
{
        struct http_body body = {
            .data = work->reply, .len = strlen(work->reply), .release = free, .owner = work->reply};

        work->reply = NULL;
        work_answer(work, work->status, NULL, body);
        work_free(work);
}

/* Also without Redis the targets are bypassed in this process, and the library tries again: the write stands. */
static void invalidated(struct work *work, sp_completion *completion)
{
        done(work);
}

static sp_targets *targets_of(struct work *work)
{
        if (!work->targets)
                work->targets = sp_targets_new();
        return work->targets;
}

static void invalidate_more(struct work *work, sp_completion *completion)
{
        struct service *service = work->service;

        /* The row does not tell all that a rule needs. */
        if (sp_completion_status(completion) == SP_INVALID && targets_of(work))
                sp_targets_all(work->targets);
        work->next = invalidated;
        if (!work->targets ||
            sp_cache_invalidate_async(service->cache, NULL, work->targets, service->queue, work_tag(work)) != SP_OK)
                done(work);
}

static void invalidate(struct work *work)
{
        struct service *service = work->service;

        work->next = invalidate_more;
        if (sp_invalidate_row_async(service->rules, NULL, work->row, service->queue, work_tag(work)) != SP_OK)
                done(work);
}

static void refuse(struct work *work, unsigned status, const char *text)
{
        work_answer_error(work, status, text);
        work_free(work);
}

/* The answer of a statement that failed; true when it was given and nothing is left to do. */
static bool refused(struct work *work, sp_status status, const char *code)
{
        const struct refusal *all = work->writing->refusals;

        for (size_t i = 0; i < REFUSALS && all[i].code; i++) {
                if (strcmp(code, all[i].code) == 0) {
                        refuse(work, all[i].status, all[i].text);
                        return true;
                }
        }
        if (write_may_have_happened(status))
                return false;
        work_answer_failure(work, status);
        work_free(work);
        return true;
}

static const char *error_code(const sp_completion *completion)
{
        return sp_completion_error(completion) ? sp_error_code(sp_completion_error(completion)) : "";
}

/* The key of the reading, whose one parameter is `id`. */
static void drop_one(struct work *work, const struct reading *reading, const char *id)
{
        sp_params *params = sp_params_new();
        char key[SP_KEY_MAX];
        size_t len;

        sp_params_add_text(params, id, strlen(id));
        if (targets_of(work) && sp_key_format(reading->tmpl, params, key, sizeof key, &len) == SP_OK)
                sp_targets_key(work->targets, key, len);
        sp_params_free(params);
}

static void drop_also(struct work *work, const sp_result *result, size_t column)
{
        for (size_t row = 0; row < sp_result_rows(result); row++) {
                const char *id = sp_result_get(result, row, column, &(size_t){0});

                if (id)
                        drop_one(work, work->writing->also, id);
        }
}

/* What the statement tells of its row; the reason for which nothing was written, else NULL. */
static const char *describe(struct work *work, const sp_completion *completion)
{
        const sp_result *result = sp_completion_result(completion);
        const char *reason = NULL;

        for (size_t i = 1; i < sp_result_columns(result); i++) {
                const char *name = sp_result_name(result, i), *cell = work_cell(completion, i);

                if (!cell)
                        continue;
                if (strcmp(name, "also") == 0)
                        drop_also(work, result, i);
                else if (strcmp(name, "refused") == 0)
                        reason = cell;
                else if (strncmp(name, "was_", 4) == 0)
                        sp_row_was(work->row, name + 4, cell, strlen(cell));
                else
                        sp_row_set(work->row, name, cell, strlen(cell));
        }
        return reason;
}

static void written(struct work *work, sp_completion *completion)
{
        sp_status status = work_asked(work, completion);
        const char *cell = NULL, *reason = NULL;

        if (status != SP_OK && refused(work, status, error_code(completion)))
                return;
        if (status == SP_OK) {
                cell = work_cell(completion, 0);
                reason = describe(work, completion);
                if (!cell) {
                        refuse(work, reason ? 400 : 404, reason ? reason : work->writing->absent);
                        return;
                }
                sp_counter_add(work->writing->count, 1);
        }
        /* Which others it changed is not known then. */
        if (!cell && work->writing->also && targets_of(work))
                sp_targets_all(work->targets);
        work->status = cell ? work->writing->status : 503;
        work->reply = strdup(cell ? cell : "{\"error\":\"it is unknown whether this was written\"}\n");
        if (work->reply)
                invalidate(work);
        else
                refuse(work, 503, sp_status_text(SP_NOMEM));
}

json_t *body_parse(struct http_call *call)
{
        size_t len;
        const char *text = http_content(call, &len);
        json_t *body = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

        if (json_is_object(body))
                return body;
        json_decref(body);
        http_error(call, 400, "the body must be a JSON object");
        return NULL;
}

const char *body_id(const json_t *body, const char *name)
{
        const char *id = json_string_value(json_object_get(body, name));

        return id && http_id_valid(id) ? id : NULL;
}

const char *body_word(const json_t *body, const char *name)
{
        const char *word = json_string_value(json_object_get(body, name));

        return word && http_word_valid(word) ? word : NULL;
}

bool body_has(const json_t *body, const char *name)
{
        const json_t *value = json_object_get(body, name);

        return value && !json_is_null(value);
}

const char *body_text(const json_t *body, const char *name)
{
        const char *text = json_string_value(json_object_get(body, name));

        return text && *text ? text : NULL;
}

static bool body_is(const json_t *body, const char *name, enum body_kind kind)
{
        switch (kind) {
        case BODY_ID:
                return body_id(body, name);
        case BODY_TEXT:
                return body_text(body, name);
        case BODY_ANY_TEXT:
                return json_is_string(json_object_get(body, name));
        default:
                return body_flag(body, name);
        }
}

bool body_may(struct http_call *call, const json_t *body, const char *name, enum body_kind kind)
{
        static const char *const kinds[] = {HTTP_ID_KIND, "a text that is not empty", "a text", "true or false"};
        char line[128];

        if (!body_has(body, name) || body_is(body, name, kind))
                return true;
        snprintf(line, sizeof line, "%s may be %s", name, kinds[kind]);
        http_error(call, 400, line);
        return false;
}

const char *body_flag(const json_t *body, const char *name)
{
        const json_t *value = json_object_get(body, name);

        return !json_is_boolean(value) ? NULL : json_is_true(value) ? "true" : "false";
}

bool word_of(const char *word, const char *const list[])
{
        for (size_t i = 0; word && list[i]; i++) {
                if (strcmp(word, list[i]) == 0)
                        return true;
        }
        return false;
}

/* RFC 9562, version 4. */
void id_make(char id[ID_SIZE])
{
        unsigned char b[16];

        if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
                abort();
        b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
        b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
        snprintf(id, ID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
                 b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

struct work *write_new(struct service *service, struct http_call *call, const struct writing *writing)
{
        sp_row *row = sp_row_new(writing->table, writing->change);
        struct work *work;

        if (!row) {
                http_error(call, 503, sp_status_text(SP_NOMEM));
                return NULL;
        }
        work = work_new(service, call, writing->name);
        if (!work) {
                sp_row_free(row);
                return NULL;
        }
        work->writing = writing;
        work->row = row;
        return work;
}

void write_column(struct work *work, const char *column, const char *text)
{
        work_param(work, text);
        sp_row_set(work->row, column, text, text ? strlen(text) : 0);
}

void write_change(struct work *work, const char *column, const char *text)
{
        work_param(work, text);
        if (!text)
                return;
        sp_row_set(work->row, column, text, strlen(text));
        sp_row_changed(work->row, column);
}

void write_run(struct work *work)
{
        sp_status status = work_ask(work, work->writing->stmt, written);

        if (status != SP_OK) {
                work_answer_failure(work, status);
                work_free(work);
        }
}
