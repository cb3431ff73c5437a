-- SPDX-License-Identifier: MIT
-- What there is of :index, which is to be :unique :on: it is :there; or a :leftover, invalid; or :another one than :wanted, with
-- that name. The same index on an empty table says how PostgreSQL writes what is wanted; storage parameters are the operator's.
\if :{?unique}
\else
\set unique ''
\endif
SELECT NOT has_database_privilege(current_database(), 'TEMPORARY') AS refused, current_user AS role \gset
\if :refused
\warn :role may make no temporary table, which is how an index is looked at: GRANT TEMPORARY ON DATABASE :DBNAME TO :role, then run this again
DO $$ BEGIN RAISE EXCEPTION 'the privilege TEMPORARY is missing'; END $$;
\endif
SELECT split_part(:'on', ' ', 1) AS of_table, substr(:'on', strpos(:'on', ' ')) AS shape \gset
BEGIN;
CREATE TEMPORARY TABLE wanted_table (LIKE :of_table);
CREATE :unique INDEX wanted_index ON wanted_table :shape;
WITH both_of_them AS (
        SELECT indexrelid = 'wanted_index'::regclass AS made_here, indisvalid AND indisready AS good,
               format('%s%s %s', CASE WHEN indisunique THEN 'UNIQUE ' END,
                      CASE WHEN indexrelid = 'wanted_index'::regclass THEN to_regclass(:'of_table') ELSE indrelid::regclass END,
                      regexp_replace(substring(pg_get_indexdef(indexrelid) FROM ' USING (.*)'), ' WITH \([^()]*\)', '')) AS text
        FROM pg_index WHERE indexrelid IN (to_regclass(:'index'), 'wanted_index'::regclass)
)
SELECT wanted.text AS wanted, coalesce(found.text, '') AS found, coalesce(NOT found.good, false) AS leftover,
       coalesce(found.good AND found.text = wanted.text, false) AS there, coalesce(found.good AND found.text <> wanted.text, false) AS another
FROM both_of_them AS wanted LEFT JOIN both_of_them AS found ON NOT found.made_here WHERE wanted.made_here \gset
-- For index_build.sql: how to find rows that a unique index would refuse; it tells their primary keys, ten groups of them.
SELECT format('SELECT count(*) > 0 AS doubled, coalesce(string_agg(rows, ''; '' ORDER BY number) FILTER (WHERE number <= 10), '''')'
              ' || CASE WHEN count(*) > 10 THEN format(''; and %%s more'', count(*) - 10) ELSE '''' END AS doubles'
              ' FROM (SELECT string_agg(%1$s, '', '' ORDER BY %1$s) AS rows, row_number() OVER (ORDER BY min(%1$s)) AS number'
              ' FROM %2$s WHERE (%3$s) IS NOT NULL AND %4$s GROUP BY %3$s HAVING count(*) > 1) AS same',
              coalesce((SELECT format('concat_ws(''/'', %s)', string_agg(quote_ident(attname), ', ' ORDER BY attnum))
                        FROM pg_index AS key JOIN pg_attribute ON attrelid = key.indrelid AND attnum = ANY (key.indkey)
                        WHERE key.indrelid = to_regclass(:'of_table') AND key.indisprimary), 'ctid::text'),
              :'of_table', columns, coalesce(pg_get_expr(indpred, indrelid), 'true')) AS look_for_doubles, columns
FROM pg_index, LATERAL (SELECT string_agg(pg_get_indexdef(indexrelid, number, false), ', ' ORDER BY number) AS columns
                        FROM generate_series(1, indnkeyatts) AS number) AS keys
WHERE indexrelid = 'wanted_index'::regclass \gset
ROLLBACK;
