-- SPDX-License-Identifier: MIT
-- Deploy recommendation:feed to pg. What the change feed (FEED=on) needs: rows of the log that tell all columns that the rules use.
\set ON_ERROR_STOP on
\ir ../../session.sql
ALTER TABLE contents REPLICA IDENTITY FULL;
ALTER TABLE content_tags REPLICA IDENTITY FULL;
ALTER TABLE user_interests REPLICA IDENTITY FULL;
ALTER TABLE user_interactions REPLICA IDENTITY FULL;
