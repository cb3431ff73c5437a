-- SPDX-License-Identifier: MIT
-- Deploy auth:indexes to pg. Each step may run again: see ../../index_build.sql.
\set ON_ERROR_STOP on
\ir ../../session.sql

\set index idx_user_username
\set on 'users (username)'
\set unique UNIQUE
\ir ../../index_build.sql

\set index idx_user_email
\set on 'users (email)'
\set unique UNIQUE
\ir ../../index_build.sql

\set index idx_role_permission_role_id
\set on 'role_permissions (role_id)'
\ir ../../index_build.sql

\set index idx_token_blacklist_user_id_created_at
\set on 'token_blacklist (user_id, created_at DESC)'
\ir ../../index_build.sql

-- Not in the document: who is warmed at the start.
\set index idx_user_created_at
\set on 'users (created_at DESC, id) WHERE is_active'
\ir ../../index_build.sql

ANALYZE role_permissions, token_blacklist, users;
