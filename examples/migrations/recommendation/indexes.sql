-- SPDX-License-Identifier: MIT
-- The indexes of recommendation, each with what is done to it: :step is ../index_check.sql, ../index_build.sql or ../index_verify.sql.

-- The order of recommendations is by score, then id, so that they are read off the index.
\set index idx_content_engagement_score
\set on 'contents (engagement_score DESC, id)'
\ir :step

\set index idx_content_created_at
\set on 'contents (created_at DESC)'
\ir :step

\set index idx_user_interaction_user_id_created_at
\set on 'user_interactions (user_id, created_at DESC)'
\ir :step

\set index idx_user_interest_user_id_tag_id
\set on 'user_interests (user_id, tag_id)'
\set unique UNIQUE
\ir :step

-- Not in the document: contents under a tag.
\set index idx_content_tag_link_tag_id_content_id
\set on 'content_tag_links (tag_id, content_id)'
\ir :step

-- Not in the document: the foreign key, when a user goes.
\set index idx_content_creator_id
\set on 'contents (creator_id)'
\ir :step

-- Not in the document: the foreign key, when a content goes.
\set index idx_user_interaction_content_id
\set on 'user_interactions (content_id)'
\ir :step
