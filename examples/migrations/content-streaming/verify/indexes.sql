-- SPDX-License-Identifier: MIT
-- Verify content-streaming:indexes on pg.
\set ON_ERROR_STOP on

\set index idx_video_creator_id
\set table videos
\ir ../../index_verify.sql

\set index idx_transcoding_job_video_id_status
\set table transcoding_jobs
\ir ../../index_verify.sql

\set index idx_video_play_count
\set table videos
\ir ../../index_verify.sql

\set index idx_playback_session_video_id
\set table playback_sessions
\ir ../../index_verify.sql
