-- SPDX-License-Identifier: MIT
-- What the log tells of a row of :table that changes: :identity, FULL (all of its columns) or DEFAULT (its key). Not where it is so already.
\set ON_ERROR_STOP on
SELECT relreplident = CASE :'identity' WHEN 'FULL' THEN 'f' ELSE 'd' END AS done FROM pg_class WHERE oid = :'table'::regclass \gset
\if :done
\else
\set statement 'ALTER TABLE ' :table ' REPLICA IDENTITY ' :identity
\ir lock_briefly.sql
\endif
