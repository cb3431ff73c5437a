-- SPDX-License-Identifier: MIT
-- Refuses what index_build.sql could not do for :index, before anything is built: it is another index, another session builds it,
-- rows stand in the way.
\set ON_ERROR_STOP on
\ir index_look.sql
\if :another
\warn :index is another index: it is :found, wanted is :wanted; rename or drop it (DROP INDEX CONCURRENTLY :index), then run this again
DO $$ BEGIN RAISE EXCEPTION 'an index of that name is another one'; END $$;
\endif
\if :leftover
SELECT coalesce(string_agg(pid::text, ', '), '') AS builder, count(*) > 0 AS building
FROM pg_stat_progress_create_index AS build
-- Of another role's session it is told that it builds, and its locks, but not what.
WHERE index_relid = to_regclass(:'index')
   OR index_relid IS NULL AND EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = build.pid AND relation = to_regclass(:'of_table') AND granted
                                      AND mode = 'ShareUpdateExclusiveLock' AND datname = current_database()) \gset
\if :building
\warn :index is being built by process :builder; wait until it ended, or end it by pg_cancel_backend(), then run this again
DO $$ BEGIN RAISE EXCEPTION 'the index is being built by another session'; END $$;
\endif
\endif
SELECT :'unique' <> '' AND NOT :'there' AS may_be_refused \gset
\if :may_be_refused
:look_for_doubles \gset
\if :doubled
\warn :index cannot be built: rows of :of_table have the same :columns: :doubles; leave one of each, then run this again
DO $$ BEGIN RAISE EXCEPTION 'rows stand in the way of a unique index'; END $$;
\endif
\endif
\unset unique
