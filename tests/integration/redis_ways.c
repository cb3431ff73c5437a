/* SPDX-License-Identifier: MIT */
#include "redis_ways.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sp_status command_async(sp_redis *redis, sp_ctx *ctx, const sp_params *words, sp_reply **out, sp_error **error)
{
        sp_queue *queue = NULL;
        sp_completion *done;
        sp_status status;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        status = sp_redis_command_async(redis, ctx, words, queue, 42);
        if (status != SP_OK) {
                sp_queue_free(queue);
                return status;
        }
        done = queue_completion(queue);
        status = sp_completion_status(done);
        if (status == SP_OK)
                *out = sp_completion_take_reply(done);
        else if (error)
                *error = sp__error_copy(sp_completion_error(done));
        sp_completion_free(done);
        sp_queue_free(queue);
        return status;
}

const struct redis_way redis_ways[2] = {{"blocking", sp_redis_command}, {"queue", command_async}};

sp_redis *redis_to(const char *url, const char *const settings[])
{
        sp_config *config = sp_config_new();
        sp_redis *redis = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_config_set(config, "redis.url", url, NULL), SP_OK);
        for (size_t i = 0; settings && settings[i]; i++) {
                size_t len = strcspn(settings[i], "=");
                char name[64];

                snprintf(name, sizeof name, "%.*s", (int)len, settings[i]);
                assert_int_equal(sp_config_set(config, name, settings[i] + len + 1, NULL), SP_OK);
        }
        if (sp_redis_new(config, &redis, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_config_free(config);
        return redis;
}

sp_params *words_of(const char *text)
{
        sp_params *words = sp_params_new();

        while (*text) {
                size_t len = strcspn(text, " ");

                assert_int_equal(sp_params_add_text(words, text, len), SP_OK);
                text += len + (text[len] == ' ');
        }
        return words;
}

sp_status tell(const struct redis_way *way, sp_redis *redis, const char *text, sp_reply **reply, sp_error **error)
{
        sp_params *words = words_of(text);
        sp_status status = way->command(redis, NULL, words, reply, error);

        sp_params_free(words);
        return status;
}

static char *text_of_reply(const sp_reply *reply)
{
        char *text = NULL;
        int64_t number;
        size_t len;

        if (sp_reply_kind(reply) == SP_REPLY_NIL)
                return strdup("");
        if (sp_reply_data(reply, &len))
                return strdup(sp_reply_data(reply, &len));
        assert_int_equal(sp_reply_int(reply, &number), SP_OK);
        assert_true(asprintf(&text, "%lld", (long long)number) > 0);
        return text;
}

char *says_reply(const struct redis_way *way, sp_redis *redis, const char *text)
{
        sp_reply *reply = NULL;
        sp_error *error = NULL;
        char *said;

        if (tell(way, redis, text, &reply, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        said = text_of_reply(reply);
        sp_reply_free(reply);
        return said;
}

void answers(const struct redis_way *way, sp_redis *redis, const char *text, const char *expected)
{
        char *said = says_reply(way, redis, text);

        assert_string_equal(said, expected);
        free(said);
}

sp_error *refuses(const struct redis_way *way, sp_redis *redis, const char *text, sp_status status)
{
        sp_reply *reply = NULL;
        sp_error *error = NULL;
        sp_status got = tell(way, redis, text, &reply, &error);

        if (got != status)
                fail_msg("%s: %s, not %s: %s", text, sp_status_name(got), sp_status_name(status),
                         sp_error_message(error));
        assert_null(reply);
        return error;
}
