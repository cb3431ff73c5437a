-- SPDX-License-Identifier: MIT
-- Deploy recommendation:indexes to pg. Each step may run again: see ../../index_build.sql.
\set ON_ERROR_STOP on
\ir ../../session.sql

-- The order of recommendations is by score, then id, so that they are read off the index.
\set index idx_content_engagement_score
\set on 'contents (engagement_score DESC, id)'
\ir ../../index_build.sql

\set index idx_content_created_at
\set on 'contents (created_at DESC)'
\ir ../../index_build.sql

\set index idx_user_interaction_user_id_created_at
\set on 'user_interactions (user_id, created_at DESC)'
\ir ../../index_build.sql

\set index idx_user_interest_user_id_tag_id
\set on 'user_interests (user_id, tag_id)'
\set unique UNIQUE
\ir ../../index_build.sql

-- Not in the document: contents under a tag.
\set index idx_content_tag_link_tag_id_content_id
\set on 'content_tag_links (tag_id, content_id)'
\ir ../../index_build.sql

-- Not in the document: the foreign key, when a user goes.
\set index idx_content_creator_id
\set on 'contents (creator_id)'
\ir ../../index_build.sql

-- Not in the document: the foreign key, when a content goes.
\set index idx_user_interaction_content_id
\set on 'user_interactions (content_id)'
\ir ../../index_build.sql

ANALYZE content_tag_links, contents, user_interactions, user_interests;
