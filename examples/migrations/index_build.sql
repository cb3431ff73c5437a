-- SPDX-License-Identifier: MIT
-- One step: builds :index on :on, where it is not there yet. Run again after whatever happened, it goes on from there.
--
--     \set index idx_video_creator_id
--     \set on 'videos (creator_id)'
--     \ir ../index_build.sql
--
-- CONCURRENTLY: reads and writes go on. It waits for the transactions that are older, which hinders nobody, so for long; what it
-- leaves when it is interrupted is an invalid index, which the next run takes away. An index of that name that is another one is
-- left as it is, and told; so are rows that a unique one would refuse. With -v plain=1 (a new database, tests): at once.
\set ON_ERROR_STOP on
\if :{?plain}
\else
\set plain 0
\endif
\ir index_look.sql
\if :another
\warn :index is another index: it is :found, wanted is :wanted; rename or drop it (DROP INDEX CONCURRENTLY :index), then run this again
DO $$ BEGIN RAISE EXCEPTION 'an index of that name is another one'; END $$;
\endif
\if :leftover
SELECT coalesce(string_agg(pid::text, ', '), '') AS builder, count(*) > 0 AS building
FROM pg_stat_progress_create_index WHERE index_relid = to_regclass(:'index') \gset
\if :building
\warn :index is being built by process :builder; wait until it ended, or end it by pg_cancel_backend(), then run this again
DO $$ BEGIN RAISE EXCEPTION 'the index is being built by another session'; END $$;
\endif
\echo :index is invalid, left by a build that was interrupted; it is dropped and built anew
SET lock_timeout = '10min';
DROP INDEX CONCURRENTLY :"index";
\endif
SELECT :'unique' <> '' AND NOT :'there' AS may_be_refused \gset
\if :may_be_refused
:look_for_doubles \gset
\if :doubled
\warn :index cannot be built: rows of :of_table have the same :columns: :doubles; leave one of each, then run this again
DO $$ BEGIN RAISE EXCEPTION 'rows stand in the way of a unique index'; END $$;
\endif
\endif
\if :there
\elif :plain
CREATE :unique INDEX :"index" ON :on;
\else
SET lock_timeout = '10min';
CREATE :unique INDEX CONCURRENTLY :"index" ON :on;
\endif
SET lock_timeout = '5s';
\unset unique
