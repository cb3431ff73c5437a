-- SPDX-License-Identifier: MIT
-- Verify recommendation:feed on pg.
\set ON_ERROR_STOP on
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('contents') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('content_tags') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('user_interests') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('user_interactions') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_trigger
WHERE tgrelid = to_regclass('content_tag_links') AND tgname = 'content_tagged' AND tgenabled IN ('O', 'A') \gset
