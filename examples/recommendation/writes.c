/* SPDX-License-Identifier: MIT */
/*
 * Writes: check the body, write in one statement, then invalidate what depended on the rows, then answer. Who gets the
 * answer and reads again sees the write.
 */
#include "work.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The invalidation must also run when it is unknown whether the write took effect. */
static bool may_have_happened(sp_status status)
{
        return status == SP_OK || status == SP_LOST || status == SP_TIMEOUT;
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

static void invalidate(struct work *work)
{
        struct service *service = work->service;

        work->next = invalidated;
        if (sp_cache_invalidate_async(service->cache, NULL, work->targets, service->queue, work_tag(work)) != SP_OK)
                done(work);
}

static bool reply_set(struct work *work, unsigned status, const char *text)
{
        work->status = status;
        work->reply = strdup(text);
        return work->reply != NULL;
}

static void refuse(struct work *work, unsigned status, const char *text)
{
        work_answer_error(work, status, text);
        work_free(work);
}

/* The answer of a statement that was not OK; true when it was given and nothing is left to do. */
static bool refused(struct work *work, sp_status status, const char *code)
{
        if (strcmp(code, "23503") == 0)
                refuse(work, 404, "there is no such user");
        else if (strcmp(code, "23505") == 0)
                refuse(work, 409, "there is a content with this id");
        else if (!may_have_happened(status)) {
                work_answer_failure(work, status);
                work_free(work);
        } else
                return false;
        return true;
}

static void ask(struct work *work, const sp_stmt *stmt, void (*next)(struct work *, sp_completion *))
{
        sp_status status = work_ask(work, stmt, next);

        if (status != SP_OK) {
                work_answer_failure(work, status);
                work_free(work);
        }
}

static const char *error_code(const sp_completion *completion)
{
        return sp_completion_error(completion) ? sp_error_code(sp_completion_error(completion)) : "";
}

static void interaction_written(struct work *work, sp_completion *completion)
{
        sp_status status = work_asked(work, completion);
        const char *cell = NULL;

        if (status != SP_OK && refused(work, status, error_code(completion)))
                return;
        if (status == SP_OK) {
                cell = work_cell(completion, 0);
                if (!cell) {
                        refuse(work, 404, "there is no such content");
                        return;
                }
        }
        if (!reply_set(work, cell ? 201 : 503,
                       cell ? cell : "{\"error\":\"it is unknown whether this was written\"}\n"))
                refuse(work, 503, sp_status_text(SP_NOMEM));
        else
                invalidate(work);
}

/* The document's rule onUserInteraction: the user's recommendations, whatever their limit, and the content. */
static sp_status interaction_targets(struct work *work, const char *user, const char *content)
{
        sp_params *params = sp_params_new();
        sp_status status;

        work->targets = sp_targets_new();
        if (!params || !work->targets) {
                sp_params_free(params);
                return SP_NOMEM;
        }
        sp_params_add_text(params, user, strlen(user));
        status = sp_targets_pattern(work->targets, PATTERN_RECOMMENDATIONS_OF_USER, params);
        sp_params_clear(params);
        sp_params_add_text(params, content, strlen(content));
        if (status == SP_OK)
                status = sp_key_format(work->service->content.key, params, work->key, sizeof work->key, &work->key_len);
        if (status == SP_OK)
                status = sp_targets_key(work->targets, work->key, work->key_len);
        sp_params_free(params);
        return status;
}

/* The body as an object; NULL and answered when it is none. */
static json_t *body_parse(struct http_call *call)
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

static const char *id_of(const json_t *body, const char *name)
{
        const char *id = json_string_value(json_object_get(body, name));

        return id && http_id_valid(id) ? id : NULL;
}

static bool known_type(const char *type)
{
        return type && (strcmp(type, "view") == 0 || strcmp(type, "like") == 0 || strcmp(type, "share") == 0);
}

static void interaction_start(struct service *service, struct http_call *call, const char *user, const char *content,
                              const char *type)
{
        struct work *work = work_new(service, call, "POST /interactions");

        if (!work)
                return;
        sp_params_add_text(work->params, user, strlen(user));
        sp_params_add_text(work->params, content, strlen(content));
        sp_params_add_text(work->params, type, strlen(type));
        if (interaction_targets(work, user, content) != SP_OK)
                refuse(work, 503, sp_status_text(SP_NOMEM));
        else
                ask(work, service->record_interaction, interaction_written);
}

void post_interaction(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);
        const char *user, *content, *type;

        if (!body)
                return;
        user = id_of(body, "userId");
        content = id_of(body, "contentId");
        type = json_string_value(json_object_get(body, "type"));
        if (!user || !content || !known_type(type))
                http_error(call, 400, "userId, contentId and type (view, like or share) are needed");
        else
                interaction_start(arg, call, user, content, type);
        json_decref(body);
}

/*
 * A new content changes no list but those that a content without a score can enter; its own key may be known as absent.
 */
static sp_status content_targets(struct work *work, const char *id, bool everywhere)
{
        sp_status status = SP_OK;

        work->targets = sp_targets_new();
        if (!work->targets)
                return SP_NOMEM;
        if (id) {
                sp_params_clear(work->params);
                sp_params_add_text(work->params, id, strlen(id));
                status = sp_key_format(work->service->content.key, work->params, work->key, sizeof work->key,
                                       &work->key_len);
                if (status == SP_OK)
                        status = sp_targets_key(work->targets, work->key, work->key_len);
        }
        if (status == SP_OK && everywhere)
                status = sp_targets_pattern(work->targets, PATTERN_RECOMMENDATIONS, NULL);
        return status;
}

/* Its characters are an id's: none that JSON would escape. */
static void refuse_tag(struct work *work, const char *tag)
{
        char text[200];

        snprintf(text, sizeof text, "there is no tag with the id %s", tag);
        refuse(work, 400, text);
}

static void content_created(struct work *work, sp_completion *completion)
{
        sp_status status = work_asked(work, completion);
        const char *cell = NULL, *everywhere = "t", *unknown = NULL;
        json_t *reply;
        bool ready;

        if (status != SP_OK && refused(work, status, error_code(completion)))
                return;
        if (status == SP_OK)
                unknown = work_cell(completion, 2);
        if (unknown) {
                refuse_tag(work, unknown);
                return;
        }
        if (status == SP_OK) {
                cell = work_cell(completion, 0);
                everywhere = work_cell(completion, 1);
        }
        reply = cell ? json_loads(cell, 0, NULL) : NULL;
        ready =
            content_targets(work, json_string_value(json_object_get(reply, "id")), *everywhere == 't') == SP_OK &&
            reply_set(work, cell ? 201 : 503, cell ? cell : "{\"error\":\"it is unknown whether this was written\"}\n");
        json_decref(reply);
        if (ready)
                invalidate(work);
        else
                refuse(work, 503, sp_status_text(SP_NOMEM));
}

static void text_add(sp_params *params, const char *text)
{
        if (text)
                sp_params_add_text(params, text, strlen(text));
        else
                sp_params_add_null(params);
}

static void content_start(struct service *service, struct http_call *call, const json_t *body)
{
        struct work *work = work_new(service, call, "POST /content");
        const char *description = json_string_value(json_object_get(body, "description"));
        char *tags = json_dumps(json_object_get(body, "tags"), JSON_ENCODE_ANY);

        if (work) {
                text_add(work->params, id_of(body, "id"));
                text_add(work->params, id_of(body, "creatorId"));
                text_add(work->params, json_string_value(json_object_get(body, "title")));
                text_add(work->params, description ? description : "");
                text_add(work->params, tags ? tags : "[]");
                ask(work, service->create_content, content_created);
        }
        free(tags);
}

static bool ids_only(const json_t *list)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *id = json_string_value(json_array_get(list, i));

                if (!id || !http_id_valid(id))
                        return false;
        }
        return !list || json_is_array(list);
}

void post_content(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);

        if (!body)
                return;
        if (!id_of(body, "creatorId") || !json_string_length(json_object_get(body, "title")) ||
            !ids_only(json_object_get(body, "tags")))
                http_error(call, 400, "title and creatorId are needed, tags must be a list of tag ids");
        else if (json_object_get(body, "id") && !id_of(body, "id"))
                http_error(call, 400, "the id must be 1 to 128 visible ASCII characters");
        else
                content_start(arg, call, body);
        json_decref(body);
}
