-- SPDX-License-Identifier: MIT
-- Verify auth:feed on pg.
\set ON_ERROR_STOP on
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('users') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('roles') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('role_permissions') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('token_blacklist') AND relreplident = 'f' \gset
