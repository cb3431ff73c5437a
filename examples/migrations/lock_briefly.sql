-- SPDX-License-Identifier: MIT
-- Runs :statement, which locks all others out of :table for a moment. Whoever comes while it waits for that lock queues up behind
-- it, readers too: so it waits 100 ms, lets them pass, and tries again, for the session's :patience.
\set ON_ERROR_STOP on
SELECT set_config('migration.statement', :'statement', false) AS set_1, set_config('migration.table', :'table', false) AS set_2 \gset
SET lock_timeout = '100ms';
DO $$
DECLARE
        give_up CONSTANT timestamptz := clock_timestamp() + current_setting('migration.patience')::interval;
        holders text;
BEGIN
        LOOP
                BEGIN
                        EXECUTE current_setting('migration.statement');
                        EXIT;
                EXCEPTION WHEN lock_not_available THEN
                        SELECT string_agg(DISTINCT coalesce('process ' || pid, 'a prepared transaction'), ', ') INTO holders
                        FROM pg_locks JOIN pg_database ON pg_database.oid = database AND datname = current_database()
                        WHERE granted AND relation = to_regclass(current_setting('migration.table'));
                END;
                COMMIT;
                IF clock_timestamp() >= give_up THEN
                        RAISE EXCEPTION '% was in use whenever it was tried, for %: by %; end it, then run this again',
                                current_setting('migration.table'), current_setting('migration.patience'), coalesce(holders, 'nobody now');
                END IF;
                PERFORM pg_sleep(.5);
        END LOOP;
END
$$;
SET lock_timeout = '5s';
