-- SPDX-License-Identifier: MIT
-- A build waits for every transaction that is older. Those that are open for longer than :old are told before anything is built, not
-- found out; so are prepared ones, which no process holds: COMMIT PREPARED or ROLLBACK PREPARED ends one.
SELECT count(*) > 0 AS blocked, coalesce(string_agg(blocker, '; '), '') AS blockers
FROM (SELECT format('process %s (%s) since %s', pid, application_name, date_trunc('second', xact_start)) AS blocker
      FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - interval :'old'
        AND backend_type = 'client backend' AND query NOT ILIKE 'VACUUM%' AND query NOT ILIKE 'CREATE INDEX CONC%'
      UNION ALL SELECT format('a prepared transaction since %s: COMMIT PREPARED %2$L or ROLLBACK PREPARED %2$L', date_trunc('second', prepared), gid)
      FROM pg_prepared_xacts WHERE database = current_database() AND prepared < now() - interval :'old') AS blockers \gset
\if :blocked
\warn transactions are open for more than :old, and a build would wait for them: :blockers
DO $$ BEGIN RAISE EXCEPTION 'old transactions are open: end them, then run this again'; END $$;
\endif
-- Of another role's sessions one without pg_read_all_stats is told no times, but which transactions are open: those are looked at
-- again, until none of them is left, or they are that old.
DO $$
DECLARE
        give_up CONSTANT timestamptz := clock_timestamp() + current_setting('migration.old')::interval;
        seen text[];
        blockers text;
BEGIN
        LOOP
                SELECT array_agg(virtualtransaction), string_agg(format('process %s (%s) of %s', pid, application_name, usename), '; ')
                INTO seen, blockers FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock' AND granted AND datname = current_database()
                  AND usename IS NOT NULL AND backend_type IS NULL AND (seen IS NULL OR virtualtransaction = ANY (seen))
                  AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum UNION ALL SELECT pid FROM pg_stat_progress_create_index
                                  UNION ALL SELECT pid FROM pg_stat_replication);
                EXIT WHEN seen IS NULL;
                COMMIT;
                IF clock_timestamp() >= give_up THEN
                        RAISE EXCEPTION 'transactions are open for more than %, and a build would wait for them: %', current_setting('migration.old'), blockers
                        USING HINT = format('End them, then run this again. After GRANT pg_read_all_stats TO %I their times are seen.', current_user);
                END IF;
                PERFORM pg_sleep(.1);
        END LOOP;
END
$$;
