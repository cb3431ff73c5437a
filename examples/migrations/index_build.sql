-- SPDX-License-Identifier: MIT
-- One step: builds :index on :on, where it is not there yet. Run again after whatever happened, it goes on from there.
--
--     \set index idx_video_creator_id
--     \set on 'videos (creator_id)'
--     \ir ../index_build.sql
--
-- CONCURRENTLY: reads and writes go on. It waits for the transactions that are older, which hinders nobody, so for long; what it
-- leaves when it is interrupted is an invalid index, which the next run takes away. index_check.sql comes before, for all of a
-- change. With -v plain=1 (a new database, tests): at once.
\set ON_ERROR_STOP on
\if :{?plain}
\else
\set plain 0
\endif
\ir index_look.sql
\if :leftover
\echo :index is invalid, left by a build that was interrupted; it is dropped and built anew
SET lock_timeout = '10min';
DROP INDEX CONCURRENTLY :"index";
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
