-- SPDX-License-Identifier: MIT
-- Verify auth:indexes on pg.
\set ON_ERROR_STOP on

\set index idx_user_username
\set table users
\ir ../../index_verify.sql

\set index idx_user_email
\set table users
\ir ../../index_verify.sql

\set index idx_role_permission_role_id
\set table role_permissions
\ir ../../index_verify.sql

\set index idx_token_blacklist_user_id_created_at
\set table token_blacklist
\ir ../../index_verify.sql

\set index idx_user_created_at
\set table users
\ir ../../index_verify.sql
