-- SPDX-License-Identifier: MIT
-- Revert content-streaming:feed from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set identity DEFAULT
\set table creators
\ir ../../feed_table.sql
\set table videos
\ir ../../feed_table.sql
\set table transcoding_jobs
\ir ../../feed_table.sql
