-- SPDX-License-Identifier: MIT
-- Revert content-streaming:indexes from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql

\set index idx_playback_session_video_id
\ir ../../index_drop.sql

\set index idx_video_play_count
\ir ../../index_drop.sql

\set index idx_transcoding_job_video_id_status
\ir ../../index_drop.sql

\set index idx_video_creator_id
\ir ../../index_drop.sql
