-- SPDX-License-Identifier: MIT
-- Revert recommendation:indexes from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql

\set index idx_user_interaction_content_id
\ir ../../index_drop.sql

\set index idx_content_creator_id
\ir ../../index_drop.sql

\set index idx_content_tag_link_tag_id_content_id
\ir ../../index_drop.sql

\set index idx_user_interest_user_id_tag_id
\ir ../../index_drop.sql

\set index idx_user_interaction_user_id_created_at
\ir ../../index_drop.sql

\set index idx_content_created_at
\ir ../../index_drop.sql

\set index idx_content_engagement_score
\ir ../../index_drop.sql
