-- SPDX-License-Identifier: MIT
-- Keeps, once, what ALTER SYSTEM had set of these before, for slow_log_reset.sql: as a setting of this database, which nobody reads.
\set ON_ERROR_STOP on
SELECT count(*) = 0 AS unsaved FROM pg_db_role_setting, unnest(setconfig) AS one WHERE one LIKE 'sugarperf.slow\_log=%' \gset
\if :unsaved
SELECT coalesce(jsonb_object_agg(name, setting), '{}') AS former FROM pg_file_settings
WHERE sourcefile LIKE '%/postgresql.auto.conf'
  AND name IN ('log_min_duration_statement', 'log_statement', 'log_duration', 'log_parameter_max_length', 'log_line_prefix', 'log_lock_waits') \gset
ALTER DATABASE :"DBNAME" SET sugarperf.slow_log = :'former';
\endif
