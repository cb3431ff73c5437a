-- SPDX-License-Identifier: MIT
-- Revert auth:feed from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql
ALTER TABLE users REPLICA IDENTITY DEFAULT;
ALTER TABLE roles REPLICA IDENTITY DEFAULT;
ALTER TABLE role_permissions REPLICA IDENTITY DEFAULT;
ALTER TABLE token_blacklist REPLICA IDENTITY DEFAULT;
