-- SPDX-License-Identifier: MIT
-- Verify auth:feed on pg.
\set ON_ERROR_STOP on
\set table users
\ir ../../feed_verify.sql
\set table roles
\ir ../../feed_verify.sql
\set table role_permissions
\ir ../../feed_verify.sql
\set table token_blacklist
\ir ../../feed_verify.sql
