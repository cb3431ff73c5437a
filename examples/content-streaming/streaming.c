/* SPDX-License-Identifier: MIT */
/* The content-streaming service: its paths, the work that is due, the rules that say which rows stand behind which keys. */
#include "streaming.h"

/* A play drops nothing: no answer has the count. A new name of a creator shows with all of his videos, by their tag. */
static const char rules[] =
    "videos(id) when id, creator_id, title, duration_seconds, is_published, created_at -> content:video:{id}:full\n"
    "videos(creator_id) when id, creator_id, title, duration_seconds, is_published, created_at -> "
    "content:videos:{creator_id}:*\n"
    "transcoding_jobs(video_id) when id, video_id, profile, status, created_at -> content:jobs:{video_id}:*, "
    "content:video:{video_id}:full\n"
    "creators(id) on update, delete when name, is_verified -> tag content:creator:{id}\n";

static const struct http_route routes[] = {{"GET", "/content/{}", get_video},
                                           {"GET", "/creator/{}/videos", get_videos},
                                           {"GET", "/content/{}/jobs", get_jobs},
                                           {"POST", "/content", post_video},
                                           {"POST", "/content/{}", post_video_change},
                                           {"POST", "/jobs", post_job},
                                           {"POST", "/jobs/{}", post_job_status},
                                           {"POST", "/playback", post_playback},
                                           SERVICE_ROUTES};

int main(int argc, char **argv)
{
        static const char top[] = "SELECT id FROM videos WHERE is_published ORDER BY play_count DESC, id LIMIT 100";
        struct streaming streaming = {0};
        struct reading *const readings[] = {&streaming.video, &streaming.videos, &streaming.jobs, NULL};
        struct writing *const writings[] = {&streaming.create_video, &streaming.change_video, &streaming.create_job,
                                            &streaming.change_job,   &streaming.play,         NULL};
        const struct job jobs[] = {{"warm-videos", "start", "listTopVideos", top, &streaming.video, NULL},
                                   {"refresh-videos", "hourly", "listTopVideos", top, &streaming.video, NULL},
                                   {0}};
        const struct plan plan = {.name = "content-streaming",
                                  .what = "the content-streaming service; see ../service/README.md",
                                  .port = 3002,
                                  .routes = routes,
                                  .readings = readings,
                                  .writings = writings,
                                  .jobs = jobs,
                                  .rules = rules};

        reads_catalog(&streaming);
        writes_catalog(&streaming);
        return service_main(&streaming.service, &plan, argc, argv);
}
