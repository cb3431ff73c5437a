-- SPDX-License-Identifier: MIT
-- Deploy content-streaming:feed to pg. What the change feed (FEED=on) needs: rows of the log that tell all columns that the rules use.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set identity FULL
\set table creators
\ir ../../feed_table.sql
\set table videos
\ir ../../feed_table.sql
\set table transcoding_jobs
\ir ../../feed_table.sql
