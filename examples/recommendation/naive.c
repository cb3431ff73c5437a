/* SPDX-License-Identifier: MIT */
/*
 * The same endpoints as the source document found them: contents first, then the tags of each content in a statement of
 * its own; one save a content; nothing prepared, nothing cached, the default pool. The database has no indexes but keys.
 */
#include "http.h"
#include "naive_pool.h"
#include "options.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Runs one statement; NULL, and the reason on stderr, when it failed. */
static PGresult *run(PGconn *connection, const char *text, int count, const char *const *params)
{
        PGresult *result = PQexecParams(connection, text, count, NULL, params, NULL, NULL, 0);
        ExecStatusType status = PQresultStatus(result);

        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
                return result;
        fprintf(stderr, "naive: %s", PQerrorMessage(connection));
        PQclear(result);
        return NULL;
}

static void answer_json(struct http_call *call, unsigned status, json_t *json)
{
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

        json_decref(json);
        if (text)
                http_answer(call, status, NULL,
                            (struct http_body){.data = text, .len = strlen(text), .release = free, .owner = text});
        else
                http_error(call, 503, "the database did not answer");
}

/* The N of N+1: one statement for the tags of one content. NULL when it failed. */
static json_t *tags_of(PGconn *connection, const char *content)
{
        PGresult *result = run(connection,
                               "SELECT name FROM content_tags JOIN content_tag_links ON tag_id = content_tags.id"
                               " WHERE content_id = $1 ORDER BY name",
                               1, &content);
        json_t *tags = result ? json_array() : NULL;

        for (int i = 0; i < PQntuples(result); i++)
                json_array_append_new(tags, json_string(PQgetvalue(result, i, 0)));
        PQclear(result);
        return tags;
}

static json_t *cell(const PGresult *result, int row, int column)
{
        const char *text = PQgetvalue(result, row, column);

        switch (PQftype(result, column)) {
        case 23: /* integer */
                return json_integer(atoll(text));
        case 701: /* double precision */
                return json_real(strtod(text, NULL));
        default:
                return json_string(text);
        }
}

static json_t *content_row(PGconn *connection, const PGresult *result, int row)
{
        json_t *content = json_object(), *tags = tags_of(connection, PQgetvalue(result, row, 0));

        for (int i = 0; i < PQnfields(result); i++)
                json_object_set_new(content, PQfname(result, i), cell(result, row, i));
        if (tags && json_object_set_new(content, "tags", tags) == 0)
                return content;
        json_decref(content);
        return NULL;
}

/* "{tag-1,tag-2}"; to be freed. NULL when there is none, or the statement failed. */
static char *interests_of(PGconn *connection, const char *user)
{
        PGresult *result = run(connection, "SELECT array_agg(tag_id) FROM user_interests WHERE user_id = $1", 1, &user);
        char *tags = PQntuples(result) && !PQgetisnull(result, 0, 0) ? strdup(PQgetvalue(result, 0, 0)) : NULL;

        PQclear(result);
        return tags;
}

static json_t *recommend(PGconn *connection, const char *user, int limit)
{
        char *tags = interests_of(connection, user), most[16];
        const char *params[] = {most, tags};
        PGresult *result;
        json_t *list;

        snprintf(most, sizeof most, "%d", limit);
        result = run(connection,
                     tags ? "SELECT id, title, creator_id, engagement_score FROM contents WHERE id IN"
                            " (SELECT content_id FROM content_tag_links WHERE tag_id = ANY ($2))"
                            " ORDER BY engagement_score DESC, id LIMIT $1"
                          : "SELECT id, title, creator_id, engagement_score FROM contents"
                            " ORDER BY engagement_score DESC, id LIMIT $1",
                     tags ? 2 : 1, params);
        list = result ? json_array() : NULL;
        for (int i = 0; i < PQntuples(result); i++) {
                if (json_array_append_new(list, content_row(connection, result, i)) != 0) {
                        json_decref(list);
                        list = NULL;
                        break;
                }
        }
        PQclear(result);
        free(tags);
        return list;
}

static void get_recommendations(void *pool, struct http_call *call, const char *id)
{
        PGconn *connection;
        json_t *list;
        int limit;

        if (!http_number(call, "limit", 1, 100, 10, &limit)) {
                http_error(call, 400, "limit must be a number from 1 to 100");
                return;
        }
        connection = naive_pool_acquire(pool);
        list = recommend(connection, id, limit);
        naive_pool_release(pool, connection);
        answer_json(call, 200, list);
}

static void get_content(void *pool, struct http_call *call, const char *id)
{
        PGconn *connection = naive_pool_acquire(pool);
        PGresult *result =
            run(connection,
                "SELECT id, creator_id, title, description, view_count, like_count, share_count, created_at"
                " FROM contents WHERE id = $1",
                1, &id);
        json_t *content = PQntuples(result) ? content_row(connection, result, 0) : NULL;

        naive_pool_release(pool, connection);
        if (result && !PQntuples(result))
                http_error(call, 404, "there is no such content");
        else
                answer_json(call, 200, content);
        PQclear(result);
}

/* Three texts of the body; NULL and answered when one is missing. */
static json_t *body_parse(struct http_call *call, const char *const names[3], const char *params[3])
{
        size_t len;
        const char *text = http_content(call, &len);
        json_t *body = json_loadb(text, len, 0, NULL);

        for (int i = 0; i < 3; i++)
                params[i] = json_string_value(json_object_get(body, names[i]));
        if (params[0] && params[1] && params[2])
                return body;
        json_decref(body);
        http_error(call, 400, "a field of the body is missing");
        return NULL;
}

static void answer_id(struct http_call *call, const PGresult *result)
{
        answer_json(call, 201, PQntuples(result) ? json_pack("{s:s}", "id", PQgetvalue(result, 0, 0)) : NULL);
}

/* One save a tag. */
static void save_tags(PGconn *connection, const char *content, const json_t *tags)
{
        for (size_t i = 0; i < json_array_size(tags); i++) {
                const char *params[] = {content, json_string_value(json_array_get(tags, i))};

                PQclear(
                    run(connection, "INSERT INTO content_tag_links VALUES ($1, $2) ON CONFLICT DO NOTHING", 2, params));
        }
}

static void post_content(void *pool, struct http_call *call, const char *id)
{
        static const char *const names[] = {"creatorId", "title", "description"};
        const char *params[3];
        json_t *body = body_parse(call, names, params);
        PGconn *connection;
        PGresult *result;

        if (!body)
                return;
        connection = naive_pool_acquire(pool);
        result = run(connection,
                     "INSERT INTO contents (id, creator_id, title, description)"
                     " VALUES (gen_random_uuid()::text, $1, $2, $3) RETURNING id",
                     3, params);
        if (PQntuples(result))
                save_tags(connection, PQgetvalue(result, 0, 0), json_object_get(body, "tags"));
        naive_pool_release(pool, connection);
        answer_id(call, result);
        PQclear(result);
        json_decref(body);
}

static void post_interaction(void *pool, struct http_call *call, const char *id)
{
        static const char *const names[] = {"userId", "contentId", "type"};
        const char *params[3];
        json_t *body = body_parse(call, names, params);
        PGconn *connection;
        PGresult *result;

        if (!body)
                return;
        connection = naive_pool_acquire(pool);
        PQclear(
            run(connection,
                "UPDATE contents SET view_count = view_count + ($2 = 'view')::integer,"
                " like_count = like_count + ($2 = 'like')::integer, share_count = share_count + ($2 = 'share')::integer"
                " WHERE id = $1",
                2, &params[1]));
        result = run(connection,
                     "INSERT INTO user_interactions (user_id, content_id, type) VALUES ($1, $2, $3) RETURNING id", 3,
                     params);
        naive_pool_release(pool, connection);
        answer_id(call, result);
        PQclear(result);
        json_decref(body);
}

/* The document's formula, computed here, for a row of views, likes, shares and age in days. */
static double score_of(const PGresult *result, int row)
{
        double weighted = atof(PQgetvalue(result, row, 1)) + atof(PQgetvalue(result, row, 2)) * 5 +
                          atof(PQgetvalue(result, row, 3)) * 10;

        return weighted / (1 + pow(2, -atof(PQgetvalue(result, row, 4))));
}

static double now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* One save a content. */
static int save_each(PGconn *connection, const PGresult *contents)
{
        int saved = 0;

        for (int i = 0; i < PQntuples(contents); i++) {
                char score[32];
                const char *params[] = {score, PQgetvalue(contents, i, 0)};
                PGresult *result;

                snprintf(score, sizeof score, "%.17g", score_of(contents, i));
                result = run(connection, "UPDATE contents SET engagement_score = $1 WHERE id = $2", 2, params);
                saved += result != NULL;
                PQclear(result);
        }
        return saved;
}

static void post_scores(void *pool, struct http_call *call, const char *id)
{
        PGconn *connection;
        PGresult *contents;
        double started = now_ms();
        char most[16];
        const char *param = most;
        int limit, saved;

        if (!http_number(call, "limit", 1, 1000000000, 1000000000, &limit)) {
                http_error(call, 400, "limit must be a number of rows");
                return;
        }
        snprintf(most, sizeof most, "%d", limit);
        connection = naive_pool_acquire(pool);
        contents = run(connection,
                       "SELECT id, view_count, like_count, share_count, extract(epoch FROM now() - created_at) / 86400"
                       " FROM contents ORDER BY id LIMIT $1",
                       1, &param);
        saved = save_each(connection, contents);
        naive_pool_release(pool, connection);
        answer_json(call, 200,
                    contents ? json_pack("{s:i,s:i,s:f}", "rows", saved, "statements", saved + 1, "milliseconds",
                                         now_ms() - started)
                             : NULL);
        PQclear(contents);
}

static const struct http_route routes[] = {
    {"GET", "/recommendations/{}", get_recommendations},
    {"GET", "/content/{}", get_content},
    {"POST", "/content", post_content},
    {"POST", "/interactions", post_interaction},
    {"POST", "/admin/scores", post_scores},
    {NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
        int port = options_port(argc, argv, "the service as the source document found it, for ./run demo", 3001);
        const char *url = getenv("DATABASE_URL");
        struct naive_pool *pool = naive_pool_new(url ? url : "");
        struct http_options options = {.port = port, .routes = routes, .arg = pool};
        sigset_t signals;
        struct http *http;

        stop_prepare(&signals);
        http = pool ? http_start(&options) : NULL;
        if (http) {
                stop_wait(&signals, http_port(http));
                http_drain(http, options_drain_ms(argv[0]));
                http_stop(http);
        } else {
                fprintf(stderr, "naive: cannot listen on port %d: %s; --port 0 takes a free one\n", port,
                        strerror(errno));
        }
        naive_pool_free(pool);
        return http ? 0 : 1;
}
