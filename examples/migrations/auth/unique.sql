-- SPDX-License-Identifier: MIT
-- What there may be only once in auth, as indexes.sql: a role has a permission once.

\set index idx_role_permission_role_id_permission_id
\set on 'role_permissions (role_id, permission_id)'
\set unique UNIQUE
\ir :step
