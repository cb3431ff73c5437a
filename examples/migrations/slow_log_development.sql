-- SPDX-License-Identifier: MIT
-- For a server of one's own: what is slow, with its parameters, and every lock that is waited for. The compose file has the first.
\set ON_ERROR_STOP on
\ir slow_log_save.sql
ALTER SYSTEM SET log_min_duration_statement = 100;
ALTER SYSTEM SET log_lock_waits = on;
ALTER SYSTEM SET log_parameter_max_length = -1;
SELECT pg_reload_conf() AS reloaded \gset
