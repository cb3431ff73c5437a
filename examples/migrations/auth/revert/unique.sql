-- SPDX-License-Identifier: MIT
-- Revert auth:unique from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql

\set index idx_role_permission_role_id_permission_id
\ir ../../index_drop.sql
