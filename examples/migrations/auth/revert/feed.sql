-- SPDX-License-Identifier: MIT
-- Revert auth:feed from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set identity DEFAULT
\set table users
\ir ../../feed_table.sql
\set table roles
\ir ../../feed_table.sql
\set table role_permissions
\ir ../../feed_table.sql
\set table token_blacklist
\ir ../../feed_table.sql
