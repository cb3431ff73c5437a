-- SPDX-License-Identifier: MIT
-- What a migration's session begins with: what locks others out gives up rather than queue them behind it, and nothing is
-- left running when its client is gone. One at a time is at work in a database, and nothing is built while
-- a transaction is open for longer than :old. What waits for a moment's lock tries for :patience.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET lock_timeout = '5s';
SET statement_timeout = '2h';
SET client_connection_check_interval = '1s';
SET application_name = 'migration';
\if :{?old}
\else
\set old '1 minute'
\endif
\if :{?plain}
\else
\set plain 0
\endif
\if :{?patience}
\else
\set patience '1 minute'
\endif
SELECT set_config('migration.old', :'old', false) AS set_1, set_config('migration.patience', :'patience', false) AS set_2 \gset
\if :plain
\else
\ir session_alone.sql
\ir session_old.sql
\endif
