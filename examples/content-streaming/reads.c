/* SPDX-License-Identifier: MIT */
#include "streaming.h"

#include "read.h"

static const char *const statuses[] = {"queued", "running", "done", "failed", NULL};

/* $1 video. With its creator, whose tag the entry bears, and the renditions that can be played. */
static const char video_text[] =
    "SELECT row_to_json(video), 'content:creator:' || creator_id AS tag "
    "FROM (SELECT videos.id, title, creator_id, name AS creator, is_verified, duration_seconds, videos.created_at,"
    "  (SELECT coalesce(json_agg(profile ORDER BY profile), '[]') FROM transcoding_jobs"
    "   WHERE video_id = videos.id AND status = 'done') AS renditions"
    " FROM videos JOIN creators ON creators.id = creator_id WHERE videos.id = $1 AND is_published) AS video";

/* $1 creator, $2 how many. The newest first. */
static const char videos_text[] =
    "SELECT coalesce(json_agg(video ORDER BY created_at DESC, id), '[]')"
    "FROM (SELECT id, title, duration_seconds, created_at FROM videos WHERE creator_id = $1 AND is_published"
    " ORDER BY created_at DESC, id LIMIT $2::integer) AS video";

/* $1 video, $2 status. */
static const char jobs_text[] =
    "SELECT coalesce(json_agg(job ORDER BY profile, id), '[]')"
    "FROM (SELECT id, profile, status, created_at FROM transcoding_jobs WHERE video_id = $1 AND status = $2) AS job";

void reads_catalog(struct streaming *streaming)
{
        streaming->video = (struct reading){.name = "GET /content",
                                            .key = "content:video:{videoId}:full",
                                            .options = "ttl=24h size=2KB stale=10m",
                                            .query = "getVideo",
                                            .text = video_text,
                                            .absent = "there is no such content"};
        streaming->videos = (struct reading){.name = "GET /creator/videos",
                                             .key = "content:videos:{creatorId}:{limit}",
                                             .options = "ttl=1h size=3KB stale=10m",
                                             .patterns = {"content:videos:{creatorId}:*"},
                                             .query = "getVideosByCreator",
                                             .text = videos_text,
                                             .fallback = "[]"};
        streaming->jobs = (struct reading){.name = "GET /content/jobs",
                                           .key = "content:jobs:{videoId}:{status}",
                                           .options = "ttl=1h size=500B",
                                           .patterns = {"content:jobs:{videoId}:*"},
                                           .query = "getJobsByStatus",
                                           .text = jobs_text};
}

void get_video(void *arg, struct http_call *call, const char *id)
{
        struct streaming *streaming = arg;

        read_by_id(&streaming->service, call, &streaming->video, id);
}

void get_videos(void *arg, struct http_call *call, const char *id)
{
        struct streaming *streaming = arg;

        read_list(&streaming->service, call, &streaming->videos, id);
}

void get_jobs(void *arg, struct http_call *call, const char *id)
{
        struct streaming *streaming = arg;

        read_by_word(&streaming->service, call, &streaming->jobs, id, "status", statuses);
}
