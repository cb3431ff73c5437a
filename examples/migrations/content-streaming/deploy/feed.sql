-- SPDX-License-Identifier: MIT
-- Deploy content-streaming:feed to pg. What the change feed (FEED=on) needs: rows of the log that tell all columns that the rules use.
\set ON_ERROR_STOP on
\ir ../../session.sql
ALTER TABLE creators REPLICA IDENTITY FULL;
ALTER TABLE videos REPLICA IDENTITY FULL;
ALTER TABLE transcoding_jobs REPLICA IDENTITY FULL;
