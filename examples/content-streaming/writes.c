/* SPDX-License-Identifier: MIT */
#include "streaming.h"

#include "write.h"

#include <stdio.h>

static const char *const profiles[] = {"360p", "720p", "1080p", "2160p", NULL};
static const char *const statuses[] = {"queued", "running", "done", "failed", NULL};

/* $1 id, $2 creator, $3 title, $4 seconds. */
static const char create_text[] = "INSERT INTO videos (id, creator_id, title, duration_seconds)"
                                  " VALUES ($1, $2, $3, $4::integer) RETURNING json_build_object('id', id)";

/* $1 video, $2 its creator, $3 title, $4 published; NULL leaves one as it is. */
static const char change_text[] =
    "UPDATE videos SET title = coalesce($3, title), is_published = coalesce($4::boolean, is_published)"
    " WHERE id = $1 AND creator_id = $2 RETURNING json_build_object('id', id)";

/* $1 id, $2 video, $3 profile. */
static const char job_text[] = "INSERT INTO transcoding_jobs (id, video_id, profile) VALUES ($1, $2, $3) "
                               "RETURNING json_build_object('id', id, 'status', status)";

/* $1 job, $2 its video, $3 status. */
static const char job_status_text[] = "UPDATE transcoding_jobs SET status = $3 WHERE id = $1 AND video_id = $2 "
                                      "RETURNING json_build_object('id', id, 'status', status)";

/* $1 id, $2 video, $3 user, $4 seconds. */
static const char play_text[] =
    "WITH counted AS (UPDATE videos SET play_count = play_count + 1 WHERE id = $2 AND is_published RETURNING id) "
    "INSERT INTO playback_sessions (id, video_id, user_id, seconds) SELECT $1, id, $3, $4::integer FROM counted "
    "RETURNING json_build_object('id', id)";

void writes_catalog(struct streaming *streaming)
{
        streaming->create_video = (struct writing){
            .name = "POST /content",
            .query = "createVideo",
            .text = create_text,
            .table = "videos",
            .change = SP_ROW_INSERT,
            .refusals = {{"23503", 404, "there is no such creator"}, {"23505", 409, "there is a content with this id"}},
            .status = 201};
        streaming->change_video = (struct writing){.name = "POST /content/{id}",
                                                   .query = "changeVideo",
                                                   .text = change_text,
                                                   .table = "videos",
                                                   .change = SP_ROW_UPDATE,
                                                   .absent = "this creator has no such content",
                                                   .status = 200};
        streaming->create_job = (struct writing){.name = "POST /jobs",
                                                 .query = "createJob",
                                                 .text = job_text,
                                                 .table = "transcoding_jobs",
                                                 .change = SP_ROW_INSERT,
                                                 .refusals = {{"23503", 404, "there is no such content"}},
                                                 .status = 201};
        streaming->change_job = (struct writing){.name = "POST /jobs/{id}",
                                                 .query = "changeJob",
                                                 .text = job_status_text,
                                                 .table = "transcoding_jobs",
                                                 .change = SP_ROW_UPDATE,
                                                 .absent = "this content has no such job",
                                                 .status = 200};
        streaming->play = (struct writing){.name = "POST /playback",
                                           .query = "recordPlayback",
                                           .text = play_text,
                                           .table = "playback_sessions",
                                           .change = SP_ROW_INSERT,
                                           .absent = "there is no such content",
                                           .status = 201};
}

static bool seconds_of(const json_t *body, const char *name, json_int_t low, char out[16])
{
        const json_t *value = json_object_get(body, name);
        json_int_t seconds = json_integer_value(value);

        snprintf(out, 16, "%d", (int)seconds);
        return json_is_integer(value) && seconds >= low && seconds <= 86400;
}

static void video_start(struct streaming *streaming, struct http_call *call, const json_t *body, const char *seconds)
{
        struct work *work = write_new(&streaming->service, call, &streaming->create_video);
        char made[ID_SIZE];

        if (!work)
                return;
        id_make(made);
        write_column(work, "id", body_id(body, "id") ? body_id(body, "id") : made);
        write_column(work, "creator_id", body_id(body, "creatorId"));
        write_column(work, "title", body_text(body, "title"));
        write_column(work, "duration_seconds", seconds);
        write_run(work);
}

void post_video(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);
        char seconds[16];

        if (!body)
                return;
        if (!body_id(body, "creatorId") || !body_text(body, "title") || !seconds_of(body, "seconds", 1, seconds))
                http_error(call, 400, "creatorId, title and seconds, from 1 to 86400, are needed");
        else if (body_may(call, body, "id", BODY_ID))
                video_start(arg, call, body, seconds);
        json_decref(body);
}

static void change_start(struct streaming *streaming, struct http_call *call, const char *id, const json_t *body)
{
        struct work *work = write_new(&streaming->service, call, &streaming->change_video);

        if (!work)
                return;
        write_column(work, "id", id);
        write_column(work, "creator_id", body_id(body, "creatorId"));
        write_change(work, "title", body_text(body, "title"));
        write_change(work, "is_published", body_flag(body, "published"));
        write_run(work);
}

void post_video_change(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);

        if (!body)
                return;
        if (!body_may(call, body, "title", BODY_TEXT) || !body_may(call, body, "published", BODY_FLAG)) {
                /* It is answered: a change that is not understood must not look as if it was made. */
        } else if (!body_id(body, "creatorId") || (!body_text(body, "title") && !body_flag(body, "published"))) {
                http_error(call, 400, "creatorId, and title or published (true or false), are needed");
        } else {
                change_start(arg, call, id, body);
        }
        json_decref(body);
}

void post_job(void *arg, struct http_call *call, const char *id)
{
        struct streaming *streaming = arg;
        json_t *body = body_parse(call);
        struct work *work;
        char made[ID_SIZE];

        if (!body)
                return;
        if (!body_id(body, "videoId") || !word_of(body_text(body, "profile"), profiles)) {
                http_error(call, 400, "videoId and profile (360p, 720p, 1080p or 2160p) are needed");
        } else if ((work = write_new(&streaming->service, call, &streaming->create_job))) {
                id_make(made);
                write_column(work, "id", made);
                write_column(work, "video_id", body_id(body, "videoId"));
                write_column(work, "profile", body_text(body, "profile"));
                write_run(work);
        }
        json_decref(body);
}

void post_job_status(void *arg, struct http_call *call, const char *id)
{
        struct streaming *streaming = arg;
        json_t *body = body_parse(call);
        struct work *work;

        if (!body)
                return;
        if (!body_id(body, "videoId") || !word_of(body_text(body, "status"), statuses)) {
                http_error(call, 400, "videoId and status (queued, running, done or failed) are needed");
        } else if ((work = write_new(&streaming->service, call, &streaming->change_job))) {
                write_column(work, "id", id);
                write_column(work, "video_id", body_id(body, "videoId"));
                write_change(work, "status", body_text(body, "status"));
                write_run(work);
        }
        json_decref(body);
}

void post_playback(void *arg, struct http_call *call, const char *id)
{
        struct streaming *streaming = arg;
        json_t *body = body_parse(call);
        struct work *work;
        char made[ID_SIZE], seconds[16];

        if (!body)
                return;
        if (!body_id(body, "videoId") || !body_id(body, "userId") || !seconds_of(body, "seconds", 0, seconds)) {
                http_error(call, 400, "videoId, userId and seconds, up to 86400, are needed");
        } else if ((work = write_new(&streaming->service, call, &streaming->play))) {
                id_make(made);
                write_column(work, "id", made);
                write_column(work, "video_id", body_id(body, "videoId"));
                write_column(work, "user_id", body_id(body, "userId"));
                work_param(work, seconds);
                write_run(work);
        }
        json_decref(body);
}
