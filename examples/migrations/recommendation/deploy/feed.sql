-- SPDX-License-Identifier: MIT
-- Deploy recommendation:feed to pg. What the change feed (FEED=on) needs: rows of the log that tell all columns that the rules use.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set identity FULL
\set table contents
\ir ../../feed_table.sql
\set table content_tags
\ir ../../feed_table.sql
\set table user_interests
\ir ../../feed_table.sql
\set table user_interactions
\ir ../../feed_table.sql

-- A content without a score enters no list but those with a place for it, which the rules drop. One that has a score, and is given
-- a tag, may enter any list, and shows with it where it is: the transaction says so itself. A rule could only drop all lists with
-- each new content.
CREATE OR REPLACE FUNCTION content_tagged() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
        IF EXISTS (SELECT FROM added JOIN contents ON contents.id = added.content_id WHERE engagement_score > 0) THEN
                PERFORM pg_logical_emit_message(true, 'sugarperf', 'pattern rec:recommendations:*');
        END IF;
        RETURN NULL;
END
$$;
\set table content_tag_links
\set statement 'CREATE OR REPLACE TRIGGER content_tagged AFTER INSERT ON content_tag_links REFERENCING NEW TABLE AS added'
\set statement :statement ' FOR EACH STATEMENT EXECUTE FUNCTION content_tagged()'
\ir ../../lock_briefly.sql
