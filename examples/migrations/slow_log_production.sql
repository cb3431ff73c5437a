-- SPDX-License-Identifier: MIT
-- The server's own slow log, as the source document has it: psql -f slow_log_production.sql, as superuser. No restart.
-- log_duration writes a line for each statement that ends: watch the size of the log, and see slow_log_reset.sql.
\set ON_ERROR_STOP on
\ir slow_log_save.sql
ALTER SYSTEM SET log_min_duration_statement = 100;
ALTER SYSTEM SET log_statement = 'mod';
ALTER SYSTEM SET log_duration = on;
-- What the library never does: literal values stand in the server's log. Parameters of ours are cut to nothing there.
ALTER SYSTEM SET log_parameter_max_length = 0;
ALTER SYSTEM SET log_line_prefix = '%m [%p] %a %d ';
SELECT pg_reload_conf() AS reloaded \gset
