-- SPDX-License-Identifier: MIT
-- Verify payment:indexes on pg.
\set ON_ERROR_STOP on
\set step ../index_verify.sql
\ir ../indexes.sql
