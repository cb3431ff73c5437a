-- SPDX-License-Identifier: MIT
-- Revert recommendation:feed from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql
DROP TRIGGER IF EXISTS content_tagged ON content_tag_links;
DROP FUNCTION IF EXISTS content_tagged();
ALTER TABLE contents REPLICA IDENTITY DEFAULT;
ALTER TABLE content_tags REPLICA IDENTITY DEFAULT;
ALTER TABLE user_interests REPLICA IDENTITY DEFAULT;
ALTER TABLE user_interactions REPLICA IDENTITY DEFAULT;
