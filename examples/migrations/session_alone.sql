-- SPDX-License-Identifier: MIT
-- One migration at a time is at work in a database: two would wait for each other's builds, and one be ended as a deadlock. One that
-- has just ended, the change before this one, may hold its lock a moment longer.
DO $$
DECLARE
        give_up CONSTANT timestamptz := clock_timestamp() + least(current_setting('migration.patience')::interval, '2 seconds');
        holder text;
BEGIN
        LOOP
                IF pg_try_advisory_lock(hashtext('sugarperf'), hashtext('migration')) THEN
                        RETURN;
                END IF;
                SELECT string_agg('process ' || pid, ', ') INTO holder
                FROM pg_locks JOIN pg_database ON pg_database.oid = database AND datname = current_database()
                WHERE locktype = 'advisory' AND granted AND objsubid = 2
                  AND (classid, objid) = (hashtext('sugarperf')::bit(32)::bigint::oid, hashtext('migration')::bit(32)::bigint::oid);
                COMMIT;
                IF clock_timestamp() >= give_up THEN
                        RAISE EXCEPTION 'another migration is at work in this database, %: wait until it ended, or end it by pg_cancel_backend(), '
                                'then run this again', coalesce(holder, 'which just ended');
                END IF;
                PERFORM pg_sleep(.1);
        END LOOP;
END
$$;
