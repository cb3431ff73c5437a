-- SPDX-License-Identifier: MIT
-- Deploy auth:feed to pg. What the change feed (FEED=on) needs: rows of the log that tell all columns that the rules use.
\set ON_ERROR_STOP on
\ir ../../session.sql
ALTER TABLE users REPLICA IDENTITY FULL;
ALTER TABLE roles REPLICA IDENTITY FULL;
ALTER TABLE role_permissions REPLICA IDENTITY FULL;
ALTER TABLE token_blacklist REPLICA IDENTITY FULL;
