-- SPDX-License-Identifier: MIT
-- Fails unless the log tells all columns of a row of :table that changes.
\set ON_ERROR_STOP on
SELECT count(*) = 0 AS wrong FROM pg_class WHERE oid = to_regclass(:'table') AND relreplident = 'f' \gset
\if :wrong
\warn :table is not there, or has another REPLICA IDENTITY than FULL: deploy feed
DO $$ BEGIN RAISE EXCEPTION 'the change feed would not be told all columns of a table'; END $$;
\endif
