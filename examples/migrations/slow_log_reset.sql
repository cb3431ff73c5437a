-- SPDX-License-Identifier: MIT
-- Back to what the server had: undoes slow_log_production.sql and slow_log_development.sql.
\set ON_ERROR_STOP on
ALTER SYSTEM RESET log_min_duration_statement;
ALTER SYSTEM RESET log_statement;
ALTER SYSTEM RESET log_duration;
ALTER SYSTEM RESET log_parameter_max_length;
ALTER SYSTEM RESET log_line_prefix;
ALTER SYSTEM RESET log_lock_waits;
SELECT pg_reload_conf() AS reloaded \gset
