-- SPDX-License-Identifier: MIT
-- Verify recommendation:indexes on pg.
\set ON_ERROR_STOP on

\set index idx_content_engagement_score
\set table contents
\ir ../../index_verify.sql

\set index idx_content_created_at
\set table contents
\ir ../../index_verify.sql

\set index idx_user_interaction_user_id_created_at
\set table user_interactions
\ir ../../index_verify.sql

\set index idx_user_interest_user_id_tag_id
\set table user_interests
\ir ../../index_verify.sql

\set index idx_content_tag_link_tag_id_content_id
\set table content_tag_links
\ir ../../index_verify.sql

\set index idx_content_creator_id
\set table contents
\ir ../../index_verify.sql

\set index idx_user_interaction_content_id
\set table user_interactions
\ir ../../index_verify.sql
