-- SPDX-License-Identifier: MIT
-- Verify content-streaming:feed on pg.
\set ON_ERROR_STOP on
\set table creators
\ir ../../feed_verify.sql
\set table videos
\ir ../../feed_verify.sql
\set table transcoding_jobs
\ir ../../feed_verify.sql
