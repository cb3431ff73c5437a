-- SPDX-License-Identifier: MIT
-- The migration's indexes at once, for a new database. In production: ../migrations/README.md.
\set plain 1
\ir ../migrations/recommendation/deploy/indexes.sql
ANALYZE;
