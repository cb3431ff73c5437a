-- SPDX-License-Identifier: MIT
-- Verify recommendation:feed on pg.
\set ON_ERROR_STOP on
\set table contents
\ir ../../feed_verify.sql
\set table content_tags
\ir ../../feed_verify.sql
\set table user_interests
\ir ../../feed_verify.sql
\set table user_interactions
\ir ../../feed_verify.sql
SELECT count(*) = 0 AS wrong FROM pg_trigger
WHERE tgrelid = to_regclass('content_tag_links') AND tgname = 'content_tagged' AND tgenabled IN ('O', 'A') \gset
\if :wrong
\warn the trigger content_tagged of content_tag_links is missing, or not enabled: deploy feed
DO $$ BEGIN RAISE EXCEPTION 'the change feed would not be told of a new tag'; END $$;
\endif
