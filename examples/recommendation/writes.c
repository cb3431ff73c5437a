/* SPDX-License-Identifier: MIT */
/* What users and creators write: the body is checked, the skeleton's write.c does the rest. */
#include "recommendation.h"

#include "write.h"

#include <stdlib.h>

static const char *const types[] = {"view", "like", "share", NULL};

static void interaction_start(struct recommendation *service, struct http_call *call, const json_t *body)
{
        struct work *work = write_new(&service->service, call, &service->record_interaction);

        if (!work)
                return;
        write_column(work, "user_id", body_id(body, "userId"));
        write_column(work, "content_id", body_id(body, "contentId"));
        write_column(work, "type", body_text(body, "type"));
        write_run(work);
}

void post_interaction(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);

        if (!body)
                return;
        if (!body_id(body, "userId") || !body_id(body, "contentId") || !word_of(body_text(body, "type"), types))
                http_error(call, 400, "userId, contentId and type (view, like or share) are needed");
        else
                interaction_start(arg, call, body);
        json_decref(body);
}

static void content_start(struct recommendation *service, struct http_call *call, const json_t *body)
{
        struct work *work = write_new(&service->service, call, &service->create_content);
        const char *description = body_text(body, "description");
        char *tags = body_has(body, "tags") ? json_dumps(json_object_get(body, "tags"), 0) : NULL, made[ID_SIZE];

        if (work) {
                id_make(made);
                write_column(work, "id", body_id(body, "id") ? body_id(body, "id") : made);
                write_column(work, "creator_id", body_id(body, "creatorId"));
                write_column(work, "title", body_text(body, "title"));
                work_param(work, description ? description : "");
                work_param(work, tags ? tags : "[]");
                write_run(work);
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
        return !list || json_is_null(list) || json_is_array(list);
}

void post_content(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);

        if (!body)
                return;
        if (!body_id(body, "creatorId") || !body_text(body, "title") || !ids_only(json_object_get(body, "tags")))
                http_error(call, 400, "title and creatorId are needed, tags must be a list of tag ids");
        else if (body_may(call, body, "id", BODY_ID) && body_may(call, body, "description", BODY_ANY_TEXT))
                content_start(arg, call, body);
        json_decref(body);
}

static void change_start(struct recommendation *service, struct http_call *call, const char *id, const json_t *body)
{
        struct work *work = write_new(&service->service, call, &service->change_content);

        if (!work)
                return;
        write_column(work, "id", id);
        write_change(work, "title", body_text(body, "title"));
        write_change(work, "description", json_string_value(json_object_get(body, "description")));
        write_run(work);
}

/* The document's onContentUpdated. */
void post_content_change(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);

        if (!body)
                return;
        if (!body_may(call, body, "title", BODY_TEXT) || !body_may(call, body, "description", BODY_ANY_TEXT)) {
                /* It is answered: a change that is not understood must not look as if it was made. */
        } else if (!body_text(body, "title") && !json_is_string(json_object_get(body, "description"))) {
                http_error(call, 400, "title or description is needed");
        } else {
                change_start(arg, call, id, body);
        }
        json_decref(body);
}
