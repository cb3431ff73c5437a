-- SPDX-License-Identifier: MIT
-- The indexes of auth, each with what is done to it: :step is ../index_check.sql, ../index_build.sql or ../index_verify.sql.

\set index idx_user_username
\set on 'users (username)'
\set unique UNIQUE
\ir :step

\set index idx_user_email
\set on 'users (email)'
\set unique UNIQUE
\ir :step

\set index idx_role_permission_role_id
\set on 'role_permissions (role_id)'
\ir :step

\set index idx_token_blacklist_user_id_created_at
\set on 'token_blacklist (user_id, created_at DESC)'
\ir :step

-- Not in the document: who is warmed at the start.
\set index idx_user_created_at
\set on 'users (created_at DESC, id) WHERE is_active'
\ir :step
