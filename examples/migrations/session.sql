-- SPDX-License-Identifier: MIT
-- What a migration's session begins with: what locks others out gives up rather than queue them behind it, and nothing is
-- left running when its client is gone. A build waits for every transaction that is older; those that are open for long are
-- told before, not found out. So are prepared ones, which no process holds: COMMIT PREPARED or ROLLBACK PREPARED ends one.
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
SELECT count(*) > 0 AS blocked, coalesce(string_agg(blocker, '; '), '') AS blockers
FROM (SELECT format('process %s (%s) since %s', pid, application_name, date_trunc('second', xact_start)) AS blocker
      FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - interval :'old'
        AND backend_type = 'client backend' AND query NOT ILIKE 'VACUUM%' AND query NOT ILIKE 'CREATE INDEX CONC%'
      UNION ALL SELECT format('a prepared transaction since %s: COMMIT PREPARED %2$L or ROLLBACK PREPARED %2$L', date_trunc('second', prepared), gid)
      FROM pg_prepared_xacts WHERE database = current_database() AND prepared < now() - interval :'old') AS blockers \gset
\if :plain
\elif :blocked
\warn transactions are open for more than :old, and a build would wait for them: :blockers
DO $$ BEGIN RAISE EXCEPTION 'old transactions are open: end them, then run this again'; END $$;
\endif
