-- SPDX-License-Identifier: MIT
-- One step back: drops :index, where it is there. One that a constraint needs stays: no migration makes such.
\set ON_ERROR_STOP on
SET lock_timeout = '10min';
SELECT count(*) > 0 AS needed, string_agg(format('%I of %s', conname, conrelid::regclass), ', ') AS needed_by
FROM pg_constraint WHERE conindid = to_regclass(:'index') \gset
\if :needed
\warn :index stays: the constraint :needed_by needs it; ALTER TABLE … DROP CONSTRAINT … takes both away
\else
DROP INDEX CONCURRENTLY IF EXISTS :"index";
\endif
