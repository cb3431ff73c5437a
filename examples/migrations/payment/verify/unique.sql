-- SPDX-License-Identifier: MIT
-- Verify payment:unique on pg.
\set ON_ERROR_STOP on
\set step ../index_verify.sql
\ir ../unique.sql
