-- SPDX-License-Identifier: MIT
-- Verify content-streaming:feed on pg.
\set ON_ERROR_STOP on
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('creators') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('videos') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('transcoding_jobs') AND relreplident = 'f' \gset
