-- SPDX-License-Identifier: MIT
-- Revert recommendation:feed from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set table content_tag_links
\set statement 'DROP TRIGGER IF EXISTS content_tagged ON content_tag_links'
\ir ../../lock_briefly.sql
DROP FUNCTION IF EXISTS content_tagged();
\set identity DEFAULT
\set table contents
\ir ../../feed_table.sql
\set table content_tags
\ir ../../feed_table.sql
\set table user_interests
\ir ../../feed_table.sql
\set table user_interactions
\ir ../../feed_table.sql
