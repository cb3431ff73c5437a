-- SPDX-License-Identifier: MIT
-- Back to what the server had: undoes slow_log_production.sql and slow_log_development.sql, from whichever database they were run.
-- What ALTER SYSTEM had set before is set again.
\set ON_ERROR_STOP on
SELECT format(CASE WHEN former ? name THEN 'ALTER SYSTEM SET %I = %L' ELSE 'ALTER SYSTEM RESET %I' END, name, former ->> name)
FROM (SELECT substr(one, strpos(one, '=') + 1)::jsonb AS former FROM pg_db_role_setting, unnest(setconfig) AS one
      WHERE one LIKE 'sugarperf.slow\_log=%' LIMIT 1) AS saved,
     unnest(ARRAY['log_min_duration_statement', 'log_statement', 'log_duration', 'log_parameter_max_length', 'log_line_prefix', 'log_lock_waits']) AS name \gexec
SELECT format('ALTER DATABASE %I RESET sugarperf.slow_log', datname)
FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) AS one
WHERE one LIKE 'sugarperf.slow\_log=%' \gexec
SELECT pg_reload_conf() AS reloaded \gset
