-- SPDX-License-Identifier: MIT
-- For ./run doctor: what the change feed lacks on a server, and how to get it. A line each, the last column says whether it can do
-- without.
WITH s AS (SELECT name, setting FROM pg_settings),
     me AS (SELECT rolname, rolreplication OR rolsuper AS may FROM pg_roles WHERE rolname = current_user)
SELECT 'wal_level is ' || setting || ': ALTER SYSTEM SET wal_level = ''logical'' and restart PostgreSQL', 'no'
    FROM s WHERE name = 'wal_level' AND setting <> 'logical'
UNION ALL SELECT format('the role "%1$s" may not replicate: ALTER ROLE "%1$s" REPLICATION', rolname), 'no' FROM me WHERE NOT may
UNION ALL SELECT format('%1$s is 0: ALTER SYSTEM SET %1$s = 10 and restart PostgreSQL', name), 'no'
    FROM s WHERE name IN ('max_wal_senders', 'max_replication_slots') AND setting = '0'
UNION ALL SELECT format('all %s replication slots are taken: drop one that nobody reads, or ALTER SYSTEM SET max_replication_slots = %s'
    ' and restart PostgreSQL', taken, taken + 10), CASE WHEN ours THEN 'yes' ELSE 'no' END
    FROM (SELECT count(*) AS taken, coalesce(bool_or(starts_with(slot_name::text, 'sugarperf_')), false) AS ours FROM pg_replication_slots) t
    WHERE taken > 0 AND taken >= current_setting('max_replication_slots')::int
UNION ALL SELECT format('slot "%s" (database %s) is read by nobody and keeps %s of the log: if it is no service''s any more, '
    'SELECT pg_drop_replication_slot(%L)', slot_name, database, pg_size_pretty(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()
    THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)), slot_name), 'yes'
    FROM pg_replication_slots WHERE NOT active AND plugin = 'pgoutput' AND starts_with(slot_name::text, 'sugarperf_')
UNION ALL SELECT format('prepared transaction %L (database %s, since %s) holds up every new slot: COMMIT PREPARED %1$L or ROLLBACK PREPARED'
    ' %1$L there', gid, database, date_trunc('second', prepared)), 'yes' FROM pg_prepared_xacts
UNION ALL SELECT 'the server is a standby: name the primary', 'no' WHERE pg_is_in_recovery()
UNION ALL SELECT 'the log that is kept while nobody reads has no bound: ALTER SYSTEM SET max_slot_wal_keep_size = ''10GB'' and '
    || 'SELECT pg_reload_conf()', 'yes' FROM s WHERE name = 'max_slot_wal_keep_size' AND setting = '-1';
