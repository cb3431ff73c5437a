/* SPDX-License-Identifier: MIT */
/** The content-streaming service: videos, their renditions and who made them; transcoding jobs; playback. */
#ifndef CONTENT_STREAMING_STREAMING_H
#define CONTENT_STREAMING_STREAMING_H

#include "service.h"

struct streaming {
        struct service service;
        struct reading video, videos, jobs;
        struct writing create_video, change_video, create_job, change_job, play;
};

/* reads.c */
void reads_catalog(struct streaming *streaming);
void get_video(void *streaming, struct http_call *call, const char *id);
void get_videos(void *streaming, struct http_call *call, const char *id);
void get_jobs(void *streaming, struct http_call *call, const char *id);
/* writes.c */
void writes_catalog(struct streaming *streaming);
void post_video(void *streaming, struct http_call *call, const char *id);
void post_video_change(void *streaming, struct http_call *call, const char *id);
void post_job(void *streaming, struct http_call *call, const char *id);
void post_job_status(void *streaming, struct http_call *call, const char *id);
void post_playback(void *streaming, struct http_call *call, const char *id);

#endif
