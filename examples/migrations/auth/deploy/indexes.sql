-- SPDX-License-Identifier: MIT
-- Deploy auth:indexes to pg. Each step may run again: see ../../index_build.sql.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set step ../index_check.sql
\ir ../indexes.sql
\set step ../index_build.sql
\ir ../indexes.sql

ANALYZE role_permissions, token_blacklist, users;
