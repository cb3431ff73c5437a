-- SPDX-License-Identifier: MIT
-- The indexes of content-streaming, each with what is done to it: :step is ../index_check.sql, ../index_build.sql or ../index_verify.sql.

-- The document has the first; with the others the newest are read off the index.
\set index idx_video_creator_id
\set on 'videos (creator_id, created_at DESC, id)'
\ir :step

\set index idx_transcoding_job_video_id_status
\set on 'transcoding_jobs (video_id, status)'
\ir :step

-- Not in the document: what is warmed at the start and each hour.
\set index idx_video_play_count
\set on 'videos (play_count DESC, id) WHERE is_published'
\ir :step

-- Not in the document: the foreign key, when a video goes.
\set index idx_playback_session_video_id
\set on 'playback_sessions (video_id)'
\ir :step
