-- SPDX-License-Identifier: MIT
-- Revert auth:indexes from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql

\set index idx_user_created_at
\ir ../../index_drop.sql

\set index idx_token_blacklist_user_id_created_at
\ir ../../index_drop.sql

\set index idx_role_permission_role_id
\ir ../../index_drop.sql

\set index idx_user_email
\ir ../../index_drop.sql

\set index idx_user_username
\ir ../../index_drop.sql
