-- SPDX-License-Identifier: MIT
-- Deploy payment:unique to pg. Each step may run again: see ../../index_build.sql.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set step ../index_check.sql
\ir ../unique.sql
\set step ../index_build.sql
\ir ../unique.sql
