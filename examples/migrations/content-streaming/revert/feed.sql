-- SPDX-License-Identifier: MIT
-- Revert content-streaming:feed from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql
ALTER TABLE creators REPLICA IDENTITY DEFAULT;
ALTER TABLE videos REPLICA IDENTITY DEFAULT;
ALTER TABLE transcoding_jobs REPLICA IDENTITY DEFAULT;
